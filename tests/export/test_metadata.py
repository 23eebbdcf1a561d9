"""What a model file says of itself: what is written is read, and what cannot be is refused in words."""

import json
from typing import Any

import pytest
from packed import metadata_of

from models import random_model
from spinconv.export.metadata import Metadata, make_metadata, read_metadata

SAID = metadata_of(random_model())


def changed(path: str, value: Any) -> dict[str, Any]:
    """SAID with another value at a chain of keys, as a dict; `...`: without it."""
    values = SAID.model_dump()
    *above, key = path.split(".")
    section = values
    for part in above:
        section = section[part]
    section[key] = value
    if value is ...:
        del section[key]
    return values


def test_what_is_written_is_read() -> None:
    assert read_metadata(SAID.text().encode()) == SAID


def test_every_thing_is_said_once() -> None:
    said = json.loads(SAID.text())
    assert {"cutoff", "n_blocks", "elements"} <= said["model"].keys()
    assert not {"cutoff", "n_blocks", "elements", "weights_sha256"} & said.keys()


def test_what_is_printed_has_symbols_and_sizes_beside_the_rest() -> None:
    plain = SAID.plain()
    assert plain["elements"] == SAID.elements == ["H", "C", "O", "Cu"]
    assert (plain["cutoff"], plain["n_blocks"]) == (SAID.model.cutoff, SAID.model.n_blocks)
    assert json.loads(json.dumps(plain)) == plain


def test_errors_that_nobody_could_compute_become_null() -> None:
    values = {**SAID.model_dump(), "training": {"validation": {"forces": float("nan"), "energy": [1.5, float("inf")]}}}
    assert read_metadata(make_metadata(values).text().encode()).training == {"validation": {"forces": None, "energy": [1.5, None]}}


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("format_version", 3, "`format_version` must be one of 2, got 3"),
        ("kind", 3, "`kind` must be text, got 3"),
        ("conservative", 1, "`conservative` must be true or false, got 1"),
        ("conservative", ..., "`conservative` is missing: whether its forces are the gradient of its energy"),
        ("units", {"length": "bohr", "energy": "eV"}, "`units.length` must be one of angstrom, got 'bohr'"),
        ("dtype", "half", "`dtype` must be one of float32 or float64, got 'half'"),
        ("scale", 0.0, "`scale` must be above 0.0, got 0.0"),
        ("scale", "1", "`scale` must be a number, got '1'"),
        ("scale", float("nan"), "`scale` must be a finite number, got nan"),
        ("average_neighbors", float("inf"), "`average_neighbors` must be a finite number, got inf"),
        ("colour", "red", "`colour` is not a known key"),
        ("model.cutoff", -1.0, "`model.cutoff` must be above 0.0, got -1.0"),
        ("model.cutoff", ..., "`model.cutoff` is missing: the distance"),
        ("model.n_blocks", 17, "`model.n_blocks` must be at most 16, got 17"),
        ("model.n_blocks", 2.5, "`model.n_blocks` must be a whole number, got 2.5"),
        ("model.elements", [], "`model.elements` must have a length of at least 1, got []"),
        ("model.elements", [8, 1], "`model` must have `elements` in ascending order without repetition, got [8, 1]"),
        ("model.elements", [1, 119], "`model.elements.1` must be at most 118, got 119"),
        ("reference_energies", {"H": -1.0}, "`reference_energies` must be of H, C, O, Cu, got H"),
        ("probe", ..., "`probe` is missing"),
        ("probe.energies", [1.0], "`probe` must have `energies` of each of its 12 atoms, got 1"),
        ("probe.positions", [[0.0, 0.0]], "`probe.positions.0` must have a length of at least 3, got [0.0, 0.0]"),
        ("probe.numbers", [79] * 12, "`probe` must be of H, C, O, Cu, got Au"),
        ("coverage.neighbors", {"H": [1, 2]}, "`coverage.neighbors` must be of H, C, O, Cu, got H"),
        ("coverage.shortest_distances", {"H-Au": 1.0}, "`coverage.shortest_distances` must be of H-H, H-C, H-O, H-Cu, C-C"),
        ("coverage.shortest_distances", {"C-H": 1.0}, "`coverage.shortest_distances` must be of H-H, H-C,"),  # the pair is called H-C
        ("coverage.shortest_distances", {"H-H": -1.0}, "`coverage.shortest_distances.H-H` must be at least 0.0, got -1.0"),
        ("forces", "sideways", "`forces` must be one of gradient or direct, got 'sideways'"),
        ("forces", "direct", "`conservative` must be false where `forces` are direct, got true"),
        ("settings", {"sharpness": "high"}, "`settings.sharpness` must be a number, got 'high'"),
        ("versions", {"torch": 2}, "`versions.torch` must be text, got 2"),
        ("bound", {"numbers": []}, "`bound.particles` is missing"),
    ],
)
def test_what_decides_a_number_is_checked(path: str, value: Any, words: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the words are compared below, where they are no pattern
        make_metadata(changed(path, value))
    assert str(raised.value).startswith(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"[" * 100_000, "recursion"),
        (b"\xff\xfe", "can't decode byte 0xff"),
        (b'{"scale": NaN}', "NaN is no number of double precision"),
        (b'{"scale": 1e999}', "1e999 is no number of double precision"),
        (b'{"scale": 1.0, "scale": 2.0}', "a key is said twice among scale, scale"),
        (b'{"name": "\\ud800"}', "surrogates not allowed"),
        (b"1" * 5000, "Exceeds the limit"),
        (SAID.text().encode("utf-16"), "can't decode byte 0xff"),
    ],
)
def test_what_readers_would_take_differently_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=f"^its spinconv.json must be strict JSON: .*{words}"):
        read_metadata(text)


@pytest.mark.parametrize("text", [b"1", b"[]", b"null", b"{}"])
def test_json_of_another_kind_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"`kind` is missing|must be a section of keys and values"):
        read_metadata(text)


def test_coverage_in_another_order_is_the_same() -> None:
    """JSON's objects have no order."""
    values = SAID.model_dump()
    values["reference_energies"] = dict(reversed(values["reference_energies"].items()))
    assert make_metadata(values) == SAID
    assert isinstance(make_metadata(values), Metadata)
