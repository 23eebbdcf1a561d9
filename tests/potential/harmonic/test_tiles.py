"""Edges side by side by atom: nothing is lost, nothing is mixed, little is empty."""

import pytest
import torch

from spinconv.potential.harmonic.equations import into_tiles, tiles_by_atom

GENERATOR = torch.Generator().manual_seed(0)
ATOMS = {
    "alike": torch.arange(60) % 6,
    "in order": torch.arange(60) // 10,
    "one atom has nearly all": torch.cat([torch.zeros(100, dtype=torch.int64), torch.tensor([3, 5])]),
    "gaps": torch.tensor([7, 2, 2, 7, 7]),
    "random": torch.randint(0, 40, (300,), generator=GENERATOR),
    "none": torch.zeros(0, dtype=torch.int64),
}
N_ATOMS = 41


@pytest.mark.parametrize("name", ATOMS)
def test_every_edge_has_a_place_of_its_own_in_a_row_of_its_atom(name: str) -> None:
    place, atom, size = tiles_by_atom(ATOMS[name], N_ATOMS)
    assert len(place.unique()) == len(ATOMS[name])
    assert torch.equal(atom[place // size], ATOMS[name])


@pytest.mark.parametrize("name", ATOMS)
def test_places_are_at_most_twice_the_edges_and_one_an_atom(name: str) -> None:
    _, atom, size = tiles_by_atom(ATOMS[name], N_ATOMS)
    assert len(atom) * size <= 2 * len(ATOMS[name]) + N_ATOMS


@pytest.mark.parametrize("name", ATOMS)
def test_what_goes_in_comes_out_and_empty_places_are_zero(name: str) -> None:
    values = torch.rand(len(ATOMS[name]), 3, generator=GENERATOR) + 1.0
    place, atom, size = tiles_by_atom(ATOMS[name], N_ATOMS)
    table = into_tiles(values, place, len(atom), size)
    assert torch.equal(table.view(-1, 3)[place], values)
    assert int(torch.count_nonzero(table)) == values.numel()


def test_tiles_of_the_docstring() -> None:
    place, atom, size = tiles_by_atom(torch.tensor([0, 0, 1, 0, 2, 2]), 3)
    table = into_tiles(torch.arange(1.0, 7.0).unsqueeze(1), place, 3, size).squeeze(2) - 1.0  # the edge, -1 where empty
    assert (place.tolist(), atom.tolist(), size) == ([0, 1, 3, 2, 6, 7], [0, 1, 2], 3)
    assert table.tolist() == [[0, 1, 3], [2, -1, -1], [4, 5, -1]]
