"""Neighbours of structures that follow each other: those of the structure alone, whatever came before it."""

import ase
import numpy as np
import pytest
from structures import STRUCTURES

from spinconv.potential import edges as module
from spinconv.potential.edges import Edges, VerletList, edges_of

CUTOFF = 4.0


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The cutoffs that were searched for."""
    cutoffs: list[float] = []
    search = module.pairs_within
    monkeypatch.setattr(module, "pairs_within", lambda cutoff, *rest: cutoffs.append(cutoff) or search(cutoff, *rest))
    return cutoffs


def neighbors_of(atoms: ase.Atoms, known: VerletList) -> Edges:
    return known.edges(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)


def in_rows(edges: Edges) -> np.ndarray:
    """An edge a row, sorted."""
    rows = np.column_stack([edges.edge_index.T, edges.vectors.round(9) + 0.0])
    return rows[np.lexsort(rows.T)]


@pytest.mark.parametrize("name", STRUCTURES)
def test_edges_of_a_walk_are_those_of_each_structure_to_the_last_bit(name: str, searches: list[float]) -> None:
    atoms, known, rng = STRUCTURES[name](), VerletList(CUTOFF), np.random.default_rng(0)
    for _ in range(30):
        atoms.positions += rng.normal(scale=0.02, size=atoms.positions.shape)
        edges = neighbors_of(atoms, known)
        alone = neighbors_of(atoms, VerletList(CUTOFF))
        assert np.array_equal(edges.edge_index, alone.edge_index)
        assert np.array_equal(edges.vectors, alone.vectors)
        anew = edges_of(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, CUTOFF)
        np.testing.assert_allclose(in_rows(edges), in_rows(anew), atol=1e-8)
    assert len(searches) < 30 * 3  # a walk of its own, one alone, one anew


def test_nothing_is_searched_for_until_an_atom_has_moved_by_half_of_the_skin(searches: list[float]) -> None:
    atoms, known = STRUCTURES["water box"](), VerletList(CUTOFF, skin=0.4)
    neighbors_of(atoms, known)
    atoms.positions[0] += [0.19, 0.0, 0.0]
    neighbors_of(atoms, known)
    assert searches == [4.4]
    atoms.positions[0] += [0.02, 0.0, 0.0]
    neighbors_of(atoms, known)
    assert searches == [4.4, 4.4]


CHANGES = {
    "the cell": lambda atoms: atoms.set_cell(atoms.cell * 1.001),
    "the periodic directions": lambda atoms: atoms.set_pbc((True, True, False)),
    "the number of atoms": lambda atoms: atoms.append(ase.Atom("Cu", (1.0, 1.0, 5.5))),
    "an atom to where its image was": lambda atoms: atoms.positions.__setitem__(0, atoms.positions[0] + atoms.cell[0]),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_else_changes_is_noticed(what: str) -> None:
    atoms, known = STRUCTURES["fcc"](), VerletList(CUTOFF)
    neighbors_of(atoms, known)
    CHANGES[what](atoms)
    anew = edges_of(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, CUTOFF)
    np.testing.assert_allclose(in_rows(neighbors_of(atoms, known)), in_rows(anew), atol=1e-8)


@pytest.mark.parametrize("cells", [1e3, -1e5])
def test_an_atom_that_has_wandered_far_costs_nothing(cells: float) -> None:
    atoms = STRUCTURES["fcc"]()
    there = in_rows(neighbors_of(atoms, VerletList(CUTOFF)))
    atoms.positions[1] += cells * atoms.cell.array.sum(axis=0)
    np.testing.assert_allclose(in_rows(neighbors_of(atoms, VerletList(CUTOFF))), there, atol=1e-8)


def test_other_elements_are_other_numbers() -> None:
    atoms, known = STRUCTURES["fcc"](), VerletList(CUTOFF)
    neighbors_of(atoms, known)
    atoms.numbers[0] = 13
    assert neighbors_of(atoms, known).numbers[0] == 13


def test_after_a_refusal_the_next_structure_is_searched() -> None:
    atoms, known = STRUCTURES["fcc"](), VerletList(CUTOFF)
    found = neighbors_of(atoms, known)
    broken = atoms.copy()
    broken.positions[1, 2] = np.nan
    with pytest.raises(ValueError, match="`positions` must be finite, atom 1 is not"):
        neighbors_of(broken, known)
    broken.positions[1] = broken.positions[0]
    with pytest.raises(ValueError, match="atoms 0 and 1 are 0 Å apart"):
        neighbors_of(broken, known)
    assert np.array_equal(neighbors_of(atoms, known).vectors, found.vectors)


def test_what_was_given_before_stays_as_it_was() -> None:
    atoms, known = STRUCTURES["fcc"](), VerletList(CUTOFF)
    found = neighbors_of(atoms, known)
    before = found.vectors.copy()
    atoms.positions[0] += [0.0, 0.0, 0.1]
    neighbors_of(atoms, known)
    assert np.array_equal(found.vectors, before)
