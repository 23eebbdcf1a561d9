"""Which frames a model is wrong about, and what is said of them."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import ase.io
import pytest

from models import SHIPPED_MODEL

ROOT = Path(__file__).parents[2]
DATA = ROOT / "examples" / "training" / "data"


@pytest.fixture
def frame_errors(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("frame_errors")


def test_a_stretched_bond_is_the_unusual_one(frame_errors: ModuleType) -> None:
    frames = ase.io.read(DATA / "ethanol_train.xyz", ":")
    training = frame_errors.lengths_of(frames)
    assert set(training) == {"C-C", "C-H", "C-O", "H-O"}
    atoms = frames[0].copy()
    assert "outside" not in frame_errors.special(atoms, training)
    bond = next(bond for bond in frame_errors.bonds_of(atoms) if bond.kind == "H-O")
    hydrogen, oxygen = sorted(bond.atoms, key=lambda atom: atoms.numbers[atom])
    atoms.set_distance(oxygen, hydrogen, 1.24, fix=0)
    assert frame_errors.special(atoms, training).startswith("H-O 1.240 Å")
    assert frame_errors.special(atoms, training).endswith("1 outside of training")


@pytest.mark.skipif(not SHIPPED_MODEL.exists(), reason="the shipped model is not here")
def test_it_shows_the_median_and_the_worst_frames() -> None:
    script = ROOT / "benchmarks" / "frame_errors.py"
    command = [sys.executable, script, SHIPPED_MODEL, DATA / "ethanol_test.xyz", "--train", DATA / "ethanol_train.xyz", "--worst", "3"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("│")[1:6] for line in done.stdout.splitlines() if line.startswith(("│ median", "│ worst"))]
    places, frames, _, rms, _ = zip(*([cell.strip() for cell in row] for row in rows), strict=True)
    assert places == ("median", "worst", "worst", "worst")
    assert len(set(frames)) == 4
    median, *worst = map(float, rms)
    assert worst == sorted(worst, reverse=True)
    assert median < worst[-1]
    assert "the worst twentieth (1 frames) has" in done.stdout
