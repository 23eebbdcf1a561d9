"""Particles unlike those of training: a Context says so once, as a warning of Python where Python runs it."""

import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ase
import pytest
from outside import covered_by
from structures import ethanol, water_box

from models import SHIPPED_MODEL, random_model
from spinconv.export import ExtrapolationWarning, export_model, read_model
from spinconv.openmm_plugin import force
from spinconv.openmm_plugin.python_force import python_force

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed")
SYMBOLS = ["H", "C", "O", "Cu"]
FIELDS = {"channels": 16, "n_blocks": 2}
DOORS = {"SpinConvForce": force, "PythonForce": python_force}


def write(path: Path, frames: list[ase.Atoms]) -> Path:
    """A model that was trained on `frames`, it says."""
    coverage = covered_by(frames, SYMBOLS) if frames else None
    export_model(random_model(**FIELDS), path, dtype="float64", coverage=coverage)
    return path


@pytest.fixture(scope="module")
def of_ethanol(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("model") / "model.pt", [ethanol()])


@pytest.mark.parametrize("platform", ["Reference", "CPU", "OpenCL"])
@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_a_context_warns_once_and_another_again(door: Any, platform: str, of_ethanol: Path, mm: SimpleNamespace) -> None:
    atoms = water_box(3)
    system = mm.system(atoms, door(of_ethanol, atoms.numbers, periodic=True))
    for _ in range(2 if door is force else 1):  # contexts of a System share a PythonForce's evaluation
        context = mm.context(system, atoms, platform)
        with pytest.warns(
            ExtrapolationWarning, match=r"for 81 of 81 (particles|atoms), .*\(O\) are \d\.\d{3} (A|Å) apart, training had no O and O"
        ):
            [context.getState(energy=True) for _ in range(2)]  # a GPU platform may say it in the second: its thread outlasts the first
        context.getState(energy=True)  # a second warning would be an error
        if door is force:  # and once for the steps of an integrator, whatever a minimizer tried before them
            with pytest.warns(ExtrapolationWarning, match="for 81 of 81 particles in a step, which is said once: "):
                context.getIntegrator().step(20)  # a GPU platform says it with a step after
        context.getIntegrator().step(2)


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_particles_are_named_by_their_index_in_the_system(door: Any, of_ethanol: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol() + ase.Atoms("Cu3", [(9, 9, 9), (9, 9, 11), (20, 20, 20)])
    particles = [9, 3, 2, 1, 0, 4, 5, 6, 7, 8, 10]
    context = mm.context(mm.system(atoms, door(of_ethanol, atoms.numbers[particles], particles=particles)), atoms)
    with pytest.warns(ExtrapolationWarning, match=r"for 2 of 11 .* (9|10) \(Cu\) and (9|10) \(Cu\) are 2\.000 (A|Å) apart"):
        context.getState(energy=True)


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_a_training_frame_warns_of_nothing(door: Any, of_ethanol: Path, tmp_path: Path, mm: SimpleNamespace) -> None:
    context = mm.context(mm.system(ethanol(), door(of_ethanol, ethanol().numbers)), ethanol())
    context.getState(energy=True)  # warnings are errors here
    context = mm.context(mm.system(water_box(), door(write(tmp_path / "model.pt", []), water_box().numbers, periodic=True)), water_box())
    context.getState(energy=True)


def test_a_committee_warns_where_one_of_its_models_would(of_ethanol: Path, tmp_path: Path, mm: SimpleNamespace) -> None:
    files = [write(tmp_path / "model.pt", []), write(tmp_path / "water.pt", [water_box()]), of_ethanol]
    context = mm.context(mm.system(water_box(), force(files, water_box().numbers, periodic=True)), water_box())
    with pytest.warns(ExtrapolationWarning, match="training had no O and O"):
        context.getState(energy=True)


def test_a_warning_that_is_to_be_an_error_is_one_of_openmm(of_ethanol: Path, mm: SimpleNamespace) -> None:
    context = mm.context(mm.system(water_box(), force(of_ethanol, water_box().numbers, periodic=True)), water_box())
    with warnings.catch_warnings():
        warnings.simplefilter("error", ExtrapolationWarning)
        with pytest.raises(openmm.OpenMMException, match="SpinConvForce: the model extrapolates for 24 of 24 particles"):
            context.getState(energy=True)


def test_contexts_in_threads_warn_too(of_ethanol: Path, mm: SimpleNamespace) -> None:
    contexts = [mm.context(mm.system(water_box(), force(of_ethanol, water_box().numbers, periodic=True)), water_box()) for _ in range(4)]
    with pytest.warns(ExtrapolationWarning) as caught, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda context: context.getIntegrator().step(3), contexts))
    assert len([warning for warning in caught if warning.category is ExtrapolationWarning]) == 4


PROGRAM = """
import sys
import openmm
from spinconv.openmm_plugin import force, load_library
from spinconv.openmm_plugin.library import WarningHandler

load_library().spinconv_set_warning_handler(WarningHandler())  # none, as in a program without Python
system = openmm.System()
for _ in range(2):
    system.addParticle(16.0)
system.addForce(force(sys.argv[1], [8, 8]))
context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
context.setPositions([[0, 0, 0], [0.3, 0, 0]])
context.getIntegrator().step(3)
"""


def test_without_python_it_is_a_line_of_standard_error(of_ethanol: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, of_ethanol], capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    words = "(O) are 3.000 A apart, training had no O and O within 5 A"
    assert len(lines) == 1
    assert lines[0].startswith("WARNING: SpinConvForce: the model extrapolates for 2 of 2 particles in a step, which is said once: atoms ")
    assert lines[0].endswith(words)


def test_water_is_outside_the_shipped_model_of_ethanol(mm: SimpleNamespace) -> None:
    if not SHIPPED_MODEL.exists() or read_model(SHIPPED_MODEL).metadata.get("coverage") is None:
        pytest.skip("the shipped model is not here")
    context = mm.context(mm.system(water_box(), force(SHIPPED_MODEL, water_box().numbers, periodic=True)), water_box())
    with pytest.warns(ExtrapolationWarning, match="training had no O and O within 5 A"):
        context.getState(energy=True)
