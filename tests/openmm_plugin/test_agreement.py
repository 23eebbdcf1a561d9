"""OpenMM computes what ASE computes."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import ase
import ase.build
import numpy as np
import pytest
from structures import STRUCTURES, ethanol, rattled_fcc, triclinic, water_box, with_calculator

from spinconv.export import SpinConvCalculator
from spinconv.export.engines import EngineUnavailable
from spinconv.openmm_plugin import force
from spinconv.openmm_plugin.engine import evaluate, reduced_cell

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed")

PLATFORMS = ("Reference", "CPU", "OpenCL")
# Reference, CPU and OpenCL in double precision hand positions and forces of such a force through in float64; what remains is the way to
# nm and kJ/mol and back, and the order of sums. The project's promise is 1e-8 eV an atom and 1e-7 eV/Å.
ENERGY, FORCE = 1e-10, 1e-9
# float32 has 7 digits; forces here are of some eV/Å, energies are those of the network (the atoms' own are added in float64).
ENERGY_FLOAT32, FORCE_FLOAT32 = 1e-5, 1e-4


def unwrapped() -> ase.Atoms:
    """A triclinic box with every atom moved by some lattice vectors of its own."""
    return triclinic(seed=3)


def far_away() -> ase.Atoms:
    """Water 10,000 Å from the origin, as after a long diffusion."""
    atoms = water_box()
    atoms.positions += np.array([1612, -806, 403]) @ atoms.cell.array
    return atoms


def small_cube() -> ase.Atoms:
    """Four copper atoms in a box of 3.6 Å, below one cutoff."""
    return rattled_fcc()


CASES = [ethanol, STRUCTURES["cluster"], water_box, triclinic, unwrapped, far_away, small_cube]


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("structure", CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_energy_and_forces_are_those_of_ase(
    structure: Callable[[], ase.Atoms], platform: str, model_file: Path, mm: SimpleNamespace
) -> None:
    atoms = structure()
    system = mm.system(atoms, force(model_file, atoms.numbers, periodic=atoms.pbc.all()))
    energy, forces = mm.read(mm.context(system, atoms, platform))
    ase_atoms = with_calculator(atoms, SpinConvCalculator(model_file))
    # far away, positions themselves have lost four digits
    looseness = 1e3 if structure is far_away else 1.0
    assert energy == pytest.approx(ase_atoms.get_potential_energy(), rel=0, abs=ENERGY * looseness * len(atoms))
    np.testing.assert_allclose(forces, ase_atoms.get_forces(), rtol=0, atol=FORCE * looseness)
    assert np.abs(forces).max() > 0.01, "weights so small that anything agrees"


@pytest.mark.parametrize("structure", [ethanol, triclinic])
def test_float32_is_float64_to_its_digits(structure: Callable[[], ase.Atoms], model_file: Path, mm: SimpleNamespace) -> None:
    atoms = structure()
    single, double = (
        mm.read(mm.context(mm.system(atoms, force(model_file, atoms.numbers, periodic=atoms.pbc.all(), precision=name)), atoms))
        for name in ("float32", "float64")
    )
    assert single[0] != double[0]
    assert single[0] == pytest.approx(double[0], rel=0, abs=ENERGY_FLOAT32 * len(atoms))
    np.testing.assert_allclose(single[1], double[1], rtol=0, atol=FORCE_FLOAT32)


def test_forces_are_minus_the_gradient_of_the_energy(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = triclinic()
    context = mm.context(mm.system(atoms, force(model_file, atoms.numbers, periodic=True)), atoms)
    _, forces = mm.read(context)
    step = 1e-3  # Å; five points: the error is of order step^4, rounding about 1e-12 eV / step
    for i, axis in ((0, 0), (5, 1), (len(atoms) - 1, 2)):
        energies = []
        for multiple in (-2, -1, 1, 2):
            moved = atoms.positions.copy()
            moved[i, axis] += multiple * step
            context.setPositions(moved / 10)
            energies.append(mm.read(context)[0])
        slope = (energies[0] - 8 * energies[1] + 8 * energies[2] - energies[3]) / (12 * step)
        assert forces[i, axis] == pytest.approx(-slope, rel=0, abs=1e-7)


def test_a_box_repeated_has_the_energy_repeated(model_file: Path, mm: SimpleNamespace) -> None:
    one = small_cube()
    eight = one.repeat(2)
    energies = [mm.read(mm.context(mm.system(a, force(model_file, a.numbers, periodic=True)), a))[0] for a in (one, eight)]
    assert energies[1] == pytest.approx(8 * energies[0], rel=0, abs=ENERGY * len(eight))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_energy_alone_is_the_energy_with_forces(platform: str, model_file: Path, mm: SimpleNamespace) -> None:
    # with a leapfrog integrator OpenMM always asks for forces, with this one it asks for what the user wants
    atoms = water_box()
    system = mm.system(atoms, force(model_file, atoms.numbers, periodic=True))
    context = mm.context(system, atoms, platform, openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.0005))
    alone = context.getState(energy=True).getPotentialEnergy()._value
    energy, forces = mm.read(context)
    # the graph for the backward pass may change how torch sums, in the last digits
    assert context.getState(energy=True).getPotentialEnergy()._value == alone
    assert context.getState(energy=True, forces=True).getPotentialEnergy()._value == pytest.approx(alone, rel=1e-14)
    np.testing.assert_array_equal(mm.read(context)[1], forces)
    assert energy == pytest.approx(with_calculator(atoms, SpinConvCalculator(model_file)).get_potential_energy(), rel=1e-13)


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


@pytest.mark.parametrize("structure", [ethanol, triclinic, *CELLS], ids=lambda case: case.__name__)
def test_the_engine_takes_any_cell_and_gives_forces_in_its_directions(structure: Callable[[], ase.Atoms], model_file: Path) -> None:
    atoms = structure()
    result = evaluate(str(model_file), atoms, "float64")
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


def test_the_engine_says_that_openmm_has_no_slabs(model_file: Path) -> None:
    with pytest.raises(EngineUnavailable, match="none periodic in one or two"):
        evaluate(str(model_file), STRUCTURES["slab with adsorbate"](), "float64")
