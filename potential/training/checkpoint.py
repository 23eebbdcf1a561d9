"""Checkpoints: plain numbers, lists, texts and tensors, so that torch.load(weights_only=True) reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from spinconv.potential.config import ModelConfig
from spinconv.potential.harmonic.model import HarmonicSpinConv
from spinconv.potential.training.metrics import ErrorFigure

FORMAT = 1
KEY = "spinconv"


class Checkpoint(NamedTuple):
    """A trained model and what is known of its training."""

    model: HarmonicSpinConv
    metadata: dict[str, Any]
    """"config" (fields of ModelConfig), "dtype", "coverage" (`Coverage.to_dict`; None in a checkpoint of before it was kept),
    "training" (data, errors, epoch, ...)."""


def model_state(
    model: HarmonicSpinConv, config: ModelConfig, weights: Mapping[str, torch.Tensor], coverage: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """All that makes the model again, architecture, constants of the training set, weights, and what it has seen (`Coverage.to_dict`)."""
    return {
        "format": FORMAT,
        "kind": "harmonic",
        "config": config.to_dict(),
        "reference_energies": list(model.reference_energies),
        "scale": model.scale,
        "average_neighbors": model.average_neighbors,
        "coverage": None if coverage is None else dict(coverage),
        "weights": {name: weight.detach().cpu().clone() for name, weight in weights.items()},
    }


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """The model in a checkpoint, with its averaged weights, in the precision it was trained in.

    Raises FileNotFoundError, or ValueError saying why a file is none of ours.
    """
    state = read_checkpoint(path)[KEY]
    dtype = next(weight.dtype for weight in state["weights"].values() if weight.is_floating_point())
    model = HarmonicSpinConv(
        ModelConfig.from_dict(state["config"]), state["reference_energies"], state["scale"], state["average_neighbors"]
    )
    model.to(torch.float64).to(dtype)
    model.load_state_dict(state["weights"])
    metadata = {
        "config": state["config"],
        "dtype": str(dtype).removeprefix("torch."),
        "coverage": state.get("coverage"),
        "training": state["training"],
    }
    return Checkpoint(model.eval(), metadata)


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Everything in a checkpoint file, as it stands there."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything from KeyError to UnpicklingError
        raise ValueError(f"{path}: must be a checkpoint of `spinconv train`; torch cannot read it as one") from error
    if not isinstance(content, dict) or KEY not in content:
        raise ValueError(f"{path}: must be a checkpoint of `spinconv train`; this is another program's")
    if content[KEY]["format"] != FORMAT:
        raise ValueError(f"{path}: was written for format {content[KEY]['format']}, this spinconv reads {FORMAT}")
    return content


def keep_test_errors(path: str | os.PathLike[str], figures: Sequence[ErrorFigure], n_frames: int) -> None:
    """Writes errors on test frames into a checkpoint, so that the model that is exported from it can tell them."""
    content = read_checkpoint(path)
    content[KEY]["training"]["test"] = {"n_frames": n_frames, "errors": [figure._asdict() for figure in figures]}
    whole = Path(path).with_name(Path(path).name + ".part")
    torch.save(content, whole)
    whole.replace(path)
