"""Molecular dynamics where torch is not installed: nothing of it is in the process, and the numbers are those of torch."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from structures import ethanol, with_calculator

import spinconv
from models import SHIPPED_MODEL
from spinconv.export.build import PLUGINS, read_build

HIDDEN = ("torch", "functorch", "torchgen", "lightning", "pytorch_lightning", "torchmetrics", "spinconv")
OF_THE_PROCESS = """
import sys
from pathlib import Path
loaded = [line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libtorch" in line or "libc10" in line]
print(json.dumps({"torch": "torch" in sys.modules, "loaded": loaded, **answer}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of a Python with everything that this one has, but for torch and what needs it."""
    site = tmp_path_factory.mktemp("site")
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if entry.name.replace("-", ".").split(".")[0] not in HIDDEN and entry.suffix != ".pth":
            (site / entry.name).symlink_to(entry)
    (site / "spinconv").symlink_to(spinconv.__path__[0])
    return [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(site)!r}); exec(sys.stdin.read())"]


def run(python: list[str], program: str) -> dict[str, object]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["LD_LIBRARY_PATH"] = str(Path(sys.prefix) / "lib")  # where pip puts MPI; it is found from the folder of packages, else
    done = subprocess.run(
        python, input=f"import json\n{program}{OF_THE_PROCESS}", capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer.pop("torch") is False
    assert answer.pop("loaded") == []
    return answer


def expected() -> tuple[float, np.ndarray]:
    atoms = with_calculator(ethanol(), spinconv.SpinConvCalculator(SHIPPED_MODEL, "float64", evaluator="torch"))
    return atoms.get_potential_energy(), atoms.get_forces()


ATOMS = f"""
import ase
atoms = ase.Atoms({ethanol().numbers.tolist()}, {ethanol().positions.tolist()})
"""


def test_torch_cannot_be_imported_there(python: list[str]) -> None:
    program = "try:\n    import torch\nexcept ImportError as error:\n    answer = {'said': str(error)}\n"
    assert run(python, program) == {"said": "No module named 'torch'"}


ENGINES = {
    "ase": f"""
from spinconv import SpinConvCalculator
atoms.calc = SpinConvCalculator({str(SHIPPED_MODEL)!r}, "float64")
answer = {{"energy": atoms.get_potential_energy(), "forces": atoms.get_forces().tolist(), "evaluator": repr(atoms.calc)}}
""",
    "lammps": f"""
from spinconv.lammps_plugin.engine import evaluate
result = evaluate({str(SHIPPED_MODEL)!r}, atoms, "float64")
answer = {{"energy": result.energy, "forces": result.forces.tolist(), "evaluator": "native"}}
""",
    "openmm": f"""
import openmm
from spinconv.openmm_plugin import evaluator_of, force
from spinconv.openmm_plugin.engine import evaluate, system_of
result = evaluate({str(SHIPPED_MODEL)!r}, atoms, "float64")
system = system_of(atoms, force({str(SHIPPED_MODEL)!r}, atoms.numbers.tolist()))
context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
answer = {{"energy": result.energy, "forces": result.forces.tolist(), "evaluator": evaluator_of(context)}}
""",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_runs_a_shipped_model(engine: str, python: list[str]) -> None:
    if engine != "ase" and read_build(f"{engine}_plugin").not_built:
        pytest.skip(read_build(f"{engine}_plugin").in_words())
    answer = run(python, ATOMS + ENGINES[engine])
    energy, forces = expected()
    assert "native" in str(answer["evaluator"])
    assert answer["energy"] == pytest.approx(energy, rel=1e-13)
    np.testing.assert_allclose(answer["forces"], forces, atol=1e-11)


COMMANDS = {
    "--help": "SpinConv potentials for molecular dynamics",
    f"info {SHIPPED_MODEL}": "ethanol",
    f"check {SHIPPED_MODEL}": "All agree with ASE on 3 structures: native",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_needs_no_torch_runs(command: str, python: list[str]) -> None:
    program = f"""
import contextlib, io
from spinconv.export.cli import app
said = io.StringIO()
with contextlib.redirect_stdout(said):
    try:
        app({command.split()!r})
    except SystemExit as end:
        code = end.code
answer = {{"code": code, "said": " ".join(said.getvalue().split())}}
"""
    answer = run(python, program)
    assert answer["code"] == 0, answer["said"]
    assert COMMANDS[command] in str(answer["said"])


def test_a_command_that_needs_torch_says_so(python: list[str]) -> None:
    program = """
import contextlib, io
from spinconv.export.cli import app
said = io.StringIO()
with contextlib.redirect_stderr(said):
    try:
        app(["export", "best.ckpt"])
    except SystemExit as end:
        code = end.code
answer = {"code": code, "said": said.getvalue()}
"""
    words = 'ERROR: this command needs torch, which comes with training: pip install "spinconv[train]"\n'
    assert run(python, program) == {"code": 1, "said": words}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("evaluator='torch'", "`evaluator` torch needs torch, which is not installed; `pip install torch`"),
        ("device='xpu'", "`device` 'xpu' needs torch, which is not installed; `pip install torch`"),
        ("device='cuda:99'", "`device` is cuda:99, but "),  # which kernels of our own would compute on
    ],
)
def test_what_needs_torch_says_so(options: str, words: str, python: list[str]) -> None:
    program = f"""
from spinconv import SpinConvCalculator
try:
    SpinConvCalculator({str(SHIPPED_MODEL)!r}, {options})
except ValueError as error:
    answer = {{"said": str(error)}}
"""
    assert run(python, program)["said"].startswith(words)


@pytest.mark.parametrize("library", ["export/libspinconv.so", "lammps_plugin/pair_spinconv.so", "openmm_plugin/libOpenMMSpinConv.so"])
def test_the_libraries_of_the_engines_do_not_link_torch(library: str) -> None:
    path = Path(spinconv.__path__[0], library)
    if not path.exists():
        assert read_build(path.parent.name).not_built or path.parent.name not in PLUGINS
        pytest.skip("it was not built")
    needed = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
    assert "NEEDED" in needed
    assert not [line for line in needed.splitlines() if "NEEDED" in line and ("torch" in line or "c10" in line)]
