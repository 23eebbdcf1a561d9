"""SpinConvCalculator: ASE's conventions, any cell."""

import ase
import numpy as np
import pytest
import torch
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from structures import STRUCTURES, collinear, ethanol, rattled_fcc, slab_with_adsorbate, tiny_cell, triclinic, with_calculator

from models import ELEMENTS, random_model
from spinconv.export import SpinConvCalculator, export_model
from spinconv.potential import ModelConfig


@pytest.fixture(scope="module")
def calculator(tmp_path_factory: pytest.TempPathFactory) -> SpinConvCalculator:
    path = tmp_path_factory.mktemp("model") / "model.pt"
    export_model(random_model(weights_times=2.0), ModelConfig(elements=ELEMENTS, channels=16, n_blocks=2), path)
    return SpinConvCalculator(path, dtype="float64")


@pytest.mark.parametrize("make", [ethanol, triclinic, slab_with_adsorbate])
def test_forces_are_those_that_ase_finds_by_finite_differences(calculator: SpinConvCalculator, make: object) -> None:
    atoms = with_calculator(make()[:8], calculator)
    numerical = calculate_numerical_forces(atoms, eps=1e-4)
    np.testing.assert_allclose(atoms.get_forces(), numerical, atol=1e-6)  # second order: the step squared times the third derivative


@pytest.mark.parametrize("make", [rattled_fcc, triclinic, tiny_cell])
def test_stress_is_the_one_that_ase_finds_by_finite_differences(calculator: SpinConvCalculator, make: object) -> None:
    atoms = with_calculator(make(), calculator)
    np.testing.assert_allclose(atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5), atol=1e-7)


@pytest.mark.parametrize("name", STRUCTURES)
def test_energies_of_atoms_add_up(calculator: SpinConvCalculator, name: str) -> None:
    atoms = with_calculator(STRUCTURES[name](), calculator)
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy(), rel=1e-14)


def test_a_cell_repeated_has_the_same_stress(calculator: SpinConvCalculator) -> None:
    small, large = (with_calculator(atoms, calculator) for atoms in (tiny_cell(), tiny_cell().repeat((2, 3, 2))))
    np.testing.assert_allclose(small.get_stress(), large.get_stress(), rtol=1e-10, atol=1e-14)


def test_wrapping_atoms_into_the_cell_changes_nothing(calculator: SpinConvCalculator) -> None:
    atoms = triclinic()
    wrapped = atoms.copy()
    wrapped.wrap()
    energies = [with_calculator(a, calculator).get_potential_energy() for a in (atoms, wrapped)]
    assert energies[0] == pytest.approx(energies[1], rel=1e-13)


def test_a_free_molecule_has_no_stress(calculator: SpinConvCalculator) -> None:
    with pytest.raises(Exception, match="stress"):
        with_calculator(collinear(), calculator).get_stress()


def test_an_unknown_element_is_refused(calculator: SpinConvCalculator) -> None:
    with pytest.raises(ValueError, match="`atoms` must consist of the model's elements H, C, O, Cu, got He"):
        with_calculator(ase.Atoms("He"), calculator).get_potential_energy()


def test_atoms_on_top_of_each_other_give_finite_numbers(calculator: SpinConvCalculator) -> None:
    atoms = with_calculator(ase.Atoms("CO", [(0, 0, 0), (0, 0, 0)]), calculator)
    assert np.isfinite(atoms.get_forces()).all()
    assert np.isfinite(atoms.get_potential_energy())


def test_precision_is_the_one_asked_for(calculator: SpinConvCalculator) -> None:
    assert calculator.model.dtype == torch.float64
