"""Reads a model file in Python; the C++ twin for the engines is src/model.cpp."""

import json
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from ase.data import atomic_numbers

from spinconv.export.memory import keep_freed_memory
from spinconv.export.module import FORMAT_VERSION
from spinconv.export.plain_torch import plain_torch
from spinconv.export.writer import DTYPES, METADATA_FILE, weights_hash
from spinconv.potential import HarmonicSpinConv, ModelConfig
from spinconv.potential.coverage import Coverage

KINDS = ("harmonic",)


class ModelFile(NamedTuple):
    """A loaded model file."""

    module: torch.jit.ScriptModule
    """Has the method `energies(numbers, edge_index, vectors)` and its stages, in the precision asked for."""
    metadata: dict[str, Any]
    """What `spinconv.json` in the file says."""
    dtype: torch.dtype
    """The precision that the module computes in."""


@plain_torch()
def read_model(path: str | os.PathLike[str], dtype: str | None = None, device: str | torch.device = "cpu") -> ModelFile:
    """Loads a model file on `device` (torch's name), computing in `dtype` ("float32", "float64"; None: the file's own).

    Refuses with a ValueError what is no file of ours, of a format or kind unknown to this version, or damaged; FileNotFoundError if
    there is none.
    """
    keep_freed_memory()
    path = Path(path)
    check_device(device)
    if dtype is not None and dtype not in DTYPES:
        raise ValueError(f"`dtype` must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if not path.is_file():
        raise FileNotFoundError(f"`{path}`: there is no such model file")
    extra = {METADATA_FILE: ""}
    try:
        module = torch.jit.load(str(path), map_location=device, _extra_files=extra)
    except RuntimeError as error:
        raise ValueError(f"`{path}` must be a model file written by `spinconv export`; torch could not read it as one") from error
    if not extra[METADATA_FILE]:
        raise ValueError(f"`{path}` must be a model file written by `spinconv export`, got a TorchScript file without {METADATA_FILE}")
    metadata = json.loads(extra[METADATA_FILE])
    if metadata["format_version"] != FORMAT_VERSION:
        raise ValueError(
            f"`{path}` was written for format {metadata['format_version']}, this spinconv reads {FORMAT_VERSION}; "
            "export it again with this spinconv"
        )
    if metadata["kind"] not in KINDS:
        raise ValueError(f"`{path}` holds a model of kind {metadata['kind']!r}, this spinconv knows {', '.join(KINDS)}")
    check_sizes(module, metadata, path)
    if weights_hash(module) != metadata["weights_sha256"]:
        raise ValueError(f"`{path}` is damaged: its weights do not have the hash written in it; export it again")
    precision = DTYPES[dtype or metadata["dtype"]]
    return ModelFile(module.to(precision).eval(), metadata, precision)


def check_device(device: str | torch.device) -> None:
    """Raises ValueError for a device that this machine, or this torch, does not have."""
    try:
        torch.zeros(1, device=device).item()  # a device may be known and have no numbers, as meta
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).strip().partition("\n")[0]
        raise ValueError(f"`device` must be one that torch can use here, got {str(device)!r}: {why}") from None


def check_is_conservative(file: ModelFile, path: str | os.PathLike[str], nonconservative: bool = False) -> None:
    """Raises ValueError for a model whose forces are not the gradient of its energy, unless it was asked for by name."""
    if not file.metadata["conservative"] and not nonconservative:
        raise ValueError(
            f"the forces of `{path}` are not the gradient of its energy, which will not be conserved; say nonconservative=True to have that"
        )


def check_sizes(module: torch.jit.ScriptModule, metadata: dict[str, Any], path: Path) -> None:
    """Raises ValueError where a cutoff or a number of blocks is not that of the network: it runs with others too, and is wrong then."""
    cutoff, n_blocks = metadata["cutoff"], metadata["model"]["n_blocks"]
    if not 0 < cutoff < math.inf:
        raise ValueError(f"`{path}` is damaged: its `cutoff` must be positive (Å), got {cutoff}; export it again")
    network = (module.model.cutoff, len(list(module.model.blocks.children())))
    said = {(cutoff, n_blocks), (metadata["model"]["cutoff"], n_blocks), (module.cutoff, module.n_blocks), (cutoff, module.model.n_blocks)}
    if said != {network}:
        raise ValueError(
            f"`{path}` is damaged: it says `n_blocks` {n_blocks} and `cutoff` {cutoff}, its network has others; export it again"
        )


def coverage_of_file(metadata: dict[str, Any]) -> Coverage | None:
    """What the training frames looked like around an atom; None where the file does not say, as those written before it could."""
    values = metadata.get("coverage")
    return None if values is None else Coverage.from_dict(values, [atomic_numbers[symbol] for symbol in metadata["elements"]])


def eager_model(file: ModelFile) -> HarmonicSpinConv:
    """The network in a model file as plain PyTorch, in float64."""
    metadata = file.metadata
    references = [metadata["reference_energies"][symbol] for symbol in metadata["elements"]]
    config = ModelConfig.from_dict(metadata["model"])
    model = HarmonicSpinConv(config, references, metadata["scale"], metadata["average_neighbors"]).to(torch.float64)
    model.load_state_dict({name.removeprefix("model."): value for name, value in file.module.named_parameters()})
    return model.eval()
