"""`device="context"`: SpinConvForce by kernels in the arrays of a Context on the OpenCL platform; nothing of atoms goes to the host."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ase
import numpy as np
import pytest
from opencl import require_opencl
from outside import covered_by
from packed import astray
from structures import cluster, dimer, ethanol, rattled_fcc, triclinic, water_box

from models import random_model
from spinconv.export import ExtrapolationWarning, SpinConvCalculator, export_model
from spinconv.openmm_plugin import committee_deviation, evaluator_of, force, load_library
from spinconv.openmm_plugin.engine import as_openmm_has_it
from spinconv.openmm_plugin.forces import model_seconds

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed")
IN_CONTEXT = "native opencl, float64 in the Context of platform OpenCL"
FORCE_ERROR = 1e-8
"""eV/Å, in double precision: forces come in steps of 2e-13 of OpenMM's fixed point."""


@pytest.fixture(autouse=True)
def opencl() -> None:
    require_opencl()


@pytest.fixture
def in_context(model_file: Path, mm: SimpleNamespace) -> Callable[..., Any]:
    """A Context on the OpenCL platform whose arrays hold the force on `atoms`, perhaps with other forces and options of `force`."""

    def make(
        atoms: ase.Atoms, *others: Any, file: Path = model_file, platform: str = "double", integrator: Any = None, **options: Any
    ) -> Any:
        ours = force(file, **{"topology_or_numbers": atoms.numbers, "periodic": bool(atoms.pbc.all()), "device": "context"} | options)
        return mm.context(mm.system(atoms, ours, *others), atoms, "OpenCL", integrator, {"Precision": platform})

    return make


def expected_of(atoms: ase.Atoms, file: Path) -> tuple[float, np.ndarray]:
    """Energy (eV) and forces (eV/Å) on the CPU."""
    alone = atoms.copy()
    alone.calc = SpinConvCalculator(file)
    return alone.get_potential_energy(), alone.get_forces()


def as_it_is(context: Any, atoms: ase.Atoms) -> ase.Atoms:
    """`atoms` with the positions and the box of a Context."""
    state = context.getState(positions=True)
    moved = ase.Atoms(atoms.numbers, state.getPositions(asNumpy=True)._value * 10, pbc=atoms.pbc)
    if atoms.pbc.all():
        moved.set_cell(state.getPeriodicBoxVectors(asNumpy=True)._value * 10)
    return moved


def assert_right(context: Any, atoms: ase.Atoms, file: Path, mm: SimpleNamespace) -> None:
    energy, forces = mm.read(context)
    expected_energy, expected_forces = expected_of(as_it_is(context, atoms), file)
    assert energy == pytest.approx(expected_energy, rel=1e-11)
    np.testing.assert_allclose(forces, expected_forces, rtol=0, atol=FORCE_ERROR)


# ---- the same numbers


@pytest.mark.parametrize("structure", [water_box, ethanol, triclinic, rattled_fcc, cluster])
def test_a_force_in_a_context_is_that_on_the_cpu(
    structure: Callable[[], ase.Atoms], in_context: Callable[..., Any], model_file: Path, mm: SimpleNamespace
) -> None:
    """Without a box, and in boxes of two cutoffs and less, skewed ones among them."""
    atoms, _ = as_openmm_has_it(structure())
    context = in_context(atoms)
    assert evaluator_of(context) == IN_CONTEXT
    assert_right(context, atoms, model_file, mm)
    assert model_seconds(context) > 0
    deviation = committee_deviation(context)
    assert deviation.energy._value == 0
    assert (deviation.forces._value == np.zeros(len(atoms))).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("platform", ["single", "mixed"])
