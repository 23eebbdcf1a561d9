"""Model files of format 2 for tests, and files that are none."""

import io
import struct
from pathlib import Path

import numpy as np
import torch
from ase.data import chemical_symbols

from models import ELEMENTS, random_model
from spinconv.export.container import pack, read_container
from spinconv.export.metadata import Metadata, Probe, make_metadata
from spinconv.export.module import ExportedModel
from spinconv.export.probe import make_probe
from spinconv.export.writer import stored_weights
from spinconv.potential import HarmonicSpinConv, ModelConfig
from spinconv.potential.sealed import seal

CONFIG = ModelConfig(elements=ELEMENTS, channels=16, n_blocks=2)
"""Of `random_model` as it comes."""


def metadata_of(model: HarmonicSpinConv, **changes: object) -> Metadata:
    symbols = [chemical_symbols[z] for z in model.config.elements]
    values = {
        "kind": "harmonic",
        "name": "random",
        "conservative": True,
        "dtype": "float32",
        "model": model.config.to_dict(),
        "reference_energies": dict(zip(symbols, model.reference_energies, strict=True)),
        "scale": model.scale,
        "average_neighbors": model.average_neighbors,
        "coverage": {"shortest_distances": {"H-H": 1.5, "H-C": 0.95}, "neighbors": {symbol: [1, 8] for symbol in symbols}},
        "training": {"data": {"train_file": "train.xyz", "n_train": 950}},
        "versions": {"torch": torch.__version__},
        "probe": make_probe(model, model.config.elements, model.cutoff).model_dump(),
    }
    return make_metadata({**values, **changes})


def packed(model: HarmonicSpinConv, **changes: object) -> bytes:
    """The model file of a model in float64, with these changes in what it says."""
    module = torch.jit.script(ExportedModel(model.requires_grad_(False)))
    return pack(module, metadata_of(model, **changes), stored_weights(model))


def repacked(path: Path, target: Path, *, weights: dict[str, np.ndarray] | None = None, **changes: object) -> Path:
    """A model file that says something else than `path`, or has other weights, under a seal that holds."""
    container = read_container(path)
    metadata = container.metadata.model_copy(update=changes)
    module = torch.jit.load(str(path))
    target.write_bytes(pack(module, metadata, {**container.weights, **(weights or {})}))
    return target


def astray(model: Path, target: Path) -> Path:
    """A model file whose energies overflow wherever an atom has a neighbour, which its probe does not show."""
    name = "blocks.0.to_message.last.bias"
    weights = {name: np.full_like(read_container(model).weights[name], 1e300)}
    return repacked(model, target, weights=weights, dtype="float32", probe=lone_atom(model))


def lone_atom(model: Path) -> Probe:
    """A probe that most of a network has no part in."""
    said = read_container(model).metadata
    return Probe(
        numbers=said.model.elements[:1], positions=[[0.0] * 3], energies=[said.reference_energies[said.elements[0]]], gradients=[[0.0] * 3]
    )


DATA = packed(random_model(weights_times=2.0))


# ---- what is none


def saved_again(data: bytes) -> bytes:
    """As torch does it: members are kept where they are asked for."""
    file, members = io.BytesIO(), {"spinconv.json": "", "weights.safetensors": ""}
    torch.jit.save(torch.jit.load(io.BytesIO(data), _extra_files=members), file, _extra_files=members)
    return file.getvalue()


def saved(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def other_torchscript() -> bytes:
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), file)
    return file.getvalue()


def of_format_1() -> bytes:
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), file, _extra_files={"spinconv.json": '{"format_version": 1}'})
    return file.getvalue()


def made(places: str) -> bytes:
    return seal(saved({"a": 1}), places)


def layout(header: str | bytes, data: bytes = b"\0" * 16) -> bytes:
    """The layout of safetensors, around a header made by hand."""
    text = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(text)) + text + data


TENSOR = '{"w":{"dtype":"%s","shape":%s,"data_offsets":%s}}'
WRONG_WEIGHTS = [
    b"",
    b"\1\0\0",
    layout("{}")[:8],
    struct.pack("<Q", 2**63) + b"{}",
    layout("not json"),
    layout("[1]"),
    layout('{"w":1}'),
    layout(TENSOR % ("F64", "[2]", "[0,17]")),
    layout(TENSOR % ("F64", "[2]", "[0,8]")),
    layout(TENSOR % ("F64", "[3]", "[0,16]")),
    layout(TENSOR % ("F64", "[2]", "[8,24]")),
    layout(TENSOR % ("F64", "[-2]", "[0,16]")),
    layout(TENSOR % ("F64", "[4611686018427387904,4,2]", "[0,16]")),
    layout(TENSOR % ("F32", "[4]", "[0,16]")),
    layout(TENSOR % ("BOOL", "[16]", "[0,16]")),
    layout(TENSOR % ("F64", "[2]", "[0,16]"), struct.pack("<dd", 1.0, float("nan"))),
]
