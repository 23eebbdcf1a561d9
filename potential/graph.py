"""Atoms and their neighbours as the model sees them.

Conventions, everywhere: in an edge e = (j -> i) atom i receives and atom j sends; the vector points from i to j,
r_ij = r_j - r_i + shift @ cell, with lattice vectors as the rows of the cell. Lengths in Å.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import vesin

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
    if not np.isfinite(atoms.positions).all():
        raise ValueError(f"`positions` must be finite, atom {int(np.argwhere(~np.isfinite(atoms.positions))[0, 0])} is not")
    if atoms.pbc.any() and abs(np.linalg.det(_periodic_part(atoms))) < 1e-12:
        raise ValueError(
            f"`cell` must have independent lattice vectors where it is periodic, got {atoms.cell.tolist()} with pbc {atoms.pbc}"
        )
    box = atoms.cell.array if atoms.pbc.any() else np.zeros((3, 3))
    neighbors = vesin.NeighborList(cutoff=cutoff, full_list=True, sorted=True)
    i, j, vectors = neighbors.compute(points=atoms.positions, box=box, periodic=atoms.pbc, quantities="ijD")
    n_atoms = len(atoms)
    return Graph(
        numbers=torch.from_numpy(np.asarray(atoms.numbers, dtype=np.int64)),
        edge_index=torch.from_numpy(np.stack([j, i]).astype(np.int64)),
        vectors=torch.from_numpy(np.asarray(vectors, dtype=np.float64).reshape(-1, 3)).to(dtype),
        system=torch.zeros(n_atoms, dtype=torch.int64),
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


def _periodic_part(atoms: "ase.Atoms") -> np.ndarray:
    """The cell with orthogonal unit vectors in place of directions that are not periodic."""
    return np.asarray(atoms.cell.complete() if not atoms.pbc.all() else atoms.cell)
