import ase
import numpy as np
import pytest
import torch
from ase.neighborlist import neighbor_list
from structures import STRUCTURES

from spinconv.potential import batch_graphs, build_graph


@pytest.mark.parametrize("name", STRUCTURES)
def test_edges_are_those_of_ase(name: str) -> None:
    atoms = STRUCTURES[name]()
    graph = build_graph(atoms, 5.0, torch.float64)
    i, j, vectors = neighbor_list("ijD", atoms, 5.0)

    def ordered(i: np.ndarray, j: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        table = np.column_stack([i, j, np.round(vectors, 6) + 0.0])
        return table[np.lexsort(table.T)]

    ours = ordered(graph.edge_index[1].numpy(), graph.edge_index[0].numpy(), graph.vectors.numpy())
    np.testing.assert_allclose(ours, ordered(i, j, vectors), atol=2e-6)


def test_vectors_point_from_the_receiver_to_the_sender() -> None:
    atoms = ase.Atoms("CO", [(0, 0, 0), (0, 0, 1.1)])
    graph = build_graph(atoms, 5.0, torch.float64)
    j, i = graph.edge_index.numpy()
    np.testing.assert_allclose(graph.vectors.numpy(), atoms.positions[j] - atoms.positions[i])


def test_an_isolated_atom_has_no_edges() -> None:
    assert build_graph(ase.Atoms("C"), 5.0).edge_index.shape == (2, 0)


def test_no_atoms_are_a_graph() -> None:
    assert build_graph(ase.Atoms(), 5.0).numbers.shape == (0,)


def test_a_batch_numbers_atoms_and_systems_in_order() -> None:
    graph = batch_graphs([build_graph(STRUCTURES[name](), 5.0) for name in ("collinear", "fcc")])
    assert graph.n_systems == 2
    assert graph.system.tolist() == [0] * 3 + [1] * 4
    assert set(graph.edge_index[:, :6].flatten().tolist()) == {0, 1, 2}
    assert graph.edge_index[:, 6:].min() == 3


def test_positions_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="`positions` must be finite, atom 1 is not"):
        build_graph(ase.Atoms("CO", [(0, 0, 0), (0, 0, np.nan)]), 5.0)


def test_a_flat_periodic_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="`cell` must have independent lattice vectors"):
        build_graph(ase.Atoms("C", cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]], pbc=True), 5.0)
