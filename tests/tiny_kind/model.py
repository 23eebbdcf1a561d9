"""A tiny model."""

from collections.abc import Sequence

import torch
from torch import nn

from spinconv.potential.model import PotentialModel
from tiny_kind import equations
from tiny_kind.config import TinyConfig


class Tiny(PotentialModel):
    """Pairs of atoms."""

    config: TinyConfig

    def __init__(
        self, config: TinyConfig, reference_energies: Sequence[float], scale: float = 1.0, average_neighbors: float = 10.0
    ) -> None:
        super().__init__(config, reference_energies, scale, average_neighbors)
        self.factors = nn.Parameter(torch.randn(self.n_elements, config.width))
        if config.says == "direct":
            self.pull = nn.Linear(config.width, 1, bias=False)
        self.keep_constants()

    def exact_constants(self) -> dict[str, torch.Tensor]:
        centers = torch.linspace(1.0, 0.5 * self.cutoff**2, self.config.width, dtype=torch.float64)
        return {**self.shared_constants(), "constants.centers": centers}

    def settings(self) -> dict[str, float]:
        return {**self.shared_settings(), "sharpness": 0.2}

    def energies(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        return equations.energies(self.weights(), self.settings(), numbers, edge_index, vectors)

    def forces(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        return equations.forces(self.weights(), self.settings(), numbers, edge_index, vectors)
