"""The page of equations of what an edge sees: which edges there are, frames, and neighbours on the grid of a sphere.

A cell is one number: (sphere * n_latitude + row) * n_longitude + column. A splat is what puts neighbours on spheres: cells [n], weights
[n], and the edges [n] whose messages go there. Numbers `s` of this page: `cutoff` (Å), `max_neighbors`, `n_latitude`, `n_longitude`,
`frame_offset` (Å), and `intact`, 1 or 0.

TorchScript, like equations.py: from the line of dashes on, its text is compiled into the C++ reader before that one.
"""

from torch import Tensor

import torch  # isort: skip
from spinconv.potential.layers import safe_norm

# ----------------------------------------------------------------------------------------------------------------------------------------


def kept_edges(s: dict[str, float], edge_index: Tensor, vectors: Tensor, n_atoms: int) -> tuple[Tensor, Tensor]:
    """`edge_index` and `vectors` of the edges within the cutoff, and among the nearest where `max_neighbors` says so."""
    distances = safe_norm(vectors.detach()).squeeze(1)
    kept = torch.nonzero(distances <= s["cutoff"]).squeeze(1)
    if s["max_neighbors"] > 0:
        nearest = nearest_pairs(edge_index.index_select(1, kept), distances.index_select(0, kept), n_atoms, int(s["max_neighbors"]))
        kept = kept.index_select(0, torch.nonzero(nearest).squeeze(1))
    if kept.shape[0] == vectors.shape[0]:
        return edge_index, vectors
    return edge_index.index_select(1, kept), vectors.index_select(0, kept)


def nearest_pairs(edge_index: Tensor, distances: Tensor, n_atoms: int, max_neighbors: int) -> Tensor:
    """Whether a pair of atoms, in either direction, is among the `max_neighbors` shortest edges into one of its atoms, bool [e].

    As published: periodic images of a pair are one pair, all or none of them stay; and an atom receives 100 edges at most. Energies jump
    wherever the choice changes, and among edges of equal length it is by the order of the edges.
    """
    j, i = edge_index[0], edge_index[1]
    order = torch.argsort(distances, stable=True)
    order = order.index_select(0, torch.argsort(i.index_select(0, order), stable=True))
    counts = torch.bincount(i, minlength=n_atoms)
    begin = counts.cumsum(0) - counts
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(order.shape[0], device=order.device)) - begin.index_select(0, i)
    pair = torch.minimum(i, j) * n_atoms + torch.maximum(i, j)
    chosen = torch.sort(pair.index_select(0, torch.nonzero(rank < min(max_neighbors, 100)).squeeze(1)))[0]
    if chosen.shape[0] == 0:
        return rank < 0
    found = torch.clamp(torch.searchsorted(chosen, pair), max=chosen.shape[0] - 1)
    return (chosen.index_select(0, found) == pair) & (rank < 100)


def pairs_of_edges(edge_index: Tensor, n_atoms: int) -> tuple[Tensor, Tensor]:
    """For every edge j -> i all edges k -> j, its reverse among them: the number of the one and of the other, [n_pairs] each.

    Edges are put in the order of their receivers, so that those into j are a row: no more memory than pairs.
    """
    j, i = edge_index[0], edge_index[1]
    counts = torch.bincount(i, minlength=n_atoms)
    order = torch.argsort(i, stable=True)
    n_seen = counts.index_select(0, j)
    edge = torch.repeat_interleave(n_seen)
    shift = (counts.cumsum(0) - counts).index_select(0, j) - (n_seen.cumsum(0) - n_seen)
    return edge, order.index_select(0, torch.arange(edge.shape[0], device=edge.device) + shift.index_select(0, edge))


def edge_frames(s: dict[str, float], edge_index: Tensor, vectors: Tensor, n_atoms: int) -> tuple[Tensor, Tensor]:
    """A frame for every edge, rows x along the edge, y, z, [e, 3, 3], left-handed as published; and how far its roll means anything, [e].

    z is across the edge and the mean direction of the neighbours of the receiver, which fade out at the cutoff, plus `frame_offset` (Å)
    along each axis: it makes up for a mean of zero, and is the only thing here that is not rotation invariant. Within 0.01 rad of that
    direction the roll of an edge fades out of what it sees.
    """
    i = edge_index[1]
    distances = safe_norm(vectors)
    near = vectors * (0.5 * (torch.cos(distances * (3.141592653589793 / s["cutoff"])) + 1.0))
    mean = torch.zeros(n_atoms, 3, dtype=vectors.dtype, device=vectors.device).index_add(0, i, near).index_select(0, i) + s["frame_offset"]
    x = vectors / distances
    z = torch.cross(x, mean / safe_norm(mean), dim=1)
    certain = certainty((z * z).sum(1))
    z = z / (safe_norm(z) + 0.0000001)
    y = torch.cross(x, z, dim=1)
    y = y / (safe_norm(y) + 0.0000001)
    return torch.stack([x, y, z], 1), certain