def test_a_platform_of_less_precision_has_less_of_positions(
    platform: str, dtype: str, in_context: Callable[..., Any], model_file: Path, mm: SimpleNamespace
) -> None:
    """Of nm, 24 bits in single precision; the energy does not pass through the platform's buffer of so many bits."""
    atoms = water_box()
    context = in_context(atoms, platform=platform, precision=dtype)
    energy, forces = mm.read(context)
    expected_energy, expected_forces = expected_of(atoms, model_file)
    limit = 1e-5 if "single" in (platform, dtype.replace("float32", "single")) else 1e-7
    assert energy == pytest.approx(expected_energy, abs=10 * limit)
    np.testing.assert_allclose(forces, expected_forces, rtol=0, atol=limit)


def test_it_is_the_device_of_its_platform(model_file: Path, in_context: Callable[..., Any], mm: SimpleNamespace) -> None:
    assert evaluator_of(in_context(ethanol(), device="opencl")) == IN_CONTEXT
    for platform in ("Reference", "CPU"):
        context = mm.context(mm.system(ethanol(), force(model_file, ethanol().numbers, device="context")), ethanol(), platform)
        assert evaluator_of(context).endswith("float64 on cpu")
    with pytest.raises(openmm.OpenMMException, match="`device` is opencl:99, but here are only opencl:0"):
        in_context(ethanol(), device="opencl:99")


def test_a_committee_goes_by_the_host_or_is_refused(model_file: Path, other_model_file: Path, mm: SimpleNamespace) -> None:
    atoms, files = ethanol(), [model_file, other_model_file]
    context = mm.context(mm.system(atoms, force(files, atoms.numbers, device="opencl")), atoms, "OpenCL")
    assert evaluator_of(context).count("native opencl, float64 on opencl:") == 2
    np.testing.assert_allclose(mm.read(context)[1], np.mean([expected_of(atoms, file)[1] for file in files], axis=0), atol=FORCE_ERROR)
    words = "`device` context, in the arrays of the Context, cannot be had: a committee is computed on the host; use cpu, cuda or opencl"
    with pytest.raises(openmm.OpenMMException, match=words):
        mm.context(mm.system(atoms, force(files, atoms.numbers, device="context")), atoms, "OpenCL")
    with pytest.raises(openmm.OpenMMException, match="cannot be had: `evaluator` torch computes elsewhere"):
        mm.context(mm.system(atoms, force(model_file, atoms.numbers, device="context", evaluator="torch")), atoms, "OpenCL")


# ---- among other particles and forces


def with_argon(n_side: int, box: float) -> tuple[ase.Atoms, list[int]]:
    """Ethanol, half of it outside the box, among argon; its atoms' places, between those of argon."""
    spacing = box / n_side
    sites = np.array(list(np.ndindex(n_side, n_side, n_side))) * spacing
    molecule = ethanol()
    molecule.positions += np.array([0.3, box / 2 + 0.5, box - 0.2])
    apart = np.linalg.norm((d := sites[:, None] - molecule.positions) - box * np.round(d / box), axis=2).min(axis=1)
    argon = ase.Atoms(f"Ar{(apart > 3.2).sum()}", sites[apart > 3.2])
    order = np.random.default_rng(0).permutation(len(molecule) + len(argon))
    atoms = (molecule + argon)[order]
    atoms.set_cell([box, box, box])
    atoms.pbc = True
    return atoms, [int(np.flatnonzero(order == i)[0]) for i in range(len(molecule))]


