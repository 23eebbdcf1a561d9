"""A SpinConvForce in the life of a System: copies, subsets, integrators, barostats, several at once."""

import base64
import copy
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import ase
import numpy as np
import pytest
from structures import cluster, ethanol, triclinic, water_box, with_calculator

from spinconv.export import SpinConvCalculator
from spinconv.openmm_plugin import force

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed")
app = pytest.importorskip("openmm.app")


@pytest.mark.parametrize("structure", [ethanol, triclinic])
def test_a_topology_says_elements_and_box(
    structure: Callable[[], ase.Atoms], model_file: Path, mm: SimpleNamespace
) -> None:
    atoms = structure()
    by_topology, by_hand = force(model_file, mm.topology(atoms)), force(model_file, atoms.numbers, periodic=atoms.pbc.all())
    assert openmm.XmlSerializer.serialize(by_topology) == openmm.XmlSerializer.serialize(by_hand)
    assert by_topology.usesPeriodicBoundaryConditions() == atoms.pbc.all()
    assert not force(model_file, mm.topology(atoms), periodic=False).usesPeriodicBoundaryConditions()


# ---- copies


def through_xml(system: "openmm.System") -> "openmm.System":
    return openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))


def through_pickle(system: "openmm.System") -> "openmm.System":
    return pickle.loads(pickle.dumps(system))


@pytest.mark.parametrize("duplicate", [through_xml, copy.deepcopy, through_pickle])
def test_a_copied_system_is_the_same_to_the_last_digit(duplicate: Callable, model_file: Path, mm: SimpleNamespace) -> None:
    atoms = triclinic()
    system = mm.system(atoms, force(model_file, atoms.numbers, periodic=True))
    energy, forces = mm.read(mm.context(system, atoms))
    energy_of_copy, forces_of_copy = mm.read(mm.context(duplicate(system), atoms))
    assert energy_of_copy == energy
    np.testing.assert_array_equal(forces_of_copy, forces)


def test_xml_keeps_all_that_was_set(model_file: Path) -> None:
    original = force(model_file, [6, 1, 8], particles=[7, 2, 4], periodic=True, precision="float32", device="cpu")
    original.setForceGroup(5)
    original.setName("the solute")
    duplicate = copy.deepcopy(original)
    assert duplicate.getForceGroup() == 5
    assert duplicate.getName() == "the solute"
    assert duplicate.usesPeriodicBoundaryConditions()
    xml = openmm.XmlSerializer.serialize(original)
    assert openmm.XmlSerializer.serialize(duplicate) == xml
    assert '<Atom number="6" particle="7"/>' in xml
    assert 'precision="float32"' in xml
    assert 'device="cpu"' in xml


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff\x00", b"\xfb\xef\xbe", bytes(range(256))])
def test_any_bytes_come_back_from_xml(content: bytes, model_file: Path) -> None:
    # what the C++ side writes is what Python's base64 wrote
    text = base64.b64encode(content).decode()
    xml = re.sub('base64="[^"]*"', lambda _: f'base64="{text}"', openmm.XmlSerializer.serialize(force(model_file, [1])))
    assert openmm.XmlSerializer.serialize(openmm.XmlSerializer.deserialize(xml)) == xml


