"""LAMMPS computes what ASE computes."""

from collections.abc import Callable
from pathlib import Path

import ase
import ase.build
import numpy as np
import pytest
import torch
from structures import CELLS, ethanol, left_handed, rattled_fcc, skewed, triclinic, water_box, with_calculator
from torch_states import TORCH_STATES

from spinconv.export import SpinConvCalculator
from spinconv.lammps_plugin.engine import box_of, evaluate

# Everything is float64 on both sides; what remains is the rotation of the cell and the order of sums. The project's promise is
# 1e-8 eV an atom and 1e-7 eV/Å.
ENERGY, FORCE, STRESS = 1e-10, 1e-9, 1e-10
# float32 has 7 digits; forces here are of some eV/Å, energies are those of the network (the atoms' own are added in float64).
ENERGY_FLOAT32, FORCE_FLOAT32 = 1e-5, 1e-4


@pytest.mark.parametrize("name", CELLS)
def test_energy_forces_and_stress_are_those_of_ase(name: str, model_file: Path) -> None:
    atoms = CELLS[name]()
    result = evaluate(str(model_file), atoms, "float64")
    expected = with_calculator(atoms, SpinConvCalculator(model_file))
    assert result.energy == pytest.approx(expected.get_potential_energy(), rel=0, abs=ENERGY * len(atoms))
    np.testing.assert_allclose(result.forces, expected.get_forces(), rtol=0, atol=FORCE)
    if atoms.pbc.all():
        np.testing.assert_allclose(result.stress, expected.get_stress(), rtol=0, atol=STRESS)
    else:
        assert result.stress is None
    if name not in ("fcc", "tiny cell"):  # perfect crystals have no forces, and are tested by their stress
        assert np.abs(result.forces).max() > 0.01, "weights so small that anything agrees"
    else:
        assert np.abs(result.stress).max() > 1e-4, "weights so small that anything agrees"


@pytest.mark.parametrize("structure", [ethanol, triclinic])
def test_float32_is_float64_to_its_digits(structure: Callable[[], ase.Atoms], model_file: Path) -> None:
    atoms = structure()
    single, double = (evaluate(str(model_file), atoms, dtype) for dtype in ("float32", "float64"))
    assert single.energy != double.energy
    assert single.energy == pytest.approx(double.energy, rel=0, abs=ENERGY_FLOAT32 * len(atoms))
    np.testing.assert_allclose(single.forces, double.forces, rtol=0, atol=FORCE_FLOAT32)


@pytest.mark.parametrize("structure", [water_box, triclinic, left_handed, skewed, rattled_fcc])
def test_the_box_is_the_same_lattice_rotated(structure: Callable[[], ase.Atoms]) -> None:
    atoms = structure()
    box = box_of(atoms)
    np.testing.assert_allclose(box.rotation @ box.rotation.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(box.rotation) == pytest.approx(1)
    change = box.edges @ box.rotation @ np.linalg.inv(atoms.cell.array)  # one basis of the lattice in terms of the other
    np.testing.assert_allclose(change, np.round(change), atol=1e-12)
    assert abs(np.linalg.det(change)) == pytest.approx(1)
    assert (np.triu(box.edges, 1) == 0).all()
    assert (np.diag(box.edges) > 0).all()


def test_lattice_vectors_must_be_independent() -> None:
    atoms = ase.Atoms("Cu", cell=[[3, 0, 0], [6, 0, 0], [0, 0, 3]], pbc=True)
    with pytest.raises(ValueError, match="`cell` must have independent lattice vectors where it is periodic"):
        box_of(atoms)


@pytest.mark.parametrize("state", TORCH_STATES)
def test_what_is_set_in_torch_changes_nothing(state: str, model_file: Path) -> None:
    energy, forces, _ = evaluate(str(model_file), ethanol(), "float32")
    with TORCH_STATES[state]():
        within = evaluate(str(model_file), ethanol(), "float32")
    assert within.energy == energy
    np.testing.assert_array_equal(within.forces, forces)


def test_the_settings_of_torch_stay_as_they_are(model_file: Path) -> None:
    n_threads, optimize = torch.get_num_threads(), torch._C._get_graph_executor_optimize()
    strategy = torch.jit.set_fusion_strategy([("STATIC", 1)])
    try:
        torch.set_num_threads(2)
        torch._C._set_graph_executor_optimize(True)
        evaluate(str(model_file), ethanol(), "float64")
        assert torch.get_num_threads() == 2
        assert torch._C._get_graph_executor_optimize()
        assert torch.jit.set_fusion_strategy(strategy) == [("STATIC", 1)]
    finally:
        torch.jit.set_fusion_strategy(strategy)
        torch.set_num_threads(n_threads)
        torch._C._set_graph_executor_optimize(optimize)


def test_the_engine_says_what_lammps_says(model_file: Path) -> None:
    with pytest.raises(ValueError, match="does not know element `Au`; it knows H C O Cu"):
        evaluate(str(model_file), ase.Atoms("Au"), "float64")
