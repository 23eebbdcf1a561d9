"""Harmonic SpinConv as a PyTorch module: the learned numbers, how they begin, and the energies of atoms by the page of equations."""

import math
from collections.abc import Callable, Sequence

import torch
from ase.data import covalent_radii
from torch import nn

from spinconv.potential.config import ModelConfig
from spinconv.potential.harmonic import equations
from spinconv.potential.harmonic.constants import model_constants


class TwoLayers(nn.Module):
    """The weights of `equations.network`."""

    def __init__(self, channels_in: int, channels: int, channels_out: int) -> None:
        super().__init__()
        self.first = nn.Linear(channels_in, channels)
        self.last = nn.Linear(channels, channels_out)


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


class HarmonicSpinConv(nn.Module):
    """Energies of atoms from spin convolutions over their neighbourhoods (architecture of arXiv:2106.09575); see equations.py.

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
        self.config = config
        self.cutoff, self.n_elements = float(config.cutoff), n_elements
        self.reference_energies = [float(energy) for energy in reference_energies]
        self.scale, self.average_neighbors = float(scale), float(average_neighbors)
        self.distance = DistanceFeatures(n_elements**2, config.n_radial, width)
        self.initial_distance = TwoLayers(width, width, width)
        self.initial_message = EmbeddingBlock(n_elements**2, width, width, width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_blocks))
        self.energy = EmbeddingBlock(n_elements, width, width, 1)
        self._constants = self._exact_constants()
        self.to(torch.get_default_dtype())

    def _exact_constants(self) -> dict[str, torch.Tensor]:
        return model_constants(self.config, self.reference_energies)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> "HarmonicSpinConv":
        """Every move to another precision starts from the exact constants: float32 and back must not leave rounded ones."""
        super()._apply(fn, recurse)
        like = self.distance.scale
        self._constants = constants_like(self._exact_constants(), like.device, like.dtype)
        return self

    def hold(self, shortest: Sequence[Sequence[float]]) -> None:
        """Shows the network no distance far below the `shortest` (Å) of elements a and b in training (`Coverage.shortest`, see
        `equations.held`); where they never were neighbours, that is the sum of their covalent radii."""
        z = self.config.elements
        never = [[min(float(covalent_radii[a] + covalent_radii[b]), self.cutoff) for b in z] for a in z]
        inner = [s if math.isfinite(s) else n for row, radii in zip(shortest, never, strict=True) for s, n in zip(row, radii, strict=True)]
        self.distance.inner.copy_(torch.tensor(inner, dtype=torch.float64)[:, None])

    def weights(self) -> dict[str, torch.Tensor]:
        """Learned numbers and constants by the names that the equations give them."""
        return {**dict(self.named_parameters()), **dict(self.named_buffers()), **self._constants}

    def stored_constants(self) -> dict[str, torch.Tensor]:
        """The constants that a model file has, because other readers would have to compute them; the rest stands in its metadata."""
        said = ("constants.element", "constants.reference_energies")
        return {name: value for name, value in self._constants.items() if name not in said}

    def settings(self) -> dict[str, float]:
        """The numbers that the equations ask for by name."""
        return {
            "cutoff": self.cutoff,
            "n_blocks": float(self.config.n_blocks),
            "scale": self.scale,
            "average_neighbors": self.average_neighbors,
        }

    def energies(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """See `equations.energies`. Every number must be one of the model's elements: the graph's maker checks that."""
        return equations.energies(self.weights(), self.settings(), numbers, edge_index, vectors)

    def forward(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """The same as `energies`."""
        return self.energies(numbers, edge_index, vectors)


def constants_like(constants: dict[str, torch.Tensor], device: torch.device, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """On a device and in a precision; whole numbers stay whole, and reference energies, which may be thousands of eV, float64."""
    keep = {name for name, value in constants.items() if not value.is_floating_point()} | {"constants.reference_energies"}
    return {name: value.to(device=device, dtype=None if name in keep else dtype) for name, value in constants.items()}


def count_parameters(model: nn.Module) -> int:
    """Number of learned numbers of a model."""
    return sum(parameter.numel() for parameter in model.parameters())