def test_xml_runs_in_another_process_without_the_file(model_file: Path, tmp_path: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    system = mm.system(atoms, force(model_file, atoms.numbers))
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    np.save(tmp_path / "positions.npy", atoms.positions / 10)
    script = """if True:
        import numpy, openmm
        from spinconv.openmm_plugin import load_library
        load_library()
        system = openmm.XmlSerializer.deserialize(open("system.xml").read())
        context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
        context.setPositions(numpy.load("positions.npy"))
        print(repr(context.getState(energy=True).getPotentialEnergy()._value))
    """
    answer = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    here = mm.context(system, atoms).getState(energy=True).getPotentialEnergy()._value
    assert float(answer) == pytest.approx(here, rel=1e-14)


# ---- beside other forces


def test_a_subset_feels_the_model_and_the_rest_its_own_force(model_file: Path, mm: SimpleNamespace) -> None:
    solute, bystanders = ethanol(), ase.Atoms("Ar3", positions=[(9, 0, 0), (9, 4, 0), (9, 0, 5)])
    together = bystanders + solute
    springs = openmm.HarmonicBondForce()
    springs.addBond(0, 1, 0.3, 1000.0)
    springs.addBond(2, 3, 0.9, 500.0)  # from the rest into the subset
    subset = list(range(3, 12))
    system = mm.system(together, force(model_file, mm.topology(together), particles=subset), springs)
    energy, forces = mm.read(mm.context(system, together))

    springs_energy, springs_forces = mm.read(mm.context(mm.system(together, copy.deepcopy(springs)), together))
    alone = with_calculator(solute, SpinConvCalculator(model_file))
    assert energy == pytest.approx(springs_energy + alone.get_potential_energy(), rel=1e-13)
    np.testing.assert_allclose(forces[:3], springs_forces[:3], rtol=0, atol=1e-12)
    np.testing.assert_allclose(forces[3:], springs_forces[3:] + alone.get_forces(), rtol=0, atol=1e-9)


def test_particles_in_any_order_are_the_same_molecule(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    order = np.random.default_rng(0).permutation(len(atoms)).tolist()
    straight, mixed = (
        mm.read(mm.context(mm.system(atoms, f), atoms))
        for f in (force(model_file, atoms.numbers), force(model_file, atoms.numbers[order], particles=order))
    )
    assert mixed[0] == pytest.approx(straight[0], rel=1e-13)
    np.testing.assert_allclose(mixed[1], straight[1], rtol=0, atol=1e-10)


def test_two_spinconv_forces_add(model_file: Path, other_model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    files = (model_file, other_model_file)
    both = mm.read(mm.context(mm.system(atoms, *(force(file, atoms.numbers) for file in files)), atoms))
    each = [mm.read(mm.context(mm.system(atoms, force(file, atoms.numbers)), atoms)) for file in files]
    assert each[0][0] != each[1][0]
    assert both[0] == pytest.approx(each[0][0] + each[1][0], rel=1e-13)
    np.testing.assert_allclose(both[1], each[0][1] + each[1][1], rtol=0, atol=1e-10)


def test_it_is_silent_outside_its_force_group(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    spinconv_force = force(model_file, atoms.numbers)
    spinconv_force.setForceGroup(3)
    context = mm.context(mm.system(atoms, spinconv_force), atoms)
    assert context.getState(energy=True, groups={0, 1}).getPotentialEnergy()._value == 0
    assert (
        context.getState(energy=True, groups={3}).getPotentialEnergy()._value == context.getState(energy=True).getPotentialEnergy()._value
    )


def test_a_collective_variable_scales_it(model_file: Path, mm: SimpleNamespace) -> None:
    # CustomCVForce copies the force through XML and runs it in a Context of its own; openmm-ml interpolates so
    atoms = ethanol()
    scaled = openmm.CustomCVForce("0.25 * model")
    scaled.addCollectiveVariable("model", force(model_file, atoms.numbers))
    energy, forces = mm.read(mm.context(mm.system(atoms, scaled), atoms))
    whole_energy, whole_forces = mm.read(mm.context(mm.system(atoms, force(model_file, atoms.numbers)), atoms))
    assert energy == pytest.approx(whole_energy / 4, rel=1e-13)
    np.testing.assert_allclose(forces, whole_forces / 4, rtol=0, atol=1e-10)


# ---- Contexts


def test_contexts_do_not_disturb_each_other(model_file: Path, other_model_file: Path, mm: SimpleNamespace) -> None:
    first, second = ethanol(), triclinic()
    contexts = [
        (mm.context(mm.system(first, force(model_file, first.numbers)), first), first, model_file),
        (mm.context(mm.system(second, force(other_model_file, second.numbers, periodic=True)), second), second, other_model_file),
    ]
    for _ in range(2):
        for context, atoms, file in contexts:
            expected = with_calculator(atoms, SpinConvCalculator(file)).get_forces()
            np.testing.assert_allclose(mm.read(context)[1], expected, rtol=0, atol=1e-9)


def test_contexts_run_in_threads(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = [cluster(20, seed) for seed in range(4)]
    contexts = [mm.context(mm.system(a, force(model_file, a.numbers)), a) for a in atoms]
    one_by_one = [mm.read(context) for context in contexts]
    with ThreadPoolExecutor(4) as threads:
        at_once = list(threads.map(mm.read, contexts))
    for (energy, forces), (energy_then, forces_then) in zip(at_once, one_by_one, strict=True):
        assert energy == energy_then
        np.testing.assert_array_equal(forces, forces_then)


def test_a_checkpoint_continues_to_the_last_digit(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = water_box()
    context = mm.context(mm.system(atoms, force(model_file, atoms.numbers, periodic=True)), atoms)
    context.getIntegrator().step(3)
    checkpoint = context.createCheckpoint()
    context.getIntegrator().step(3)
    then = context.getState(positions=True).getPositions(asNumpy=True)._value
    context.loadCheckpoint(checkpoint)
    context.getIntegrator().step(3)
    np.testing.assert_array_equal(context.getState(positions=True).getPositions(asNumpy=True)._value, then)


# ---- dynamics


def total_energy(context: "openmm.Context") -> float:
    state = context.getState(energy=True)
    return (state.getPotentialEnergy() + state.getKineticEnergy()).value_in_unit(openmm.unit.kilojoule_per_mole)


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
def test_verlet_keeps_the_total_energy(platform: str, model_file: Path, mm: SimpleNamespace) -> None:
    # leapfrog's error goes with the square of the time step: a quarter at half the step shows that nothing else leaks
    atoms = ethanol()
    spreads = []
    for step in (0.0005, 0.00025):
        context = mm.context(mm.system(atoms, force(model_file, atoms.numbers)), atoms, platform, openmm.VerletIntegrator(step))
        context.setVelocitiesToTemperature(300.0, 1)
        energies = []
        for _ in range(40):
            context.getIntegrator().step(round(0.0005 / step))
            energies.append(total_energy(context))
        spreads.append(np.std(energies))
    assert spreads[1] < 0.35 * spreads[0]


def test_the_minimiser_goes_downhill(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    context = mm.context(mm.system(atoms, force(model_file, atoms.numbers)), atoms)
    energy, forces = mm.read(context)
    openmm.LocalEnergyMinimizer.minimize(context, 0.1, 30)
    lower_energy, smaller_forces = mm.read(context)
    assert lower_energy < energy
    assert np.abs(smaller_forces).max() < np.abs(forces).max()


def test_langevin_and_a_barostat_run_in_a_periodic_box(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = water_box()
    barostat = openmm.MonteCarloBarostat(1000.0, 300.0, 2)
    barostat.setRandomNumberSeed(1)
    system = mm.system(atoms, force(model_file, atoms.numbers, periodic=True), barostat)
    integrator = openmm.LangevinMiddleIntegrator(300.0, 5.0, 0.0002)
    integrator.setRandomNumberSeed(1)
    context = mm.context(system, atoms, integrator=integrator)
    context.setVelocitiesToTemperature(300.0, 1)
    integrator.step(30)
    state = context.getState(positions=True)
    after = atoms.copy()
    after.set_cell(state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(openmm.unit.angstrom))
    after.positions = state.getPositions(asNumpy=True).value_in_unit(openmm.unit.angstrom)
    assert after.get_volume() != pytest.approx(atoms.get_volume(), rel=1e-6), "no move was accepted"
    np.testing.assert_allclose(mm.read(context)[1], with_calculator(after, SpinConvCalculator(model_file)).get_forces(), rtol=0, atol=1e-8)
