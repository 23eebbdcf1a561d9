"""The command `spinconv relax`: many structures, of which bad ones stop no other, and what is written."""

import csv
import json

import ase.io
import numpy as np
import pytest
from ase.constraints import FixAtoms
from structures import ethanol
from typer import Typer
from typer.testing import CliRunner

from models import HAS_TRAINED, SHIPPED_CHECKPOINT, SHIPPED_MODEL
from spinconv.export.commands.relax import relax
from spinconv.export.relaxed_metrics import FORCES

pytestmark = pytest.mark.skipif(not HAS_TRAINED, reason="the shipped model is not here")


def command(*arguments: object):
    app = Typer()
    app.command()(relax)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def structures(tmp_path):
    """Two molecules of ethanol, the second with its oxygen held, around one with an element that the model does not know."""
    first, second, other = ethanol(1), ethanol(2), ethanol(3)
    second.set_constraint(FixAtoms(np.flatnonzero(second.numbers == 8)))
    other.numbers[0] = 7
    ase.io.write(tmp_path / "a.xyz", [first, other, second])
    return tmp_path


@pytest.mark.parametrize("model", [SHIPPED_MODEL, SHIPPED_CHECKPOINT], ids=["file", "checkpoint"])
def test_bad_structures_stop_no_other_and_the_exit_code_and_table_tell_of_them(structures, model):
    out = structures / "out.xyz"
    result = command(model, structures / "a.xyz", structures / "none.xyz", "-o", out, "--trajectories", structures / "steps")
    assert result.exit_code == 1
    assert "2 of 4 structures relaxed" in result.output
    assert "a.xyz, frame 1: `atoms` must consist of the model's elements H, C, O, got N" in result.output
    assert "none.xyz: there is no such file" in result.output.replace("\n", "")
    assert "ADwT: not computed; needs the relaxed structures of the reference method (--reference)" in result.output
    rows = list(csv.DictReader((structures / "out.csv").read_text().splitlines()))
    assert [row["outcome"] for row in rows] == ["converged", "failed", "converged", "failed"]
    relaxed, given = ase.io.read(out, ":"), ase.io.read(structures / "a.xyz", ":")
    assert [atoms.info["structure"] for atoms in relaxed] == [0, 2]
    for atoms, line in zip(relaxed, (rows[0], rows[2]), strict=True):
        assert np.linalg.norm(atoms.get_forces(), axis=1).max() == pytest.approx(float(line["max_force"]), abs=1e-5)
        assert float(line["max_force"]) < 0.03
        assert atoms.get_potential_energy() == pytest.approx(float(line["energy"]), abs=1e-5)
        assert len(ase.io.read(structures / "steps" / f"{atoms.info['structure']:05d}.xyz", ":")) == int(line["steps"]) + 1
    np.testing.assert_allclose(relaxed[1].positions[given[2].numbers == 8], given[2].positions[given[2].numbers == 8], atol=1e-8)
    assert relaxed[1].constraints[0].index.tolist() == given[2].constraints[0].index.tolist()


def test_all_relaxed_is_exit_code_0_and_references_bring_oc20_s_figures(structures):
    first = structures / "first.xyz"
    assert command(SHIPPED_MODEL, f"{structures}/a.xyz@0", "-o", first).exit_code == 0
    again = (SHIPPED_MODEL, f"{structures}/a.xyz@0", "-o", structures / "again.xyz", "--optimizer", "lbfgs", "--json")
    result = command(*again, "--reference", first, "--single-points", first)
    assert result.exit_code == 0, result.output
    found = {figure["quantity"]: figure["value"] for figure in json.loads(result.output)["figures"]}
    assert found["ADwT"] == 100.0 > found["ADwT, not relaxed"]
    assert found["energy MAE"] < 1e-5
    left = json.loads(result.output)["structures"][0]["max_force"]
    assert found["AFbT"] == pytest.approx(100 * np.mean(left < FORCES))  # the model's own forces here


def test_steps_that_do_not_suffice_are_told_and_written(structures):
    result = command(SHIPPED_MODEL, f"{structures}/a.xyz@0", "-o", structures / "out.xyz", "--steps", 2)
    assert result.exit_code == 1
    assert "not converged" in result.output
    assert ase.io.read(structures / "out.xyz").info["relaxation"] == "not converged"


def test_what_cannot_be_done_is_refused_before_anything_is_relaxed(structures):
    a = structures / "a.xyz"
    for options, sentence in (
        (("-o", "out.traj"), "`--output` must end in .xyz or .extxyz, got out.traj"),
        (("-o", structures / "nowhere" / "out.xyz"), "`--output` must be in a folder that is there"),
        (("-o", structures / "out.xyz", "--optimizer", "newton"), "`--optimizer` must be one of lbfgs, fire, got 'newton'"),
        (("-o", structures / "out.xyz", "--trajectories", structures / "no" / "where"), "could not be written: the folder"),
        (("-o", structures / "out.xyz", "--reference", f"{a}@0"), "`--reference` must have a structure for each that is relaxed, 3, got 1"),
        (("-o", structures / "out.xyz", "--reference", "none.xyz"), "none.xyz: there is no such file"),
    ):
        result = command(SHIPPED_MODEL, a, *options)
        assert result.exit_code == 1
        assert sentence in result.output.replace("\n", "")
        assert sorted(path.name for path in structures.iterdir()) == ["a.xyz"]
