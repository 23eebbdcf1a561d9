"""A look at an xyz file before ASE reads it."""

from collections import deque
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from spinconv.potential.words import cut


def check_counts(path: Path) -> None:
    """Raises ValueError where a frame of an .xyz file says it has more atoms than the file has lines: ASE would look for them without end.

    What else is wrong with a file, ASE says.
    """
    if path.suffix not in (".xyz", ".extxyz"):
        return
    with path.open("rb") as file:
        check_counts_of(file)


def check_counts_of(file: BinaryIO) -> None:
    """The same of an open file, which is then at its beginning again."""
    n_lines = sum(1 for _ in file)
    file.seek(0)
    frame = 0
    while (count := file.readline().strip()).isdigit():
        if len(count) > 18 or int(count) > n_lines - 2:
            raise ValueError(f"frame {frame} says that it has {cut(count.decode(), 20)} atoms, the file has {n_lines} lines")
        deque(islice(file, int(count) + 1), maxlen=0)  # the comment and the atoms
        frame += 1
    file.seek(0)