def certainty(squared_sine: Tensor) -> Tensor:
    """How far an angle about an axis means anything at a small angle from the axis: 0 there, 1 from 0.01 rad on, and so smooth that the
    derivatives of the angle about the axis, infinite on it, do no harm."""
    q = torch.clamp(squared_sine * 1e4, max=1.0)
    return q * q * (3.0 - 2.0 * q)


def smooth_latitude(x: Tensor) -> Tensor:
    """asin(x) [n] with derivatives that are finite at the poles: from there, 0.01 rad away, the colatitude is a polynomial of 1 - x^2.

    The polynomial, of even degree in the colatitude, is 0 at the pole, and has the value and two derivatives of the identity at 0.01.
    """
    cap = 1e-4  # sin^2 of 0.01
    squared = torch.clamp(1.0 - x * x, min=0.0)
    is_polar = squared < cap
    q = squared * (1.0 / cap)
    stretch = 1.0 + squared / 6.0 + squared**2 * (3.0 / 40.0) + squared**3 * (15.0 / 336.0)  # asin(sin a) / sin a
    colatitude = 0.01 * q * (1.875 - q * (1.25 - 0.375 * q)) * stretch
    polar = torch.sign(x) * (1.5707963267948966 - colatitude)
    return torch.where(is_polar, polar, torch.asin(torch.where(is_polar, torch.zeros_like(x), x)))


def smooth_longitude(y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """atan2(y, z), and how far it means anything, [n] each."""
    squared = y * y + z * z
    is_pole = squared < 1e-20
    longitude = torch.atan2(torch.where(is_pole, torch.zeros_like(y), y), torch.where(is_pole, torch.ones_like(z), z))
    return longitude, certainty(squared)


def splat(
    s: dict[str, float], sphere: Tensor, edge: Tensor, frames: tuple[Tensor, Tensor], directions: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Neighbours on spheres, bilinearly: the direction of each `edge` [p], in the frame of its `sphere` [p], onto the four cells around it.

    `frames` [n_spheres, 3, 3] and how far their rolls mean anything [n_spheres], `directions` [e, 3] unit vectors. Row 0 is the south pole,
    x = -1, the last row the north pole; columns are a circle. With `intact`, what is at a pole or in a frame of no certain roll is spread
    evenly over its rows; without, the weights are cut out of autograd as published, and what lies on a pole, as every reverse edge does,
    goes to the columns of its rounding errors.
    """
    n_latitude, n_longitude = int(s["n_latitude"]), int(s["n_longitude"])
    seen = torch.bmm(frames[0].index_select(0, sphere), directions.index_select(0, edge).unsqueeze(2)).squeeze(2)
    x, y, z = seen.unbind(1)
    if s["intact"] > 0:
        latitude = smooth_latitude(torch.clamp(x, min=-1.0, max=1.0))
        longitude, certain = smooth_longitude(y, z)
        certain = certain * frames[1].index_select(0, sphere)
    else:
        latitude, longitude = torch.asin(torch.clamp(x.detach(), min=-1.0, max=1.0)), torch.atan2(y.detach(), z.detach())
        certain = torch.ones_like(latitude)
    row = (0.99 * ((latitude + 1.5707963267948966) / 3.141592653589793) + 0.005) * (n_latitude - 1.0)
    column = ((longitude + 3.141592653589793) / 6.283185307179586) * n_longitude
    south, west = torch.floor(row.detach()), torch.floor(column.detach())
    north_part, east_part = row - south, column - west
    first = sphere * n_latitude + south.long()
    rows = torch.cat([first, first + 1]) * n_longitude
    parts = torch.cat([1.0 - north_part, north_part])
    columns = torch.cat([west.long() % n_longitude, (west.long() + 1) % n_longitude])
    shares = torch.cat([(1.0 - east_part) * certain, east_part * certain])
    n = edge.shape[0]
    cells = (rows.view(2, 1, n) + columns.view(1, 2, n)).flatten()
    weights = (parts.view(2, 1, n) * shares.view(1, 2, n)).flatten()
    edges = edge.repeat(4)
    if s["intact"] > 0:
        ring_cells, ring_weights, ring_edges = rings(rows.view(2, n), parts.view(2, n), certain, edge, n_longitude)
        return torch.cat([cells, ring_cells]), torch.cat([weights, ring_weights]), torch.cat([edges, ring_edges])
    return cells, weights, edges


def rings(rows: Tensor, parts: Tensor, certain: Tensor, edge: Tensor, n_longitude: int) -> tuple[Tensor, Tensor, Tensor]:
    """What is at a pole, evenly on all columns of its two `rows` (first cell of each, [2, p]), of which each has its `parts` [2, p]."""
    polar = torch.nonzero(certain < 1.0).squeeze(1)
    cells = rows.index_select(1, polar).unsqueeze(2) + torch.arange(n_longitude, device=rows.device)
    weights = parts.index_select(1, polar) * ((1.0 - certain.index_select(0, polar)) * (1.0 / n_longitude))
    edges = edge.index_select(0, polar)
    return cells.flatten(), weights.unsqueeze(2).expand_as(cells).flatten(), edges.view(1, -1, 1).expand_as(cells).flatten()
