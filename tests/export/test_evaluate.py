import json
import re

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from structures import ethanol, water_box
from typer import Typer
from typer.testing import CliRunner

from spinconv.export import SpinConvCalculator
from spinconv.export.commands.evaluate import evaluate
from spinconv.export.writer import export_model
from spinconv.potential import HarmonicSpinConv, ModelConfig
from spinconv.potential.training.checkpoint import KEY, model_state, write_checkpoint

CONFIG = ModelConfig(elements=(1, 6, 8), cutoff=4.0, lmax=2, channels=8, group=4, n_blocks=2, n_radial=8)


def command(*arguments: object):
    app = Typer()
    app.command()(evaluate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def files(tmp_path):
    """A checkpoint and a model file of the same random model, and frames whose labels are 0.1 eV, 0.2 eV/Å and 0.003 eV/Å³ off."""
    torch.manual_seed(0)
    model = HarmonicSpinConv(CONFIG, [-13.0, -1030.0, -2040.0], 1.3, 12.0).double()
    write_checkpoint(tmp_path / "best.ckpt", {KEY: {**model_state(model, CONFIG, model.state_dict()), "training": {}}})
    export_model(model, tmp_path / "model.pt", dtype="float64")
    frames, signs = [], np.random.default_rng(0)
    for atoms in (ethanol(0), ethanol(1), water_box()):
        atoms.calc = SpinConvCalculator(tmp_path / "model.pt")
        results = {"energy": atoms.get_potential_energy() + 0.1, "forces": atoms.get_forces() + signs.choice([-0.2, 0.2], (len(atoms), 3))}
        if atoms.pbc.all():
            results["stress"] = atoms.get_stress() + 0.003
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    ase.io.write(tmp_path / "data.xyz", frames)
    return tmp_path


@pytest.mark.parametrize("name", ["best.ckpt", "model.pt"])
def test_the_errors_are_those_put_into_the_labels(files, name):
    result = command(files / name, files / "data.xyz", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    errors = {error["quantity"]: error for error in found["errors"]}
    expected = {
        "energy": (100.0, 3),
        "energy per atom": (100 * (1 / 9 + 1 / 9 + 1 / 24) / 3, 3),
        "forces": (200.0, 3 * 42),
        "forces on H": (200.0, 3 * (6 + 6 + 16)),
        "forces on C": (200.0, 3 * 4),
        "forces on O": (200.0, 3 * 10),
        "stress": (3.0, 9),
    }
    assert errors.keys() == expected.keys()
    for quantity, (mae, count) in expected.items():
        assert errors[quantity]["mae"] == pytest.approx(mae, rel=2e-6)  # extxyz keeps eight decimals
        assert errors[quantity]["values"] == count
    assert errors["forces"]["rmse"] == pytest.approx(200.0, rel=2e-6)
    assert found["n_frames"] == 3


def test_a_table_and_a_parity_plot(files):
    result = command(files / "model.pt", files / "data.xyz", "--plot", files / "parity.png", "--dtype", "float32")
    assert result.exit_code == 0, result.output
    assert "forces on O" in result.output
    assert "float32" in result.output
    assert (files / "parity.png").read_bytes().startswith(b"\x89PNG")


def test_the_worst_frames_are_those_with_the_largest_force_errors(files):
    frames = ase.io.read(files / "data.xyz", ":")
    frames[1].calc.results["forces"][4] += (0, 0, 7.0)
    frames[2].calc.results["forces"][1] += (0, 3.0, 0)
    ase.io.write(files / "broken.xyz", frames)
    found = json.loads(command(files / "model.pt", files / "broken.xyz", "--json", "--worst", 2).output)["worst"]
    assert [(frame["frame"], frame["worst_atom"]) for frame in found] == [(1, 4), (2, 1)]
    assert found[0]["forces_max"] == pytest.approx(7000, abs=350)  # the labels are 200 meV/Å off already
    assert found[0]["energy"] == pytest.approx(-100 / 9, rel=1e-5)
    output = command(files / "model.pt", files / "broken.xyz", "--worst", 2).output
    assert "the worst 2 of 3 frames" in output
    assert max(map(len, output.splitlines())) <= 80


@pytest.mark.parametrize("batch", [(), ("--batch", 1), ("--batch", 2)], ids=str)
def test_predictions_are_written_beside_the_references(files, batch):
    result = command(files / "model.pt", files / "data.xyz", "--output", files / "predictions.xyz", *batch)
    assert result.exit_code == 0, result.output
    found, given = (ase.io.read(files / name, ":") for name in ("predictions.xyz", "data.xyz"))
    calculator = SpinConvCalculator(files / "model.pt")
    for atoms, source in zip(found, given, strict=True):
        assert atoms.get_potential_energy() == source.get_potential_energy()
        np.testing.assert_array_equal(atoms.get_forces(), source.get_forces())
        source.calc = calculator
        assert atoms.info["spinconv_energy"] == pytest.approx(source.get_potential_energy(), abs=1e-6)
        np.testing.assert_allclose(atoms.arrays["spinconv_forces"], source.get_forces(), atol=1e-6)  # eight decimals of positions
        assert ("spinconv_stress" in atoms.info) == bool(atoms.pbc.all())
        if atoms.pbc.all():
            np.testing.assert_allclose(np.reshape(atoms.info["spinconv_stress"], (3, 3)), source.get_stress(voigt=False), atol=1e-7)


def test_a_molecule_in_a_box_has_no_stress(files):
    """Neither a predicted one, as in the calculator, nor one to compare with, whatever the file says."""
    atoms = ethanol()
    atoms.set_cell([20, 20, 20])
    atoms.calc = SinglePointCalculator(atoms, energy=-4200.0, forces=np.zeros((9, 3)), stress=np.full(6, 0.1))
    ase.io.write(files / "box.xyz", atoms)
    result = command(files / "model.pt", files / "box.xyz", "--json", "--output", files / "predictions.xyz")
    assert result.exit_code == 0, result.output
    assert "stress" not in {error["quantity"] for error in json.loads(result.output)["errors"]}
    assert "spinconv_stress" not in ase.io.read(files / "predictions.xyz").info


def test_the_stress_of_a_slab_is_compared_in_its_plane(files):
    """By 0.003 eV/Å³ too large, the prediction being that of the calculator; across there is a label that counts for nothing."""
    slab = ethanol()
    slab.set_cell([6, 6, 12])
    slab.pbc = (True, True, False)
    slab.calc = SpinConvCalculator(files / "model.pt")
    stress = slab.get_stress(voigt=False)
    labels = stress + 0.003
    labels[2, 2] = 0.5
    slab.calc = SinglePointCalculator(slab, energy=slab.get_potential_energy(), forces=slab.get_forces(), stress=labels)
    ase.io.write(files / "slab.xyz", slab)
    result = command(files / "model.pt", files / "slab.xyz", "--json", "--output", files / "out.xyz")
    error = {error["quantity"]: error for error in json.loads(result.output)["errors"]}["stress"]
    assert error["mae"] == pytest.approx(3.0, rel=1e-6)
    assert error["values"] == 4
    np.testing.assert_allclose(ase.io.read(files / "out.xyz").info["spinconv_stress"].reshape(3, 3), stress, atol=1e-12)
    words = "slab.xyz: 1 of 1 frames are not periodic in every direction, and their stress counts along the periodic ones alone"
    assert words in " ".join(command(files / "model.pt", files / "slab.xyz").output.split())


def test_a_stress_is_written_as_nine_numbers(files):
    command(files / "model.pt", files / "data.xyz", "--output", files / "predictions.xyz")
    assert re.findall(r'spinconv_stress="([^"]*)"', text := (files / "predictions.xyz").read_text())[0].count(" ") == 8
    assert "_JSON" not in text


def test_advice_names_the_options_of_this_command(files):
    """Not the keys of a config, which there is none of here."""
    atoms = ethanol()
    atoms.info["E"] = -4200.0
    ase.io.write(files / "named.xyz", atoms)
    assert "name the right one in `--energy-key`; the frame has E" in command(files / "model.pt", files / "named.xyz").output
    frames = ase.io.read(files / "data.xyz", ":")
    frames[0].calc.results["forces"] *= 1e3
    ase.io.write(files / "huge.xyz", frames)
    output = command(files / "model.pt", files / "huge.xyz", "--energy-unit", "eV").output
    assert "implausibly large" in output
    assert "(`--energy-unit`, `--length-unit`)" in output
    assert "(as `--energy-unit` says)" in output
    assert "data." not in output.replace("data.xyz", "")


def test_virials_are_evaluated_under_their_name(files):
    frames = ase.io.read(files / "data.xyz", ":")
    written = []
    for atoms in frames:
        plain = ase.Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info={"energy": atoms.get_potential_energy()})
        plain.arrays["forces"] = atoms.get_forces()
        if atoms.pbc.all():
            plain.info["REF_virials"] = -atoms.get_stress(voigt=False) * atoms.get_volume()
        written.append(plain)
    ase.io.write(files / "virials.xyz", written, format="extxyz")
    result = command(files / "model.pt", files / "virials.xyz", "--virial-key", "REF_virials", "--json")
    errors = {error["quantity"]: error for error in json.loads(result.output)["errors"]}
    assert errors["stress"]["mae"] == pytest.approx(3.0, rel=1e-4)
    result = command(files / "model.pt", files / "virials.xyz", "--stress-key", "REF_virials")
    assert result.exit_code == 1
    assert "ERROR: `--stress-key` names `REF_virials`, which by its name is a virial" in result.output


def test_predictions_that_are_no_numbers_are_shown_and_warned_of(files):
    model = HarmonicSpinConv(CONFIG, [-13.0, -1030.0, -2040.0], 1.3, 12.0).double()
    weights = model.state_dict()
    weights["energy.out.bias" if "energy.out.bias" in weights else list(weights)[-1]].fill_(torch.nan)
    write_checkpoint(files / "broken.ckpt", {KEY: {**model_state(model, CONFIG, weights), "training": {}}})
    result = command(files / "broken.ckpt", files / "data.xyz", "--plot", files / "parity.png")
    assert result.exit_code == 0, result.output
    assert "WARNING: the predictions of 3 of 3 frames are no finite numbers, first of data.xyz, frame 0" in result.output
    assert "nan" in result.output
    errors = json.loads(command(files / "broken.ckpt", files / "data.xyz", "--json").output)["errors"]
    assert {error["quantity"]: error["values"] for error in errors}["energy"] == 3
    assert all(np.isnan(error["mae"]) for error in errors if error["quantity"] == "energy")


def test_frames_without_forces_give_the_errors_of_energies(files):
    atoms = ethanol()
    atoms.calc = SinglePointCalculator(atoms, energy=-4200.0)
    ase.io.write(files / "energies.xyz", atoms)
    errors = json.loads(command(files / "model.pt", files / "energies.xyz", "--json").output)["errors"]
    assert {error["quantity"] for error in errors} == {"energy", "energy per atom"}


def test_what_cannot_be_evaluated_is_refused(files):
    atoms = ase.Atoms("N2", [(0, 0, 0), (0, 0, 1.1)])
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0, forces=np.zeros((2, 3)))
    ase.io.write(files / "other.xyz", atoms)
    for arguments, sentence in (
        (("nothing.ckpt", "data.xyz"), "nothing.ckpt`: there is no such checkpoint"),
        (("data.xyz", "data.xyz"), "data.xyz` must be a checkpoint of `spinconv train`, is of another kind"),
        (("best.ckpt", "nothing.xyz"), "nothing.xyz: there is no such file"),
        (("best.ckpt", "other.xyz"), "other.xyz, frame 0: has the element N, the model knows H C O"),
        (("best.ckpt", "data.xyz", "--dtype", "half"), "`--dtype` must be one of float32, float64, got 'half'"),
        (("best.ckpt", "data.xyz", "--device", "abacus"), "`device` must be one that torch can use here, got 'abacus': "),
        (("best.ckpt", "data.xyz", "--plot", "nowhere/parity.png"), "`--plot` must be in a folder that is there, got "),
        (("best.ckpt", "data.xyz", "--threads", "1000000"), "`--threads` must be 1 to "),
        (("best.ckpt", "data.xyz", "--energy-unit", "cal"), "`--energy-unit` must be one of eV, kcal/mol, kJ/mol, Hartree, got 'cal'"),
    ):
        result = command(*(files / argument if "." in argument else argument for argument in arguments))
        assert result.exit_code == 1
        assert "ERROR: " in result.output
        assert sentence in result.output.replace("\n", "")


