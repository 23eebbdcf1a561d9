"""The keys of a config as rows of a table: key, type, default and sentence, all from the classes that check them."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import textwrap
import typing
from typing import Any, Literal

from pydantic import BaseModel

from spinconv.potential.config import KindConfig
from spinconv.potential.kinds import DEFAULT, KINDS


def keys_of(config: type[BaseModel]) -> list[tuple[str, str, str, str]]:
    """The rows of a config's keys; those of its section `model` are of the kinds of models."""
    rows = []
    for name, field in config.model_fields.items():
        if name == "model":
            rows += model_keys()
            continue
        inner = (
            field_at(config, [name, ""])[0] if name in ("data", "reference_energies", "pretrain", "loss", "optimizer", "schedule") else None
        )
        rows += [row(f"{name}.{n}", f) for n, f in inner.model_fields.items()] if inner else [row(name, field)]
    return rows


def model_keys() -> list[tuple[str, str, str, str]]:
    """The rows of the section `model`: which kind, and the fields of every kind's config, those that are alike once."""
    choice = ("model.sphere", words(Literal[tuple(KINDS)]), DEFAULT, "The kind of model; what is of one kind alone begins with its name.")
    elements = ("model.elements", "list of symbols", "those in the data", "Chemical elements that the model knows.")
    kinds_of: dict[tuple[str, str, str, str], list[str]] = {}
    for kind in KINDS.values():
        for found in field_rows(kind.config_class):
            kinds_of.setdefault(found, []).append(kind.name)
    shared = {key for (key, *_), kinds in kinds_of.items() if key == "model.cutoff" and len(kinds) == len(KINDS)}
    return [choice, elements] + [
        (key, kind, default, sentence if key in shared else f"{', '.join(kinds)}: {sentence}")
        for (key, kind, default, sentence), kinds in kinds_of.items()
    ]


def field_rows(config: type[KindConfig]) -> list[tuple[str, str, str, str]]:
    """The rows of a kind's fields other than `elements`, with the sentences that stand below them in its class or those it is based on."""
    types, sentences = typing.get_type_hints(config), {}
    for base in reversed(config.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
        for field, text in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                sentences[field.target.id] = " ".join(str(text.value.value).split())  # type: ignore[union-attr]
    fields = [f for f in dataclasses.fields(config) if f.name != "elements"]
    return [(f"model.{f.name}", words(types[f.name]), default_words(f.default), sentences[f.name]) for f in fields]


def row(key: str, field: Any) -> tuple[str, str, str, str]:
    kind = {
        "train": "path, or list of paths",
        "test": "path, or list of paths",
        "extra": "path, or list of paths",
        "validation": "path(s), number or fraction",
        "max_time": "time",
        "units": "unit, or `energy` and `length`",
    }.get(key.split(".")[-1])
    if kind is None:
        kinds = (
            [field.annotation]
            if typing.get_origin(field.annotation) is Literal
            else typing.get_args(field.annotation) or [field.annotation]
        )
        kind = ", ".join(words(k) for k in kinds if k is not type(None))
    default = "required" if field.is_required() else default_words(field.get_default(call_default_factory=True))
    return key, kind, default, field.description


def default_words(value: Any) -> str:
    if value is None or isinstance(value, dict):
        return "-"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def words(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return " \\| ".join(map(str, typing.get_args(kind)))
    if typing.get_origin(kind) is tuple:
        return "list"
    return {int: "whole number", float: "number", str: "text", bool: "true or false"}.get(kind, "mapping")


def field_at(config: type[BaseModel], where: list[str]) -> tuple[type[BaseModel], str]:
    """The section and the name of the field at a chain of keys of a config."""
    section = config
    for part in where[:-1]:
        kinds = typing.get_args(section.model_fields[part].annotation) or (section.model_fields[part].annotation,)
        section = next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return section, where[-1]