@pytest.mark.parametrize("periodic", [False, True])
def test_a_subset_among_particles_that_are_wrapped_and_sorted(
    periodic: bool, in_context: Callable[..., Any], model_file: Path, mm: SimpleNamespace
) -> None:
    """OpenMM moves what leaves the box back into it, and sorts its arrays anew, when positions are set and every 250 steps."""
    atoms, particles = with_argon(5, 19.0)
    gas = openmm.NonbondedForce()
    gas.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    gas.setCutoffDistance(0.9)
    for index in range(len(atoms)):
        gas.addParticle(0.0, 0.34, 0.0 if index in particles else 1.0)
    options = {"topology_or_numbers": atoms.numbers[particles], "particles": particles, "periodic": periodic}
    context = in_context(atoms, gas, integrator=openmm.VerletIntegrator(0.0005), **options)
    assert evaluator_of(context) == IN_CONTEXT
    on_host = mm.context(
        mm.system(atoms, force(model_file, **options), openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(gas))), atoms
    )
    velocities = np.random.default_rng(1).normal(scale=0.6, size=(len(atoms), 3))  # nm/ps
    velocities += np.array([-2.0, 0.0, 2.0])  # over the edges of the box
    context.setVelocities(velocities)
    for n_steps in (0, 100, 260, 260):
        context.getIntegrator().step(n_steps)
        on_host.setPositions(context.getState(positions=True).getPositions())
        (energy, forces), (expected_energy, expected_forces) = mm.read(context), mm.read(on_host)
        assert energy == pytest.approx(expected_energy, rel=1e-7)
        np.testing.assert_allclose(forces, expected_forces, rtol=0, atol=1e-5)  # of OpenMM's Lennard-Jones, mostly
        np.testing.assert_allclose(forces[particles], expected_forces[particles], rtol=0, atol=1e-6)


def test_a_collective_variable_and_force_groups(in_context: Callable[..., Any], model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    scaled = openmm.CustomCVForce("0.25 * model")
    scaled.addCollectiveVariable("model", force(model_file, atoms.numbers, device="context"))
    energy, forces = mm.read(mm.context(mm.system(atoms, scaled), atoms, "OpenCL"))
    expected_energy, expected_forces = expected_of(atoms, model_file)
    assert energy == pytest.approx(expected_energy / 4, rel=1e-11)
    np.testing.assert_allclose(forces, expected_forces / 4, rtol=0, atol=FORCE_ERROR)
    context = in_context(atoms)
    assert context.getState(energy=True, groups={1}).getPotentialEnergy()._value == 0
    assert (context.getState(forces=True, groups={1}).getForces(asNumpy=True)._value == 0).all()


# ---- dynamics


def test_verlet_keeps_the_total_energy(in_context: Callable[..., Any], mm: SimpleNamespace) -> None:
    context = in_context(ethanol(), integrator=openmm.VerletIntegrator(0.0002))
    context.setVelocitiesToTemperature(300.0, 1)
    energies = []
    for _ in range(20):
        context.getIntegrator().step(10)
        state = context.getState(energy=True)
        energies.append([state.getPotentialEnergy()._value, state.getKineticEnergy()._value])
    potential, kinetic = np.array(energies).T
    assert np.std(potential + kinetic) < 0.02 * np.std(kinetic)


def test_a_barostat_asks_for_energies_alone(in_context: Callable[..., Any], model_file: Path, mm: SimpleNamespace) -> None:
    atoms = water_box()
    barostat = openmm.MonteCarloBarostat(1.0, 300.0, 1)
    barostat.setRandomNumberSeed(1)
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.0002)
    context = in_context(atoms, barostat, integrator=integrator)
    integrator.step(10)
    assert as_it_is(context, atoms).get_volume() != pytest.approx(atoms.get_volume(), rel=1e-6)
    assert_right(context, atoms, model_file, mm)


def test_contexts_do_not_disturb_each_other_and_can_be_made_anew(
    in_context: Callable[..., Any], model_file: Path, mm: SimpleNamespace
) -> None:
    atoms = water_box()
    first = in_context(atoms)
    second = mm.context(first.getSystem(), atoms, "OpenCL")
    other = ethanol()
    third = in_context(other)
    first.getIntegrator().step(3)
    for context, its in ((second, atoms), (third, other), (first, atoms)):
        assert_right(context, its, model_file, mm)
    second.reinitialize(preserveState=True)
    assert_right(second, atoms, model_file, mm)
    del first
    assert_right(second, atoms, model_file, mm)


