"""The picture of bonds from 0.3 to 3 Å."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from models import SHIPPED_MODEL

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bond_scan(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("bond_scan")


def test_a_wall_and_a_hole_are_told_apart(bond_scan: ModuleType) -> None:
    lengths = np.linspace(0.3, 3.0, 28)
    wall = 1 / lengths**2
    assert bond_scan.inwards(lengths, wall, 3.0) == "rises all the way inwards"
    hole = np.where(lengths < 0.75, -9.0, wall)  # last above it: 0.8 Å
    assert bond_scan.inwards(lengths, hole, 3.0) == "first turns inwards at 0.80 Å (1.56 eV), and has -9.00 eV at its lowest below that"


@pytest.mark.skipif(not SHIPPED_MODEL.exists(), reason="the shipped model is not here")
def test_it_draws_the_bonds_of_ethanol(tmp_path: Path) -> None:
    train = ROOT / "examples" / "training" / "data" / "ethanol_train.xyz"
    command = [sys.executable, ROOT / "benchmarks" / "bond_scan.py", SHIPPED_MODEL, "--train", train, "--points", "10", "-o", "bonds.png"]
    done = subprocess.run(list(map(str, command)), cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, length in (("O-H", 0.97), ("C-H", 1.10), ("C-C", 1.52)):
        line = next(line for line in done.stdout.splitlines() if line.startswith(f"{name}: ") and "relaxed" in line)
        assert abs(float(line.split()[1]) - length) < 0.03
    assert (tmp_path / "bonds.png").stat().st_size > 10_000
