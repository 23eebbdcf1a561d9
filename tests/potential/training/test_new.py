from pathlib import Path

import ase
import ase.build
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from typer import Typer
from typer.testing import CliRunner

from spinconv.potential.training.cli import train
from spinconv.potential.training.config import read_config
from spinconv.potential.training.draft import PRESETS, Sizes, training_lines
from spinconv.potential.training.new import new

from .conftest import emt_frames, labelled


def command(function, *arguments: object):
    app = Typer()
    app.command()(function)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(path: Path, frames: list[ase.Atoms], energy: str = "energy", forces: str | None = "forces", stress: str | None = None) -> None:
    """The frames with their labels under other names."""
    written = []
    for atoms in frames:
        results, plain = atoms.calc.results, ase.Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        plain.info[energy] = results["energy"]
        if forces is not None:
            plain.arrays[forces] = results["forces"]
        if stress is not None:
            plain.info[stress] = results["stress"]
        written.append(plain)
    ase.io.write(path, written, format="extxyz")


def crystals(n: int) -> list[ase.Atoms]:
    frames = []
    for seed in range(n):
        atoms = ase.build.bulk("Cu", cubic=True)
        atoms.rattle(0.05, seed=seed)
        frames.append(labelled(atoms))
    return frames


def test_the_config_trains_as_it_is(tmp_path, monkeypatch, clusters):
    ase.io.write(tmp_path / "my frames.xyz", clusters)
    monkeypatch.chdir(tmp_path)
    result = command(new, "my frames.xyz")
    assert result.exit_code == 0, result.output
    assert "my frames.yaml: written; read it, then: spinconv train" in result.output
    result = command(train, "my frames.yaml", "--set", "accelerator=cpu", "--max-time", "3s")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "runs" / "my frames" / "best.ckpt").exists()


def test_sizes_follow_from_the_frames(tmp_path, clusters):
    ase.io.write(tmp_path / "t.xyz", clusters)
    assert command(new, tmp_path / "t.xyz", "-o", tmp_path / "out.yaml", "--cutoff", 4).exit_code == 0
    config, text = read_config(tmp_path / "out.yaml"), (tmp_path / "out.yaml").read_text()
    assert config.data.train == "t.xyz"
    assert config.data.validation == 2  # a tenth
    assert config.batch_size == 10  # of four atoms each
    assert config.model["cutoff"] == 4.0
    assert (config.optimizer.type, config.ema_decay) == ("soap", 0.9995)  # an hour is some 150,000 steps of these
    assert "# 4 atoms of Al Cu a frame, free; 3 neighbours an atom within 4 Å" in text
    assert "# elements: [Al, Cu]" in text
    for line in text.splitlines():
        assert not line or line.endswith(":") or "#" in line or "{" in line, f"no reason beside {line!r}"


def test_a_training_of_fewer_steps_averages_over_fewer():
    assert "ema_decay: 0.9995 " in "\n".join(training_lines(Sizes(5, 5, 100, seconds=0.05), PRESETS["fast"], True))
    assert "ema_decay: 0.999 " in "\n".join(training_lines(Sizes(5, 5, 100, seconds=0.1), PRESETS["fast"], True))  # 36,000 in an hour


@pytest.mark.parametrize(("preset", "channels", "rate"), [("fast", 32, 8e-3), ("accurate", 64, 6e-3)])
def test_a_preset_is_settings_that_go_together(tmp_path, clusters, preset, channels, rate):
    ase.io.write(tmp_path / "t.xyz", clusters)
    assert command(new, tmp_path / "t.xyz", "-o", tmp_path / "out.yaml", "--preset", preset).exit_code == 0
    config = read_config(tmp_path / "out.yaml")
    assert (config.model["channels"], config.optimizer.learning_rate) == (channels, rate)


def test_names_of_labels_are_found_in_the_file(tmp_path):
    write(tmp_path / "t.xyz", crystals(4), "dft_energy", "dft_force", "dft_stress")
    result = command(new, tmp_path / "t.xyz", "-o", tmp_path / "out.yaml")
    assert result.exit_code == 0, result.output
    config = read_config(tmp_path / "out.yaml")
    assert (config.data.energy_key, config.data.forces_key, config.data.stress_key) == ("dft_energy", "dft_force", "dft_stress")
    forces, stress = (np.array([atoms.calc.results[name] for atoms in crystals(4)]) for name in ("forces", "stress"))
    ratio = 0.1 * np.mean(forces**2) / np.mean(np.concatenate([stress[:, :3], stress[:, 3:], stress[:, 3:]], axis=1) ** 2)
    assert config.loss.stress_weight == pytest.approx(ratio, rel=0.1) or config.loss.stress_weight == float(f"{ratio:.0e}")
    assert "WARNING" not in result.output


