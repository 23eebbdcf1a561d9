"""The spin convolution: a convolution over the roll angle about an edge, pooled over that angle exactly."""

from math import isqrt

import torch
from torch import nn

from spinconv.potential.tiles import into_tiles, out_of_tiles, tiles_by_atom


class SpinConvolution(nn.Module):
    """Roll invariants of the neighbourhood of the sending atom, seen in the frame of the edge.

    In that frame a roll by q multiplies the pair of components (l, +-m) by e^{imq}. The response to a kernel on the sphere is
    f(q) = sum_m F_m e^{imq} with F_m = sum_{l >= |m|, c} w_{l,|m|,c} S_{l,+-m,c}; the kernel is real, so that a mirror image, which
    conjugates S, has the same invariants. Pooling over q is exact: the average of f is F_0, and that of a product of two
    responses is sum_m F_m F'_m over all real components m (Parseval).

    The signal S = D(R) A is never made. Kernel and rotation act on different indices, so the kernel meets the moments A first, once
    for an atom instead of once for an edge:

        F_m = sum_{l,m'} D^l_{mm'}(R) B_{|m|,lm'},      B_{|m|,lm'} = sum_c w_{l,|m|,c} A_{lm',c}

    Channels are convolved in groups of `group` channels; F' is the response of the next channel of the group.
    """

    _component: torch.Tensor
    _kernel: torch.Tensor

    def __init__(self, lmax: int, channels: int, group: int) -> None:
        super().__init__()
        self.group = group
        self.n_groups = channels // group
        n_harmonics = (lmax + 1) ** 2
        self.orders = [0] + [m for m in range(1, lmax + 1) for _ in ("cosine", "sine")]  # |m| of the rows of D
        self.n_components = [n_harmonics - m * m for m in range(lmax + 1)]  # (l, m') with l >= |m|
        component = [(m, lm) for m in range(lmax + 1) for lm in range(m * m, n_harmonics)]
        self.register_buffer("_component", torch.tensor([lm for _, lm in component]), persistent=False)
        kernels = [(m, l) for m in range(lmax + 1) for l in range(m, lmax + 1)]  # noqa: E741
        self.register_buffer("_kernel", torch.tensor([kernels.index((m, isqrt(lm))) for m, lm in component]), persistent=False)
        inputs = torch.tensor([(lmax + 1 - m) * group for m, _ in kernels])  # that add up to one F_m
        self.weight = nn.Parameter(torch.randn(self.n_groups, len(kernels), group, 2 * group) * inputs.rsqrt()[None, :, None, None])
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, rotation: torch.Tensor, moments: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        """Invariants silu(F_0 + pooled + bias), [n_edges, channels].

        `rotation` [n_edges, n_entries] are the `rotation_entries` of D(R), `moments` [n_atoms, (lmax + 1)^2, channels] those of the
        atoms, `j` [n_edges] the sending atoms.
        """
        tiles = tiles_by_atom(j, moments.shape[0])
        filtered = self.filter(moments.index_select(0, tiles.atom)).split(self.n_components, dim=1)  # B of a tile, for each order
        rows = into_tiles(rotation, tiles).split([self.n_components[m] for m in self.orders], dim=2)  # row m of D, for each edge
        pooled: torch.Tensor = self.bias
        for index, m in enumerate(self.orders):
            response, partner = torch.bmm(rows[index], filtered[m]).chunk(2, dim=2)  # F_m and F'_m, (n_tiles, size, channels)
            if m == 0:
                pooled = pooled + response
            pooled = torch.addcmul(pooled, response, partner)
        return out_of_tiles(nn.functional.silu(pooled), tiles)

    def filter(self, moments: torch.Tensor) -> torch.Tensor:
        """B and then the partners' B', orders one below the other, [n_atoms, sum of n_components, 2 channels].

        An einsum over groups, components and channels; written as one bmm because einsum copies more.
        """
        n_atoms, n_rows = moments.shape[0], self._component.shape[0]
        channels = moments.index_select(1, self._component).view(n_atoms, n_rows * self.n_groups, self.group)
        weight = self.weight.index_select(1, self._kernel).transpose(0, 1).reshape(n_rows * self.n_groups, self.group, 2 * self.group)
        filtered = torch.bmm(channels.transpose(0, 1), weight).view(n_rows, self.n_groups, n_atoms, 2, self.group)
        return filtered.permute(2, 0, 3, 1, 4).reshape(n_atoms, n_rows, 2 * self.n_groups * self.group)
