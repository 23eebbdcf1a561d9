"""Reads a model file in Python; the C++ twin for the engines is src/model.cpp with src/torch_evaluator.cpp. Nothing of the file is run."""

import math
import os
from typing import Any, NamedTuple

import torch

from spinconv.export.container import Container, read_container
from spinconv.export.metadata import Metadata
from spinconv.export.plain_torch import plain_torch
from spinconv.export.probe import check_probe
from spinconv.export.writer import DTYPES, own_settings
from spinconv.potential.kinds import forces_word, is_conservative, kind_named, model_from
from spinconv.potential.memory import keep_freed_memory
from spinconv.potential.model import PotentialModel

ROUNDING = 1e-9
"""Of constants that another machine computed; their sizes are of order 1."""


class ModelFile(NamedTuple):
    """A loaded model file."""

    module: PotentialModel
    """Has the method `energies(numbers, edge_index, vectors)`, in the precision asked for."""
    metadata: dict[str, Any]
    """What `spinconv.json` in the file says (`Metadata.plain`), and `weights_sha256`."""
    dtype: torch.dtype
    """The precision that the module computes in."""
    said: Metadata
    """The same, by its schema."""


@plain_torch()
def read_model(path: str | os.PathLike[str], dtype: str | None = None, device: str | torch.device = "cpu") -> ModelFile:
    """Loads a model file on `device` (as `usable_device` knows it), computing in `dtype` ("float32", "float64"; None: the file's own).

    Refuses with a ValueError what is no file of ours, of a format or kind unknown to this version, or damaged, and a machine that does not
    find the numbers of its probe; FileNotFoundError if there is none.
    """
    keep_freed_memory()
    device = usable_device(device)
    if dtype is not None and dtype not in DTYPES:
        raise ValueError(f"`dtype` must be one of {', '.join(DTYPES)}, got {dtype!r}")
    container = read_container(path)
    precision = DTYPES[dtype or container.metadata.dtype]
    module = network(container, os.fspath(path)).to(device=device, dtype=precision)
    file = ModelFile(module, {**container.metadata.plain(), "weights_sha256": container.weights_sha256}, precision, container.metadata)
    try:
        check_probe(module, precision, container.metadata)
    except ValueError as error:
        raise ValueError(f"`{os.fspath(path)}` {error}") from None
    return file


def network(container: Container, name: str) -> PotentialModel:
    """The network of a data part in float64, to be evaluated; ValueError where its weights are not those of its shape."""
    metadata = container.metadata
    try:
        kind = kind_named(metadata.kind)
    except ValueError as error:
        raise ValueError(f"`{name}` {error}") from None
    references = [metadata.reference_energies[symbol] for symbol in metadata.elements]
    try:
        model = model_from(kind, metadata.model.model_dump(), references, metadata.scale, metadata.average_neighbors).to(torch.float64)
    except (ValueError, TypeError) as error:
        raise ValueError(f"`{name}` is damaged: {error}; export it again") from None
    check_what_is_said(metadata, model, name)
    weights = {key: torch.from_numpy(values) for key, values in container.weights.items()}
    check_constants({key: weights.pop(key, None) for key in model.stored_constants()}, model, name)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"`{name}` is damaged: its weights are not those of its `model`: {reason}; export it again") from None
    return model.eval().requires_grad_(False)


def check_what_is_said(metadata: Metadata, model: PotentialModel, name: str) -> None:
    """Raises ValueError where a file says of its forces or of numbers of the equations what is not so for its `model`."""
    if kind_named(metadata.kind).has_stages and metadata.model.n_blocks is None:
        raise ValueError(f"`{name}` is damaged: `model.n_blocks` is missing; export it again")
    if metadata.conservative and not is_conservative(model.config):
        raise ValueError(f"`{name}` is damaged: `conservative` must be false for its `model`, got true; export it again")
    if metadata.forces != (forces := forces_word(model.config)):
        raise ValueError(f"`{name}` is damaged: `forces` must be {forces} for its `model`, got {metadata.forces}; export it again")
    mine, theirs = own_settings(model), metadata.settings
    if mine.keys() != theirs.keys() or not all(math.isclose(mine[key], theirs[key], rel_tol=ROUNDING) for key in mine):
        raise ValueError(f"`{name}` is damaged: its `settings` are not those of its `model`; export it again")


def check_constants(found: dict[str, torch.Tensor | None], model: PotentialModel, name: str) -> None:
    """Raises ValueError where constants, which the engines take from the file, are others than those of the equations."""
    for key, mine in model.stored_constants().items():
        theirs = found[key]
        if theirs is None or theirs.shape != mine.shape or not torch.allclose(theirs.double(), mine.double(), rtol=ROUNDING, atol=ROUNDING):
            raise ValueError(f"`{name}` is damaged: its `{key}` are not those of its `model`; export it again")


@plain_torch()
def usable_device(device: str | torch.device) -> torch.device:
    """The device of torch's name, or of "auto": CUDA where torch finds one, else the CPU.

    Raises ValueError for a device that this machine, or this torch, does not have.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device).item()  # a device may be known and have no numbers, as meta
        return torch.device(device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).strip().partition("\n")[0]
        raise ValueError(f"`device` must be one that torch can use here, got {str(device)!r}: {why}") from None
