"""openmm-ml's MLPotential('spinconv', ...) adds the same force."""

import copy
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import ase
import numpy as np
import pytest
from structures import ethanol, with_calculator

from spinconv.export import SpinConvCalculator
from spinconv.export.engines import EngineUnavailable
from spinconv.openmm_plugin import forces

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed")
openmmml = pytest.importorskip("openmmml", reason="openmm-ml is not installed")
app = pytest.importorskip("openmm.app")


@pytest.fixture
def topology() -> "app.Topology":
    topology = app.Topology()
    residue = topology.addResidue("ETH", topology.addChain())
    for symbol in ethanol().get_chemical_symbols():
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    return topology


def potential(**options: object) -> "openmmml.MLPotential":
    if not entry_points(group="openmmml.potentials", name="spinconv"):
        from spinconv.openmm_plugin.potential import SpinConvPotentialFactory

        openmmml.MLPotential.registerImplFactory("spinconv", SpinConvPotentialFactory())
    return openmmml.MLPotential("spinconv", **options)


def test_a_system_has_the_energy_and_forces_of_ase(topology: "app.Topology", model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    system = potential(modelPath=model_file, precision="float64").createSystem(topology)
    energy, forces = mm.read(mm.context(system, atoms))
    expected = with_calculator(atoms, SpinConvCalculator(model_file))
    assert energy == pytest.approx(expected.get_potential_energy(), rel=1e-13)
    np.testing.assert_allclose(forces, expected.get_forces(), rtol=0, atol=1e-9)


def test_a_mixed_system_goes_from_the_force_field_to_the_model(topology: "app.Topology", model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    springs = openmm.HarmonicBondForce()
    springs.addBond(0, 1, 0.15, 1e5)
    mm_system = mm.system(atoms, springs)
    mm_energy, ml_energy = (
        mm.context(system, atoms).getState(energy=True).getPotentialEnergy()._value
        for system in (mm_system, potential(modelPath=model_file).createSystem(topology))
    )
    mixed = potential(modelPath=model_file).createMixedSystem(topology, mm_system, range(9), interpolate=True)
    context = mm.context(mixed, atoms)
    for share in (0.0, 0.5, 1.0):
        context.setParameter("lambda_interpolate", share)
        energy = context.getState(energy=True).getPotentialEnergy()._value
        assert energy == pytest.approx(share * ml_energy + (1 - share) * mm_energy, rel=1e-12)


@pytest.mark.parametrize("implementation", ["cpp", "python"])
@pytest.mark.parametrize("interpolate", [False, True])
def test_the_model_takes_over_the_solute_and_leaves_the_solvent(
    interpolate: bool, implementation: str, model_file: Path, mm: SimpleNamespace
) -> None:
    # ethanol and four argon atoms in a box: charges and Lennard-Jones by the force field, the molecule itself by the model
    atoms = ethanol() + ase.Atoms("Ar4", positions=[(4, 0, 0), (-4, 1, 0), (0, 4, 1), (1, -4, 0)])
    atoms.set_cell([20, 21, 22])
    atoms.pbc = True
    atoms.positions += 8
    bonds = openmm.HarmonicBondForce()
    bonds.addBond(0, 1, 0.15, 1e5)
    nonbonded = openmm.NonbondedForce()
    # openmm-ml gives the molecule plain Coulomb at lambda = 0, which is the force field's only without a cutoff
    nonbonded.setNonbondedMethod(openmm.NonbondedForce.NoCutoff if interpolate else openmm.NonbondedForce.CutoffPeriodic)
    nonbonded.setCutoffDistance(0.9)
    for index in range(len(atoms)):
        nonbonded.addParticle(0.1 * (-1) ** index if index < 8 else 0.0, 0.3, 0.5)
    field = mm.system(atoms, bonds, nonbonded)
    mixed = potential(modelPath=model_file, precision="float64", implementation=implementation).createMixedSystem(
        mm.topology(atoms), field, range(9), interpolate=interpolate
    )
    context = mm.context(mixed, atoms)
    energy, forces = mm.read(context)

    outside = copy.deepcopy(nonbonded)  # what is left for the force field: everything but pairs within the molecule
    for i in range(9):
        for j in range(i):
            outside.addException(i, j, 0.0, 1.0, 0.0)
    outside_energy, outside_forces = mm.read(mm.context(mm.system(atoms, outside), atoms))
    alone = with_calculator(atoms[:9], SpinConvCalculator(model_file))
    assert energy == pytest.approx(outside_energy + alone.get_potential_energy(), rel=1e-12)
    expected = outside_forces.copy()
    expected[:9] += alone.get_forces()
    np.testing.assert_allclose(forces, expected, rtol=0, atol=1e-9)
    if interpolate:
        context.setParameter("lambda_interpolate", 0.0)
        field_energy = mm.read(mm.context(field, atoms))[0]
        assert mm.read(context)[0] == pytest.approx(field_energy, rel=1e-12)


def test_without_the_library_the_model_runs_in_a_python_force(
    topology: "app.Topology", model_file: Path, mm: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_built() -> None:
        raise EngineUnavailable("SpinConvForce was built for openmm 8.5")

    monkeypatch.setattr(forces, "load_library", not_built)
    with pytest.warns(UserWarning, match="was built for openmm 8.5; running the model in a PythonForce, which is slower"):
        system = potential(modelPath=model_file, precision="float64").createSystem(topology)
    assert any(isinstance(one, openmm.PythonForce) for one in system.getForces())
    with pytest.raises(EngineUnavailable, match=r"was built for openmm 8\.5"):
        potential(modelPath=model_file, implementation="cpp").createSystem(topology)
    atoms = ethanol()
    restored = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))
    exact = with_calculator(atoms, SpinConvCalculator(model_file)).get_potential_energy()
    for one in (system, restored):
        assert mm.read(mm.context(one, atoms))[0] == pytest.approx(exact, rel=1e-13)


def test_an_unknown_implementation_is_refused(topology: "app.Topology", model_file: Path) -> None:
    with pytest.raises(ValueError, match="`implementation` must be one of auto, cpp, python, got 'rust'"):
        potential(modelPath=model_file, implementation="rust").createSystem(topology)


def test_a_missing_model_path_is_asked_for() -> None:
    with pytest.raises(ValueError, match="`modelPath` must be given"):
        potential()
