"""The spin convolution: a convolution over the roll angle about an edge, pooled over that angle exactly."""

import torch
from torch import nn

from spinconv.potential.spherical_harmonics import n_harmonics


class SpinConvolution(nn.Module):
    """Roll invariants of the neighbourhood of the sending atom, seen in the frame of the edge.

    In that frame a roll by q multiplies the pair of components (l, +-m) by e^{imq}. The response to a kernel on the sphere is
    f(q) = sum_m F_m e^{imq} with F_m = sum_{l >= |m|, c} w_{l,|m|,c} S_{l,+-m,c}; the kernel is real, so that a mirror image, which
    conjugates S, has the same invariants. Pooling over q is exact: the average of f is F_0, and that of a product of two
    responses is sum_m F_m F'_m over all real components m (Parseval).

    Channels are convolved in groups of `group` channels; F' is the response of the next channel of the group.
    """

    def __init__(self, lmax: int, channels: int, group: int) -> None:
        super().__init__()
        self.lmax = lmax
        self.group = group
        self.n_groups = channels // group
        degrees = [l for l in range(lmax + 1) for _ in range(2 * l + 1)]  # noqa: E741
        orders = [m for l in range(lmax + 1) for m in range(-l, l + 1)]  # noqa: E741
        same_order = torch.tensor([[float(m == column) for column in range(-lmax, lmax + 1)] for m in orders], dtype=torch.float64)
        inputs = torch.tensor([(lmax + 1 - m) * group for m in range(lmax + 1)], dtype=torch.float64)  # that add up to one F_m
        self.weight = nn.Parameter(
            torch.randn(self.n_groups, lmax + 1, lmax + 1, group, 2 * group) / inputs.sqrt()[None, None, :, None, None]
        )
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("_degree", torch.tensor(degrees), persistent=False)
        self.register_buffer("_order", torch.tensor(orders).abs(), persistent=False)
        self.register_buffer("_same_order", same_order, persistent=False)

    def kernel(self) -> torch.Tensor:
        """The complex weights as one real matrix a group, [n_groups, (lmax + 1)^2 group, 2 (2 lmax + 1) group]."""
        weight = self.weight[:, self._degree, self._order]  # (n_groups, n_harmonics, group, 2 group)
        weight = weight.unsqueeze(3) * self._same_order[:, None, :, None]  # (n_groups, n_harmonics, group, 2 lmax + 1, 2 group)
        return weight.reshape(self.n_groups, n_harmonics(self.lmax) * self.group, (2 * self.lmax + 1) * 2 * self.group)

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        """Invariants silu(F_0 + pooled + bias) of an edge signal [n_edges, (lmax + 1)^2, channels], [n_edges, channels]."""
        n_edges, orders = signal.shape[0], 2 * self.lmax + 1
        grouped = signal.view(n_edges, -1, self.n_groups, self.group).permute(2, 0, 1, 3)
        response = torch.bmm(grouped.reshape(self.n_groups, n_edges, -1), self.kernel())
        response = response.view(self.n_groups, n_edges, orders, 2 * self.group)  # F_m, then F'_m
        first, second = response[..., : self.group], response[..., self.group :]
        pooled = (first * second).sum(dim=2) + first[:, :, self.lmax]  # (n_groups, n_edges, group)
        return nn.functional.silu(pooled.permute(1, 0, 2).reshape(n_edges, -1) + self.bias)
