"""Every door to OpenMM, on every platform, in every precision: the energy and forces of ASE, and minus the gradient of the energy.

Doors and cases are data; the laws are written once.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import ase
import ase.build
import numpy as np
import pytest
from structures import STRUCTURES, ethanol, rattled_fcc, triclinic, water_box, with_calculator

from spinconv.export import SpinConvCalculator
from spinconv.export.bind import bind_model
from spinconv.export.engines import EngineUnavailable
from spinconv.export.units import KJ_PER_MOL_PER_EV
from spinconv.openmm_plugin import force
from spinconv.openmm_plugin.python_force import python_force
from spinconv.openmm_plugin.torchforce import host_of, python_with_torchforce

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed")

Evaluate = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""Positions (Å) in; energy (eV) and forces (eV/Å) out."""


# ---- doors: each makes an Evaluate of a model file, for atoms (their box included), a platform and a precision of the network


def spinconv_force(model: Path, atoms: ase.Atoms, platform: "Platform", precision: str, folder: Path, mm: SimpleNamespace) -> Evaluate:
    return in_a_context(force(model, atoms.numbers, periodic=atoms.pbc.all(), precision=precision), atoms, platform, mm)


def with_a_skin(model: Path, atoms: ase.Atoms, platform: "Platform", precision: str, folder: Path, mm: SimpleNamespace) -> Evaluate:
    with_skin = force(model, atoms.numbers, periodic=atoms.pbc.all(), precision=precision, skin=0.05)
    return in_a_context(with_skin, atoms, platform, mm)


def a_python_force(model: Path, atoms: ase.Atoms, platform: "Platform", precision: str, folder: Path, mm: SimpleNamespace) -> Evaluate:
    return in_a_context(python_force(model, atoms.numbers, periodic=atoms.pbc.all(), precision=precision), atoms, platform, mm)


def openmm_ml(model: Path, atoms: ase.Atoms, platform: "Platform", precision: str, folder: Path, mm: SimpleNamespace) -> Evaluate:
    openmmml = pytest.importorskip("openmmml", reason="openmm-ml is not installed")
    system = openmmml.MLPotential("spinconv", modelPath=model, precision=precision).createSystem(mm.topology(atoms), removeCMMotion=False)
    return in_a_context(system.getForce(0), atoms, platform, mm)


def torch_force(model: Path, atoms: ase.Atoms, platform: "Platform", precision: str, folder: Path, mm: SimpleNamespace) -> Evaluate:
    return in_a_torch_force(model, atoms, platform, precision, folder, outputs_forces=False)


def torch_force_with_forces(
    model: Path, atoms: ase.Atoms, platform: "Platform", precision: str, folder: Path, mm: SimpleNamespace
) -> Evaluate:
    return in_a_torch_force(model, atoms, platform, precision, folder, outputs_forces=True)


def in_a_context(spinconv: "openmm.Force", atoms: ase.Atoms, platform: "Platform", mm: SimpleNamespace) -> Evaluate:
    context = mm.context(mm.system(atoms, copy.deepcopy(spinconv)), atoms, platform.name, properties=platform.properties)

    def evaluate(positions: np.ndarray) -> tuple[float, np.ndarray]:
        context.setPositions(positions / 10)
        return mm.read(context)

    return evaluate


def in_a_torch_force(model: Path, atoms: ase.Atoms, platform: "Platform", precision: str, folder: Path, outputs_forces: bool) -> Evaluate:
    try:
        host = host_of(python_with_torchforce())
    except EngineUnavailable as reason:
        pytest.skip(str(reason))
    file = folder / "bound.pt"
    bind_model(model, file, atoms.numbers, periodic=bool(atoms.pbc.all()), dtype=precision, outputs_forces=outputs_forces)

    def evaluate(positions: np.ndarray) -> tuple[float, np.ndarray]:
        answer = host.ask(
            file=str(file),
            positions=(positions / 10).tolist(),
            masses=atoms.get_masses().tolist(),
            box=(atoms.cell.array / 10).tolist() if atoms.pbc.all() else None,
            platform=platform.name,
            properties=platform.properties,
            outputs_forces=outputs_forces,
        )
        return answer["energy"] / KJ_PER_MOL_PER_EV, np.array(answer["forces"]) / (10 * KJ_PER_MOL_PER_EV)

    return evaluate


DOORS = [spinconv_force, with_a_skin, a_python_force, openmm_ml, torch_force, torch_force_with_forces]


# ---- platforms, precisions, structures


class Platform(NamedTuple):
    name: str
    precision: str = ""

    @property
    def properties(self) -> dict[str, str]:
        return {"Precision": self.precision} if self.precision else {}

    @property
    def digits(self) -> float:
        """Relative rounding of positions and forces that pass through it."""
        return 1e-7 if self.precision in ("single", "mixed") else 1e-16


PLATFORMS = [Platform("Reference"), Platform("CPU"), *(Platform("OpenCL", precision) for precision in ("single", "mixed", "double"))]
PRECISIONS = ("float64", "float32")


def far_away() -> ase.Atoms:
    """Water 10,000 Å from the origin, as after a long diffusion."""
    atoms = water_box()
    atoms.positions += np.array([1612, -806, 403]) @ atoms.cell.array
    return atoms


