"""What can be drawn of a model, as numbers: each kind says its own in pictures.py of its folder, export/pictures makes figures of it.

Spheres are those that an edge j -> i sees: of the unit vectors (x, y, z) in its frame, x points the way from i to j and on, the north
pole. The receiver itself, seen from j, is at the south pole. Longitude is atan2(y, z).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from spinconv.potential.words import element_name

Sphere = Callable[[torch.Tensor], torch.Tensor]
"""Values [..., p] at unit vectors [p, 3] of a frame."""


class Embedding(NamedTuple):
    """Learned numbers that tell elements apart."""

    name: str
    values: torch.Tensor
    """[n_elements, width], or of pairs of them, senders first, [n_elements, n_elements, width]."""

    @property
    def of_pairs(self) -> bool:
        """Whether a row is of a pair."""
        return self.values.dim() == 3

    def of_elements(self) -> torch.Tensor:
        """A row an element, [n_elements, ...]; of pairs, all of those in which it sends and then all in which it receives."""
        if not self.of_pairs:
            return self.values
        return torch.cat([self.values.flatten(1), self.values.transpose(0, 1).flatten(1)], dim=1)


class Filters(NamedTuple):
    """The kernels of a spin convolution as functions on the sphere, those of one group of channels."""

    n_groups: int
    inputs: Sequence[str]
    """Names of the channels that are convolved."""
    outputs: Sequence[str]
    """Names of what comes out."""
    sphere: Sphere
    """[n_outputs, n_inputs, p]."""


class Seen(NamedTuple):
    """What an edge sees of the neighbours of its sender."""

    vector: torch.Tensor
    """r_j - r_i (Å), [3]."""
    neighbors: torch.Tensor
    """r_k - r_j (Å) of the edges k -> j, the reverse edge among them, [n, 3]."""
    atoms: torch.Tensor
    """Their atoms k, [n]."""
    frame: torch.Tensor
    """Rows x, y, z, [3, 3]."""
    blocks: Sequence[Sphere]
    """What each block convolves, [channels, p]."""


def names(first: int, n: int, mark: str = "") -> list[str]:
    """Of n channels in a row."""
    return [f"{channel}{mark}" for channel in range(first, first + n)]


def check_number(name: str, value: int, n: int) -> None:
    """ValueError where a block or a group is not one of the n that there are."""
    if not 0 <= value < n:
        raise ValueError(f"`{name}` must be from 0 to {n - 1}, got {value}")


def edge_between(edge_index: torch.Tensor, vectors: torch.Tensor, j: int, i: int) -> int | None:
    """The number of the shortest edge j -> i; None if there is none."""
    found = torch.nonzero((edge_index[0] == j) & (edge_index[1] == i)).squeeze(1)
    if len(found) == 0:
        return None
    return int(found[vectors[found].norm(dim=1).argmin()])


def check_edge(edge: int | None, numbers: torch.Tensor, j: int, i: int, neighbors: str) -> int:
    """The edge; ValueError where there is none because the two atoms are no `neighbors`, in words."""
    if edge is None:
        names = " and ".join(f"{atom} ({element_name(int(numbers[atom]))})" for atom in (j, i))
        raise ValueError(f"`edge` must be between neighbours, atoms {names} are none: {neighbors}")
    return edge


def longitude_latitude(directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both in radians, [p] each, of unit vectors of a frame [p, 3]."""
    x, y, z = directions.unbind(1)
    return torch.atan2(y, z), torch.asin(x.clamp(-1.0, 1.0))
