"""Writes the one file that every engine reads, and that says of itself what it is."""

import copy
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols

from spinconv.export.container import pack
from spinconv.export.metadata import Metadata, make_metadata
from spinconv.export.module import ExportedModel, exported_model
from spinconv.export.probe import make_probe
from spinconv.potential.kinds import forces_word, is_conservative, kind_of
from spinconv.potential.model import PotentialModel
from spinconv.potential.safe_write import write_file

DTYPES = {"float32": torch.float32, "float64": torch.float64}
CITATION = "M. Shuaibi et al., Rotation Invariant Graph Neural Networks using Spin Convolutions, arXiv:2106.09575 (2021)"


def export_model(
    model: PotentialModel,
    path: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    training: dict[str, Any] | None = None,
    coverage: dict[str, Any] | None = None,
    name: str = "",
    licence: str = "",
) -> dict[str, Any]:
    """Writes `model` to `path` and returns the metadata that went with it (`Metadata.plain`).

    Weights are stored in float64, whatever they were trained in: a float32 number is one exactly, and constants keep all their
    digits. `dtype` is the precision in which engines compute unless told otherwise. `coverage` is what `Coverage.to_dict` says of the
    training frames: engines warn of structures outside. An existing file is replaced only once the new one is complete.
    """
    if dtype not in DTYPES:
        raise ValueError(f"`dtype` must be one of {', '.join(DTYPES)}, got {dtype!r}")
    exact = copy.deepcopy(model).to(torch.float64).eval().requires_grad_(False)
    check_is_finite(exact)
    config = model.config.to_dict()
    metadata = make_metadata(
        {
            "kind": kind_of(model.config).name,
            "name": name or Path(path).stem,
            "conservative": is_conservative(model.config),
            "forces": forces_word(model.config),
            "dtype": dtype,
            "model": config,
            "reference_energies": dict(zip((chemical_symbols[z] for z in config["elements"]), model.reference_energies, strict=True)),
            "scale": model.scale,
            "average_neighbors": model.average_neighbors,
            "settings": own_settings(model),
            "training": training or {},
            "coverage": coverage,
            "licence": licence,
            "citation": CITATION,
            "versions": {"spinconv": version("spinconv"), "torch": str(torch.__version__)},
            "probe": make_probe(exact, config["elements"], config["cutoff"]).model_dump(),
        }
    )
    write_model_file(path, exact, exported_model(exact), metadata)
    return metadata.plain()


def own_settings(model: PotentialModel) -> dict[str, float]:
    """The numbers that the equations of a kind ask for beside those that every file says of its model."""
    said = {*model.shared_settings(), "n_blocks"}
    return {name: value for name, value in model.settings().items() if name not in said}


def check_is_finite(model: PotentialModel) -> None:
    """Raises ValueError for a model that can compute no number."""
    for name, value in model.state_dict().items():
        if not torch.isfinite(value).all():
            raise ValueError(f"`{name}` of the model must be finite numbers: its training went astray; export another checkpoint")


def write_model_file(path: str | os.PathLike[str], exact: PotentialModel, exported: ExportedModel, metadata: Metadata) -> None:
    """The file of a float64 model and of what TorchScript is to hold of it."""
    write_file(path, pack(torch.jit.script(exported), metadata, stored_weights(exact)))


def stored_weights(model: PotentialModel) -> dict[str, np.ndarray]:
    """What the data part holds: what training decided, and the constants that engines would have to compute."""
    stored = {**model.state_dict(), **model.stored_constants()}
    return {name: value.detach().cpu().numpy() for name, value in stored.items()}
