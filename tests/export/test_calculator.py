"""SpinConvCalculator: ASE's conventions, any cell."""

import json
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from structures import STRUCTURES, collinear, ethanol, rattled_fcc, slab_with_adsorbate, tiny_cell, triclinic, with_calculator

from models import ELEMENTS, random_model
from spinconv.export import SpinConvCalculator, execution, export_model
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


@pytest.mark.parametrize(("make", "pbc"), [(collinear, "F F F"), (slab_with_adsorbate, "T T F")])
def test_what_is_not_periodic_in_all_directions_has_no_stress(calculator: SpinConvCalculator, make: object, pbc: str) -> None:
    atoms = with_calculator(make(), calculator)
    words = (
        f"`stress` needs `atoms` that are periodic in all three directions, .* got pbc {pbc}; molecules and slabs have energy and forces"
    )
    with pytest.raises(PropertyNotImplementedError, match=words):
        atoms.get_stress()
    atoms.get_forces()


def test_an_unknown_element_is_refused(calculator: SpinConvCalculator) -> None:
    with pytest.raises(ValueError, match="`atoms` must consist of the model's elements H, C, O, Cu, got He"):
        with_calculator(ase.Atoms("He"), calculator).get_potential_energy()


def test_atoms_on_top_of_each_other_give_finite_numbers(calculator: SpinConvCalculator) -> None:
    atoms = with_calculator(ase.Atoms("CO", [(0, 0, 0), (0, 0, 0)]), calculator)
    assert np.isfinite(atoms.get_forces()).all()
    assert np.isfinite(atoms.get_potential_energy())


def test_precision_is_the_one_asked_for(calculator: SpinConvCalculator) -> None:
    assert calculator.model.dtype == torch.float64


# ---- several models


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("committee")
    for seed in range(3):
        config = ModelConfig(elements=ELEMENTS, channels=16, n_blocks=2)
        export_model(random_model(weights_times=2.0, seed=seed), config, folder / f"{seed}.pt", dtype="float64")
    return [folder / f"{seed}.pt" for seed in range(3)]


