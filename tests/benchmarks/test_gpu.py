"""benchmarks/gpu.py, rehearsed with OpenCL on a CPU: a part that fails is told, and the others have their say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from opencl import require_opencl

BENCHMARK = Path(__file__).parents[2] / "benchmarks/gpu.py"


def run(*options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "ignore", str(BENCHMARK), *options], capture_output=True, text=True, check=False, timeout=600
    )


@pytest.mark.slow
def test_digits_are_found_and_what_failed_is_told(tmp_path: Path) -> None:
    require_opencl()
    done = run(
        "--device", "opencl", "--minutes", "9", "--most-atoms", "9", "--parts", "torch,digits,speed,openmm", "--output", str(tmp_path)
    )
    assert done.returncode == 1
    assert "FAILED torch: ValueError" in done.stdout, done.stdout
    found = json.loads((tmp_path / "gpu.json").read_text())["found"]
    assert [row["what"] for row in found["digits"]] == ["ethanol, float64", "ethanol, float32", "water, float64", "water, float32"]
    assert all(row["the same bits again"] for row in found["digits"])
    assert max(row["forces (eV/Å)"] for row in found["digits"] if "float64" in row["what"]) < 1e-11
    assert [row["atoms"] for row in found["speed"]] == [9]
    assert "in the Context of platform OpenCL" in found["openmm"][0]["what"]
    assert (tmp_path / "gpu.png").exists()


def test_parts_that_are_none_are_refused() -> None:
    done = run("--parts", "digits,beauty")
    assert done.returncode == 1
    assert "`--parts` must be of digits, speed, nve, lammps, openmm, torch, got beauty" in done.stderr
