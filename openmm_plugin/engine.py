"""OpenMM as one of the engines that `spinconv check` compares."""

from typing import TYPE_CHECKING

import ase
import numpy as np

from spinconv.export.engines import EngineResult, EngineUnavailable, asked_by_name, check_kind
from spinconv.export.units import ANGSTROM_PER_NM, KJ_PER_MOL_PER_EV
from spinconv.openmm_plugin.forces import force

if TYPE_CHECKING:
    import openmm

NO_SLABS = "OpenMM knows free systems and boxes periodic in three directions, none periodic in one or two"


def evaluate(model_path: str, atoms: ase.Atoms, dtype: str) -> EngineResult:
    """Energy and forces of a SpinConvForce in a Context on OpenMM's Reference platform; OpenMM has no stress to give.

    Raises EngineUnavailable for cells that are periodic in one or two directions only: OpenMM has all or none.
    """
    if atoms.pbc.any() and not atoms.pbc.all():
        raise EngineUnavailable(NO_SLABS)
    check_kind(model_path, "openmm_plugin")
    wanted = asked_by_name(model_path)
    if wanted["direct_forces"]:
        raise EngineUnavailable("OpenMM takes no direct forces")
    numbers, periodic = atoms.numbers.tolist(), bool(atoms.pbc.all())
    spinconv_force = force(model_path, numbers, periodic=periodic, precision=dtype, nonconservative=wanted["nonconservative"])
    import openmm

    turned, rotation = as_openmm_has_it(atoms)
    system = system_of(turned, spinconv_force)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(turned.positions / ANGSTROM_PER_NM)
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy().value_in_unit(openmm.unit.kilojoule_per_mole)
    forces = state.getForces(asNumpy=True).value_in_unit(openmm.unit.kilojoule_per_mole / openmm.unit.nanometer)
    return EngineResult(energy / KJ_PER_MOL_PER_EV, forces @ rotation / (KJ_PER_MOL_PER_EV * ANGSTROM_PER_NM), None)


def system_of(atoms: ase.Atoms, *forces: "openmm.Force") -> "openmm.System":
    """A System with the masses of `atoms`, their cell, which must be as OpenMM wants it, and `forces`."""
    import openmm

    system = openmm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    if atoms.pbc.all():
        system.setDefaultPeriodicBoxVectors(*(atoms.cell.array / ANGSTROM_PER_NM))
    for each in forces:
        system.addForce(each)
    return system


def as_openmm_has_it(atoms: ase.Atoms) -> tuple[ase.Atoms, np.ndarray]:
    """The same atoms with their cell in OpenMM's reduced form, and the rotation that was done; see `reduced_cell`."""
    if not atoms.pbc.all():
        return atoms, np.eye(3)
    cell, rotation = reduced_cell(atoms.cell.array)
    turned = atoms.copy()
    turned.set_cell(cell)
    turned.set_positions(atoms.positions @ rotation.T, apply_constraint=False)
    return turned, rotation


def reduced_cell(cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same lattice as OpenMM wants its vectors, and the rotation (x' = x @ rotation.T) that takes the old directions to the new.

    OpenMM's reduced form is a lower triangle with a positive diagonal, no entry beside it longer than half the diagonal above it.
    A left-handed cell is turned inside out along its last vector, which leaves the lattice what it was.

    >>> reduced_cell(np.array([[0.0, 2, 2], [2, 0, 2], [2, 2, 0]]))[0].round(6).tolist()
    [[2.828427, 0.0, 0.0], [1.414214, 2.44949, 0.0], [1.414214, 0.816497, 2.309401]]
    """
    cell = np.array(cell, dtype=np.float64)
    if np.linalg.det(cell) < 0:
        cell[2] *= -1
    orthogonal, triangle = np.linalg.qr(cell.T)  # cell = triangle.T @ orthogonal.T
    signs = np.sign(np.diag(triangle))
    rotation = (orthogonal * signs).T
    reduced = np.tril(triangle.T * signs)
    for row, column in ((2, 1), (2, 0), (1, 0)):
        diagonal = reduced[column, column]
        reduced[row] -= reduced[column] * np.round(reduced[row, column] / diagonal)
        # A hexagonal cell lies just at a half, and rounding may take it beyond by a digit.
        reduced[row, column] = np.clip(reduced[row, column], -diagonal / 2, diagonal / 2)
    return reduced, rotation
