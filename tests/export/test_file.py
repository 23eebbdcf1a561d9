"""The exported file: what it says, what it refuses, and that it is the model."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import ase
import pytest
import torch
from structures import STRUCTURES

from models import ELEMENTS, random_model
from spinconv.export import export_model, read_model
from spinconv.export.writer import METADATA_FILE
from spinconv.potential import ModelConfig, build_graph, energy_and_forces

CONFIG = ModelConfig(elements=ELEMENTS, channels=16, n_blocks=2)


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


def test_stage_by_stage_is_the_whole(path: Path) -> None:
    module = read_model(path, "float64").module
    graph = build_graph(STRUCTURES["ethanol"](), 5.0, torch.float64)
    j, i = graph.edge_index
    numbers_j, numbers_i = graph.numbers[j], graph.numbers[i]
    geometry, t, m = module.edges(graph.vectors, numbers_j, numbers_i)
    for k in range(module.n_blocks):
        moments = module.moments(k, m, geometry, i, len(graph.numbers))
        m = module.mix(k, module.spin(k, moments, geometry, j), m, t, numbers_j, numbers_i)
    energies = module.readout(module.sums(m, geometry, i, len(graph.numbers)), graph.numbers)
    torch.testing.assert_close(energies, module.energies(*graph[:3]), rtol=0, atol=1e-11)


def test_weights_of_single_precision_survive_to_the_last_bit(tmp_path: Path) -> None:
    model = random_model(dtype=torch.float32)
    export_model(model, tmp_path / "model.pt")
    for dtype in ("float32", "float64"):
        read = dict(read_model(tmp_path / "model.pt", dtype).module.named_parameters())
        for name, value in model.named_parameters():
            assert torch.equal(read[f"model.{name}"].to(torch.float32), value), name


def test_large_reference_energies_keep_their_digits_in_single_precision(path: Path) -> None:
    graph = build_graph(ase.Atoms("Cu"), 5.0, torch.float32)
    assert float(read_model(path, "float32").module.energies(*graph[:3])) == -13.6057 * 29**2  # not a float32


def test_the_file_says_what_it_is(path: Path) -> None:
    file = read_model(path)
    assert file.metadata["elements"] == ["H", "C", "O", "Cu"]
    assert file.metadata["training"] == {"data": "random"}
    assert file.metadata["licence"] == "MIT"
    for name in ("format_version", "kind", "cutoff", "conservative", "dtype", "n_blocks"):  # what C++ reads and what people read
        assert getattr(file.module, name) == file.metadata[name]
    assert file.module.elements == list(ELEMENTS)
    assert file.dtype == torch.float32


def test_dtype_of_the_file_is_that_of_the_export(tmp_path: Path) -> None:
    export_model(random_model(), tmp_path / "model.pt", dtype="float64")
    assert read_model(tmp_path / "model.pt").dtype == torch.float64


def changed_metadata(path: Path, target: Path, **changes: object) -> Path:
    extra = {METADATA_FILE: ""}
    module = torch.jit.load(str(path), _extra_files=extra)
    torch.jit.save(module, str(target), _extra_files={METADATA_FILE: json.dumps({**json.loads(extra[METADATA_FILE]), **changes})})
    return target


def other_torchscript(path: Path, target: Path) -> Path:
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), str(target))
    return target


def truncated(path: Path, target: Path) -> Path:
    target.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return target


def damaged(path: Path, target: Path) -> Path:
    """One weight changed, the archive intact."""
    extra = {METADATA_FILE: ""}
    module = torch.jit.load(str(path), _extra_files=extra)
    with torch.no_grad():
        next(module.parameters()).view(-1)[0] += 1e-6
    torch.jit.save(module, str(target), _extra_files=extra)
    return target


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path, target: target, "there is no such model file"),
        (truncated, "must be a model file written by `spinconv export`; torch could not read it"),
        (lambda path, target: target.write_text("x") and target, "must be a model file written by `spinconv export`"),
        (other_torchscript, "got a TorchScript file without spinconv.json"),
        (
            lambda path, target: changed_metadata(path, target, format_version=3),
            "was written for format 3, this spinconv reads 1; export it again",
        ),
        (lambda path, target: changed_metadata(path, target, kind="grid"), "holds a model of kind 'grid', this spinconv knows harmonic"),
        (damaged, "is damaged: its weights do not have the hash written in it"),
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
    with pytest.raises(RuntimeError):
        export_model(random_model(lmax=2), target)  # weights of another model
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
