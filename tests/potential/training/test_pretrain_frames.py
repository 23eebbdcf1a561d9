"""Frames to pretrain on: what is written is what GFN2-xTB says of it."""

import importlib.util
from pathlib import Path

import ase
import ase.build
import ase.io
import numpy as np
import pytest
from click.testing import Result
from typer import Typer
from typer.testing import CliRunner

from spinconv.potential.training.pretrain_frames import bonds_of, hanging_on, pretrain_frames

needs_tblite = pytest.mark.skipif(importlib.util.find_spec("tblite") is None, reason="tblite is not installed")


def pretrain(*arguments: object) -> Result:
    """`spinconv pretrain-frames`."""
    app = Typer()
    app.command()(pretrain_frames)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "500"})


@needs_tblite
def test_frames_are_moved_and_labelled_the_same_for_the_same_seed(tmp_path: Path) -> None:
    from tblite.ase import TBLite

    ethanol = ase.build.molecule("CH3CH2OH")
    ase.io.write(tmp_path / "train.xyz", ethanol)
    for name in ("one.xyz", "two.xyz"):
        done = pretrain(tmp_path / "train.xyz", "-o", tmp_path / name, "--frames", 40, "--seed", 3)
        assert done.exit_code == 0, done.output
    assert "40 frames by GFN2-xTB, force rms" in done.output
    one, two = (ase.io.read(tmp_path / name, ":") for name in ("one.xyz", "two.xyz"))
    assert len(one) == 40
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.positions, b.positions)
        np.testing.assert_array_equal(a.get_forces(), b.get_forces())
    pair = (0, 1)  # C-C
    lengths = [atoms.get_distance(*pair) / ethanol.get_distance(*pair) for atoms in one]
    assert min(lengths) < 0.95
    assert max(lengths) > 1.05
    assert max(np.abs(atoms.get_forces()).max() for atoms in one) <= 15.0
    for atoms in one[:5]:
        fresh = ase.Atoms(atoms.numbers, atoms.positions)
        fresh.calc = TBLite(method="GFN2-xTB", verbosity=0)
        np.testing.assert_allclose(atoms.get_potential_energy(), fresh.get_potential_energy(), atol=1e-4)  # converged charges, 8 decimals
        np.testing.assert_allclose(atoms.get_forces(), fresh.get_forces(), atol=1e-3)


def test_what_hangs_on_an_atom_moves_with_it() -> None:
    ethanol = ase.build.molecule("CH3CH2OH")
    bonds = bonds_of(ethanol)
    assert len(bonds) == 8
    assert hanging_on(9, bonds, 1, 0) == [0, 6, 7, 8]
    assert sorted(hanging_on(9, bonds, 1, 0) + hanging_on(9, bonds, 0, 1)) == list(range(9))
    benzene = ase.build.molecule("C6H6")
    assert hanging_on(12, bonds_of(benzene), 0, 1) == [1]  # in a ring


def test_what_cannot_be_done_is_told(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "crystal.xyz", ase.build.bulk("Cu"))
    ase.io.write(tmp_path / "atom.xyz", ase.Atoms("H"))
    ase.io.write(tmp_path / "there.xyz", ase.build.molecule("H2O"))
    cases = {
        ("crystal.xyz",): "crystal.xyz, frame 0: is periodic; `spinconv pretrain-frames` is for molecules",
        ("nothing.xyz",): "nothing.xyz: there is no such file",
        ("atom.xyz",): "atom.xyz: must have molecules, has single atoms only",
        ("there.xyz", "-o", tmp_path / "there.xyz"): "there.xyz: is there already; choose another --output",
    }
    for (name, *more), sentence in cases.items():
        done = pretrain(tmp_path / name, *(more or ("-o", tmp_path / "out.xyz")))
        assert done.exit_code == 1
        assert sentence in done.output
    assert not (tmp_path / "out.xyz").exists()
