"""Grid SpinConv as a PyTorch module: the learned numbers, how they begin, energies and forces by the page of equations."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from spinconv.potential.grid import equations
from spinconv.potential.grid.config import GridConfig
from spinconv.potential.grid.constants import grid_constants
from spinconv.potential.model import PotentialModel, TwoLayers

MIXTURES = 8
"""Networks that an embedding block mixes."""
BEGINNING = 1e-4
"""Embeddings of elements begin uniformly between minus and plus this, as published."""


class EmbeddingBlock(nn.Module):
    """The weights of `equations.embedding_block`."""

    def __init__(self, config: GridConfig, channels_in: int, channels_out: int) -> None:
        super().__init__()
        hidden, width, n_elements = config.hidden_channels, config.embedding_channels, len(config.elements)
        self.first = nn.Linear(channels_in, hidden)
        self.middle = nn.Linear(hidden, MIXTURES * hidden)
        self.last = nn.Linear(hidden, channels_out)
        self.sender = small_embedding(n_elements, width)
        self.receiver = small_embedding(n_elements, width)
        self.mixture = nn.Linear(2 * width, MIXTURES)


class DistanceFeatures(nn.Module):
    """The weights of `equations.distance_features`.

    Centres (Å) and rate (1/Å^2) of the Gaussians exp(rate (x - centre)^2) are not learned.
    """

    centers: torch.Tensor
    rate: torch.Tensor

    def __init__(self, config: GridConfig) -> None:
        super().__init__()
        centers = torch.linspace(0.0, config.cutoff, config.n_radial, dtype=torch.float64)
        self.register_buffer("centers", centers)
        self.register_buffer("rate", -0.5 / (config.radial_width * (centers[1:2] - centers[0])) ** 2)
        if config.scale_distances:
            n_pairs = len(config.elements) ** 2
            self.scale, self.offset = small_embedding(n_pairs, 1), small_embedding(n_pairs, 1)
        self.linear = nn.Linear(config.n_radial, config.hidden_channels)


class SpinConvolution(nn.Module):
    """The weights of `equations.spin_convolution`: kernels over the grid, or over its harmonics; and of the norm of its groups."""

    def __init__(self, config: GridConfig, kind: str) -> None:
        super().__init__()
        hidden = config.hidden_channels
        if kind == "grid":
            inputs = config.channels // config.groups * config.n_latitude
            shape = [hidden, inputs, config.n_longitude]
        else:
            shape = [hidden, config.channels * (config.lmax + 1) ** 2]
        bound = 1 / math.sqrt(math.prod(shape[1:]))  # torch's own beginning of linear layers and convolutions
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(hidden).uniform_(-bound, bound))
        self.norm = nn.GroupNorm(config.groups, hidden)


class Block(nn.Module):
    """The weights of one message block."""

    def __init__(self, config: GridConfig) -> None:
        super().__init__()
        hidden = config.hidden_channels
        self.convolution = SpinConvolution(config, config.convolution)
        self.of_neighborhood = EmbeddingBlock(config, hidden, hidden)
        self.of_distance = TwoLayers(hidden, hidden, hidden)
        self.to_message = EmbeddingBlock(config, hidden, config.channels)


class ForceHead(nn.Module):
    """The weights of `equations.force_head`; the second of its two outputs was never used."""

    def __init__(self, config: GridConfig) -> None:
        super().__init__()
        hidden = config.hidden_channels
        self.convolution = SpinConvolution(config, config.force_convolution)
        self.of_neighborhood = EmbeddingBlock(config, hidden, hidden)
        self.to_force = EmbeddingBlock(config, hidden, 2)


class GridSpinConv(PotentialModel):
    """Energies, and direct forces where its config has them, by the published network (arXiv:2106.09575); see equations.py."""

    config: GridConfig

    def __init__(
        self, config: GridConfig, reference_energies: Sequence[float], scale: float = 1.0, average_neighbors: float = 10.0
    ) -> None:
        super().__init__(config, reference_energies, scale, average_neighbors)
        hidden, channels = config.hidden_channels, config.channels
        self.distance = DistanceFeatures(config)
        self.initial_distance = TwoLayers(hidden, hidden, hidden)
        self.initial_message = EmbeddingBlock(config, hidden, channels)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_blocks))
        self.energy = EmbeddingBlock(config, channels, 1)
        if config.direct_forces:
            self.force = ForceHead(config)
        self.keep_constants()

    def exact_constants(self) -> dict[str, torch.Tensor]:
        return {**self.shared_constants(), **grid_constants(self.config)}

    def settings(self) -> dict[str, float]:
        """The numbers that the equations ask for by name."""
        c = self.config
        return {
            **self.shared_settings(),
            "n_blocks": float(c.n_blocks),
            "n_latitude": float(c.n_latitude),
            "n_longitude": float(c.n_longitude),
            "max_neighbors": float(c.max_neighbors),
            "frame_offset": float(c.frame_offset),
            "envelope": float(c.envelope),
            "intact": float(c.gradient == "intact"),
            "log_distance_scale_max": math.log(c.distance_scale_max),
            "energy_offset": float(c.energy_offset),
            "force_scale": float(c.force_scale),
            "n_rotations": float(c.n_rotations),
            "seed": float(c.seed),
        }

    def energies(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        return equations.energies(self.weights(), self.settings(), numbers, edge_index, vectors)

    def energies_and_gradients(
        self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both in chunks, with less work than autograd's."""
        w = {name: value.detach() for name, value in self.weights().items()}
        return equations.energies_and_gradients(w, self.settings(), numbers, edge_index, vectors)

    def forces(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """See `equations.forces`; ValueError by a model without a head for them."""
        self._check_head()
        return equations.forces(self.weights(), self._drawn(), numbers, edge_index, vectors)

    def energies_and_forces(
        self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both of the same messages."""
        self._check_head()
        return equations.energies_and_forces(self.weights(), self._drawn(), numbers, edge_index, vectors)

    def _drawn(self) -> dict[str, float]:
        """The settings; in training, random rotations are new ones at every call."""
        return {**self.settings(), "seed": -1.0} if self.training else self.settings()

    def _check_head(self) -> None:
        if not self.config.direct_forces:
            raise ValueError("`forces` of this model are the gradient of its energy: ask for `energy_and_forces`")


def net_forces(forces: torch.Tensor, system: torch.Tensor, n_systems: int) -> torch.Tensor:
    """Sum of the forces on the atoms of each system, [n_systems, 3]: zero for a gradient, not for direct forces."""
    return torch.zeros(n_systems, 3, dtype=forces.dtype, device=forces.device).index_add(0, system, forces)


def small_embedding(n: int, channels: int) -> nn.Embedding:
    """A table of n rows that are nearly zero."""
    embedding = nn.Embedding(n, channels)
    nn.init.uniform_(embedding.weight, -BEGINNING, BEGINNING)
    return embedding
