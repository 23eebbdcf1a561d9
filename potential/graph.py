"""Atoms and their neighbours as the model sees them.

Conventions, everywhere: in an edge e = (j -> i) atom i receives and atom j sends; the vector points from i to j,
r_ij = r_j - r_i + shift @ cell, with lattice vectors as the rows of the cell. Lengths in Å.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from spinconv.potential.edges import Edges, edges_of
from spinconv.potential.searchable import Name

if TYPE_CHECKING:
    import ase


class Graph(NamedTuple):
    """One or several systems: every pair of atoms within the cutoff is an edge in either direction, periodic images included.

    >>> import ase
    >>> graph = build_graph(ase.Atoms("CO", [(0, 0, 0), (0, 0, 1.13)]), cutoff=5.0)
    >>> graph.edge_index.tolist()
    [[1, 0], [0, 1]]
    >>> graph.vectors[0].tolist()  # atom 0 receives, atom 1 sends: from C to O
    [0.0, 0.0, 1.1299999952316284]
    """

    numbers: torch.Tensor
    """Atomic numbers, int64 [n_atoms]."""
    edge_index: torch.Tensor
    """Row 0 the sending atoms j, row 1 the receiving atoms i, int64 [2, n_edges], ordered by i."""
    vectors: torch.Tensor
    """r_j - r_i + shift @ cell (Å), [n_edges, 3]."""
    system: torch.Tensor
    """Which system an atom belongs to, int64 [n_atoms]."""
    n_systems: int = 1
    """Number of systems."""


def build_graph(atoms: "ase.Atoms", cutoff: float, dtype: torch.dtype = torch.float32) -> Graph:
    """Neighbours within `cutoff` (Å) in any cell: free, periodic, mixed, triclinic, smaller than the cutoff."""
    return graph_of(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, cutoff, dtype)


def graph_of(
    numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float, dtype: torch.dtype, name: Name = int
) -> Graph:
    """The same of arrays, see `edges_of`."""
    return graph_from(edges_of(numbers, positions, cell, pbc, cutoff, name), dtype)


def graph_from(edges: Edges, dtype: torch.dtype) -> Graph:
    """The graph of neighbours that are found already."""
    return Graph(
        numbers=torch.from_numpy(edges.numbers),
        edge_index=torch.from_numpy(edges.edge_index),
        vectors=torch.from_numpy(edges.vectors).to(dtype),
        system=torch.zeros(len(edges.numbers), dtype=torch.int64),
    )


def batch_graphs(graphs: Sequence[Graph]) -> Graph:
    """Several graphs as one, with systems numbered in order."""
    atoms_before = np.cumsum([0] + [len(graph.numbers) for graph in graphs]).tolist()
    systems_before = np.cumsum([0] + [graph.n_systems for graph in graphs]).tolist()
    return Graph(
        numbers=torch.cat([graph.numbers for graph in graphs]),
        edge_index=torch.cat([graph.edge_index + n for graph, n in zip(graphs, atoms_before, strict=False)], dim=1),
        vectors=torch.cat([graph.vectors for graph in graphs]),
        system=torch.cat([graph.system + n for graph, n in zip(graphs, systems_before, strict=False)]),
        n_systems=systems_before[-1],
    )
