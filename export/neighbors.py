"""Neighbours by torch alone: scripted into the model file, for hosts that hand over positions and a box and nothing else (TorchForce)."""

from typing import NamedTuple

import torch


class Neighbors(NamedTuple):
    """Every ordered pair of atoms within the cutoff, periodic images included, ordered by the atom that receives."""

    edge_index: torch.Tensor
    """Row 0 the sending atoms j, row 1 the receiving atoms i, int64 [2, n_edges]."""
    shifts: torch.Tensor
    """Lattice vectors to add: the edge goes along x_j - x_i + shift @ box, [n_edges, 3], whole numbers in the positions' dtype."""


def find_neighbors(positions: torch.Tensor, box: torch.Tensor | None, cutoff: float, pairs_at_once: int = 200_000) -> Neighbors:
    """Neighbours within `cutoff` of `positions` [n_atoms, 3], all in one unit of length.

    `box` [3, 3] has the lattice vectors as rows, None for a free system. Any box will do, triclinic, skewed or far smaller than the
    cutoff, and positions need not lie inside it. Up to `pairs_at_once` pairs, images counted, all distances are computed; more than
    that, atoms are sorted into cells first (measured: docs/performance.md).
    """
    n_images = 1 if box is None else int((2 * _images_within(box, cutoff) + 1).prod())
    if positions.shape[0] ** 2 // 2 * n_images <= pairs_at_once:
        i, j, shifts = _among_all_pairs(positions, box, cutoff)
    else:
        i, j, shifts = _among_cells(positions, box, cutoff)
    # each pair was found once; its reverse is an edge too
    order = torch.argsort(torch.cat([i, j]), stable=True)
    return Neighbors(
        torch.stack([torch.cat([j, i]).index_select(0, order), torch.cat([i, j]).index_select(0, order)]),
        torch.cat([shifts, -shifts]).index_select(0, order),
    )


def edge_vectors(positions: torch.Tensor, box: torch.Tensor | None, neighbors: Neighbors) -> torch.Tensor:
    """x_j - x_i + shift @ box, [n_edges, 3], differentiable with respect to `positions` and `box`."""
    j, i = neighbors.edge_index[0], neighbors.edge_index[1]
    vectors = positions.index_select(0, j) - positions.index_select(0, i)
    return vectors if box is None else vectors + neighbors.shifts @ box


def _heights(box: torch.Tensor) -> torch.Tensor:
    """Distances between opposite faces of the box, [3]: the inverse lengths of the columns of its inverse."""
    return 1.0 / torch.linalg.inv(box).square().sum(dim=0).sqrt()


def _images_within(box: torch.Tensor, cutoff: float) -> torch.Tensor:
    """How many images to either side of the nearest one can be within the cutoff, int64 [3].

    A vector r has fractional coordinates |f_k| <= |r| / h_k. The nearest image has |f_k| <= 1/2, so image s of it must have
    |s_k| <= cutoff / h_k + 1/2: none but itself once all heights are two cutoffs, however skewed the box.
    """
    return torch.floor(cutoff / _heights(box) + 0.5).to(torch.int64)


def _grid(reach: torch.Tensor) -> torch.Tensor:
    """All whole vectors s with |s_k| <= reach_k in lexicographic order, so that the second half is minus the first, [n, 3]."""
    ranges = [torch.arange(-int(reach[k]), int(reach[k]) + 1, device=reach.device) for k in range(3)]
    x, y, z = torch.meshgrid(ranges[0], ranges[1], ranges[2], indexing="ij")
    return torch.stack([x.reshape(-1), y.reshape(-1), z.reshape(-1)], dim=1)


