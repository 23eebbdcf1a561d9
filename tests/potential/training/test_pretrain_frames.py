"""Frames to train on beside those of an expensive method: what is written is what GFN2-xTB says of it, and a correction."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import ase
import ase.build
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from click.testing import Result
from scipy.spatial.transform import Rotation
from typer import Typer
from typer.testing import CliRunner

from models import random_model
from spinconv.potential.gradients import energy_and_forces
from spinconv.potential.graph import build_graph
from spinconv.potential.training.checkpoint import KEY, model_state, write_checkpoint
from spinconv.potential.training.displaced import bonds_of, hanging_on, turned
from spinconv.potential.training.pretrain_frames import delta_frames, pretrain_frames

needs_tblite = pytest.mark.skipif(importlib.util.find_spec("tblite") is None, reason="tblite is not installed")


def said(command: Callable[..., None], *arguments: object) -> Result:
    app = Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "500"})


def pretrain(*arguments: object) -> Result:
    """`spinconv pretrain-frames`."""
    return said(pretrain_frames, *arguments)


def tight_binding(atoms: ase.Atoms) -> tuple[float, np.ndarray]:
    """Energy and forces of GFN2-xTB, by a calculator of its own."""
    from tblite.ase import TBLite

    fresh = ase.Atoms(atoms.numbers, atoms.positions, calculator=TBLite(method="GFN2-xTB", verbosity=0))
    return fresh.get_potential_energy(), fresh.get_forces()


@pytest.fixture
def ethanol(tmp_path: Path) -> ase.Atoms:
    """The molecule, which is the one frame of train.xyz."""
    atoms = ase.build.molecule("CH3CH2OH")
    ase.io.write(tmp_path / "train.xyz", atoms)
    return atoms


@pytest.fixture
def corrections(tmp_path: Path) -> list[Path]:
    """Checkpoints of two models for ethanol."""
    paths = []
    for seed in (0, 1):
        model = random_model((1, 6, 8), seed=seed)
        paths.append(tmp_path / f"delta{seed}.ckpt")
        write_checkpoint(paths[-1], {KEY: {**model_state(model, model.config, model.state_dict()), "training": {}}})
    return paths


@needs_tblite
def test_frames_are_labelled_the_same_for_the_same_seed(tmp_path: Path, ethanol: ase.Atoms) -> None:
    for name in ("one.xyz", "two.xyz"):
        done = pretrain(tmp_path / "train.xyz", "-o", tmp_path / name, "--frames", 40, "--seed", 3)
        assert done.exit_code == 0, done.output
    assert "40 frames by GFN2-xTB, force rms" in done.output
    one, two = (ase.io.read(tmp_path / name, ":") for name in ("one.xyz", "two.xyz"))
    assert len(one) == 40
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.positions, b.positions)
        np.testing.assert_array_equal(a.get_forces(), b.get_forces())
    assert max(np.abs(atoms.get_forces()).max() for atoms in one) <= 15.0
    for atoms in one[::8]:
        energy, forces = tight_binding(atoms)
        np.testing.assert_allclose(atoms.get_potential_energy(), energy, atol=1e-4)  # converged charges, 8 decimals
        np.testing.assert_allclose(atoms.get_forces(), forces, atol=1e-3)


@needs_tblite
def test_bonds_are_squeezed_and_stretched_and_angles_bent(tmp_path: Path, ethanol: ase.Atoms) -> None:
    assert pretrain(tmp_path / "train.xyz", "-o", tmp_path / "moved.xyz", "--frames", 60, "--temperature", 0).exit_code == 0
    made = ase.io.read(tmp_path / "moved.xyz", ":")
    bonds = bonds_of(ethanol)
    lengths = np.array([[atoms.get_distance(a, b) for a, b in bonds] for atoms in made]) / [ethanol.get_distance(a, b) for a, b in bonds]
    assert lengths.min() < 0.85
    assert lengths.max() > 1.3
    angles = [atoms.get_angle(6, 0, 7) - ethanol.get_angle(6, 0, 7) for atoms in made]  # H-C-H
    assert min(angles) < -10
    assert max(angles) > 10


@needs_tblite
def test_trajectories_begin_at_the_frames_and_are_as_hot_as_asked_for(tmp_path: Path, ethanol: ase.Atoms) -> None:
    """Of a molecule at rest half of the kinetic energy becomes potential energy, some (3 n - 6) k T / 2 of it."""
    mean = {}
    for temperature in (200, 2000):
        out = tmp_path / f"{temperature}.xyz"
        assert pretrain(tmp_path / "train.xyz", "-o", out, "--frames", 100, "--temperature", temperature).exit_code == 0
        energies = np.array([atoms.get_potential_energy() for atoms in ase.io.read(out, ":")])
        mean[temperature] = np.median(energies - tight_binding(ethanol)[0])
    assert 0.05 < mean[200] < 1.0
    assert mean[2000] > mean[200] + 0.3


@needs_tblite
def test_a_correction_is_the_mean_of_what_its_models_say(tmp_path: Path, ethanol: ase.Atoms, corrections: list[Path]) -> None:
    options = [word for path in corrections for word in ("--correction", path)]
    for name, more in (("plain.xyz", []), ("corrected.xyz", [*options, "--most-deviation", 100])):
        done = pretrain(tmp_path / "train.xyz", "-o", tmp_path / name, "--frames", 8, *more)
        assert done.exit_code == 0, done.output
    assert "8 frames by GFN2-xTB and a correction" in done.output
    for plain, atoms in zip(ase.io.read(tmp_path / "plain.xyz", ":"), ase.io.read(tmp_path / "corrected.xyz", ":"), strict=True):
        both = [
            energy_and_forces(m, build_graph(plain, 5.0, torch.float64)) for m in (random_model((1, 6, 8), seed=seed) for seed in (0, 1))
        ]
        energy, forces = (np.mean([getattr(one, what).detach().numpy() for one in both], axis=0) for what in ("energies", "forces"))
        np.testing.assert_allclose(atoms.get_potential_energy(), plain.get_potential_energy() + energy[0], rtol=0, atol=1e-5)
        np.testing.assert_allclose(atoms.get_forces(), plain.get_forces() + forces, rtol=0, atol=1e-5)


@needs_tblite
def test_frames_on_which_corrections_differ_are_dropped(tmp_path: Path, ethanol: ase.Atoms, corrections: list[Path]) -> None:
    options = [word for path in corrections for word in ("--correction", path)]
    done = pretrain(tmp_path / "train.xyz", "-o", tmp_path / "out.xyz", "--frames", 8, *options, "--most-deviation", 1e-9)
    assert done.exit_code == 1
    assert "the corrections differ by more than 1e-09 eV/Å on every frame; train them longer, or on more frames" in done.output
    done = pretrain(tmp_path / "train.xyz", "-o", tmp_path / "out.xyz", "--frames", 8, *options[:2], "--most-deviation", 0)
    assert done.exit_code == 0, done.output  # one model cannot differ
    assert len(ase.io.read(tmp_path / "out.xyz", ":")) == 8


@needs_tblite
def test_differences_are_labels_less_those_of_the_method(tmp_path: Path, ethanol: ase.Atoms) -> None:
    rng = np.random.default_rng(0)
    frames = [ethanol.copy() for _ in range(3)]
    for atoms in frames:
        atoms.rattle(0.05, rng=rng)
        energy, forces = rng.normal(), rng.normal(size=(9, 3))
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    ase.io.write(tmp_path / "labelled.xyz", [*frames, ase.Atoms("H", calculator=SinglePointCalculator(ase.Atoms("H"), energy=-13.0))])
    done = said(delta_frames, tmp_path / "labelled.xyz", "-o", tmp_path / "delta.xyz")
    assert done.exit_code == 0, done.output
    assert "delta.xyz: 3 frames less GFN2-xTB, force rms" in done.output
    for atoms, found in zip(frames, ase.io.read(tmp_path / "delta.xyz", ":"), strict=True):
        energy, forces = tight_binding(atoms)
        np.testing.assert_allclose(found.get_potential_energy(), atoms.get_potential_energy() - energy, atol=1e-4)
        np.testing.assert_allclose(found.get_forces(), atoms.get_forces() - forces, atol=1e-3)


def test_turning_is_a_rotation() -> None:
    rng = np.random.default_rng(0)
    vectors, axis = rng.normal(size=(4, 3)), rng.normal(size=3)
    expected = Rotation.from_rotvec(0.7 * axis / np.linalg.norm(axis)).apply(vectors)
    np.testing.assert_allclose(turned(vectors, axis, 0.7), expected, rtol=1e-13)


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
        ("crystal.xyz",): "crystal.xyz, frame 0: is periodic; GFN-xTB labels molecules here",
        ("nothing.xyz",): "nothing.xyz: there is no such file",
        ("atom.xyz",): "atom.xyz: must have molecules, has single atoms only",
        ("there.xyz", "-o", tmp_path / "there.xyz"): "there.xyz: is there already; choose another --output",
    }
    for (name, *more), sentence in cases.items():
        done = pretrain(tmp_path / name, *(more or ("-o", tmp_path / "out.xyz")))
        assert done.exit_code == 1
        assert sentence in done.output
    assert not (tmp_path / "out.xyz").exists()


@needs_tblite
def test_differences_need_labels(tmp_path: Path, ethanol: ase.Atoms) -> None:
    done = said(delta_frames, tmp_path / "train.xyz", "-o", tmp_path / "delta.xyz", "--energy-key", "dft")
    assert done.exit_code == 1
    assert "train.xyz, frame 0" in done.output
    assert "`--energy-key`" in done.output
    assert not (tmp_path / "delta.xyz").exists()
