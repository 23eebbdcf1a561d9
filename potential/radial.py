"""Functions of the distance alone: the cutoff envelope and the distance features."""

import torch
from torch import nn


def envelope(distances: torch.Tensor, cutoff: float) -> torch.Tensor:
    """Polynomial u(d) with u(0) = 1 and u = u' = u'' = 0 at the cutoff and beyond; same shape as `distances` (Å).

    1 - 28 x^6 + 48 x^7 - 21 x^8 with x = d / cutoff (Gasteiger et al., arXiv:2003.03123, eq. 8, p = 6).
    """
    x = torch.clamp(distances / cutoff, max=1.0)  # beyond the cutoff u is the constant u(1) = 0
    x6 = x**6
    return 1.0 + x6 * (-28.0 + x * (48.0 - 21.0 * x))


class DistanceBlock(nn.Module):
    """Distance features t = Linear(Gaussians(scale_ab d + offset_ab)) for an element pair ab, shared by all blocks.

    `n_radial` Gaussians stand at equal spacings from 0 to the cutoff; their width is the spacing.
    """

    _centers: torch.Tensor

    def __init__(self, n_elements: int, cutoff: float, n_radial: int, channels: int) -> None:
        super().__init__()
        spacing = cutoff / (n_radial - 1)
        self.register_buffer("_centers", torch.arange(n_radial, dtype=torch.float64), persistent=False)
        self.inverse_width = 1.0 / spacing
        self.scale = nn.Parameter(torch.ones(n_elements * n_elements, 1))
        self.offset = nn.Parameter(torch.zeros(n_elements * n_elements, 1))
        self.linear = nn.Linear(n_radial, channels)

    def forward(self, distances: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Features of `distances` [n] (Å) for element pairs `pair` [n], [n, channels]."""
        scaled = self.scale.index_select(0, pair) * distances.unsqueeze(1) + self.offset.index_select(0, pair)
        gaussians = torch.exp(-0.5 * (scaled * self.inverse_width - self._centers) ** 2)  # (n, n_radial)
        return self.linear(gaussians)