def test_oc20_s_figures_are_of_free_atoms_and_shown_where_frames_have_tags(files):
    atoms = ase.io.read(files / "data.xyz", 0)
    atoms.calc.results["energy"] -= 0.1  # as predicted
    atoms.calc.results["forces"] = np.where(np.arange(9)[:, None] < 2, atoms.calc.results["forces"] + 5.0, atoms.calc.results["forces"])
    plain = atoms.copy()
    plain.calc = atoms.calc
    ase.io.write(files / "plain.xyz", plain)
    assert "EFwT" not in command(files / "model.pt", files / "plain.xyz").output
    atoms.set_tags([0, 0, 1, 1, 2, 2, 2, 2, 2])
    atoms.set_constraint(FixAtoms([0, 1]))
    ase.io.write(files / "tagged.xyz", atoms)
    shown = command(files / "model.pt", files / "tagged.xyz").output
    assert "22% of the atoms are held in place; their forces are not in the errors (--all-atoms)" in shown
    assert "EFwT" in shown
    for options, mae in (((), 0.2), (("--all-atoms",), (7 * 0.2 + 2 * 5.0) / 9)):
        found = json.loads(command(files / "model.pt", files / "tagged.xyz", "--json", *options).output)["oc20"]
        values = {figure["quantity"]: figure["value"] for figure in found}
        assert values["energy MAE"] == pytest.approx(0.0, abs=1e-6)
        assert values["force MAE"] == pytest.approx(mae, rel=1e-2)
        assert values["EFwT"] == 0.0
