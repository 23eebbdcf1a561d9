"""Model files for these tests, and what an OpenMM user does by hand: make a System, make a Context, read a State."""

from pathlib import Path
from types import SimpleNamespace

import ase
import numpy as np
import pytest

from models import random_model
from spinconv.export import export_model
from spinconv.export.engines import EngineUnavailable
from spinconv.openmm_plugin import load_library

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed")
WEIGHTS_TIMES = 1.7
"""Strong enough for forces of the order of eV/Å."""


@pytest.fixture(scope="session", autouse=True)
def library() -> None:
    """The plugin's library; its tests are skipped where it was not built."""
    try:
        load_library()
    except EngineUnavailable as reason:
        pytest.skip(str(reason))


def write_model(path: Path, seed: int) -> Path:
    fields = {"channels": 16, "n_blocks": 2}
    export_model(random_model(weights_times=WEIGHTS_TIMES, seed=seed, **fields), path, dtype="float64")
    return path


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """H, C, O and Cu with random weights, exported for float64."""
    return write_model(tmp_path_factory.mktemp("model") / "model.pt", seed=0)


@pytest.fixture(scope="session")
def other_model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with other weights."""
    return write_model(tmp_path_factory.mktemp("model") / "other.pt", seed=1)


def make_system(atoms: ase.Atoms, *forces: "openmm.Force") -> "openmm.System":
    """The cell of `atoms`, where it has one, must be as OpenMM wants it."""
    system = openmm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    if atoms.pbc.all():
        system.setDefaultPeriodicBoxVectors(*(atoms.cell.array / 10))
    for force in forces:
        system.addForce(force)
    return system


def skip_without(platform: str) -> None:
    """Skips where OpenMM has no such platform."""
    if platform not in [openmm.Platform.getPlatform(i).getName() for i in range(openmm.Platform.getNumPlatforms())]:
        pytest.skip(f"this OpenMM has no platform {platform} here (POCL and an ICD loader give OpenCL on a CPU)")


def make_context(
    system: "openmm.System",
    atoms: ase.Atoms,
    platform: str = "Reference",
    integrator: "openmm.Integrator | None" = None,
    properties: dict[str, str] | None = None,
) -> "openmm.Context":
    """With the positions of `atoms` and, unless given, a Verlet integrator of 0.5 fs. Skips where there is no such platform."""
    integrator = integrator or openmm.VerletIntegrator(0.0005)
    skip_without(platform)
    if properties is None:
        properties = {"Precision": "double"} if platform == "OpenCL" else {}
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(platform), properties)
    context.setPositions(atoms.positions / 10)
    return context


def energy_and_forces(context: "openmm.Context") -> tuple[float, np.ndarray]:
    """Energy (eV) and forces (eV/Å)."""
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy().value_in_unit(openmm.unit.kilojoule_per_mole)
    forces = state.getForces(asNumpy=True).value_in_unit(openmm.unit.kilojoule_per_mole / openmm.unit.angstrom)
    ev = 1.602176634e-19 * 6.02214076e23 / 1000  # kJ/mol, by the definitions of the SI
    return energy / ev, np.array(forces) / ev


def topology_of(atoms: ase.Atoms) -> "openmm.app.Topology":
    """One residue with all atoms, no bonds, the cell as its box."""
    from openmm.app import Element, Topology

    topology = Topology()
    residue = topology.addResidue("MOL", topology.addChain())
    for index, symbol in enumerate(atoms.get_chemical_symbols()):
        topology.addAtom(f"{symbol}{index}", Element.getBySymbol(symbol), residue)
    if atoms.pbc.all():
        topology.setPeriodicBoxVectors(atoms.cell.array / 10 * openmm.unit.nanometer)
    return topology


@pytest.fixture(scope="session")
def mm() -> SimpleNamespace:
    """OpenMM by hand: mm.system, mm.context, mm.read, mm.topology."""
    return SimpleNamespace(
        system=make_system, context=make_context, skip_without=skip_without, read=energy_and_forces, topology=topology_of
    )
