"""What a model file says of itself: the schema of its spinconv.json, in which every thing is said once.

What decides a number is checked to the last field; `training` says freely what is only printed. The C++ twin is src/metadata.cpp.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from ase.data import chemical_symbols
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spinconv.potential.training.config_errors import sentence

FORMAT_VERSION = 2
METADATA_FILE = "spinconv.json"
PRECISIONS = ("float32", "float64")
"""What a model can compute in."""

AtomicNumber = Annotated[int, Field(ge=1, le=118)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Vector = Annotated[list[float], Field(min_length=3, max_length=3)]


class Section(BaseModel):
    """Numbers are finite, no key is unknown, nothing is converted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Units(Section):
    """Of all numbers in the file."""

    length: Literal["angstrom"] = "angstrom"
    energy: Literal["eV"] = "eV"


class Architecture(BaseModel):
    """What every kind of model has, and blocks where it has some; the rest is the fields of its own config, which checks them."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, allow_inf_nan=False)

    elements: Annotated[list[AtomicNumber], Field(min_length=1, description="the atomic numbers that the model knows")]
    cutoff: Annotated[Positive, Field(description="the distance (Å) from which on two atoms are no neighbours")]
    n_blocks: Annotated[int, Field(ge=1, le=16)] | None = Field(None, description="the number of blocks", exclude_if=lambda n: n is None)

    @model_validator(mode="after")
    def elements_ascend(self) -> Architecture:
        if self.elements != sorted(set(self.elements)):
            raise ValueError(f"must have `elements` in ascending order without repetition, got {self.elements}")
        return self


class Seen(Section):
    """What the training frames looked like around an atom (`Coverage.to_dict`)."""

    shortest_distances: Annotated[dict[str, NotNegative], Field(description="the shortest distance (Å) of every pair of elements")]
    neighbors: Annotated[
        dict[str, Annotated[list[Count], Field(min_length=2, max_length=2)]],
        Field(description="least and most neighbours of every element"),
    ]


class Probe(Section):
    """A small free cluster and what the model computes for it in float64: a reader that gets other numbers is wrong."""

    numbers: Annotated[list[AtomicNumber], Field(min_length=1, max_length=1000, description="atomic numbers of its atoms")]
    positions: Annotated[list[Vector], Field(description="positions of its atoms (Å)")]
    energies: Annotated[list[float], Field(description="energies of its atoms (eV)")]
    gradients: Annotated[list[Vector], Field(description="derivatives of its energy with respect to the positions (eV/Å)")]

    @model_validator(mode="after")
    def one_row_an_atom(self) -> Probe:
        for name in ("positions", "energies", "gradients"):
            if (n := len(getattr(self, name))) != len(self.numbers):
                raise ValueError(f"must have `{name}` of each of its {len(self.numbers)} atoms, got {n}")
        return self


class Bound(Section):
    """The atoms that a file for TorchForce belongs to."""

    particles: list[Count] | None
    numbers: Annotated[list[AtomicNumber], Field(min_length=1)]
    n_particles: Annotated[int, Field(ge=1)] | None
    periodic: bool | None
    outputs_forces: bool


class Metadata(Section):
    """Everything in spinconv.json."""

    format_version: Annotated[Literal[2], Field(description="the format of the file")] = 2
    kind: Annotated[str, Field(pattern="^[a-z][a-z_]{0,39}$", description="the kind of model")]
    name: Annotated[str, Field(description="the model's name")]
    conservative: Annotated[bool, Field(description="whether its forces are the gradient of its energy")]
    forces: Literal["gradient", "direct"] = Field("gradient", exclude_if=lambda forces: forces == "gradient")
    """Direct are those that the model says itself. Readers of before there were such take no file that says anything of it."""
    units: Units = Units()
    dtype: Annotated[Literal["float32", "float64"], Field(description="the precision in which it computes unless told otherwise")]
    model: Annotated[Architecture, Field(description="the shape of the network")]
    reference_energies: Annotated[dict[str, float], Field(description="energies of isolated atoms (eV)")]
    scale: Annotated[Positive, Field(description="the scale of the network's energies (eV)")]
    average_neighbors: Annotated[Positive, Field(description="the number of neighbours by which sums are divided")]
    settings: dict[str, float] = Field({}, exclude_if=lambda settings: not settings)
    """Further numbers that the equations of its kind ask for by name."""
    coverage: Seen | None = None
    training: dict[str, Any] = {}
    licence: str = ""
    citation: str = ""
    versions: dict[str, str] = {}
    probe: Annotated[Probe, Field(description="a small cluster with energies and their gradients")]
    bound: Bound | None = None

    @property
    def elements(self) -> list[str]:
        """The symbols of the elements that the model knows."""
        return [chemical_symbols[z] for z in self.model.elements]

    @model_validator(mode="after")
    def direct_forces_conserve_nothing(self) -> Metadata:
        if self.forces == "direct" and self.conservative:
            raise ValueError("`conservative` must be false where `forces` are direct, got true")
        return self

    @model_validator(mode="after")
    def elements_are_the_same_everywhere(self) -> Metadata:
        symbols = self.elements
        check_names("reference_energies", self.reference_energies, symbols, all_of_them=True)
        check_names("probe", [chemical_symbols[z] for z in self.probe.numbers], symbols)
        if self.coverage is not None:
            pairs = [f"{a}-{b}" for i, a in enumerate(symbols) for b in symbols[i:]]
            check_names("coverage.shortest_distances", self.coverage.shortest_distances, pairs)
            check_names("coverage.neighbors", self.coverage.neighbors, symbols, all_of_them=True)
        return self

    def text(self) -> str:
        """The text of spinconv.json."""
        return json.dumps(self.model_dump(), indent=2, ensure_ascii=False, allow_nan=False)

    def plain(self) -> dict[str, Any]:
        """The same to be printed: plain values, with `elements` as symbols, `cutoff` and `n_blocks` beside the rest."""
        said = self.model_dump()
        head = {key: said.pop(key) for key in ("format_version", "kind", "name", "conservative")}
        said.pop("forces", None)
        sizes = {"cutoff": self.model.cutoff, "elements": self.elements, "n_blocks": self.model.n_blocks}
        return {**head, "forces": self.forces, **sizes, **said}


def check_is_conservative(said: Metadata, path: str | os.PathLike[str], nonconservative: bool = False) -> None:
    """Raises ValueError for a model whose forces are not the gradient of its energy, unless it was asked for by name."""
    if said.forces == "direct":
        raise ValueError(
            f"the forces of `{path}` are direct, no gradient of any energy: no dynamics with them conserves one; relax with them in ASE, "
            "or in LAMMPS by `direct_forces yes`"
        )
    if not said.conservative and not nonconservative:
        raise ValueError(
            f"the forces of `{path}` are not the gradient of its energy, which will not be conserved; say nonconservative=True to have that"
        )


def check_names(key: str, found: Iterable[str], known: Sequence[str], all_of_them: bool = False) -> None:
    """Raises ValueError where what is said of elements or pairs of them is not said of those of the model."""
    names = list(dict.fromkeys(found))
    if not set(names) <= set(known) or (all_of_them and len(names) < len(known)):
        raise ValueError(f"`{key}` must be of {', '.join(known)}, got {', '.join(names) or 'none'}")


def make_metadata(values: Mapping[str, Any]) -> Metadata:
    """The metadata with these values; what is no number in `training`, as an error that nobody could compute, becomes null.

    Raises ValueError in a sentence about the first value that is wrong.
    """
    training = without_nan(values.get("training", {}))
    return validated(json.dumps({**values, "training": training}).encode())


def without_nan(value: Any) -> Any:
    """
    >>> without_nan({"forces": [1.5, float("nan")], "step": 3})
    {'forces': [1.5, None], 'step': 3}
    """
    if isinstance(value, Mapping):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_metadata(text: bytes) -> Metadata:
    """The metadata in the text of a spinconv.json; ValueError in a sentence about the first thing that is wrong."""
    check_json(text)
    return validated(text)


def validated(text: bytes) -> Metadata:
    """The metadata in JSON, by the schema."""
    try:
        return Metadata.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(sentence(error.errors()[0], Metadata, [], [])) from None


def check_json(text: bytes) -> None:
    """Raises ValueError for what JSON readers take differently: a key said twice, numbers beyond double precision, half characters."""
    try:
        said = json.loads(text.decode("utf-8"), object_pairs_hook=once, parse_constant=finite, parse_float=finite)
        json.dumps(said, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its {METADATA_FILE} must be strict JSON: {error}") from None


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are said once each."""
    said = dict(pairs)
    if len(said) < len(pairs):
        raise ValueError(f"a key is said twice among {', '.join(key for key, _ in pairs)}")
    return said


def finite(number: str) -> float:
    """A number of JSON."""
    if not math.isfinite(float(number)):
        raise ValueError(f"{number} is no number of double precision")
    return float(number)
