"""The exported file: what it says, what it refuses, and that it is the model."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import ase
import ase.build
import numpy as np
import pytest
import torch
from grid_models import grid_model
from packed import of_format_1, other_torchscript, repacked
from structures import STRUCTURES

from models import random_model
from spinconv.export import export_model, read_model
from spinconv.export.container import read_container
from spinconv.export.module import KJ_PER_MOL_PER_EV, exported_model
from spinconv.potential import build_graph, energy_and_forces


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.pt"
    export_model(random_model(weights_times=2.0), path, training={"data": "random"}, licence="MIT")
    return path


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_file_computes_what_the_model_does(path: Path, name: str) -> None:
    model = random_model(weights_times=2.0)
    graph = build_graph(STRUCTURES[name](), model.cutoff, torch.float64)
    ours, read = energy_and_forces(model, graph), energy_and_forces(read_model(path, "float64").module, graph)
    torch.testing.assert_close(read.energies, ours.energies, rtol=1e-13, atol=1e-11)
    torch.testing.assert_close(read.forces, ours.forces, rtol=1e-10, atol=1e-11)


def test_weights_of_single_precision_survive_to_the_last_bit(tmp_path: Path) -> None:
    model = random_model(dtype=torch.float32)
    export_model(model, tmp_path / "model.pt")
    for dtype in ("float32", "float64"):
        read = dict(read_model(tmp_path / "model.pt", dtype).module.named_parameters())
        for name, value in model.named_parameters():
            assert torch.equal(read[name].to(torch.float32), value), name


def test_large_reference_energies_keep_their_digits_in_single_precision(path: Path) -> None:
    graph = build_graph(ase.Atoms("Cu"), 5.0, torch.float32)
    assert float(read_model(path, "float32").module.energies(*graph[:3])) == -13.6057 * 29**2  # not a float32


def test_the_file_says_what_it_is(path: Path) -> None:
    file = read_model(path)
    assert file.metadata["elements"] == ["H", "C", "O", "Cu"]
    assert file.metadata["training"] == {"data": "random"}
    assert file.metadata["licence"] == "MIT"
    assert (file.metadata["format_version"], file.metadata["kind"], file.metadata["conservative"]) == (2, "harmonic", True)
    assert (file.metadata["cutoff"], file.metadata["n_blocks"]) == (5.0, 2)
    assert file.dtype == torch.float32


def test_dtype_of_the_file_is_that_of_the_export(tmp_path: Path) -> None:
    export_model(random_model(), tmp_path / "model.pt", dtype="float64")
    assert read_model(tmp_path / "model.pt").dtype == torch.float64


def truncated(path: Path, target: Path) -> Path:
    target.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return target


def flipped(path: Path, target: Path) -> Path:
    """One bit of one weight changed."""
    data = bytearray(path.read_bytes())
    data[data.index(b"weights.safetensors") + 100_000] ^= 1
    target.write_bytes(data)
    return target


def of_another_shape(path: Path, target: Path) -> Path:
    return repacked(path, target, weights={"energy.last.bias": np.zeros(2)})


def with_other_constants(path: Path, target: Path) -> Path:
    pairs = read_model(path, "float64").module.weights()["constants.pairs"].numpy()
    return repacked(path, target, weights={"constants.pairs": 2 * pairs})


def with_direct_forces(path: Path, target: Path) -> Path:
    return repacked(path, target, forces="direct", conservative=False)


def without_blocks(path: Path, target: Path) -> Path:
    return repacked(path, target, model=read_container(path).metadata.model.model_copy(update={"n_blocks": None}))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path, target: target, "there is no such model file"),
        (truncated, "is damaged: it is cut short"),
        (flipped, "is damaged: its bytes do not have the hash that is written in it"),
        (lambda path, target: target.write_text("x") and target, "must be a model file written by `spinconv export`"),
        (lambda path, target: target.write_bytes(other_torchscript()) and target, "is a TorchScript file without spinconv.json"),
        (lambda path, target: target.write_bytes(of_format_1()) and target, "was written for format 1 by spinconv 0.1; export it again"),
        (lambda path, target: repacked(path, target, kind="cube"), "holds a model of kind 'cube', this spinconv knows harmonic"),
        (with_direct_forces, "is damaged: `forces` must be gradient for its `model`, got direct"),
        (lambda path, target: repacked(path, target, settings={"lmax": 1.0}), "is damaged: its `settings` are not those of its `model`"),
        (without_blocks, "is damaged: `model.n_blocks` is missing"),
        (of_another_shape, "is damaged: its weights are not those of its `model`: size mismatch for energy.last.bias"),
        (with_other_constants, "is damaged: its `constants.pairs` are not those of its `model`"),
    ],
)
def test_what_is_no_model_file_is_refused_in_words(path: Path, tmp_path: Path, make: Callable[[Path, Path], Path], words: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        read_model(make(path, tmp_path / "other.pt"))


def test_an_unknown_precision_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`dtype` must be one of float32, float64, got 'half'"):
        read_model(path, "half")
    with pytest.raises(ValueError, match="`dtype` must be one of float32, float64, got 'half'"):
        export_model(random_model(), tmp_path / "model.pt", dtype="half")


def test_an_export_that_fails_leaves_the_old_file(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.pt"
    target.write_text("precious")
    broken = random_model()
    with torch.no_grad():
        broken.energy.last.bias.fill_(float("nan"))
    with pytest.raises(ValueError, match="must be finite"):
        export_model(broken, target)
    assert target.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["model.pt"]


def test_the_file_is_a_plain_archive_of_torchscript(path: Path) -> None:
    """No pickle of Python objects outside TorchScript's own: loading it runs no Python."""
    names = zipfile.ZipFile(path).namelist()
    assert any(name.endswith("extra/spinconv.json") for name in names)
    with zipfile.ZipFile(path) as archive:
        pickles = b"".join(archive.read(name) for name in names if name.endswith(".pkl"))
    assert b"posix" not in pickles
    assert b"builtins" not in pickles


def test_energy_and_direct_forces_of_the_torchscript_begin_with_the_same_messages_once() -> None:
    """A convolution, and a GroupNorm after it, for each of two blocks and for the head; the numbers are the model's."""
    model = grid_model(forces="fixed", n_rotations=4)
    scripted = torch.jit.script(exported_model(model))
    atoms = ase.build.molecule("CH3CH2OH")
    scripted.numbers = torch.from_numpy(atoms.numbers)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        energy, forces = scripted.energy_and_forces(torch.from_numpy(atoms.positions / 10))
    assert sum(event.name == "aten::group_norm" for event in profile.events()) == 3
    expected = energy_and_forces(model, build_graph(atoms, model.cutoff, torch.float64))
    torch.testing.assert_close(energy / KJ_PER_MOL_PER_EV, expected.energies[0], rtol=1e-12, atol=0)
    torch.testing.assert_close(forces / KJ_PER_MOL_PER_EV / 10, expected.forces, rtol=1e-9, atol=1e-10)
