"""Harmonic SpinConv: the energy-centric network on spherical harmonics. Every step is smooth and exactly differentiable.

A reader follows `energies` from top to bottom; the methods it calls are the stages that engines call one by one.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import nn
from torch.profiler import record_function

from spinconv.potential.config import ModelConfig
from spinconv.potential.convolution import SpinConvolution
from spinconv.potential.embedding import EmbeddingBlock
from spinconv.potential.frames import Harmonics, edge_frames
from spinconv.potential.numerics import safe_divide, safe_norm
from spinconv.potential.radial import DistanceBlock, envelope
from spinconv.potential.tiles import into_tiles, tiles_by_atom


class EdgeGeometry(NamedTuple):
    """What every block needs to know of the edges."""

    envelope: torch.Tensor
    """u(d), zero from the cutoff on, [n_edges, 1]."""
    harmonics: torch.Tensor
    """Y_lm of the direction from i to j, global frame, [n_edges, (lmax + 1)^2]."""
    rotation: torch.Tensor
    """D(R_e) into the frame of the edge, its entries as in `rotation_entries`, [n_edges, n_entries]."""


class HarmonicBlock(nn.Module):
    """The learned parts of one block: spin convolution, distance network, two embedding blocks."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        n_elements, width = len(config.elements), config.channels
        self.convolution = SpinConvolution(config.lmax, width, config.group)
        self.of_neighborhood = EmbeddingBlock(n_elements, True, width, width, width, config.n_bases)
        self.of_distance = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.to_message = EmbeddingBlock(n_elements, True, width, width, width, config.n_bases)

    def mix(self, h: torch.Tensor, t: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """What the block adds to the messages, [n_edges, channels]."""
        h = self.of_neighborhood(h, pair) + self.of_distance(t)
        return self.to_message(nn.functional.silu(h), pair)


class HarmonicSpinConv(nn.Module):
    """Energies of atoms from spin convolutions over their neighbourhoods (architecture of arXiv:2106.09575).

    `reference_energies` (eV, one per element of `config.elements`) are the energies of atoms without neighbours; the network's part
    is multiplied by `scale` (eV) and sums over neighbours are divided by `average_neighbors`, both constants of the training set.
    """

    def __init__(
        self, config: ModelConfig, reference_energies: Sequence[float], scale: float = 1.0, average_neighbors: float = 10.0
    ) -> None:
        super().__init__()
        if len(reference_energies) != len(config.elements):
            raise ValueError(
                f"`reference_energies` must have one value (eV) per element, {len(config.elements)} for {config.elements}, "
                f"got {len(reference_energies)}"
            )
        n_elements, width = len(config.elements), config.channels
        self.cutoff = float(config.cutoff)
        self.n_elements = n_elements
        self.n_blocks = config.n_blocks
        self.scale = float(scale)
        self.average_neighbors = float(average_neighbors)
        self.register_buffer("_reference_parts", _float32_parts(reference_energies), persistent=False)
        index_of_number = torch.full((119,), -1, dtype=torch.int64)
        index_of_number[list(config.elements)] = torch.arange(n_elements)
        self.register_buffer("_index_of_number", index_of_number, persistent=False)
        self.register_buffer("_isolated", torch.zeros(n_elements, width, dtype=torch.float64), persistent=False)
        self.register_buffer("_each_element", torch.arange(n_elements), persistent=False)

        self.harmonics = Harmonics(config.lmax)
        self.distance = DistanceBlock(n_elements, config.cutoff, config.n_radial, width)
        self.initial_distance = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.initial_message = EmbeddingBlock(n_elements, True, width, width, width, config.n_bases)
        self.blocks = nn.ModuleList(HarmonicBlock(config) for _ in range(config.n_blocks))
        self.energy = EmbeddingBlock(n_elements, False, width, width, 1, config.n_bases)
        self.to(torch.get_default_dtype())  # constants are made in float64

    _index_of_number: torch.Tensor
    _isolated: torch.Tensor
    _each_element: torch.Tensor
    _reference_parts: torch.Tensor

    __jit_unused_properties__: ClassVar[list[str]] = ["reference_energies"]

    @property
    def reference_energies(self) -> list[float]:
        """Energy (eV) of an atom of each element without neighbours."""
        return self._reference_parts.to(torch.float64).sum(dim=0).tolist()

    def energies(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Energy of every atom (eV, float64 [n_atoms]), differentiable with respect to `vectors`.

        `numbers` int64 [n_atoms]; `edge_index` int64 [2, n_edges], row 0 the sending atoms j, row 1 the receiving atoms i, both
        directions of every pair; `vectors` [n_edges, 3] r_j - r_i in Å. Edges longer than the cutoff count nothing. Every number must be
        one of the model's elements: the graph's maker checks that.
        """
        j, i = edge_index[0], edge_index[1]
        numbers_j, numbers_i = numbers.index_select(0, j), numbers.index_select(0, i)
        geometry, t, m = self.edges(vectors, numbers_j, numbers_i)
        for k in range(self.n_blocks):
            moments = self.moments(k, m, geometry, i, numbers.shape[0])  # (n_atoms, (lmax + 1)^2, channels)
            h = self.spin(k, moments, geometry, j)  # (n_edges, channels)
            m = self.mix(k, h, m, t, numbers_j, numbers_i)  # (n_edges, channels)
        return self.readout(self.sums(m, geometry, i, numbers.shape[0]), numbers)

    def forward(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """The same as `energies`."""
        return self.energies(numbers, edge_index, vectors)

    def edges(
        self, vectors: torch.Tensor, numbers_j: torch.Tensor, numbers_i: torch.Tensor
    ) -> tuple[EdgeGeometry, torch.Tensor, torch.Tensor]:
        """Geometry, distance features t [n_edges, channels] and initial messages m [n_edges, channels]."""
        with record_function("edges"):
            distances = safe_norm(vectors)  # (n_edges,)
            directions = safe_divide(vectors, distances.unsqueeze(1))
            geometry = EdgeGeometry(
                envelope(distances, self.cutoff).unsqueeze(1),
                self.harmonics(directions),
                self.harmonics.rotation(edge_frames(directions)),
            )
            pair = self._pair(numbers_j, numbers_i)
            t = self.distance(distances, pair)  # (n_edges, channels)
            m = self.initial_message(self.initial_distance(nn.functional.silu(t)), pair)  # (n_edges, channels)
            return geometry, t, m

    def moments(self, k: int, m: torch.Tensor, geometry: EdgeGeometry, i: torch.Tensor, n_atoms: int) -> torch.Tensor:
        """A_i = sum over the edges into i of u(d) m Y(n), in the global frame, [n_atoms, (lmax + 1)^2, channels]."""
        with record_function("moments"):
            weighted = m * geometry.envelope  # (n_edges, channels)
            tiles = tiles_by_atom(i, n_atoms)
            parts = torch.bmm(into_tiles(geometry.harmonics, tiles).transpose(1, 2), into_tiles(weighted, tiles))
            sums = torch.zeros(n_atoms, parts.shape[1], parts.shape[2], dtype=m.dtype, device=m.device)
            return sums.index_add(0, tiles.atom, parts) * self.average_neighbors ** (-0.5)

    def spin(self, k: int, moments: torch.Tensor, geometry: EdgeGeometry, j: torch.Tensor) -> torch.Tensor:
        """Spin convolution over the neighbourhood of the sending atom, seen along the edge, [n_edges, channels]."""
        with record_function("spin convolution"):
            h = geometry.envelope
            for index, block in enumerate(self.blocks):
                if index == k:
                    h = block.convolution(geometry.rotation, moments, j)
            return h

    def mix(
        self, k: int, h: torch.Tensor, m: torch.Tensor, t: torch.Tensor, numbers_j: torch.Tensor, numbers_i: torch.Tensor
    ) -> torch.Tensor:
        """The messages after block k: m + what the block adds; the first block has no residual, [n_edges, channels]."""
        with record_function("mix"):
            pair = self._pair(numbers_j, numbers_i)
            mixed = m
            for index, block in enumerate(self.blocks):
                if index == k:
                    mixed = block.mix(h, t, pair)
            return mixed if k == 0 else m + mixed

    def sums(self, m: torch.Tensor, geometry: EdgeGeometry, i: torch.Tensor, n_atoms: int) -> torch.Tensor:
        """Sum over the edges into i of u(d) m, [n_atoms, channels]."""
        with record_function("sums"):
            sums = torch.zeros(n_atoms, m.shape[1], dtype=m.dtype, device=m.device)
            return sums.index_add(0, i, m * geometry.envelope) / self.average_neighbors

    def readout(self, sums: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """E_i = E0 + scale (head(sum of u m into i) - head(0)): an atom without neighbours has its reference energy, [n_atoms]."""
        with record_function("readout"):
            element = self._index_of_number[numbers]
            alone = self.energy(self._isolated, self._each_element)  # (n_elements, 1)
            learned = (self.energy(sums, element) - alone[element]).squeeze(1).to(torch.float64)
            reference = self._reference_parts.to(torch.float64).sum(dim=0)
            return reference[element] + self.scale * learned  # added in float64: E0 may be thousands of eV

    def _pair(self, numbers_j: torch.Tensor, numbers_i: torch.Tensor) -> torch.Tensor:
        """Row of an element pair in tables of pairs, [n_edges]."""
        return self._index_of_number[numbers_j] * self.n_elements + self._index_of_number[numbers_i]


def _float32_parts(values: Sequence[float]) -> torch.Tensor:
    """Float64 numbers as sums of three that are exact in float32, [3, n]: a model moved to float32 keeps all their digits."""
    rest = torch.tensor(list(values), dtype=torch.float64)
    parts = []
    for _ in range(3):
        parts.append(rest.to(torch.float32).to(torch.float64))
        rest = rest - parts[-1]
    return torch.stack(parts)


def count_parameters(model: nn.Module) -> int:
    """Number of learned numbers of a model."""
    return sum(parameter.numel() for parameter in model.parameters())


__all__ = ["EdgeGeometry", "HarmonicSpinConv", "count_parameters"]
