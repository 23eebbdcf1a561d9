"""openmm-ml's MLPotential('spinconv', ...) adds the same force."""

from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from structures import ethanol, with_calculator

from spinconv.export import SpinConvCalculator

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


def test_a_missing_model_path_is_asked_for() -> None:
    with pytest.raises(ValueError, match="`modelPath` must be given"):
        potential()