def test_virials_are_found_and_not_called_a_stress(tmp_path):
    frames = crystals(4)
    for atoms in frames:
        atoms.calc.results["stress"] = -atoms.get_stress(voigt=False) * atoms.get_volume()
    write(tmp_path / "t.xyz", frames, "REF_energy", "REF_forces", "REF_virials")
    result = command(new, tmp_path / "t.xyz", "-o", tmp_path / "out.yaml")
    assert result.exit_code == 0, result.output
    config = read_config(tmp_path / "out.yaml")
    assert (config.data.stress_key, config.data.virial_key) == (None, "REF_virials")
    assert "t.xyz: the stress is -`REF_virials` / volume" in result.output


def test_several_candidates_are_named_and_the_explicit_one_taken(tmp_path, clusters):
    frames = [atoms.copy() for atoms in clusters]
    for atoms, source in zip(frames, clusters, strict=True):
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = source.calc.results["energy"], source.calc.results["forces"]
        atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.zeros((4, 3)))  # a cheap method's
    ase.io.write(tmp_path / "t.xyz", frames)
    result = command(new, tmp_path / "t.xyz", "-o", tmp_path / "out.yaml")
    assert "WARNING: `REF_energy` was taken for the energy, the frames have `energy` too; `data.energy_key` decides" in result.output
    assert "WARNING: `REF_forces` was taken for the forces" in result.output
    assert read_config(tmp_path / "out.yaml").data.energy_key == "REF_energy"
    assert "the frames have energy too: is it the right one?" in (tmp_path / "out.yaml").read_text()


def test_isolated_atoms_in_the_file_become_the_reference_energies(tmp_path, clusters):
    alone = [labelled(ase.Atoms("Cu")), labelled(ase.Atoms("Al"))]
    ase.io.write(tmp_path / "t.xyz", [*alone, *clusters])
    assert command(new, tmp_path / "t.xyz", "-o", tmp_path / "out.yaml").exit_code == 0
    r = read_config(tmp_path / "out.yaml").reference_energies
    assert (r.isolated_atoms, r.least_squares) == ("t.xyz", False)


def test_a_crystal_of_one_atom_is_no_isolated_atom(tmp_path, clusters):
    ase.io.write(tmp_path / "t.xyz", [labelled(ase.build.bulk("Cu")), labelled(ase.build.bulk("Al")), *clusters])
    assert command(new, tmp_path / "t.xyz", "-o", tmp_path / "out.yaml").exit_code == 0
    assert read_config(tmp_path / "out.yaml").reference_energies.isolated_atoms is None


def test_one_composition_is_warned_of(tmp_path):
    ase.io.write(tmp_path / "t.xyz", emt_frames(8)[::2])
    result = command(new, tmp_path / "t.xyz", "-o", tmp_path / "out.yaml")
    assert "WARNING: all frames have the composition Al2Cu2" in result.output
    assert "# The frames cannot tell these energies apart" in (tmp_path / "out.yaml").read_text()


def test_frames_without_forces_get_a_config_of_energies(tmp_path, clusters):
    write(tmp_path / "t.xyz", clusters, "energy", None)
    result = command(new, tmp_path / "t.xyz", "-o", tmp_path / "out.yaml")
    assert "has no forces; energies alone teach little" in result.output
    assert read_config(tmp_path / "out.yaml").loss.forces_weight == 0


def test_what_cannot_be_drafted_is_refused_in_words(tmp_path, monkeypatch, clusters):
    monkeypatch.chdir(tmp_path)
    ase.io.write("t.xyz", clusters)
    ase.io.write("one.xyz", clusters[0])
    ase.io.write("bare.xyz", ase.Atoms("Cu2", [(0, 0, 0), (0, 0, 2)]))
    Path("broken.xyz").write_text("not an xyz file\n")
    Path("there.yaml").write_text("mine")
    for arguments, sentence in (
        (("nothing.xyz",), "nothing.xyz: there is no such file"),
        (("broken.xyz",), "broken.xyz: cannot be read: "),
        (("bare.xyz",), "bare.xyz: has no energies: no number in its frames is called so"),
        (("one.xyz",), "one.xyz: must hold two frames at least, one of them to validate on, got 1"),
        (("t.xyz", "-o", "there.yaml"), "there.yaml: is there already; choose another --output, or write over it with --force"),
        (("t.xyz", "--cutoff", "-1"), "`--cutoff` must be positive (Å), got -1"),
    ):
        result = command(new, *arguments)
        assert result.exit_code == 1
        assert f"ERROR: {sentence}" in result.output
    assert Path("there.yaml").read_text() == "mine"
