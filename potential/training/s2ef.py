"""OC20's S2EF folders: N.extxyz or N.extxyz.xz, and beside each an N.txt with a line for every frame,
`system_id,frame_number,reference_energy`. What a model of OC20 learns is the energy less the reference energy, the adsorption energy."""

from __future__ import annotations

import lzma
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from spinconv.potential.memory import available_memory, in_words
from spinconv.potential.training.frames import DataError

FRAMES, LINES = (".extxyz", ".extxyz.xz"), (".txt", ".txt.xz")
LINE = re.compile(r"\s*(?P<system>[^,\s]+)\s*,\s*(?P<frame>(?:frame)?\d+)\s*(?:,\s*(?P<energy>[-+.\deE]+)\s*)?")


class Line(NamedTuple):
    """What a .txt says of a frame."""

    system: str
    frame: str
    energy: float | None  # eV; None in the test sets, which have no labels


def stem(path: Path) -> str:
    """The name without its endings: 0 of 0.extxyz.xz."""
    return path.name.partition(".")[0]


def shards(folder: Path) -> list[Path]:
    """The files of frames in a folder that have a .txt beside them, by their numbers; one that is there packed and unpacked once."""
    found = {stem(path): path for end in reversed(FRAMES) for path in folder.glob(f"*{end}") if lines_beside(path)}
    return [found[name] for name in sorted(found, key=lambda name: (len(name), name))]


def lines_beside(path: Path) -> Path | None:
    """The .txt of a file of frames; None where there is none, or one that is something else."""
    for end in LINES:
        beside = path.with_name(stem(path) + end)
        if path.name.endswith(FRAMES) and beside.is_file() and LINE.fullmatch(text_of(beside).partition("\n")[0].strip()):
            return beside
    return None


def lines_of(path: Path) -> list[Line]:
    """What the .txt of a file of frames says, line by line."""
    beside = lines_beside(path)
    assert beside is not None  # only such files come here
    found = []
    for k, text in enumerate(text_of(beside).splitlines()):
        parts = LINE.fullmatch(text.strip())
        if parts is None:
            raise DataError(f"{beside}, line {k + 1}: must be `system_id,frame_number,reference_energy`, got {text[:80]!r}")
        found.append(Line(parts["system"], parts["frame"], float(parts["energy"]) if parts["energy"] else None))
    return found


def text_of(path: Path) -> str:
    """The text of a file, unpacked where it ends in .xz and fits into the memory."""
    if path.suffix != ".xz":
        return path.read_text(encoding="utf-8")
    most = available_memory() // 4  # bytes, text and structures are in memory side by side
    with lzma.open(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise DataError(
            f"{path}: has more than {in_words(most)} unpacked, more than can be read with this memory; cut it into smaller files"
        )
    return data.decode()


def check_number(path: Path, lines: Sequence[Line], n_frames: int) -> None:
    """Refuse a file of frames that has not a line of its .txt for each."""
    if len(lines) != n_frames:
        raise DataError(f"{path}: has {n_frames} frames, {lines_beside(path)} has {len(lines)} lines; one of them is cut short")
