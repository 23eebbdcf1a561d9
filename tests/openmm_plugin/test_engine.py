"""OpenMM as an engine that `spinconv check` compares: any cell of ASE, forces in its directions."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import ase
import ase.build
import numpy as np
import pytest
from structures import STRUCTURES, ethanol, triclinic, water_box, with_calculator

from spinconv.export import SpinConvCalculator
from spinconv.export.engines import EngineUnavailable
from spinconv.openmm_plugin import engine, torchforce
from spinconv.openmm_plugin.engine import reduced_cell

pytest.importorskip("openmm", reason="OpenMM is not installed")

# What remains is the way to nm and kJ/mol and back, and the order of sums. The project's promise is 1e-8 eV an atom and 1e-7 eV/Å.
ENERGY, FORCE = 1e-10, 1e-9


def left_handed() -> ase.Atoms:
    """A triclinic box whose last vector points the other way."""
    atoms = triclinic()
    atoms.set_cell(atoms.cell.array * [[1], [1], [-1]])
    return atoms


def skewed() -> ase.Atoms:
    """The same lattice as a cube, by vectors that lean far over, turned in space."""
    atoms = water_box()
    atoms.set_cell(np.array([[1, 0, 0], [3, 1, 0], [-2, 2, 1]]) @ atoms.cell.array)
    atoms.rotate(37, (1, 2, 3), rotate_cell=True)
    return atoms


def hexagonal() -> ase.Atoms:
    """A cell whose second vector lies just at the half that OpenMM allows."""
    atoms = ase.build.bulk("Cu", "hcp", a=2.6, c=4.2).repeat((2, 2, 1))
    atoms.rattle(0.1, seed=0)
    return atoms


def primitive() -> ase.Atoms:
    """A primitive cell of copper with its vectors in no triangle."""
    atoms = ase.build.bulk("Cu").repeat((2, 1, 1))
    atoms.rattle(0.1, seed=0)
    return atoms


CELLS = [left_handed, skewed, hexagonal, primitive]


@pytest.mark.parametrize("module", [engine, torchforce], ids=["openmm", "torchforce"])
@pytest.mark.parametrize("structure", [ethanol, triclinic, *CELLS], ids=lambda case: case.__name__)
def test_the_engine_takes_any_cell_and_gives_forces_in_its_directions(
    structure: Callable[[], ase.Atoms], module: ModuleType, model_file: Path
) -> None:
    atoms = structure()
    try:
        result = module.evaluate(str(model_file), atoms, "float64")
    except EngineUnavailable as reason:
        pytest.skip(str(reason))
    ase_atoms = with_calculator(atoms, SpinConvCalculator(model_file, dtype="float64"))
    assert result.energy == pytest.approx(ase_atoms.get_potential_energy(), rel=0, abs=ENERGY * len(atoms))
    np.testing.assert_allclose(result.forces, ase_atoms.get_forces(), rtol=0, atol=FORCE)
    assert result.stress is None


@pytest.mark.parametrize("structure", [triclinic, *CELLS], ids=lambda case: case.__name__)
def test_a_reduced_cell_is_the_same_lattice_rotated(structure: Callable[[], ase.Atoms]) -> None:
    cell = structure().cell.array
    reduced, rotation = reduced_cell(cell)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(rotation) == pytest.approx(1)
    change = reduced @ rotation @ np.linalg.inv(cell)  # one basis of the lattice in terms of the other
    np.testing.assert_allclose(change, np.round(change), atol=1e-12)
    assert abs(np.linalg.det(change)) == pytest.approx(1)
    assert (np.triu(reduced, 1) == 0).all()
    assert (np.abs(np.tril(reduced, -1)) <= np.diag(reduced) / 2).all()


@pytest.mark.parametrize("module", [engine, torchforce], ids=["openmm", "torchforce"])
def test_the_engine_says_that_openmm_has_no_slabs(module: ModuleType, model_file: Path) -> None:
    with pytest.raises(EngineUnavailable, match="none periodic in one or two"):
        module.evaluate(str(model_file), STRUCTURES["slab with adsorbate"](), "float64")
