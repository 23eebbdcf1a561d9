"""Relaxations by a calculator of ASE's own, whose minima are known, and OC20's figures against closed forms."""

import ase
import ase.db
import ase.io
import ase.units
import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from oc20 import adslab
from structures import ethanol

from models import random_model
from spinconv.export import SpinConvCalculator
from spinconv.export.loaded_calculator import LoadedCalculator
from spinconv.export.loading import load
from spinconv.export.relaxation import OPTIMIZERS, Settings, Start, relax, starts
from spinconv.export.relaxed_metrics import DISTANCES, FORCES, check_match, figures
from spinconv.export.writer import export_model


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_free_atoms_come_to_rest_and_held_ones_and_the_cell_stay(optimizer):
    slab, told = adslab(), []
    outcome = relax(Start("slab", slab), EMT(), Settings(optimizer, 0.05, 300), lambda step, force: told.append(force))
    assert outcome.status == "converged", outcome
    assert told[-1] == outcome.max_force < 0.05 < told[0]
    assert len(told) == len(outcome.trajectory) == outcome.steps + 1
    np.testing.assert_array_equal(outcome.atoms.positions[:4], slab.positions[:4])
    np.testing.assert_array_equal(outcome.atoms.cell.array, slab.cell.array)
    assert np.abs(outcome.atoms.positions[4:] - slab.positions[4:]).max() > 0.01
    assert outcome.atoms.get_tags().tolist() == slab.get_tags().tolist()
    assert outcome.energy == outcome.atoms.get_potential_energy() < outcome.trajectory[0].get_potential_energy()
    free = np.linalg.norm(outcome.atoms.get_forces(apply_constraint=False), axis=1)[4:]
    assert free.max() == pytest.approx(outcome.max_force)


def test_steps_that_are_over_and_structures_that_cannot_be_evaluated_are_told_apart():
    assert relax(Start("slab", adslab()), EMT(), Settings(steps=2)).status == "not converged"

    class Refuses(EMT):
        def calculate(self, *arguments, **options):
            super().calculate(*arguments, **options)
            if self.atoms.positions[-1, 2] != adslab().positions[-1, 2]:
                raise ValueError("there are two atoms on top of each other")

    outcome = relax(Start("slab", adslab()), Refuses(), Settings())
    assert (outcome.status, outcome.problem, outcome.atoms) == ("failed", "there are two atoms on top of each other", None)
    assert len(outcome.trajectory) == 1
    assert relax(Start("a.xyz", None, "there is no such file"), EMT(), Settings()).problem == "there is no such file"


def test_a_loaded_model_says_what_the_calculator_of_its_file_says(tmp_path):
    export_model(random_model(elements=(1, 6, 8), weights_times=2.0), tmp_path / "model.pt", dtype="float64")
    atoms, other = ethanol(), ethanol()
    atoms.calc, other.calc = (
        LoadedCalculator(load(tmp_path / "model.pt", None)),
        SpinConvCalculator(tmp_path / "model.pt", evaluator="torch"),
    )
    assert atoms.get_potential_energy() == pytest.approx(other.get_potential_energy(), rel=1e-15)  # sums in another order
    np.testing.assert_array_equal(atoms.get_forces(), other.get_forces())
    atoms.numbers[0] = 7
    with pytest.raises(ValueError, match="`atoms` must consist of the model's elements H, C, O, got N"):
        atoms.get_potential_energy()


def test_structures_are_picked_as_ase_does_and_a_bad_file_stops_no_other(tmp_path):
    ase.io.write(tmp_path / "a.xyz", [adslab(k) for k in range(3)])
    (tmp_path / "bad.xyz").write_text("2\n\nH 0 0 0\nH 0 0 one\n")
    a, bad = f"{tmp_path}/a.xyz", f"{tmp_path}/bad.xyz"
    found = list(starts([f"{a}@-1", bad, f"{tmp_path}/none.xyz", f"{a}@:2", f"{a}@7", a]))
    assert [start.name for start in found if start.atoms is not None] == [f"a.xyz, frame {k}" for k in (2, 0, 1, 0, 1, 2)]
    problems = [start.problem for start in found if start.atoms is None]
    assert "cannot be read" in problems[0]
    assert "there is no such file" in problems[1]
    assert "must pick one of the 3 structures" in problems[2]
    assert found[0].atoms.constraints[0].index.tolist() == [0, 1, 2, 3]
    assert found[0].atoms.calc is None


