"""Whether what stands in a checkpoint can be a model: types and sizes, before anything is made of them."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import torch

from spinconv.potential.config import KindConfig
from spinconv.potential.coverage import Coverage
from spinconv.potential.kinds import Kind, kind_named

PRECISIONS = (torch.float32, torch.float64)
SECTIONS: dict[str, type] = {
    "config": dict,
    "reference_energies": list,
    "scale": float,
    "average_neighbors": float,
    "weights": dict,
    "training": dict,
}
OF_TRAINING: dict[str, type] = {"data": dict, "settings": dict, "epoch": int, "validation": dict}


def check_members(data: bytes) -> None:
    """Raises ValueError for an archive whose members are packed or more than the file: unpacked they could be of any size."""
    try:
        members = zipfile.ZipFile(BytesIO(data)).infolist()
    except Exception as error:  # a made-up directory makes zipfile raise anything
        raise ValueError("is no zip archive") from error
    if any(member.compress_type != zipfile.ZIP_STORED for member in members) or sum(member.file_size for member in members) > len(data):
        raise ValueError("has packed members, which `spinconv train` does not write")


def check_content(content: Any) -> None:
    """Raises ValueError unless a checkpoint's section of spinconv has everything, each of its type, and weights of a size that is there."""
    check_sections(content, SECTIONS, "")
    said = {name: kind for name, kind in OF_TRAINING.items() if name in content["training"]}
    check_sections(content["training"], said, "training.")
    kind = kind_named(content.get("kind"))
    constants = [*content["reference_energies"], content["scale"], content["average_neighbors"]]
    if not all(isinstance(value, float) and math.isfinite(value) for value in constants) or content["average_neighbors"] <= 0:
        raise ValueError("is damaged: its `reference_energies`, `scale` and `average_neighbors` must be finite numbers")
    check_weights(content["weights"])
    check_sizes(config_of(kind, content["config"]), content["weights"])
    if content.get("coverage") is not None:
        check_coverage(content["coverage"], content["config"])


def config_of(kind: Kind, values: dict[str, Any]) -> KindConfig:
    """The architecture; ValueError where it can be none."""
    try:
        return kind.config_class.from_dict(values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"is damaged: {error}") from error


def check_sections(values: Any, types: Mapping[str, type], where: str) -> None:
    """Raises ValueError where a section is missing or of another type."""
    for name, kind in types.items():
        if not isinstance(values, dict) or not isinstance(values.get(name), kind):
            raise ValueError(f"is damaged: its section `{where}{name}` is missing or of another type")


def check_weights(weights: Mapping[Any, Any]) -> None:
    """Raises ValueError for weights that are no plain tensors of one precision, or views of fewer numbers than they say."""
    tensors = list(weights.values())
    plain = all(type(w) is torch.Tensor and w.layout == torch.strided and w.device.type == "cpu" and w.is_contiguous() for w in tensors)
    if not plain or not all(isinstance(name, str) for name in weights):
        raise ValueError("is damaged: its `weights` must be tensors by name")
    if len({w.dtype for w in tensors}) != 1 or tensors[0].dtype not in PRECISIONS:
        raise ValueError("is damaged: its `weights` must all be float32 or all float64")
    storages = {w.untyped_storage().data_ptr(): w.untyped_storage().nbytes() for w in tensors}
    if sum(w.numel() * w.element_size() for w in tensors) > sum(storages.values()):
        raise ValueError("is damaged: its `weights` share their numbers")


def check_sizes(config: KindConfig, weights: Mapping[str, torch.Tensor]) -> None:
    """Raises ValueError for a config of more learned numbers than there are, before a model of any size is made."""
    least, there = config.least_weights(), sum(weight.numel() for weight in weights.values())
    if least > there:
        raise ValueError(f"is damaged: a model of its `config` has at least {least} weights, it has {there}")


def check_coverage(coverage: Any, config: Mapping[str, Any]) -> None:
    """Raises ValueError for a `coverage` that cannot be read for the elements of the config."""
    try:
        Coverage.from_dict(coverage, config["elements"])
    except Exception as error:  # of whatever types its values are
        raise ValueError("is damaged: its `coverage` is not of its elements") from error
