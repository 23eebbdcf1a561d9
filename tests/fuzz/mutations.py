"""What happens to files: on disks and wires, in editors, and by those who know how they are made."""

from __future__ import annotations

import io
import json
import random
import re
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml

from spinconv.potential.sealed import open_sealed, seal

ODD_NUMBERS = ("0", "-1", "1", "2", "0.05", "1e6", "1e300", "-1e300", "1e-300", "nan", "inf", "-inf", "9" * 25, "4096", "1000000000")
ODD_WORDS = ("", "T", "é", "\0", "[]", "{}", "null", "~", "1 2 3", "x" * 5000, "/dev/null", ".", "*", "&a", "spinconv", "`", "[red]")
ODD_VALUES: tuple[Any, ...] = (
    *(0, -1, 1, 7, 0.5, 1e6, 1e300, -1e300, 1e-300, float("nan"), float("inf"), 10**25, 4096, 10**9, 2**31, 2**63),
    *(None, True, False, "", "a", "1", "nan", "é", "\0", "x" * 5000, "/dev/null", ".", "`", "[red]"),
    *([], [1], [0, 0], ["a"], {}, {"a": 1}, [[]], [None]),
)
PLACE = re.compile(r"(\S+)=(\d+)\+(\d+)")


class Mutated(NamedTuple):
    """A file that something has happened to."""

    data: bytes
    what: str
    """The name of the mutation."""
    exact: bool
    """Whether it must be noticed: any number but that of the whole file is wrong."""


def damaged(data: bytes, chance: random.Random) -> Mutated:
    """Bytes changed, lost, repeated or added."""
    kind = chance.choice(("flip", "flip", "flips", "cut", "insert", "repeat", "lose", "zeros", "append"))
    at = chance.randrange(len(data))
    end = min(len(data), at + chance.choice((1, 2, 8, 100, 5000)))
    if kind == "flip":
        new = data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
    elif kind == "flips":
        changed = bytearray(data)
        for _ in range(chance.randrange(2, 50)):
            changed[chance.randrange(len(data))] = chance.randrange(256)
        new = bytes(changed)
    else:
        new = {
            "cut": data[:at],
            "insert": data[:at] + chance.randbytes(end - at) + data[at:],
            "repeat": data[:end] + data[at:end] + data[end:],
            "lose": data[:at] + data[end:],
            "zeros": data[:at] + bytes(end - at) + data[end:],
            "append": data + data[at:end],
        }[kind]
    return Mutated(new, kind, exact=True)


def edited(data: bytes, chance: random.Random) -> Mutated:
    """A text with other numbers, words or lines."""
    kind = chance.choice(("number", "number", "number", "word", "line lost", "line twice", "lines swapped", "bytes"))
    text = data.decode("utf-8", "surrogateescape")
    lines = text.splitlines(keepends=True)
    a, b = chance.randrange(len(lines)), chance.randrange(len(lines))
    if kind == "bytes":
        return damaged(data, chance)._replace(exact=False)
    if kind == "number":
        text = replaced(text, r"-?\d+\.?\d*(?:[eE][-+]?\d+)?", chance, ODD_NUMBERS)
    elif kind == "word":
        text = replaced(text, r"[^\s:=\"]+", chance, ODD_WORDS + ODD_NUMBERS)
    elif kind == "line lost":
        text = "".join(lines[:a] + lines[a + 1 :])
    elif kind == "line twice":
        text = "".join([*lines[:a], lines[b], *lines[a:]])
    else:
        lines[a], lines[b] = lines[b], lines[a]
        text = "".join(lines)
    return Mutated(text.encode("utf-8", "surrogateescape"), kind, exact=False)


def replaced(text: str, pattern: str, chance: random.Random, others: tuple[str, ...]) -> str:
    """The text with one of the places that fit the pattern replaced."""
    places = list(re.finditer(pattern, text))
    if not places:
        return text
    place = chance.choice(places)
    return text[: place.start()] + chance.choice(others) + text[place.end() :]


def value_changed(value: Any, chance: random.Random) -> tuple[Any, str]:
    """A tree of dictionaries and lists with one thing in it changed, lost, added or renamed; and where."""
    paths = list(paths_of(value))
    path = chance.choice(paths)
    new = json.loads(json.dumps(value))
    if not path:
        return chance.choice(ODD_VALUES), "all of it"
    inner = new
    for key in path[:-1]:
        inner = inner[key]
    kind = chance.choice(("value", "value", "value", "lost", "added", "renamed"))
    if kind == "lost":
        del inner[path[-1]]
    elif isinstance(inner, list) and kind in ("added", "renamed"):
        inner.insert(path[-1], chance.choice(ODD_VALUES))
    elif kind == "added":
        inner[chance.choice(("x", "", "é", "cutof", "model"))] = chance.choice(ODD_VALUES)
    elif kind == "renamed":
        inner[chance.choice(("x", "", "a.b"))] = inner.pop(path[-1])
    elif isinstance(inner[path[-1]], float) and chance.random() < 0.4:
        inner[path[-1]] += chance.choice((-0.3, 1e-3, 0.02, 1.0))
    else:
        inner[path[-1]] = chance.choice(ODD_VALUES)
    return new, f"{kind}: {'.'.join(map(str, path))}"