def test_archives_are_converted_to_angstrom_and_databases_in_other_units_refused(tmp_path):
    slab = adslab()
    arrays = {"numbers": slab.numbers, "pos": slab.positions[None] / ase.units.Bohr, "cell": slab.cell.array / ase.units.Bohr}
    labels = {"energy": np.zeros(1), "forces": np.zeros((1, 10, 3)), "fixed": np.arange(10) < 4, "tags": slab.get_tags()}
    np.savez(tmp_path / "a.npz", **arrays, **labels, r_unit="Bohr")
    with ase.db.connect(tmp_path / "a.db") as database:
        database.write(slab)
    for name in ("a.npz", "a.db"):
        (start,) = starts([str(tmp_path / name)])
        np.testing.assert_allclose(start.atoms.positions, slab.positions, atol=1e-12)
        np.testing.assert_allclose(start.atoms.cell.array, slab.cell.array, atol=1e-12)
        assert start.atoms.constraints[0].index.tolist() == [0, 1, 2, 3]
        assert start.atoms.get_tags().tolist() == slab.get_tags().tolist()
    with ase.db.connect(tmp_path / "a.db") as database:
        database.metadata = {"_distance_unit": "Bohr"}
    (start,) = starts([str(tmp_path / "a.db")])
    assert "must have lengths in Å to be relaxed, says that they are in Bohr" in start.problem


def labelled(atoms: ase.Atoms, energy: float, forces: np.ndarray | None = None) -> ase.Atoms:
    copy = atoms.copy()
    copy.calc = SinglePointCalculator(copy, energy=energy, forces=np.zeros((len(atoms), 3)) if forces is None else forces)
    return copy


def moved(atoms: ase.Atoms, free: float, held: float = 0.0) -> ase.Atoms:
    copy = labelled(atoms, -1.0)
    copy.positions[4:, 0] += free
    copy.positions[:4, 0] += held
    return copy


def value(found, quantity):
    return next(figure.value for figure in found if figure.quantity == quantity)


def test_adwt_is_the_part_of_the_thresholds_above_the_mean_distance_of_free_atoms_by_the_nearest_image():
    slab = labelled(adslab(), -1.0)
    for shift, distance in ((0.0, 0.0), (0.1234, 0.1234), (0.6, 0.6)):
        other = moved(slab, shift, held=0.3)
        other.positions[:, :2] += slab.cell.array[0, :2] - 2 * slab.cell.array[1, :2]  # wrapped elsewhere
        expected = 100 * np.mean(distance < DISTANCES)
        assert value(figures([slab], [slab], [other], None), "ADwT") == pytest.approx(expected)
    two = figures([slab, slab], [slab, None], [slab, slab], None)  # the second has failed
    assert value(two, "ADwT") == pytest.approx(50.0)
    assert value(two, "ADwT, not relaxed") == pytest.approx(100.0)
    assert (len(DISTANCES), DISTANCES[0], DISTANCES[-1]) == (490, 0.01, pytest.approx(0.499))


def test_energies_are_compared_with_those_that_the_references_have():
    slab = adslab()
    ours = [labelled(slab, -1.0), labelled(slab, -2.0), None]
    found = figures([slab] * 3, ours, [labelled(slab, -1.01), labelled(slab, -2.5), labelled(slab, -3.0)], None)
    assert value(found, "energy MAE") == pytest.approx((0.01 + 0.5) / 2)
    assert value(found, "EwT") == pytest.approx(100 / 3)
    assert value(figures([slab], ours[:1], [adslab().copy()], None), "energy MAE") is None


def test_afbt_wants_forces_of_the_reference_method_at_our_structures():
    slab = labelled(adslab(), -1.0)
    assert value(figures([slab], [slab], None, None), "AFbT") is None
    forces = np.zeros((10, 3))
    forces[0], forces[5] = (9.0, 0, 0), (0.06, 0.08, 0)  # the first is held
    found = figures([slab] * 2, [slab, None], None, [labelled(slab, 0.0, forces), slab])
    assert value(found, "AFbT") == pytest.approx(100 * np.mean(FORCES > 0.1) / 2)
    with pytest.raises(ValueError, match=r"`--single-points` must be of the relaxed structures, one is 0.05 Å from its own"):
        figures([slab], [slab], None, [moved(slab, 0.05)])


def test_references_of_other_structures_are_refused():
    slab = adslab()
    with pytest.raises(ValueError, match="`--reference` must have a structure for each that is relaxed, 2, got 1"):
        check_match([slab, slab], [slab], "--reference")
    with pytest.raises(ValueError, match="must have the same atoms in the same order, its structure 0 is "):
        check_match([slab], [slab[[*range(8), 9, 8]]], "--reference")


def test_a_structure_without_a_free_atom_is_at_rest():
    slab = adslab()
    slab.set_constraint(FixAtoms(range(10)))
    outcome = relax(Start("slab", slab), EMT(), Settings())
    assert (outcome.status, outcome.steps, outcome.max_force) == ("converged", 0, 0.0)
