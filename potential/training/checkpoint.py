"""Checkpoints: plain numbers, lists, texts and tensors, so that torch.load(weights_only=True) reads them."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from spinconv.potential.config import KindConfig
from spinconv.potential.kinds import is_conservative, kind_named, kind_of, model_from
from spinconv.potential.model import PotentialModel
from spinconv.potential.safe_write import write_file
from spinconv.potential.sealed import open_sealed, read_bounded, seal
from spinconv.potential.training.checkpoint_checks import check_content, check_members
from spinconv.potential.training.metrics import ErrorFigure

FORMAT = 2
KEY = "spinconv"
NOTE = "checkpoint"
WHAT = "checkpoint of `spinconv train`"
MOST_BYTES = 2 * 1024**3


class Checkpoint(NamedTuple):
    """A trained model and what is known of its training."""

    model: PotentialModel
    metadata: dict[str, Any]
    """"kind", "config" (fields of its config), "conservative", "dtype", "coverage" (`Coverage.to_dict`; None in a checkpoint of before it
    was kept), "training" (data, errors, epoch, ...)."""


def model_state(
    model: PotentialModel, config: KindConfig, weights: Mapping[str, torch.Tensor], coverage: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """All that makes the model again, architecture, constants of the training set, weights, and what it has seen (`Coverage.to_dict`)."""
    return {
        "format": FORMAT,
        "kind": kind_of(config).name,
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
    try:
        model = model_of(state)
    except ValueError as error:
        raise ValueError(f"`{path}` is damaged: {error}") from error
    metadata = {
        "kind": state["kind"],
        "config": state["config"],
        "conservative": is_conservative(model.config),
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
        "coverage": state.get("coverage"),
        "training": state["training"],
    }
    return Checkpoint(model.eval(), metadata)


def model_of(state: Mapping[str, Any]) -> PotentialModel:
    """The inverse of `model_state`; ValueError where config, constants and weights do not fit each other."""
    kind, weights = kind_named(state["kind"]), state["weights"]
    model = model_from(kind, state["config"], state["reference_energies"], state["scale"], state["average_neighbors"])
    model.to(torch.float64).to(next(iter(weights.values())).dtype)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:  # names and shapes, a line for each
        raise ValueError("its weights are not those of its `config`") from error
    return model


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Everything in a checkpoint file, as it stands there; nothing of it is unpickled before its seal has been found whole."""
    data = read_bounded(path, MOST_BYTES, "checkpoint")
    if open_sealed(data, os.fspath(path), WHAT) != NOTE:
        raise ValueError(f"`{path}` must be a {WHAT}, is another file of spinconv")
    try:
        check_members(data)
        content = unpickle(data)
        if not isinstance(content, dict) or not isinstance(content.get(KEY), dict):
            raise ValueError(f"must be a {WHAT}, is another program's")
        if content[KEY].get("format") != FORMAT:
            raise ValueError(
                f"was written for format {content[KEY].get('format')!r} of another spinconv, whose network is another; "
                f"this one reads format {FORMAT}: train again"
            )
        check_content(content[KEY])
    except ValueError as error:
        raise ValueError(f"`{path}` {error}") from error
    return content


def unpickle(data: bytes) -> Any:
    """What torch.save made `data` of: numbers, texts, lists, dictionaries and tensors alone."""
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything from KeyError to UnpicklingError
        raise ValueError(f"must be a {WHAT}; torch cannot read it as one") from error


def write_checkpoint(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Writes a checkpoint file under its seal; WriteError where that cannot be done."""
    archive = io.BytesIO()
    torch.save(dict(content), archive)
    write_file(path, seal(archive.getvalue(), NOTE))


def keep_test_errors(path: str | os.PathLike[str], figures: Sequence[ErrorFigure], n_frames: int) -> None:
    """Writes errors on test frames into a checkpoint, so that the model that is exported from it can tell them."""
    content = read_checkpoint(path)
    content[KEY]["training"]["test"] = {"n_frames": n_frames, "errors": [figure._asdict() for figure in figures]}
    write_checkpoint(path, content)
