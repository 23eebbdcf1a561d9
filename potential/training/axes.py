"""The axes of an ablation: what of a model is changed while all else of a config stays as it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from spinconv.potential.config import KindConfig
from spinconv.potential.training.config import Config, ConfigError, check_config, kind_of_section, model_config, parsed

KEPT = ("elements", "cutoff", "n_blocks", "channels")
"""Of the section `model`, what means the same in every kind."""


class Axis(NamedTuple):
    """A row: fields of the section `model` that are varied together."""

    fields: tuple[str, ...]
    """What a value sets; that of several fields has an x between its parts."""
    values: tuple[str, ...]
    """Those that are tried where none are named."""
    beside: Mapping[str, Any] = {}
    """Fields that are set too, in kinds that have them."""
    where: Mapping[str, Any] = {}
    """Fields of the config itself without which the axis changes nothing."""


AXES = {
    "sphere": Axis(("sphere",), ("harmonic", "grid")),
    "forces": Axis(("forces",), ("gradient", "random")),
    "gradient": Axis(("gradient",), ("intact", "published"), where={"forces": "gradient"}),
    "envelope": Axis(("envelope",), ("true", "false")),
    "blocks": Axis(("n_blocks",), ("1", "2", "3")),
    "lmax": Axis(("lmax",), ("1", "2", "3"), beside={"convolution": "harmonics"}),
    "grid": Axis(("n_latitude", "n_longitude"), ("8x6", "16x12")),
}


class Variant(NamedTuple):
    """A config that differs from the first one in an axis alone; `base` is that first one."""

    axis: str
    value: str
    config: Config

    @property
    def name(self) -> str:
        """Of its folder and of its row."""
        return f"{self.axis}-{self.value}" if self.value else self.axis


def variants(config: Config, name: str, wanted: Sequence[str] = ()) -> list[Variant]:
    """The config and its variants along the axes that are wanted, "blocks", "sphere,forces" or "blocks=1,2,4"; along every axis that its
    kind of model has, where none are. ConfigError, with the name of the config, where one cannot be."""
    asked = asked_for(wanted)
    for axis in asked:
        if (why := meaningless(config, name, axis)) is not None:
            raise ConfigError(f"{name}: `--axis {axis}` {why}; of this config are {', '.join(meant(config, name))}")
    found = {"base": Variant("base", "", config)}
    for axis, values in (asked or dict.fromkeys(meant(config, name), ())).items():
        others = [variant(config, name, axis, value) for value in values or AXES[axis].values]
        others = [other for other in others if architecture(other.config, name) != architecture(config, name)]
        if not others:
            raise ConfigError(f"{name}: `--axis {axis}={','.join(values)}` is what the config has; name other values")
        found |= {other.name: other for other in others}
    return list(found.values())


def asked_for(wanted: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The axes that are named, each with its values if any are."""
    asked: dict[str, tuple[str, ...]] = {}
    for text in wanted:
        names, equals, values = text.partition("=")
        for axis in words(names):
            if axis not in AXES:
                raise ConfigError(f"`--axis` must be of {', '.join(AXES)}, got {axis!r}")
            asked[axis] = asked.get(axis, ()) + words(values)
        if equals and (len(words(names)) != 1 or not words(values)):
            raise ConfigError(f"`--axis` wants names, sphere,blocks, or a name and its values, blocks=1,2,4; got {text!r}")
    if wanted and not asked:
        raise ConfigError(f"`--axis` must be of {', '.join(AXES)}, got {wanted[0]!r}")
    return asked


def words(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(word for part in text.split(",") if (word := part.strip()))


def meant(config: Config, name: str) -> list[str]:
    """The axes along which a model of this config can be varied."""
    return [axis for axis in AXES if meaningless(config, name, axis) is None]


def meaningless(config: Config, name: str, axis: str) -> str | None:
    """Why an axis changes nothing of a model of this config; None where it does."""
    ours, row = architecture(config, name), AXES[axis]
    kind = kind_of_section(config.model, name).name
    missing = [field for field in row.fields if field not in ("sphere", *field_names(ours))]
    if missing:
        return f"means nothing for `model.sphere: {kind}`, which has no `{missing[0]}`"
    other = [field for field, value in row.where.items() if getattr(ours, field) != value]
    return f"means nothing for `model.{other[0]}: {getattr(ours, other[0])}`" if other else None


def variant(config: Config, name: str, axis: str, value: str) -> Variant:
    """The config with a value of an axis in place of its own; ConfigError where there is no such model."""
    row = AXES[axis]
    parts = value.split("x") if len(row.fields) > 1 else [value]
    if len(parts) != len(row.fields):
        raise ConfigError(f"{name}: `--axis {axis}` takes values such as {row.values[0]}, got {value!r}")
    try:
        new = dict(zip(row.fields, map(parsed, parts), strict=True))
    except yaml.YAMLError:
        raise ConfigError(f"{name}: `--axis {axis}` takes values such as {row.values[0]}, got {value!r}") from None
    ours = kind_of_section(config.model, name).name
    kept = {key: setting for key, setting in config.model.items() if new.get("sphere", ours) == ours or key in KEPT}
    beside = {field: setting for field, setting in row.beside.items() if field in field_names(architecture(config, name))}
    whose = f"{name}, {axis}-{value}"
    found = Variant(axis, value, check_config({**config.model_dump(), "model": {**kept, **beside, **new}}, whose))
    architecture(found.config, whose)
    return found


def architecture(config: Config, name: str) -> KindConfig:
    """What the section `model` says, whatever the elements; ConfigError where that is no model."""
    return model_config(config, [1], name)


def field_names(config: KindConfig) -> list[str]:
    return [field.name for field in dataclasses.fields(config)]
