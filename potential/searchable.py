"""What a search for neighbours is refused for, before it begins and after; the C++ twins are searchable.cpp of openmm_plugin/src and
distances.h of export, with the same limits and words."""

from collections.abc import Callable
from typing import Any

import numpy as np

from spinconv.potential.memory import available_memory, in_words

Name = Callable[[int], Any]
"""What an atom is called, given its index."""

CLOSEST = 0.01  # Å; nearer, an atom is there twice. Trial steps of minimizers and of Monte Carlo come below 0.1 and must have an energy
CLOSEST_IMAGE = 0.1  # Å, of an atom and its own image: no trial step comes there, a wrong cell does
FARTHEST = 1e7  # Å; beyond it double precision holds no distance to 1e-9 Å
LEAST_VOLUME = 1.01  # Å³ an atom; no matter is so dense, and a dummy cell of 1 Å has less
MOST_ELONGATED = 1e4  # the volume over that of a cube as wide as the thinnest side: vesin divides by zero beyond 1e5
EDGE_BYTES = 100  # in the list
MANY_EDGES = 1e6  # 0.1 GB, for which memory is not asked


def check_searchable(positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float, name: Name = int) -> None:
    """Raises ValueError unless the neighbours of `positions` [n_atoms, 3] within `cutoff` (Å) can be found.

    Positions and `cell` (rows; those that are not periodic do not count) must be finite and small enough for double precision, the cell
    no dummy, the grid of the search must have a place in every direction, and the list must fit into memory.
    """
    _check_numbers("positions", positions, lambda atom: f"atom {name(atom)} is not: look at the step of the optimiser or integrator before")
    _check_numbers("cell", cell[pbc], lambda vector: f"vector {vector} is not")
    if pbc.any() and abs(np.linalg.det(_completed(cell, pbc))) < 1e-12:
        raise ValueError(f"`cell` must have independent lattice vectors where it is periodic, got {cell.tolist()} with pbc {pbc}")
    if len(positions) == 0:
        return
    heights, volume, fractional = _region(positions, cell, pbc, cutoff)
    if pbc.all() and volume < LEAST_VOLUME * len(positions):
        raise ValueError(
            f"the periodic cell of {volume:.4g} Å³ is too small for {len(positions)} atoms, each must have at least {LEAST_VOLUME} Å³: "
            "look whether it is a dummy, as CRYST1 1 1 1 in a PDB file, and in which unit it is"
        )
    sides = np.maximum(heights / cutoff, 1)
    if sides.prod() > MOST_ELONGATED * sides.min() ** 3:
        raise ValueError(
            f"the neighbours cannot be found in a space of {heights[0]:.4g} x {heights[1]:.4g} x {heights[2]:.4g} Å, which is too long "
            "or too flat: look for an atom far from the others, or a wrong cell"
        )
    if pbc.any() or len(positions) ** 2 >= MANY_EDGES:
        _check_memory(_estimated_edges(fractional, heights, volume, pbc, cutoff), len(positions), cutoff)


def check_distances(edge_index: np.ndarray, vectors: np.ndarray, name: Name = int, least: float = CLOSEST) -> None:
    """Raises ValueError where an edge (Å) is shorter than `least`, or than CLOSEST_IMAGE and from an atom to itself."""
    squared = np.einsum("ek,ek->e", vectors, vectors)  # (n_edges,)
    if not len(squared) or squared.min() >= max(least, CLOSEST_IMAGE) ** 2:  # as good as always
        return
    limits = np.where(edge_index[0] == edge_index[1], CLOSEST_IMAGE, least)  # (n_edges,)
    short = np.flatnonzero(squared < limits**2)
    if not len(short):
        return
    nearest = short[squared[short].argmin()]
    one, other = sorted(name(atom) for atom in edge_index[:, nearest].tolist())
    who = f"atom {one} and its own image" if one == other else f"atoms {one} and {other}"
    raise ValueError(f"{who} are {np.sqrt(squared[nearest]):.3g} Å apart; atoms must be at least {limits[nearest]} Å apart")


def _check_numbers(name: str, rows: np.ndarray, which: Callable[[int], str]) -> None:
    if not len(rows) or np.abs(rows).max() <= FARTHEST:  # as good as always
        return
    if not np.isfinite(rows).all():
        raise ValueError(f"`{name}` must be finite, {which(int(np.argwhere(~np.isfinite(rows))[0, 0]))}")
    raise ValueError(
        f"`{name}` must be finite and within {FARTHEST:.4g} Å, got {rows.flat[np.abs(rows).argmax()]:.4g}: "
        "beyond that double precision does not tell how far atoms are apart"
    )


def _completed(cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """`cell` with unit vectors, orthogonal to the others, where it is not periodic."""
    if pbc.all():
        return cell
    rows = cell[pbc]
    others = np.linalg.svd(np.vstack([rows, np.zeros((3, 3))]))[2][len(rows) :] if len(rows) else np.eye(3)
    whole = cell.copy()
    whole[~pbc] = others
    return whole


def _region(positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float) -> tuple[np.ndarray, float, np.ndarray]:
    """The parallelepiped that the search has to cover: its heights (Å), its volume, and where in it the atoms are, [n_atoms, 3], 0 to 1."""
    if not pbc.any():
        origin = positions.min(axis=0)
        heights = np.maximum(positions.max(axis=0) - origin, cutoff)
        return heights, float(heights.prod()), (positions - origin) / heights
    frame = _completed(cell, pbc)
    fractional = positions @ np.linalg.inv(frame)
    origin = np.where(pbc, 0, fractional.min(axis=0))
    extent = np.where(pbc, 1, np.maximum(fractional.max(axis=0) - origin, cutoff))
    inside = (fractional - origin) / extent
    frame = frame * extent[:, None]
    volume, heights = float(abs(np.linalg.det(frame))), 1 / np.linalg.norm(np.linalg.inv(frame), axis=0)
    return heights, volume, np.where(pbc, inside - np.floor(inside), inside)


def _estimated_edges(fractional: np.ndarray, heights: np.ndarray, volume: float, pbc: np.ndarray, cutoff: float) -> float:
    """Each atom meets the density of its part of the region, about as wide as the cutoff, in the sphere around it: images are counted."""
    n_parts = np.maximum(np.floor(heights / cutoff), 1)  # (3,)
    place = np.minimum(np.floor(fractional * n_parts), n_parts - 1)  # (n_atoms, 3)
    counts = np.unique(place @ [n_parts[1] * n_parts[2], n_parts[2], 1], return_counts=True)[1].astype(np.float64)
    n_edges = float((counts**2).sum() * 4.18879 * cutoff**3 / (volume / n_parts.prod()))
    return n_edges if pbc.any() else min(n_edges, float(len(fractional)) ** 2)


def _check_memory(n_edges: float, n_atoms: int, cutoff: float) -> None:
    if n_edges < MANY_EDGES:
        return
    needed, free = EDGE_BYTES * n_edges, available_memory()
    if needed > free:
        raise ValueError(
            f"about {n_edges:.4g} pairs of {n_atoms} atoms are within {cutoff:g} Å, whose list needs {in_words(needed)} of memory, "
            f"{in_words(free)} are free: look for atoms on top of each other, and at the cell"
        )