def small_cube() -> ase.Atoms:
    """Four copper atoms in a box of 3.6 Å, below one cutoff."""
    return rattled_fcc()


def flat_box() -> ase.Atoms:
    """Water in a skewed box of 2.3 to 4.2 Å, below one cutoff: most neighbours are images of the atom itself."""
    # three atoms, not one: OpenMM's OpenCL platform on POCL crashes on Systems of one particle, whatever the force
    atoms = ase.build.molecule("H2O", cell=[[2.5, 0, 0], [1.1, 2.3, 0], [-1.2, 0.9, 4.2]], pbc=True)
    atoms.positions += (0.3, 7.0, -11.0)
    return atoms


CASES = [ethanol, STRUCTURES["cluster"], water_box, triclinic, far_away, small_cube, flat_box]


def tolerances(
    platform: Platform, precision: str, door: Callable, atoms: ase.Atoms, energy: float, forces: np.ndarray
) -> tuple[float, float]:
    """What may differ from `energy` (eV) and `forces` (eV/Å), which are ASE's in float64."""
    network = 3e-5 if precision == "float32" else 1e-11  # rounding of energies and forces of some eV, amplified some hundred times
    # nm and back, and OpenMM's own wrapping of positions into the box, cost a digit or two of the largest number in play (Å)
    moved = np.abs(atoms.positions).max() * max(platform.digits, 1e-15)
    # a bond's force changes by its own size over 0.1 Å, and by 50 eV/Å over 1 Å where it is small
    stiffness = max(50.0, 10 * np.abs(forces).max())
    # a TorchForce hands its energy to a platform in single precision; a C++ or Python force in double
    handed_over = abs(energy) * (platform.digits if door in (torch_force, torch_force_with_forces) else 1e-15)
    slope = max(10.0, np.abs(forces).max())
    return (network + slope * moved) * len(atoms) + 2 * handed_over, 10 * network + stiffness * moved + 10 * platform.digits


# ---- laws


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: "-".join(filter(None, platform)))
@pytest.mark.parametrize("structure", CASES, ids=lambda case: getattr(case, "__name__", ""))
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_energy_and_forces_are_those_of_ase(
    door: Callable,
    structure: Callable[[], ase.Atoms],
    platform: Platform,
    precision: str,
    model_file: Path,
    tmp_path: Path,
    mm: SimpleNamespace,
) -> None:
    atoms = structure()
    mm.skip_without(platform.name)
    energy, forces = door(model_file, atoms, platform, precision, tmp_path, mm)(atoms.positions)
    exact = with_calculator(atoms, SpinConvCalculator(model_file, dtype="float64"))
    expected = exact.get_potential_energy()
    energy_tolerance, force_tolerance = tolerances(platform, precision, door, atoms, expected, exact.get_forces())
    assert energy == pytest.approx(expected, rel=0, abs=energy_tolerance)
    np.testing.assert_allclose(forces, exact.get_forces(), rtol=0, atol=force_tolerance)
    assert np.abs(forces).max() > 0.01, "weights so small that anything agrees"


@pytest.mark.parametrize("structure", [ethanol, triclinic])
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_forces_are_minus_the_gradient_of_the_energy(
    door: Callable, structure: Callable[[], ase.Atoms], model_file: Path, tmp_path: Path, mm: SimpleNamespace
) -> None:
    atoms = structure()
    evaluate = door(model_file, atoms, PLATFORMS[0], "float64", tmp_path, mm)
    forces = evaluate(atoms.positions)[1]
    step = 1e-3  # Å; five points: the error is of order step^4, rounding about 1e-12 eV / step
    for i, axis in ((0, 0), (5, 1), (len(atoms) - 1, 2)):
        energies = []
        for multiple in (-2, -1, 1, 2):
            moved = atoms.positions.copy()
            moved[i, axis] += multiple * step
            energies.append(evaluate(moved)[0])
        slope = (energies[0] - 8 * energies[1] + 8 * energies[2] - energies[3]) / (12 * step)
        assert forces[i, axis] == pytest.approx(-slope, rel=0, abs=1e-7)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_a_box_repeated_has_the_energy_repeated(door: Callable, model_file: Path, tmp_path: Path, mm: SimpleNamespace) -> None:
    one = small_cube()
    eight = one.repeat(2)
    energies = [door(model_file, atoms, PLATFORMS[0], "float64", tmp_path, mm)(atoms.positions)[0] for atoms in (one, eight)]
    assert energies[1] == pytest.approx(8 * energies[0], rel=0, abs=1e-10 * len(eight))


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_a_moved_structure_is_computed_anew(door: Callable, model_file: Path, tmp_path: Path, mm: SimpleNamespace) -> None:
    # a neighbour list that is kept too long shows here
    atoms = water_box()
    evaluate = door(model_file, atoms, PLATFORMS[0], "float64", tmp_path, mm)
    rng = np.random.default_rng(0)
    for size in (0.0, 0.01, 0.1, 0.5, 0.02):
        atoms.positions += rng.normal(scale=size, size=atoms.positions.shape)
        exact = with_calculator(atoms, SpinConvCalculator(model_file, dtype="float64"))
        np.testing.assert_allclose(evaluate(atoms.positions)[1], exact.get_forces(), rtol=1e-11, atol=1e-9)


@pytest.mark.parametrize("platform", ["Reference", "CPU", "OpenCL"])
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
