import re

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


REFUSED = {
    "atoms 0 and 1 are 0.009 Å apart; atoms must be at least 0.01 Å apart": ase.Atoms("CO", [(0, 0, 0), (0, 0, 0.009)]),
    "atom 0 and its own image are 0.08 Å apart; atoms must be at least 0.1 Å apart": ase.Atoms("C", cell=[10, 10, 0.08], pbc=True),
    "the periodic cell of 0.001 Å³ is too small for 1 atoms": ase.Atoms("C", cell=[0.1, 0.1, 0.1], pbc=True),
    "the periodic cell of 1 Å³ is too small for 1 atoms": ase.Atoms("C", cell=[1, 1, 1], pbc=True),
    "a space of 1e+06 x 5 x 5 Å, which is too long or too flat": ase.Atoms("CO", [(0, 0, 0), (1e6, 0, 0)]),
    "a space of 1e+06 x 5 x 5 Å": ase.Atoms("C", cell=[1e6, 5, 5], pbc=(True, False, True)),
    "a space of 1e+05 x 5 x 1e+05 Å": ase.Atoms("C", cell=[1e5, 5, 1e5], pbc=True),
    "`positions` must be finite and within 1e+07 Å, got -1e+08": ase.Atoms("C", [(0, -1e8, 0)], cell=[9, 9, 9], pbc=True),
    "`cell` must be finite, vector 2 is not": ase.Atoms("C", cell=[9, 9, np.nan], pbc=True),
    "pairs of 20000 atoms are within 5 Å, whose list needs": ase.Atoms("C20000", np.random.default_rng(0).random((20000, 3)) * 6),
    "pairs of 1 atoms are within 5 Å, whose list needs": ase.Atoms("C", cell=[1e-4, 1e-4, 9], pbc=(True, True, False)),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_no_matter_is_refused(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spinconv.potential.searchable.available_memory", lambda: 10**10)  # 40 GB are wanted
    with pytest.raises(ValueError, match=re.escape(words)):
        build_graph(REFUSED[words], 5.0)


@pytest.mark.parametrize(
    "atoms",
    [
        ase.Atoms("CO", [(0, 0, 0), (0, 0, 0.21)]),
        ase.Atoms("CO", [(0, 0, 0), (0, 0, 0.02)]),  # of a trial step
        ase.Atoms("COC", [(0, 0, 0), (0, 0, 1), (0, 0, 1e4)]),
        ase.Atoms("CO", [(0, 0, 0), (0, 0, 1)], cell=[20, 20, 5e4], pbc=True),
        ase.Atoms("CO", [(0, 0, 0), (1e6, 0, 1)], cell=[10, 10, 10], pbc=True),
        ase.Atoms("CO", [(0, 0, 0), (0, 0, 1)], cell=[1e3, 1e3, 1e3], pbc=True),
    ],
)
def test_what_is_only_far_away_or_near_is_not_refused(atoms: ase.Atoms) -> None:
    assert build_graph(atoms, 5.0).edge_index.shape[1] == 2
