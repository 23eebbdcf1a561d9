"""Checkpoints of the trainer of OCP (2020 to 2023), and the grid models in them. Nothing of them is executed."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from spinconv.potential.grid.published import Published, Units, is_constant, published_model
from spinconv.potential.sealed import read_bounded
from spinconv.potential.training.checkpoint_checks import check_members
from spinconv.potential.words import in_one_line, shown

WHAT = "checkpoint of the trainer of OCP"
MODEL = "spinconv"
MOST_BYTES = 2 * 1024**3


class OcpCheckpoint(NamedTuple):
    """What a checkpoint of OCP says of a SpinConv."""

    arguments: dict[str, Any]
    """Of the model's constructor."""
    state: dict[str, torch.Tensor]
    """Weights by their names in the model, running averages where the trainer kept some: what the original predicts by."""
    units: Units
    about: dict[str, Any]
    """"epoch", "step" and "averaged", as far as they are said."""


def import_model(
    path: str | os.PathLike[str], elements: Sequence[int] | None = None, forces: str | None = None, gradient: str = "published"
) -> tuple[Published, OcpCheckpoint]:
    """The model in a checkpoint of OCP (see `published_model`); ValueError, in a sentence, for a file that holds none."""
    try:
        checkpoint = ocp_checkpoint(read_content(path))
        arguments, state, units, _ = checkpoint
        return published_model(arguments, state, units, elements=elements, forces=forces, gradient=gradient), checkpoint
    except ValueError as error:
        raise ValueError(f"`{os.fspath(path)}` {error}") from error


def read_content(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Everything in the file; ValueError where it is no such file, or would have to be executed to be read."""
    data = read_bounded(path, MOST_BYTES, "checkpoint")
    check_members(data)
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything from KeyError to UnpicklingError
        why = in_one_line(error).split("Please file")[0]
        raise ValueError(f"must be a {WHAT} of numbers, texts and tensors alone; torch cannot read it as one: {why}") from error
    if not isinstance(content, dict) or not {"state_dict", "config"} <= set(content):
        raise ValueError(f"must be a {WHAT}, with `state_dict` and `config`, is another program's")
    return content


def ocp_checkpoint(content: Mapping[str, Any]) -> OcpCheckpoint:
    """What the content says of a SpinConv; ValueError where it is of another model or lacks something."""
    state = weights(content["state_dict"])
    averages = content.get("ema") or {}
    if averages:
        state = averaged(state, averages.get("shadow_params") if isinstance(averages, dict) else None)
    about = {key: content[key] for key in ("epoch", "step") if isinstance(content.get(key), int | float)}
    about["averaged"] = bool(averages)
    return OcpCheckpoint(model_arguments(content["config"]), state, units_of(content.get("normalizers")), about)


def model_arguments(config: Any) -> dict[str, Any]:
    """The constructor arguments, which OCP wrote as `model` and `model_attributes`, and later as one section `model` with a `name`."""
    model = config.get("model") if isinstance(config, dict) else None
    attributes = config.get("model_attributes", {}) if isinstance(config, dict) else {}
    if isinstance(model, dict):
        attributes, model = model, model.get("name")
    if model != MODEL:
        raise ValueError(f"holds a model `{shown(model)}`, only `{MODEL}` can be imported")
    if not isinstance(attributes, dict) or not all(isinstance(name, str) for name in attributes):
        raise ValueError("must have the arguments of its model in `config.model_attributes`")
    return dict(attributes)


def weights(state: Any) -> dict[str, torch.Tensor]:
    """The weights without the prefixes `module.` of torch's parallel wrappers, one for each."""
    if not isinstance(state, dict) or not state or not all(isinstance(name, str) for name in state):
        raise ValueError("must have tensors by name in `state_dict`")
    names = list(state)
    while all(name.startswith("module.") for name in names):
        names = [name.removeprefix("module.") for name in names]
    bare = dict(zip(names, state.values(), strict=True))
    if odd := [name for name, value in bare.items() if type(value) is not torch.Tensor or value.layout != torch.strided]:
        raise ValueError(f"must have a tensor as `{odd[0]}` in `state_dict`, has {type(bare[odd[0]]).__name__}")
    return bare


def averaged(state: dict[str, torch.Tensor], averages: Any) -> dict[str, torch.Tensor]:
    """The weights with their running averages, which are in the order of the parameters."""
    names = [name for name in state if not is_constant(name)]
    if not isinstance(averages, list | tuple) or len(averages) != len(names):
        raise ValueError(f"must have a running average of each of its {len(names)} weights in `ema.shadow_params`")
    for name, average in zip(names, averages, strict=True):
        if type(average) is not torch.Tensor or average.shape != state[name].shape:
            raise ValueError(f"must have a running average of the shape of `{name}` in `ema.shadow_params`")
    return {**state, **dict(zip(names, averages, strict=True))}


def units_of(normalizers: Any) -> Units:
    """What the trainer multiplied outputs by, and added to them: `target` for energies, `grad_target` for forces."""
    if not normalizers:
        return Units()
    if not isinstance(normalizers, dict) or "target" not in normalizers:
        raise ValueError("must have `target` in `normalizers`")
    energy, offset = scale_and_mean(normalizers, "target")
    force, mean = scale_and_mean(normalizers, "grad_target") if "grad_target" in normalizers else (energy, 0.0)
    if mean != 0.0:
        raise ValueError(f"must have a `normalizers.grad_target.mean` of 0, got {mean}: no force has a mean of its own")
    return Units(energy, offset, force)


def scale_and_mean(normalizers: Mapping[str, Any], name: str) -> tuple[float, float]:
    """`std` and `mean` of a normaliser."""
    found = normalizers[name]
    try:
        scale, mean = float(found["std"]), float(found["mean"])
    except Exception as error:  # of whatever types its values are
        raise ValueError(f"must have numbers `mean` and `std` in `normalizers.{name}`") from error
    if not (math.isfinite(scale) and scale > 0 and math.isfinite(mean)):
        raise ValueError(f"must have a finite mean and a positive std in `normalizers.{name}`, got {mean} and {scale}")
    return scale, mean
