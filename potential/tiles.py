"""Edges of the same atom side by side, so that a sum over them, or a product with what belongs to the atom, is one matrix product."""

from typing import NamedTuple

import torch


class Tiles(NamedTuple):
    """A place for every edge in a table of n_tiles rows of `size` places; the edges of a row belong to one atom.

    edge    0  1  2  3  4  5
    atom    0  0  1  0  2  2         rows of size 3:   0 1 3 | 2 . . | 4 5 .      (. is empty)
    place   0  1  3  2  6  7
    """

    place: torch.Tensor
    """Where an edge sits, row * size + column, int64 [n_edges]."""
    atom: torch.Tensor
    """The atom of a row, ascending, int64 [n_tiles]."""
    size: int
    """Places in a row."""


def tiles_by_atom(atom: torch.Tensor, n_atoms: int) -> Tiles:
    """Tiles of the edges by their `atom` [n_edges], which may come in any order.

    A row per atom where all that have edges have about as many. Otherwise a row holds the mean number of edges, and an atom has as
    many rows as it needs. Either way there are at most twice as many places as edges, and one more per atom.
    """
    n_edges = atom.shape[0]
    if n_edges == 0:
        return Tiles(atom, atom, 1)
    counts = torch.bincount(atom, minlength=n_atoms)  # (n_atoms,)
    size = int(counts.max())
    n_occupied = int(torch.count_nonzero(counts))
    if size * n_occupied > 2 * n_edges:
        size = -(-n_edges // n_occupied)
    rows = torch.div(counts + (size - 1), size, rounding_mode="floor")  # (n_atoms,)
    skipped = (rows.cumsum(0) - rows) * size - (counts.cumsum(0) - counts)  # (n_atoms,), places left empty by the atoms before
    place = torch.arange(n_edges, device=atom.device)  # among edges in the order of atoms
    if not bool((atom[1:] >= atom[:-1]).all()):
        order = torch.argsort(atom, stable=True)
        place = torch.empty_like(order).scatter_(0, order, place)
    return Tiles(place + skipped.index_select(0, atom), torch.repeat_interleave(rows), size)


def into_tiles(values: torch.Tensor, tiles: Tiles) -> torch.Tensor:
    """`values` [n_edges, n] at their places, zeros at the empty ones, [n_tiles, size, n]."""
    n_tiles, n = tiles.atom.shape[0], values.shape[1]
    empty = torch.zeros(n_tiles * tiles.size, n, dtype=values.dtype, device=values.device)
    return empty.index_copy(0, tiles.place, values).view(n_tiles, tiles.size, n)


def out_of_tiles(table: torch.Tensor, tiles: Tiles) -> torch.Tensor:
    """The inverse of `into_tiles`: `table` [n_tiles, size, n] in the order of edges, [n_edges, n]."""
    return table.reshape(tiles.atom.shape[0] * tiles.size, table.shape[2]).index_select(0, tiles.place)
