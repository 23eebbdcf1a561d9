"""Some of the frames of a file: `FILE@:1000` as in ASE, or `FILE@index_train_01.csv`, a list of numbers as data sets ship their splits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from spinconv.potential.training.frames import DataError
from spinconv.potential.words import shown

STRETCH = re.compile(r"-?\d*:-?\d*(:-?\d+)?")
MOST_BYTES = 100 * 1024**2  # of a list of numbers

Item = TypeVar("Item")


class Selection(NamedTuple):
    """Which frames of a file are meant."""

    said: str  # what stands behind the @: a stretch such as 100:200, or the path of a list, relative to the file of frames
    folder: Path  # of the file of frames

    @property
    def name(self) -> str:
        """In sentences: the stretch, or the name of the list."""
        return self.said if STRETCH.fullmatch(self.said) else Path(self.said).name

    def of(self, items: Sequence[Item], path: Path) -> list[Item]:
        """The items that are selected, in the order of the selection; DataError if there are none, or a list is of another file."""
        if not STRETCH.fullmatch(self.said):
            return [items[k] for k in numbers_in(self.folder / self.said, len(items), path)]
        try:
            found = list(items[slice(*(int(part) if part else None for part in self.said.split(":")))])
        except ValueError:  # a step of 0
            found = []
        if not found:
            raise DataError(f"{path}: `@{self.said}` selects none of its {len(items)} frames")
        return found


def chosen(path: Path) -> tuple[Path, Selection | None]:
    """The file of a path, and which of its frames are meant; a file whose own name has an @ is that file, whole."""
    name, _, said = str(path).rpartition("@")
    file = Path(name)
    if not name or path.exists() or not file.exists():
        return path, None
    if not said:
        raise DataError(f"{path}: behind @ must stand which frames are meant, a stretch such as `:1000` or a file of their numbers")
    return file, Selection(said, file.parent)


def short_name(path: str) -> str:
    """The path without folders: of the file, and of the list of its frames.

    >>> short_name("rmd17/npz_data/rmd17_ethanol.npz@../splits/index_train_01.csv")
    'rmd17_ethanol.npz@index_train_01.csv'
    """
    return "@".join(Path(part).name for part in path.rsplit("@", 1))


def numbers_in(path: Path, n_frames: int, whose: Path) -> list[int]:
    """Numbers of frames, from 0, in a text of whole numbers between spaces, commas or line ends."""
    if not path.is_file():
        raise DataError(
            f"{path}: there is no such file; it shall tell which frames of {whose.name} are meant (paths behind @ begin beside it)"
        )
    if path.stat().st_size > MOST_BYTES:
        raise DataError(f"{path}: is too large to be a list of numbers of frames")
    words = path.read_bytes().decode("utf-8", "replace").replace(",", " ").split()
    bad = next((word for word in words if not re.fullmatch(r"[0-9]{1,18}", word)), None)
    if bad is not None:
        raise DataError(f"{path}: must hold whole numbers, those of frames of {whose.name} from 0, got {shown(bad, 30)}")
    numbers = np.array(words, dtype=np.int64)
    if numbers.size == 0:
        raise DataError(f"{path}: must hold numbers of frames of {whose.name}, is empty")
    if numbers.max() >= n_frames:
        raise DataError(f"{path}: names the frame {numbers.max()}, {whose.name} has those from 0 to {n_frames - 1}")
    unique, counts = np.unique(numbers, return_counts=True)
    if counts.max() > 1:
        raise DataError(f"{path}: names the frame {unique[counts > 1][0]} of {whose.name} {counts.max()} times; each may be used once")
    return [int(number) for number in numbers]
