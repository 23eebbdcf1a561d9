"""Frames to pretrain on: what is written is what GFN2-xTB says of it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import ase
import ase.build
import ase.io
import numpy as np
import pytest

PRETRAIN = Path(__file__).parents[2] / "benchmarks" / "pretrain_frames.py"
needs_tblite = pytest.mark.skipif(importlib.util.find_spec("tblite") is None, reason="tblite is not installed")


def pretrain(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PRETRAIN), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@needs_tblite
def test_frames_are_moved_and_labelled_the_same_for_the_same_seed(tmp_path: Path) -> None:
    from tblite.ase import TBLite

    ethanol = ase.build.molecule("CH3CH2OH")
    ase.io.write(tmp_path / "train.xyz", ethanol)
    for name in ("one.xyz", "two.xyz"):
        done = pretrain(tmp_path / "train.xyz", "-o", tmp_path / name, "--frames", 40, "--seed", 3)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "40 frames by GFN2-xTB, force rms" in done.stdout
    one, two = (ase.io.read(tmp_path / name, ":") for name in ("one.xyz", "two.xyz"))
    assert len(one) == 40
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.positions, b.positions)
        np.testing.assert_array_equal(a.get_forces(), b.get_forces())
    pair = (0, 1)  # C-C
    lengths = [atoms.get_distance(*pair) / ethanol.get_distance(*pair) for atoms in one]
    assert min(lengths) < 0.95
    assert max(lengths) > 1.05
    assert max(np.abs(atoms.get_forces()).max() for atoms in one) <= 12.0
    for atoms in one[:5]:
        fresh = ase.Atoms(atoms.numbers, atoms.positions)
        fresh.calc = TBLite(method="GFN2-xTB", verbosity=0)
        np.testing.assert_allclose(atoms.get_potential_energy(), fresh.get_potential_energy(), atol=1e-4)  # converged charges, 8 decimals
        np.testing.assert_allclose(atoms.get_forces(), fresh.get_forces(), atol=1e-3)


def test_what_is_no_molecule_is_refused(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "crystal.xyz", ase.build.bulk("Cu"))
    for name, sentence in (("crystal.xyz", "crystal.xyz, frame 0: is periodic"), ("nothing.xyz", "nothing.xyz: there is no such file")):
        done = pretrain(tmp_path / name)
        assert done.returncode == 2
        assert sentence in "".join(done.stderr.replace("│", " ").replace("\n", "").split("  "))