def _among_all_pairs(positions: torch.Tensor, box: torch.Tensor | None, cutoff: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Each pair within the cutoff once, by its distance in every image."""
    n_atoms = positions.shape[0]
    pairs = torch.triu_indices(n_atoms, n_atoms, 1, device=positions.device)
    i, j = pairs[0], pairs[1]
    vectors = positions.index_select(0, j) - positions.index_select(0, i)  # (n_pairs, 3)
    if box is None:
        near = torch.nonzero(vectors.square().sum(dim=1) < cutoff * cutoff).squeeze(1)
        i, j = i.index_select(0, near), j.index_select(0, near)
        return i, j, torch.zeros(i.shape[0], 3, dtype=positions.dtype, device=positions.device)

    nearest = -torch.round(vectors @ torch.linalg.inv(box))  # (n_pairs, 3)
    images = _grid(_images_within(box, cutoff)).to(positions.dtype)  # (n_images, 3)
    in_image = (vectors + nearest @ box).unsqueeze(0) + (images @ box).unsqueeze(1)  # (n_images, n_pairs, 3)
    near = torch.nonzero(in_image.square().sum(dim=2) < cutoff * cutoff)
    image, pair = near[:, 0], near[:, 1]

    own = images[images.shape[0] // 2 + 1 :]  # of an atom and its own image, one of two opposite ones
    own = own.index_select(0, torch.nonzero((own @ box).square().sum(dim=1) < cutoff * cutoff).squeeze(1))  # (n_own, 3)
    atoms = torch.arange(n_atoms, device=positions.device)
    itself = atoms.repeat_interleave(own.shape[0])
    return (
        torch.cat([i.index_select(0, pair), itself]),
        torch.cat([j.index_select(0, pair), itself]),
        torch.cat([nearest.index_select(0, pair) + images.index_select(0, image), own.repeat(n_atoms, 1)]),
    )


def _among_cells(positions: torch.Tensor, box: torch.Tensor | None, cutoff: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Each pair within the cutoff once: atoms are sorted into cells as wide as the cutoff, and look into half of the cells around theirs.

    A box narrower than the cutoff is one cell, around which several images of itself lie.
    """
    n_atoms = positions.shape[0]
    if box is None:
        origin = positions.min(dim=0)[0]
        frame = torch.diag((positions.max(dim=0)[0] - origin).clamp(min=cutoff))
        fractional = (positions - origin) @ torch.linalg.inv(frame)
        whole = torch.zeros_like(fractional)
    else:
        frame = box
        fractional = positions @ torch.linalg.inv(frame)
        whole = torch.floor(fractional)
    inside = positions - whole @ frame
    heights = _heights(frame)
    n_cells = torch.floor(heights / cutoff).clamp(1, 1 << 20).to(torch.int64)  # (3,)
    cells = ((fractional - whole) * n_cells).to(torch.int64).minimum(n_cells - 1)  # (n_atoms, 3)
    strides = torch.stack([n_cells[1] * n_cells[2], n_cells[2], torch.ones_like(n_cells[2])])
    cell_of_atom = (cells * strides).sum(dim=1)
    in_order, order = torch.sort(cell_of_atom)

    around = _grid(torch.ceil(cutoff * n_cells / heights).to(torch.int64))
    around = around[around.shape[0] // 2 :]  # the atom's own cell, and one of two opposite ones
    looked_at = cells.unsqueeze(1) + around  # (n_atoms, n_around, 3)
    image = torch.div(looked_at, n_cells, rounding_mode="floor")
    cell = ((looked_at - image * n_cells) * strides).sum(dim=2)  # (n_atoms, n_around)
    begin = torch.searchsorted(in_order, cell)
    end = torch.searchsorted(in_order, cell, right=True)
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(n_atoms, device=order.device))
    begin[:, 0] = rank + 1  # in its own cell an atom looks at those after it
    counts = end - begin
    if box is None:
        counts = torch.where((image == 0).all(dim=2), counts, torch.zeros_like(counts))

    counts = counts.reshape(-1)
    look = torch.repeat_interleave(counts)  # which (atom, cell) a candidate comes from, (n_candidates,)
    first = begin.reshape(-1) - (counts.cumsum(0) - counts)
    j = order.index_select(0, first.index_select(0, look) + torch.arange(look.shape[0], device=order.device))
    i = torch.div(look, around.shape[0], rounding_mode="floor")
    image = image.reshape(-1, 3).to(positions.dtype)
    vectors = inside.index_select(0, j) - inside.index_select(0, i) + (image @ frame).index_select(0, look)
    near = torch.nonzero(vectors.square().sum(dim=1) < cutoff * cutoff).squeeze(1)
    i, j, look = i.index_select(0, near), j.index_select(0, near), look.index_select(0, near)
    return i, j, image.index_select(0, look) - whole.index_select(0, j) + whole.index_select(0, i)
