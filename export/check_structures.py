"""The structures that `spinconv check` compares on: frames of a file, or small ones made of a model's elements."""

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import ase
import ase.data
import ase.io
import numpy as np

from spinconv.potential.words import in_one_line
from spinconv.potential.xyz import check_counts

FRAMES = 20
"""So many of a file unless told otherwise: a wrong engine is wrong in each."""

OWN_STRUCTURES = "small structures made of its elements"


class Structures(NamedTuple):
    """What is compared on."""

    atoms: dict[str, ase.Atoms]
    """By name: "frame 0", "triclinic"."""
    words: str
    """Which they are, for a title."""


def read_structures(path: str | os.PathLike[str], frames: int | None = FRAMES) -> Structures:
    """So many `frames` of a file in any format of ASE, spread evenly from the first to the last; None: all.

    Raises FileNotFoundError, or ValueError for what ASE cannot read.
    """
    found = read_frames(path)
    chosen = spread(len(found), frames)
    all_of_them = f"{len(found)} frame{'s' * (len(found) > 1)} of {Path(path).name}"
    words = all_of_them if len(chosen) == len(found) else f"{len(chosen)} of {all_of_them}, spread evenly"
    return Structures({f"frame {n}": found[n] for n in chosen}, words)


def read_frames(path: str | os.PathLike[str]) -> list[ase.Atoms]:
    """All structures of a file in any format of ASE; FileNotFoundError or ValueError in words."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"`{path}`: there is no such file of structures")
    try:
        check_counts(Path(path))
        found = list(ase.io.iread(str(path), ":"))
    except Exception as error:  # ASE's readers raise anything
        raise ValueError(f"`{path}` must hold structures in a format of ASE, which says: {in_one_line(error)}") from error
    if not found:
        raise ValueError(f"`{path}` must hold structures, it is empty")
    return found


def spread(total: int, frames: int | None) -> list[int]:
    """Indices of `frames` out of `total`, first and last among them, as evenly as whole numbers are.

    >>> spread(4000, 5), spread(3, 20), spread(3, None), spread(10, 1)
    ([0, 1000, 2000, 2999, 3999], [0, 1, 2], [0, 1, 2], [0])
    """
    return np.linspace(0, total - 1, min(frames or total, total)).round().astype(int).tolist()


def own_structures(symbols: Sequence[str]) -> Structures:
    """A free cluster, a triclinic crystal and a cell below two cutoffs, of a model's elements in turn, at their covalent distances."""
    return Structures(dict(_own_structures(symbols)), OWN_STRUCTURES)


def _own_structures(symbols: Sequence[str]) -> Iterator[tuple[str, ase.Atoms]]:
    radii = [ase.data.covalent_radii[ase.data.atomic_numbers[symbol]] for symbol in symbols]
    spacing = 2.2 * max(radii)
    sites = np.array(list(np.ndindex(3, 2, max(2, math.ceil(len(symbols) / 6)))))  # 12 atoms, or one of each element
    elements = [symbols[n % len(symbols)] for n in range(len(sites))]
    rng = np.random.default_rng(0)
    positions = (sites + rng.uniform(-0.12, 0.12, size=sites.shape)) * spacing
    cell = np.diag(sites.max(axis=0) + 1.0) * spacing
    yield "cluster", ase.Atoms(elements, positions)
    yield "small cell", ase.Atoms(elements, positions, cell=cell, pbc=True)
    skewed = ase.Atoms(elements, positions, cell=cell, pbc=True)
    skewed.set_cell(cell + np.array([[0, 0, 0], [0.5, 0, 0], [-0.3, 0.4, 0]]) * spacing, scale_atoms=True)
    yield "triclinic", skewed