@pytest.mark.parametrize("make", [ethanol, triclinic])
def test_a_committee_is_the_mean_of_its_models_and_tells_how_far_they_are_apart(files: list[Path], make: object) -> None:
    atoms = with_calculator(make(), SpinConvCalculator(files))
    alone = [with_calculator(make(), SpinConvCalculator(file)) for file in files]
    energies, forces = (np.array([getattr(one, ask)() for one in alone]) for ask in ("get_potential_energies", "get_forces"))
    assert atoms.get_potential_energy() == pytest.approx(np.mean([one.get_potential_energy() for one in alone]), rel=1e-14)
    np.testing.assert_allclose(atoms.get_potential_energies(), energies.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(atoms.get_forces(), forces.mean(axis=0), rtol=0, atol=1e-13 * np.abs(forces).max())
    apart = np.linalg.norm(forces - forces.mean(axis=0), axis=2)
    np.testing.assert_allclose(atoms.calc.get_property("force_deviation"), np.sqrt((apart**2).mean(axis=0)), rtol=1e-10)
    np.testing.assert_allclose(atoms.calc.get_property("energy_deviation"), energies.std(axis=0), rtol=1e-8, atol=1e-12)
    if atoms.pbc.all():
        np.testing.assert_allclose(atoms.get_stress(), np.mean([one.get_stress() for one in alone], axis=0), rtol=1e-12, atol=1e-14)


def test_one_model_has_no_deviation(files: list[Path]) -> None:
    with pytest.raises(PropertyNotImplementedError, match="force_deviation"):
        SpinConvCalculator(files[:1]).get_property("force_deviation", ethanol())


def test_a_committee_of_two_precisions_computes_each_in_its_own(files: list[Path], tmp_path: Path) -> None:
    export_model(random_model(weights_times=2.0), ModelConfig(elements=ELEMENTS, channels=16, n_blocks=2), tmp_path / "single.pt")
    committee = SpinConvCalculator([files[0], tmp_path / "single.pt"])
    assert [file.dtype for file in committee.models] == [torch.float64, torch.float32]
    deviation = committee.get_property("force_deviation", ethanol())
    assert 0 < deviation.max() < 1e-3  # what single precision costs


def test_a_committee_knows_the_elements_that_all_of_its_models_know(files: list[Path], tmp_path: Path) -> None:
    export_model(random_model((1, 8)), ModelConfig(elements=(1, 8), channels=16, n_blocks=2), tmp_path / "water.pt")
    with pytest.raises(ValueError, match="`atoms` must consist of the model's elements H, O, got C"):
        with_calculator(ethanol(), SpinConvCalculator([files[0], tmp_path / "water.pt"])).get_forces()
    with pytest.raises(ValueError, match="`model` must be a model file or several, got an empty list"):
        SpinConvCalculator([])


# ---- as ASE has it


def test_its_repr_says_what_it_is(files: list[Path]) -> None:
    assert repr(SpinConvCalculator(files[0])) == f"SpinConvCalculator('{files[0]}', elements H C O Cu, float64 on cpu)"
    both = SpinConvCalculator(files[:2], dtype="float32")
    assert repr(both) == f"SpinConvCalculator(['{files[0]}', '{files[1]}'], elements H C O Cu, float32 on cpu)"


def test_parameters_make_another_of_it(files: list[Path]) -> None:
    calculator = SpinConvCalculator(files[0], dtype="float32")
    assert calculator.parameters == {"model": str(files[0]), "dtype": "float32", "device": "cpu"}
    assert calculator.todict() == {"model": str(files[0]), "dtype": "float32"}
    again = SpinConvCalculator(**json.loads(json.dumps(calculator.todict())))
    assert repr(again) == repr(calculator)


def test_a_parameter_that_changes_changes_the_results(files: list[Path]) -> None:
    atoms = with_calculator(ethanol(), SpinConvCalculator(files[0]))
    before = atoms.get_potential_energy()
    assert atoms.calc.set(model=str(files[1])) == {"model": str(files[1])}
    after = atoms.get_potential_energy()
    assert after == with_calculator(ethanol(), SpinConvCalculator(files[1])).get_potential_energy() != before
    with pytest.raises(ValueError, match="parameters of SpinConvCalculator are `model`, `dtype` and `device`, got `dtyp`"):
        SpinConvCalculator(files[0], dtyp="float32")


@pytest.mark.parametrize("n_models", [1, 2])
def test_ase_gets_all_properties_that_it_has_a_name_for(files: list[Path], n_models: int) -> None:
    properties = with_calculator(triclinic(), SpinConvCalculator(files[:n_models])).get_properties(["energy", "forces", "stress"])
    assert {"energy", "free_energy", "energies", "forces", "stress"} <= set(properties)


def test_results_are_written_and_read_by_ase(files: list[Path], tmp_path: Path) -> None:
    atoms = with_calculator(triclinic(), SpinConvCalculator(files))
    forces = atoms.get_forces()
    for name in ("frame.xyz", "frame.traj", "frame.db"):
        ase.io.write(tmp_path / name, atoms)
        np.testing.assert_allclose(ase.io.read(tmp_path / name).get_forces(), forces, atol=1e-7)


def test_torch_runs_what_comes_after_as_before(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Within an evaluation torch does not profile, which makes the first calls slow; whoever said otherwise finds it as it was."""
    seen = []
    real = execution.energy_and_forces
    monkeypatch.setattr(execution, "energy_and_forces", lambda *given: seen.append(torch._C._get_graph_executor_optimize()) or real(*given))
    for setting in (True, False):
        with torch.jit.optimized_execution(setting):
            with_calculator(ethanol(), SpinConvCalculator(files[0])).get_forces()
            assert torch._C._get_graph_executor_optimize() == setting
    assert seen == [False, False]
