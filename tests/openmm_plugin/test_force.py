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

from models import SHIPPED_MODEL
from spinconv.export import SpinConvCalculator
from spinconv.openmm_plugin import committee_deviation, force

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed")
WATER = SHIPPED_MODEL.parent.parent / "water" / "model.pt"
app = pytest.importorskip("openmm.app")


@pytest.mark.parametrize("structure", [ethanol, triclinic])
def test_a_topology_says_elements_and_box(structure: Callable[[], ase.Atoms], model_file: Path, mm: SimpleNamespace) -> None:
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


def test_xml_keeps_all_that_was_set(model_file: Path, other_model_file: Path) -> None:
    original = force(
        [model_file, other_model_file],
        [6, 1, 8],
        particles=[7, 2, 4],
        periodic=True,
        precision="float32",
        device="cpu",
        threads=2,
        skin=0.1,
    )
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
    assert 'threads="2"' in xml
    assert 'skin=".1"' in xml or 'skin="0.1"' in xml
    assert xml.count("<Model ") == 2


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


# ---- a committee


def test_a_committee_is_the_mean_and_tells_how_far_its_models_are_apart(
    model_file: Path, other_model_file: Path, mm: SimpleNamespace
) -> None:
    together = ase.Atoms("Ar", positions=[(9, 9, 9)]) + ethanol()
    atoms = together[1:]
    files = [model_file, other_model_file, model_file]
    committee = force(files, atoms.numbers, particles=range(1, 10))
    context = mm.context(mm.system(together, committee), together)
    energy, forces = mm.read(context)
    each = [with_calculator(atoms, SpinConvCalculator(file)) for file in files]
    energies = np.array([member.get_potential_energy() for member in each])
    of_members = np.array([member.get_forces() for member in each])
    assert energy == pytest.approx(energies.mean(), rel=1e-13)
    np.testing.assert_allclose(forces[1:], of_members.mean(axis=0), rtol=0, atol=1e-10)

    deviation = committee_deviation(context)
    ev = openmm.unit.kilojoule_per_mole * (1.602176634e-19 * 6.02214076e23 / 1000)
    assert deviation.energy / ev == pytest.approx(energies.std(), rel=1e-9)
    expected = np.sqrt(((of_members - of_members.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0))
    assert expected.max() > 0.1
    np.testing.assert_allclose(deviation.forces / (ev / openmm.unit.angstrom), expected, rtol=1e-9)


def test_the_deviation_is_of_the_current_positions_and_disturbs_nothing(
    model_file: Path, other_model_file: Path, mm: SimpleNamespace
) -> None:
    atoms = water_box()
    trajectories = []
    for look in (False, True):
        system = mm.system(atoms, force([model_file, other_model_file], atoms.numbers, periodic=True))
        context = mm.context(system, atoms)
        seen = []
        for _ in range(4):
            context.getIntegrator().step(1)
            if look:
                seen.append(committee_deviation(context).energy._value)
        trajectories.append(context.getState(positions=True).getPositions(asNumpy=True)._value)
    np.testing.assert_array_equal(trajectories[0], trajectories[1])
    assert len(set(seen)) == 4


def test_one_model_has_no_deviation_and_several_forces_are_refused(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    one = committee_deviation(mm.context(mm.system(atoms, force(model_file, atoms.numbers)), atoms))
    assert one.energy._value == 0
    assert (one.forces._value == 0).all()
    for n in (0, 2):
        context = mm.context(mm.system(atoms, openmm.HarmonicBondForce(), *(force(model_file, atoms.numbers) for _ in range(n))), atoms)
        with pytest.raises(ValueError, match=f"must have one SpinConvForce in its System, got {n}"):
            committee_deviation(context)


def test_threads_of_torch_change_nothing_but_the_last_digits(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = water_box(3)
    one, two = (
        mm.read(mm.context(mm.system(atoms, force(model_file, atoms.numbers, periodic=True, threads=threads)), atoms)) for threads in (1, 2)
    )
    assert two[0] == pytest.approx(one[0], rel=1e-14)
    np.testing.assert_allclose(two[1], one[1], rtol=0, atol=1e-11)


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
    lower_energy, _ = mm.read(context)
    assert lower_energy < energy - 1e-3 * np.abs(forces).max()  # an eV/Å for each mÅ


# ---- OpenMM's other machinery


def test_multiple_time_steps_with_a_cheap_inner_force(model_file: Path, mm: SimpleNamespace) -> None:
    # the model as the outer, slow force: with one inner step it is the plain integrator
    atoms = ethanol()
    ends = []
    for groups in ([(0, 1), (1, 1)], [(0, 1), (1, 4)]):
        outer = force(model_file, atoms.numbers)
        inner = openmm.HarmonicBondForce()
        inner.addBond(0, 1, 0.15, 1e4)
        inner.setForceGroup(1)
        integrator = openmm.MTSIntegrator(0.0002, groups)
        context = mm.context(mm.system(atoms, outer, inner), atoms, integrator=integrator)
        start = total_energy(context)
        integrator.step(50)
        ends.append(total_energy(context) - start)
    assert np.abs(ends).max() < 0.2  # kJ/mol, of some tens that went from potential to kinetic energy


def test_ring_polymers_run_a_copy_each(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    integrator = openmm.RPMDIntegrator(4, 300.0, 1.0, 0.0002)
    integrator.setRandomNumberSeed(1)
    context = mm.context(mm.system(atoms, force(model_file, atoms.numbers)), atoms, integrator=integrator)
    copies = [ethanol(seed) for seed in range(4)]
    for index, copy_of_atoms in enumerate(copies):
        integrator.setPositions(index, copy_of_atoms.positions / 10)
    context.setVelocitiesToTemperature(300.0, 1)
    for index, copy_of_atoms in enumerate(copies):
        energy = integrator.getState(index, getEnergy=True).getPotentialEnergy()._value
        expected = with_calculator(copy_of_atoms, SpinConvCalculator(model_file)).get_potential_energy()
        assert energy / (1.602176634e-19 * 6.02214076e23 / 1000) == pytest.approx(expected, rel=1e-12)
    integrator.step(5)
    assert np.isfinite(integrator.getState(0, getEnergy=True).getPotentialEnergy()._value)


def test_the_alchemical_transfer_method_moves_between_two_places(model_file: Path, mm: SimpleNamespace) -> None:
    # ATMForce evaluates the forces in it at x and at x + displacement, in Contexts of its own, and mixes the two energies
    atoms = ethanol()
    shift = np.array([0.01, -0.02, 0.015])  # nm, of one atom
    alchemical = openmm.ATMForce("(1 - Lambda) * u0 + Lambda * u1")
    alchemical.addGlobalParameter("Lambda", 0.0)
    for index in range(len(atoms)):
        alchemical.addParticle(openmm.Vec3(*shift) if index == 2 else openmm.Vec3(0, 0, 0))
    alchemical.addForce(force(model_file, atoms.numbers))
    context = mm.context(mm.system(atoms, alchemical), atoms)
    moved = ethanol()
    moved.positions[2] += 10 * shift
    here, there = (with_calculator(structure, SpinConvCalculator(model_file)) for structure in (atoms, moved))
    for weight in (0.0, 0.3, 1.0):
        context.setParameter("Lambda", weight)
        energy, forces = mm.read(context)
        assert energy == pytest.approx((1 - weight) * here.get_potential_energy() + weight * there.get_potential_energy(), rel=1e-12)
        np.testing.assert_allclose(forces, (1 - weight) * here.get_forces() + weight * there.get_forces(), rtol=0, atol=1e-9)


def test_constrained_bonds_keep_their_length(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    system = mm.system(atoms, force(model_file, atoms.numbers))
    oxygen, hydrogen = 2, 3
    system.addConstraint(oxygen, hydrogen, 0.097)
    context = mm.context(system, atoms)
    context.applyConstraints(1e-8)
    openmm.LocalEnergyMinimizer.minimize(context, 1.0, 20)
    context.getIntegrator().step(20)
    positions = context.getState(positions=True).getPositions(asNumpy=True)._value
    assert np.linalg.norm(positions[oxygen] - positions[hydrogen]) == pytest.approx(0.097, rel=1e-5)


# ---- pressure


def strained(cell: np.ndarray, positions: np.ndarray, strain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return cell @ (np.eye(3) + strain), positions @ (np.eye(3) + strain)


def test_the_energy_follows_the_box_as_the_stress_says(model_file: Path, mm: SimpleNamespace) -> None:
    # the six strains that keep a box a lower triangle, of a triclinic box smaller than two cutoffs
    atoms = triclinic()
    context = mm.context(mm.system(atoms, force(model_file, atoms.numbers, periodic=True)), atoms)
    stress = with_calculator(atoms, SpinConvCalculator(model_file)).get_stress(voigt=False)
    step = 1e-4
    for row, column in ((0, 0), (1, 1), (2, 2), (1, 0), (2, 0), (2, 1)):
        energies = []
        for multiple in (-2, -1, 1, 2):
            strain = np.zeros((3, 3))
            strain[row, column] = multiple * step
            cell, positions = strained(atoms.cell.array, atoms.positions, strain)
            context.setPeriodicBoxVectors(*(cell / 10))
            context.setPositions(positions / 10)
            energies.append(mm.read(context)[0])
        slope = (energies[0] - 8 * energies[1] + 8 * energies[2] - energies[3]) / (12 * step)
        assert slope / atoms.get_volume() == pytest.approx(stress[row, column], rel=0, abs=1e-8 * np.abs(stress).max() + 1e-11)


BAROSTATS = {
    "isotropic": lambda: openmm.MonteCarloBarostat(1.0, 300.0, 1),
    "anisotropic": lambda: openmm.MonteCarloAnisotropicBarostat(openmm.Vec3(1, 1, 1), 300.0, True, True, True, 1),
    "membrane": lambda: openmm.MonteCarloMembraneBarostat(1.0, 0.0, 300.0, 0, 0, 1),
    "flexible": lambda: openmm.MonteCarloFlexibleBarostat(1.0, 300.0, 1),
}


@pytest.mark.skipif(not WATER.exists(), reason="the shipped water model is not here")
@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("platform", ["Reference", "OpenCL"])
@pytest.mark.parametrize("name", BAROSTATS)
def test_the_pressure_of_every_barostat_is_the_virial_pressure(name: str, platform: str, warm: bool, mm: SimpleNamespace) -> None:
    # OpenMM's own pressure is a finite difference of the energy over lengths changed by 1e-3, which is off by up to 4e-5 here, plus the
    # atoms' momenta; random weights are rough enough to make that error 3e-4
    atoms = water_box()
    atoms.set_cell(np.diag([5.6, 6.0, 6.4]), scale_atoms=True)  # no cube; and OpenMM strains triclinic boxes unevenly
    barostat = BAROSTATS[name]()
    system = mm.system(atoms, force(WATER, atoms.numbers, periodic=True, precision="float64"), barostat)
    context = mm.context(system, atoms, platform, openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.0005))
    bar = 1.602176634e6  # eV/Å^3
    virial = -np.diag(with_calculator(atoms, SpinConvCalculator(WATER, dtype="float64")).get_stress(voigt=False)) * bar
    if warm:
        context.setVelocitiesToTemperature(300.0, 1)
        velocities = context.getState(velocities=True).getVelocities(asNumpy=True)._value  # nm/ps
        kinetic = (atoms.get_masses()[:, None] * velocities**2).sum(axis=0) / (atoms.get_volume() / 1000)  # kJ/mol/nm^3
        virial = virial + kinetic * 16.6053906717  # bar
    pressure = barostat.computeCurrentPressure(context).value_in_unit(openmm.unit.bar)
    expected = virial.mean() if name == "isotropic" else virial
    found = pressure if name == "isotropic" else np.array(pressure)[:3]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(virial).max())


@pytest.mark.parametrize("name", BAROSTATS)
def test_every_barostat_changes_the_box_and_keeps_forces_right(name: str, model_file: Path, mm: SimpleNamespace) -> None:
    atoms = water_box()
    barostat = BAROSTATS[name]()
    barostat.setRandomNumberSeed(1)
    system = mm.system(atoms, force(model_file, atoms.numbers, periodic=True, skin=0.05), barostat)
    integrator = openmm.LangevinMiddleIntegrator(300.0, 5.0, 0.0002)
    integrator.setRandomNumberSeed(1)
    context = mm.context(system, atoms, integrator=integrator)
    context.setVelocitiesToTemperature(300.0, 1)
    integrator.step(60)
    state = context.getState(positions=True)
    after = atoms.copy()
    after.set_cell(state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(openmm.unit.angstrom))
    after.positions = state.getPositions(asNumpy=True).value_in_unit(openmm.unit.angstrom)
    assert np.abs(after.cell.array - atoms.cell.array).max() > 1e-4, "no move was accepted"
    np.testing.assert_allclose(mm.read(context)[1], with_calculator(after, SpinConvCalculator(model_file)).get_forces(), rtol=0, atol=1e-8)


@pytest.mark.parametrize("platform", ["Reference", "OpenCL"])
def test_bonds_of_a_topology_keep_molecules_whole_under_a_barostat(platform: str, model_file: Path, mm: SimpleNamespace) -> None:
    atoms = water_box()
    topology = mm.topology(atoms)
    sites = list(topology.atoms())
    for oxygen in range(0, len(atoms), 3):
        topology.addBond(sites[oxygen], sites[oxygen + 1])
        topology.addBond(sites[oxygen], sites[oxygen + 2])
    bonded, loose = force(model_file, topology), force(model_file, atoms.numbers, periodic=True)
    assert len(mm.context(mm.system(atoms, loose), atoms, platform).getMolecules()) == len(atoms)
    barostat = openmm.MonteCarloBarostat(1.0, 300.0, 1)
    barostat.setRandomNumberSeed(1)
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 1e-9)  # all that moves is the box
    context = mm.context(mm.system(atoms, copy.deepcopy(bonded), barostat), atoms, platform, integrator)
    assert [len(molecule) for molecule in context.getMolecules()] == [3] * (len(atoms) // 3)
    integrator.step(30)
    state = context.getState(positions=True)
    assert state.getPeriodicBoxVolume()._value != pytest.approx(atoms.get_volume() / 1000, rel=1e-4), "no move was accepted"
    after = state.getPositions(asNumpy=True).value_in_unit(openmm.unit.angstrom)
    for oxygen in range(0, len(atoms), 3):
        for hydrogen in (oxygen + 1, oxygen + 2):
            length = np.linalg.norm(atoms.positions[hydrogen] - atoms.positions[oxygen])
            assert np.linalg.norm(after[hydrogen] - after[oxygen]) == pytest.approx(length, abs=1e-5)


def test_a_minimizer_that_reports_to_python_can_ask_for_forces(model_file: Path, mm: SimpleNamespace) -> None:
    """OpenMM keeps Python's lock while it minimizes with a reporter, and torch computes no gradient under that lock."""
    energies = []

    class Reporter(openmm.MinimizationReporter):
        def report(self, iteration: int, x: object, gradient: object, arguments: dict[str, float]) -> bool:
            energies.append(arguments["system energy"])
            return False

    atoms = ethanol()
    context = mm.context(mm.system(atoms, force(model_file, atoms.numbers)), atoms)
    openmm.LocalEnergyMinimizer.minimize(context, 10.0, 5, Reporter())
    assert energies[-1] < energies[0]