def paths_of(value: Any) -> list[tuple[Any, ...]]:
    """Where something stands in a tree; of long lists the first ones only."""
    items = value.items() if isinstance(value, dict) else list(enumerate(value))[:12] if isinstance(value, list) else ()
    return [(), *((key, *rest) for key, inner in items for rest in paths_of(inner))]


def config_changed(data: bytes, chance: random.Random) -> Mutated:
    """A YAML file with another value, or edited as a text."""
    if chance.random() < 0.3:
        return edited(data, chance)
    value, where = value_changed(yaml.safe_load(data), chance)
    return Mutated(yaml.safe_dump(value, allow_unicode=True).encode(), where, exact=False)


def json_changed(data: bytes, chance: random.Random) -> Mutated:
    """A JSON file with another value."""
    value, where = value_changed(json.loads(data), chance)
    return Mutated(json.dumps(value).encode(), where, exact=False)


def forged(data: bytes, chance: random.Random) -> Mutated:
    """A sealed archive with a member that was changed, lost, added or taken for another, under a seal that holds."""
    note = open_sealed(data, "the whole file")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    before = dict(members)
    name, other = chance.choice(list(members)), chance.choice(list(members))
    parts = [key for key in members if key.rsplit("/", 1)[-1] in [place[0] for place in PLACE.findall(note)]]
    if parts and chance.random() < 0.7:  # the data part is what our readers read
        name = chance.choice(parts)
    kind = chance.choice(("changed", "changed", "changed", "swapped", "lost", "packed", "note"))
    compression = zipfile.ZIP_STORED
    if kind == "changed":
        changed = member_changed(name, members[name], chance)
        members[name], kind = changed.data, f"{kind}: {name}, {changed.what}"
    elif kind == "swapped":
        members[name], members[other] = members[other], members[name]
    elif kind == "lost":
        del members[name]
    elif kind == "packed":
        compression = zipfile.ZIP_DEFLATED
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for key, content in members.items():
            archive.writestr(key, content)
    new = file.getvalue()
    note = places_again(note, new, before, members)
    if kind == "note":
        note = re.sub(r"[^ -~]", "", edited(note.encode() + b" ", chance).data.decode("ascii", "ignore")).strip()[:900]
    return Mutated(seal(new, note), f"forged, {kind}", exact=False)


def member_changed(name: str, data: bytes, chance: random.Random) -> Mutated:
    """A member of an archive, changed as what it is."""
    if name.endswith(".json"):
        return json_changed(data, chance)
    if name.endswith(".safetensors") and chance.random() < 0.5:
        size = int.from_bytes(data[:8], "little")
        header = json_changed(data[8 : 8 + size], chance)
        return header._replace(data=len(header.data).to_bytes(8, "little") + header.data + data[8 + size :])
    return damaged(data or b"\0", chance)


def places_again(note: str, archive: bytes, before: dict[str, bytes], after: dict[str, bytes]) -> str:
    """The note of a seal with the places of members where they are now."""
    for name, at, size in PLACE.findall(note):
        key = next((key for key in before if key.rsplit("/", 1)[-1] == name), None)
        content = after.get(key or "", b"")
        note = note.replace(f"{name}={at}+{size}", f"{name}={max(0, archive.find(content))}+{len(content)}")
    return note


def damaged_or_forged(data: bytes, chance: random.Random) -> Mutated:
    return (damaged if chance.random() < 0.4 else forged)(data, chance)


def xml_changed(data: bytes, chance: random.Random) -> Mutated:
    """The XML of a force: the model in it, its longest word, is damaged, or what stands around it edited."""
    start, end = max((m.span() for m in re.finditer(rb"[A-Za-z0-9+/=]+", data)), key=lambda span: span[1] - span[0])
    if chance.random() < 0.6:
        inner = data[start:end]
        at = chance.randrange(len(inner))
        digit = chance.choice(b"0123456789abcdefABCDEF+/")
        return Mutated(data[: start + at] + bytes([digit]) + data[start + at + 1 :], "model in it", exact=True)
    around = edited(data[:start] + b"@@" + data[end:], chance)
    return around._replace(data=around.data.replace(b"@@", data[start:end]))


MUTATIONS: dict[str, Callable[[bytes, random.Random], Mutated]] = {
    ".pt": damaged_or_forged,
    ".ckpt": damaged_or_forged,
    ".xyz": edited,
    ".txt": edited,
    ".data": edited,
    ".yaml": config_changed,
    ".json": json_changed,
    ".npz": lambda data, chance: damaged(data, chance)._replace(exact=False),
    ".db": lambda data, chance: damaged(data, chance)._replace(exact=False),
    ".xml": xml_changed,
}
"""By the ending of a file's name."""
