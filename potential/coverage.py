"""What the training frames looked like around an atom: where a model interpolates, and where it begins to guess."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ase.data import atomic_numbers, chemical_symbols

if TYPE_CHECKING:
    from spinconv.potential.graph import Graph

ROUNDING = 1e-6  # Å; a distance may come out so much shorter in another precision


class Coverage(NamedTuple):
    """The shortest distance of every element pair and the numbers of neighbours of every element, in all training frames."""

    shortest: list[list[float]]
    """Shortest distance (Å, rounded down to 0.001) of elements a and b in the order of the model; inf: never within the cutoff."""
    neighbors: list[tuple[int, int]]
    """Least and most neighbours within the cutoff of an atom of each element; (0, 0) where there was none."""

    def to_dict(self, elements: Sequence[int]) -> dict[str, Any]:
        """As checkpoints and model files say it; pairs that were never seen are left out.

        >>> coverage_of([], [1, 8]).to_dict([1, 8])
        {'shortest_distances': {}, 'neighbors': {'H': [0, 0], 'O': [0, 0]}}
        """
        symbols = [chemical_symbols[z] for z in elements]
        pairs = [(a, b) for a in range(len(symbols)) for b in range(a, len(symbols)) if math.isfinite(self.shortest[a][b])]
        return {
            "shortest_distances": {f"{symbols[a]}-{symbols[b]}": self.shortest[a][b] for a, b in pairs},
            "neighbors": {symbol: list(counts) for symbol, counts in zip(symbols, self.neighbors, strict=True)},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], elements: Sequence[int]) -> Coverage:
        """The inverse of `to_dict`."""
        place = {z: index for index, z in enumerate(elements)}
        shortest = [[math.inf] * len(elements) for _ in elements]
        for pair, distance in values["shortest_distances"].items():
            a, b = (place[atomic_numbers[symbol]] for symbol in pair.split("-"))
            shortest[a][b] = shortest[b][a] = float(distance)
        counts = [values["neighbors"][chemical_symbols[z]] for z in elements]
        return cls(shortest, [(int(least), int(most)) for least, most in counts])

    def union(self, other: Coverage) -> Coverage:
        """What either has seen, of the same elements: the coverage of a model that was trained on the one and then on the other."""
        shortest = [[min(pair) for pair in zip(*rows, strict=True)] for rows in zip(self.shortest, other.shortest, strict=True)]
        return Coverage(shortest, [wider(*ranges) for ranges in zip(self.neighbors, other.neighbors, strict=True)])


def wider(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """The range around two ranges of neighbour counts; (0, 0), where there was no atom, adds nothing."""
    if (0, 0) in (a, b):
        return max(a, b)
    return min(a[0], b[0]), max(a[1], b[1])


def coverage_of(graphs: Iterable[Graph], elements: Sequence[int]) -> Coverage:
    """The coverage of training graphs whose atoms are of `elements` (atomic numbers in the order of the model)."""
    import torch  # which those who read a coverage do not need

    n_elements = len(elements)
    element_of = torch.full((119,), -1, dtype=torch.int64)
    element_of[list(elements)] = torch.arange(n_elements)
    shortest = torch.full((n_elements * n_elements,), math.inf, dtype=torch.float64)
    least = torch.full((n_elements,), torch.iinfo(torch.int64).max)
    most = torch.zeros(n_elements, dtype=torch.int64)
    for graph in graphs:
        element = element_of[graph.numbers]  # (n_atoms,)
        j, i = graph.edge_index[0], graph.edge_index[1]
        distances = torch.linalg.vector_norm(graph.vectors.double(), dim=1)  # (n_edges,)
        shortest.scatter_reduce_(0, element[i] * n_elements + element[j], distances, "amin")
        counts = torch.bincount(i, minlength=len(element))  # (n_atoms,)
        least.scatter_reduce_(0, element, counts, "amin")
        most.scatter_reduce_(0, element, counts, "amax")
    down = torch.floor(1000 * (shortest - ROUNDING)) / 1000  # rounded down, so that no training frame lies outside by its last digit
    return Coverage(
        torch.minimum(down.view(n_elements, n_elements), down.view(n_elements, n_elements).T).tolist(),
        list(zip(torch.minimum(least, most).tolist(), most.tolist(), strict=True)),
    )
