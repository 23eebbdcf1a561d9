"""Kernels of our own on a device, from Python: what the CPU computes."""

from pathlib import Path

import ase
import numpy as np
import pytest
from opencl import require_opencl
from structures import STRUCTURES, ethanol, water_box
from typer.testing import CliRunner

from models import SHIPPED_MODEL, random_model
from spinconv.export import SpinConvCalculator, export_model
from spinconv.export.cli import app

WATER = Path(__file__).parents[2] / "models/water/model.pt"


@pytest.fixture(scope="session", autouse=True)
def opencl() -> None:
    require_opencl()


def results(atoms: ase.Atoms, calculator: SpinConvCalculator) -> dict[str, np.ndarray]:
    atoms = atoms.copy()
    atoms.calc = calculator
    found = {"energies": atoms.get_potential_energies(), "forces": atoms.get_forces()}
    return found | ({"stress": atoms.get_stress()} if atoms.pbc.all() else {})


def differ(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """The largest difference, each in units of the largest number of its kind, 0.1 at least."""
    return max(float(np.abs(one[name] - other[name]).max() / max(0.1, np.abs(other[name]).max())) for name in other)


@pytest.mark.parametrize(("model", "atoms"), [(SHIPPED_MODEL, ethanol()), (WATER, water_box())], ids=["ethanol", "water"])
def test_shipped_models_are_the_same_on_a_device(model: Path, atoms: ase.Atoms) -> None:
    truth = results(atoms, SpinConvCalculator(model, dtype="float64"))
    exact, rounded = (SpinConvCalculator(model, dtype=dtype, device="opencl") for dtype in ("float64", "float32"))
    assert (exact.model.evaluator, exact.model.device) == ("native opencl", "opencl:0")
    assert differ(results(atoms, exact), truth) < 1e-11
    assert differ(results(atoms, rounded), truth) < 1e-4  # some hundred roundings of 1e-7, and energies of -2e4 eV, whose parts are single


@pytest.mark.parametrize("name", sorted(STRUCTURES))
def test_every_structure_is_the_same_on_a_device(name: str, model: Path) -> None:
    atoms = STRUCTURES[name]()
    truth = results(atoms, SpinConvCalculator(model, dtype="float64"))
    assert differ(results(atoms, SpinConvCalculator(model, dtype="float64", device="opencl")), truth) < 1e-10


def test_check_compares_the_kernels_too(model: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(model), "--device", "opencl", "--json"])
    assert done.exit_code == 0, done.output
    assert '"opencl"' in done.output


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("opencl:99", "but here are only opencl:0"),
        ("opencl:x", "`device` must be auto, cpu, cuda, cuda:<index>, opencl or opencl:<index>, got opencl:x"),
    ],
)
def test_devices_that_are_not_there_are_refused(device: str, words: str, model: Path) -> None:
    with pytest.raises(ValueError, match=words):
        SpinConvCalculator(model, device=device)


def test_models_that_kernels_are_not_for_are_refused_by_name(tmp_path: Path) -> None:
    export_model(random_model(lmax=5), tmp_path / "model.pt")
    with pytest.raises(ValueError, match="`device` opencl without torch is for harmonic models of `lmax` 4 at most"):
        SpinConvCalculator(tmp_path / "model.pt", device="opencl")
    with pytest.raises(ValueError, match="must be one that torch can use"):
        SpinConvCalculator(tmp_path / "model.pt", device="opencl", evaluator="torch")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of every element of the structures, random."""
    path = tmp_path_factory.mktemp("model") / "model.pt"
    export_model(random_model(weights_times=1.8), path, dtype="float64")
    return path
