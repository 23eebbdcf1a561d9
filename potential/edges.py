"""Atoms and their neighbours as arrays, before any torch; graph.py has the conventions."""

from typing import NamedTuple

import numpy as np

from spinconv.potential.searchable import Name, check_distances, check_searchable
from spinconv.potential.vesin_list import pairs_within


class Edges(NamedTuple):
    """The same as of a `Graph`, of one system."""

    numbers: np.ndarray
    """Atomic numbers, int64 [n_atoms]."""
    edge_index: np.ndarray
    """Row 0 the sending atoms j, row 1 the receiving atoms i, int64 [2, n_edges], ordered by i."""
    vectors: np.ndarray
    """r_j - r_i + shift @ cell (Å), float64 [n_edges, 3]."""


def edges_of(numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float, name: Name = int) -> Edges:
    """Neighbours within `cutoff` (Å): `cell` has the lattice vectors as rows, `pbc` says which of them are periodic, errors call atoms by
    `name` of their index.

    Raises ValueError for what has no neighbours that mean anything: atoms on top of each other, dummy cells, numbers beyond double
    precision (searchable.py)."""
    found = _found_within(cutoff, positions, cell, pbc, name)
    vectors = found.vectors(positions)
    check_distances(found.edge_index, vectors, name)
    return Edges(np.asarray(numbers, dtype=np.int64), found.edge_index, vectors)


class VerletList:
    """Edges of structures that follow each other in small steps, as in dynamics: all pairs within the cutoff and a skin (Å) are kept, and
    looked through until an atom has moved by half of the skin, or anything else has changed.

    What it gives depends on the structure alone, not on those before it: edges are in the order of the receiving atom, the sending one
    and its image, and their vectors are computed from the positions of now.
    """

    def __init__(self, cutoff: float, skin: float = 0.5) -> None:
        self._cutoff, self._skin = cutoff, skin
        self._searched: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None  # positions, cell and pbc of the last search

    def edges(self, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, name: Name = int) -> Edges:
        """The same as `edges_of`, in an order of its own."""
        if not self._still_holds(positions, cell, pbc):
            self._searched = None
            self._found = _found_within(self._cutoff, positions, cell, pbc, name, self._skin).in_order(len(positions))
            self._room = np.empty((2, *self._found.offsets.shape))
            self._searched = positions.copy(), cell.copy(), pbc.copy()
        vectors = self._found.vectors(positions, self._room)
        near = np.flatnonzero(np.einsum("ek,ek->e", vectors, vectors) <= self._cutoff**2)
        edge_index, vectors = self._found.edge_index.take(near, axis=1), vectors.take(near, axis=0)
        check_distances(edge_index, vectors, name)
        return Edges(np.asarray(numbers, dtype=np.int64), edge_index, vectors)

    def _still_holds(self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> bool:
        if self._searched is None or len(positions) != len(self._searched[0]):
            return False
        moved = positions - self._searched[0]
        far = np.einsum("ik,ik->i", moved, moved).max(initial=0.0)  # NaN where a position is
        return bool(far <= (self._skin / 2) ** 2) and np.array_equal(cell, self._searched[1]) and np.array_equal(pbc, self._searched[2])


class _Found(NamedTuple):
    """Edges without their vectors."""

    edge_index: np.ndarray
    offsets: np.ndarray
    """What the cells of their atoms are apart, Å, [n_edges, 3]."""

    def vectors(self, positions: np.ndarray, room: np.ndarray | None = None) -> np.ndarray:
        """From the receiving atoms to the sending ones, Å, [n_edges, 3].

        In `room`, [2, n_edges, 3], where there is some: memory that is new at every step costs more than what is computed."""
        vectors, others = np.empty((2, *self.offsets.shape)) if room is None else room
        positions.take(self.edge_index[0], axis=0, out=vectors, mode="clip")  # with the mode that checks, `out` would be a copy
        vectors -= positions.take(self.edge_index[1], axis=0, out=others, mode="clip")
        vectors += self.offsets
        return vectors

    def in_order(self, n_atoms: int) -> "_Found":
        """By receiver, sender and image."""
        order = np.lexsort((*self.offsets.T, self.edge_index[1] * n_atoms + self.edge_index[0]))
        return _Found(self.edge_index.take(order, axis=1), self.offsets.take(order, axis=0))


def _found_within(cutoff: float, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, name: Name, skin: float = 0.0) -> _Found:
    """Within the cutoff and a skin (Å); refusals speak of the cutoff."""
    check_searchable(positions, cell, pbc, cutoff, name)
    box = cell if pbc.any() else np.zeros((3, 3))
    pairs, shifts = pairs_within(cutoff + skin, positions, box, pbc)
    x, y, z = shifts.T.astype(float)  # an edge's own: atoms that have wandered far would make a table of images large
    offsets = np.stack([x * along[0] + y * along[1] + z * along[2] for along in box.T], axis=1)
    return _Found(np.ascontiguousarray(pairs.T[::-1]), offsets)