def test_a_step_takes_nothing_of_atoms_to_the_host(in_context: Callable[..., Any]) -> None:
    """By the plugin's own count; a few sizes and flags are read, as many for 24 atoms as for 192."""
    a_step = []
    for atoms in (water_box(2), water_box(4)):
        context = in_context(atoms)
        ours = int(context.getSystem().getForce(0).this), int(context.this)
        context.getIntegrator().step(2)
        before = load_library().spinconv_bytes_read(*ours)
        context.getIntegrator().step(5)
        a_step.append((load_library().spinconv_bytes_read(*ours) - before) / 5)
    assert a_step[0] == a_step[1]
    assert 0 < a_step[0] <= 64


# ---- what is told


def test_what_is_wrong_is_told_of_particles_of_the_system(in_context: Callable[..., Any], model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ase.Atoms("ArHArCO", [(0, 0, 9), (0, 0, 0), (0, 9, 0), (1, 0, 0), (1, 0, 1.2)])
    context = in_context(atoms, topology_or_numbers=[1, 6, 8], particles=[1, 3, 4])
    mm.read(context)
    positions = atoms.positions / 10
    for value, words in (
        (np.nan, "the position of atom 3 is not a number; the simulation went astray"),
        (0.1195, "atoms 3 and 4 are 0.005 Å apart"),
    ):
        positions[3, 2] = value
        context.setPositions(positions)
        for _ in range(2):
            with pytest.raises(openmm.OpenMMException, match=f"SpinConvForce: {words}"):
                context.getState(forces=True)
    context.setPositions(atoms.positions / 10)
    mm.read(context)
    box = ase.Atoms(ethanol(), cell=[1, 1, 1], pbc=True)
    with pytest.raises(openmm.OpenMMException, match=r"too small for 9 atoms, each must have at least 1\.01 Å³"):
        mm.read(in_context(box))


def test_a_result_that_is_no_number_names_the_particle(in_context: Callable[..., Any], model_file: Path, tmp_path: Path) -> None:
    """At once, but in the steps of an integrator, which wait for no result: there by the next evaluation."""
    atoms = ethanol()
    options = {"file": astray(model_file, tmp_path / "nan.pt"), "topology_or_numbers": atoms.numbers[3:], "particles": range(3, 9)}
    context = in_context(atoms, **options)
    with pytest.raises(openmm.OpenMMException, match="the energy of particle 3 is not a number"):
        context.getState(energy=True)
    with pytest.raises(openmm.OpenMMException, match=r"the force on particle [3-8] is not a number"):
        context.getState(forces=True)
    context = in_context(atoms, **options)
    context.getIntegrator().step(1)
    with pytest.raises(openmm.OpenMMException, match=r"the (force on|position of) (particle|atom) [3-8] is not a number"):
        context.getIntegrator().step(1)


def test_a_trial_step_of_a_minimizer_has_the_energy_of_the_wall(
    in_context: Callable[..., Any], model_file: Path, mm: SimpleNamespace
) -> None:
    atoms = dimer(0.05)
    energy, forces = mm.read(in_context(atoms))
    expected_energy, expected_forces = expected_of(atoms, model_file)
    assert energy == pytest.approx(expected_energy, rel=1e-9)
    np.testing.assert_allclose(forces, expected_forces, rtol=1e-9)


def test_it_warns_once_of_what_training_did_not_have(in_context: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    export_model(random_model(channels=16, n_blocks=2), file, dtype="float64", coverage=covered_by([ethanol()], ["H", "C", "O", "Cu"]))
    context = in_context(water_box(), file=file)
    with pytest.warns(ExtrapolationWarning, match=r"for 24 of 24 particles, .*\(O\) are \d\.\d{3} (A|Å) apart, training had no O and O"):
        context.getState(energy=True)
    context.getState(energy=True)  # a second warning would be an error
    with pytest.warns(ExtrapolationWarning, match="for 24 of 24 particles in a step, which is said once: "):
        context.getIntegrator().step(3)
    context.getIntegrator().step(3)
    context = in_context(ethanol(), file=file)
    context.getIntegrator().step(3)
