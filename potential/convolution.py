"""The spin convolution: a convolution over the roll angle about an edge, pooled over that angle exactly."""

import torch
from torch import nn


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
        self.n_degrees = [lmax + 1 - m for m in range(lmax + 1)]
        self.n_components = [n if m == 0 else 2 * n for m, n in enumerate(self.n_degrees)]
        inputs = [(lmax + 1 - m) * group for m in range(lmax + 1) for _ in range(lmax + 1 - m)]  # that add up to one F_m
        scale = torch.tensor(inputs).rsqrt()[None, :, None, None]
        self.weight = nn.Parameter(torch.randn(self.n_groups, len(inputs), group, 2 * group) * scale)  # by |m|, then by l
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        """Invariants silu(F_0 + pooled + bias), [n_edges, channels].

        `signal` [n_edges, (lmax + 1)^2, channels] comes ordered by |m| as `Harmonics.rotation` leaves it: per order, cosine parts of
        all degrees and then sine parts, so that an order is one slice and one matrix product.
        """
        n_edges = signal.shape[0]
        pooled = self.bias.view(self.n_groups, 1, self.group)
        parts, weights = signal.split(self.n_components, dim=1), self.weight.split(self.n_degrees, dim=1)
        for m, n_degrees in enumerate(self.n_degrees):
            n_parts = 1 if m == 0 else 2
            part = parts[m].reshape(n_edges * n_parts, n_degrees, self.n_groups, self.group).permute(2, 0, 1, 3)
            response = torch.bmm(  # F_m, then F'_m
                part.reshape(self.n_groups, n_edges * n_parts, n_degrees * self.group),
                weights[m].reshape(self.n_groups, n_degrees * self.group, 2 * self.group),
            )
            first, second = response.split(self.group, dim=2)
            if m == 0:
                pooled = pooled + first
            product = first * second  # (n_groups, n_edges n_parts, group)
            pooled = pooled + product.view(self.n_groups, n_edges, n_parts, self.group).sum(dim=2)
        return nn.functional.silu(pooled.permute(1, 0, 2).reshape(n_edges, self.n_groups * self.group))
