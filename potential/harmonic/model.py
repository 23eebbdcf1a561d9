"""Harmonic SpinConv as a PyTorch module: the learned numbers, how they begin, and the energies of atoms by the page of equations."""

import math
from collections.abc import Sequence

import torch
from ase.data import covalent_radii
from torch import nn

from spinconv.potential.harmonic import equations
from spinconv.potential.harmonic.config import ModelConfig
from spinconv.potential.harmonic.constants import pair_constants, spin_constants
from spinconv.potential.model import PotentialModel, TwoLayers


class EmbeddingBlock(TwoLayers):
    """The weights of `equations.embedding_block`; a row of factors for each of `n_kinds` elements or pairs of elements."""

    def __init__(self, n_kinds: int, channels_in: int, channels: int, channels_out: int) -> None:
        super().__init__(channels_in, channels, channels_out)
        self.factors = nn.Parameter(1.0 + 0.5 * torch.randn(n_kinds, channels))


class DistanceFeatures(nn.Module):
    """The weights of the distance features: a scale and an offset of the distance for every pair, and a linear layer.

    `inner` (Å), the shortest distance of each pair in training, is not learned; 0 holds nothing (see `equations.held`).
    """

    inner: torch.Tensor

    def __init__(self, n_pairs: int, n_radial: int, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(n_pairs, 1))
        self.offset = nn.Parameter(torch.zeros(n_pairs, 1))
        self.register_buffer("inner", torch.zeros(n_pairs, 1))
        self.linear = nn.Linear(n_radial, channels)


class SpinConvolution(nn.Module):
    """The weights of a spin convolution: kernels (m, l) of each group of channels, and a bias."""

    def __init__(self, lmax: int, channels: int, group: int) -> None:
        super().__init__()
        inputs = torch.tensor([(lmax + 1 - m) * group for m in range(lmax + 1) for _ in range(m, lmax + 1)])  # that add up to one F_m
        kernels = torch.randn(channels // group, len(inputs), group, 2 * group)
        self.weight = nn.Parameter(kernels * inputs.rsqrt()[None, :, None, None])
        self.bias = nn.Parameter(torch.zeros(channels))


class Block(nn.Module):
    """The weights of one block."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        n_pairs, width = len(config.elements) ** 2, config.channels
        self.convolution = SpinConvolution(config.lmax, width, config.group)
        self.of_neighborhood = EmbeddingBlock(n_pairs, width, width, width)
        self.of_distance = TwoLayers(width, width, width)
        self.to_message = EmbeddingBlock(n_pairs, width, width, width)


class HarmonicSpinConv(PotentialModel):
    """Energies of atoms from spin convolutions over their neighbourhoods (architecture of arXiv:2106.09575); see equations.py."""

    config: ModelConfig

    def __init__(
        self, config: ModelConfig, reference_energies: Sequence[float], scale: float = 1.0, average_neighbors: float = 10.0
    ) -> None:
        super().__init__(config, reference_energies, scale, average_neighbors)
        n_elements, width = self.n_elements, config.channels
        self.distance = DistanceFeatures(n_elements**2, config.n_radial, width)
        self.initial_distance = TwoLayers(width, width, width)
        self.initial_message = EmbeddingBlock(n_elements**2, width, width, width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_blocks))
        self.energy = EmbeddingBlock(n_elements, width, width, 1)
        self.keep_constants()

    def exact_constants(self) -> dict[str, torch.Tensor]:
        """See constants.py."""
        c = self.config
        return {**self.shared_constants(), "constants.pairs": pair_constants(c.elements, c.cutoff, c.wall), **spin_constants(c.lmax)}

    def hold(self, shortest: Sequence[Sequence[float]]) -> None:
        """Shows the network no distance far below the `shortest` (Å) of elements a and b in training (`Coverage.shortest`, see
        `equations.held`); where they never were neighbours, that is the sum of their covalent radii."""
        z = self.config.elements
        never = [[min(float(covalent_radii[a] + covalent_radii[b]), self.cutoff) for b in z] for a in z]
        inner = [s if math.isfinite(s) else n for row, radii in zip(shortest, never, strict=True) for s, n in zip(row, radii, strict=True)]
        self.distance.inner.copy_(torch.tensor(inner, dtype=torch.float64)[:, None])

    def settings(self) -> dict[str, float]:
        """The numbers that the equations ask for by name."""
        return {**self.shared_settings(), "n_blocks": float(self.config.n_blocks)}

    def energies(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """See `equations.energies`."""
        return equations.energies(self.weights(), self.settings(), numbers, edge_index, vectors)
