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
    """Row 0 the sending atoms j, row 1 the receiving atoms i, int64 [2, n_edges], ordered by i where that was asked for."""
    vectors: np.ndarray
    """r_j - r_i + shift @ cell (Å), float64 [n_edges, 3]."""


def edges_of(
    numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float, name: Name = int, ordered: bool = True
) -> Edges:
    """Neighbours within `cutoff` (Å): `cell` has the lattice vectors as rows, `pbc` says which of them are periodic, errors call atoms by
    `name` of their index. The native evaluator needs no order, which takes a quarter of the search.

    Raises ValueError for what has no neighbours that mean anything: atoms on top of each other, dummy cells, numbers beyond double
    precision (searchable.py)."""
    check_searchable(positions, cell, pbc, cutoff, name)
    pairs, vectors = pairs_within(cutoff, positions, cell if pbc.any() else np.zeros((3, 3)), pbc, ordered)
    edge_index = np.ascontiguousarray(pairs.T[::-1])
    check_distances(edge_index, vectors, name)
    return Edges(np.asarray(numbers, dtype=np.int64), edge_index, vectors)
