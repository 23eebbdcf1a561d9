"""benchmarks/in_openmm.py runs, with few steps; its figures are not judged here."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from models import SHIPPED_MODEL

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.skipif(not SHIPPED_MODEL.exists(), reason="the shipped models are not here")
@pytest.mark.skipif(importlib.util.find_spec("openmm") is None, reason="openmm is not installed")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["overhead", "--steps", "2"], "% of the model"),
        (["energy", "--times", "2"], "energy alone"),
        (["doors", "--steps", "2"], "ethanol, 9"),
    ],
    ids=["overhead", "energy", "doors"],
)
def test_it_runs(arguments: list[str], words: str) -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/in_openmm.py", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert words in done.stdout
