"""The arithmetic of grid models done the way of the published code (OCP's `spinconv`, 2021), for grid.py beside this file to time.

What it does as that code: pairs of edges from a table of the edges into every atom, padded to the most that an atom has; a rotation matrix
gathered for every pair; four `index_add_` of corners, on a grid [sphere, row, column, C] that is transposed afterwards; a grouped
`conv1d` over columns that are padded by half a circle on either side, of which one position more than there are columns is computed
and dropped; silu as x sigmoid(x); networks mixed by a product and a sum; the head of the forces once for each axis of each rotation.
What it does better: no random rotations drawn anew, no graph of second derivatives kept (the published code always keeps one), and no
gradients of weights. Weights `w` and settings `s` are ours. With `intact` or an envelope, which the published code has not, neighbours
are on the grid as our projection puts them.
"""

import torch
from torch import Tensor
from torch.nn import functional

from spinconv.potential import GridSpinConv
from spinconv.potential.grid import equations, projection
from spinconv.potential.layers import envelope

Weights = dict[str, Tensor]
Splat = list[tuple[Tensor, Tensor, Tensor]]
"""For each corner the cells, weights and edges that send."""


def swish(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return functional.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])


def embedding_block(w: Weights, name: str, x: Tensor, sender: Tensor, receiver: Tensor) -> Tensor:
    elements = torch.cat([w[f"{name}.sender.weight"][sender], w[f"{name}.receiver.weight"][receiver]], dim=1)
    mixture = torch.softmax(linear(w, f"{name}.mixture", elements), dim=1)
    x = swish(linear(w, f"{name}.middle", swish(linear(w, f"{name}.first", x))))
    x = x.view(len(x), mixture.shape[1], -1) * mixture.unsqueeze(2)
    return linear(w, f"{name}.last", torch.sum(x, dim=1))


def distance_features(w: Weights, s: dict[str, float], distances: Tensor, sender: Tensor, receiver: Tensor) -> Tensor:
    pair = sender * len(w["initial_message.sender.weight"]) + receiver
    scale = torch.exp(s["log_distance_scale_max"] * (2.0 * torch.sigmoid(w["distance.scale.weight"][pair].view(-1)) - 1.0))
    x = (scale * distances + w["distance.offset.weight"][pair].view(-1)).view(-1, 1) - w["distance.centers"].view(1, -1)
    return linear(w, "distance.linear", torch.exp(w["distance.rate"] * torch.pow(x, 2)))


def pairs(edge_index: Tensor, n_atoms: int) -> tuple[Tensor, Tensor]:
    """(edge, edge into its sender), from the table of edges into atoms; edges are in the order of their receivers."""
    counts = torch.bincount(edge_index[1], minlength=n_atoms)
    rank = torch.arange(edge_index.shape[1]) - (counts.cumsum(0) - counts)[edge_index[1]]
    most = int(counts.max())
    table = torch.full((n_atoms * most,), -1)
    table.index_copy_(0, edge_index[1] * most + rank, torch.arange(edge_index.shape[1]))
    source = table.view(n_atoms, most)[edge_index[0]].view(-1)
    edge = torch.arange(edge_index.shape[1]).view(-1, 1).repeat(1, most).view(-1)
    return torch.masked_select(edge, source.ge(0)), torch.masked_select(source, source.ge(0))


def splat(s: dict[str, float], frames: Tensor, sphere: Tensor, source: Tensor, directions: Tensor) -> Splat:
    """Corners of bilinear splats, cut out of autograd."""
    n_latitude, n_longitude = int(s["n_latitude"]), int(s["n_longitude"])
    seen = torch.bmm(frames[sphere], directions[source].view(-1, 3, 1))
    column = (torch.atan2(seen[:, 1], seen[:, 2]).view(-1) + torch.pi) / (2.0 * torch.pi) * n_longitude
    row = (torch.clamp(seen[:, 0].view(-1), min=-1.0, max=1.0).asin() + torch.pi / 2.0) / torch.pi
    row = (0.99 * row + 0.005) * (n_latitude - 1.0)
    west, south = torch.floor(column).long(), torch.floor(row).long()
    east_part, north_part = column - west, row - south
    columns = west % n_longitude, (west + 1) % n_longitude
    corners = []
    for rows, north in ((south, 1.0 - north_part), (south + 1, north_part)):
        for place, east in zip(columns, (1.0 - east_part, east_part), strict=True):
            corners.append((sphere * n_latitude * n_longitude + rows * n_longitude + place, (north * east).detach(), source))
    return corners


def our_splat(s: dict[str, float], edge_index: Tensor, vectors: Tensor, n_atoms: int) -> Splat:
    """The four corners, and what is spread over rings at the poles, of our projection."""
    edge, source = pairs(edge_index, n_atoms)
    frames = projection.edge_frames(s, edge_index, vectors, n_atoms)
    cells, weights, edges = projection.splat(s, edge, source, frames, vectors / vectors.norm(dim=1, keepdim=True))
    sizes = [len(edge)] * 4 + [len(cells) - 4 * len(edge)]
    return list(zip(cells.split(sizes), weights.split(sizes), edges.split(sizes), strict=True))


def spin_convolution(w: Weights, s: dict[str, float], name: str, corners: Splat, m: Tensor, n_spheres: int) -> Tensor:
    n_latitude, n_longitude, channels = int(s["n_latitude"]), int(s["n_longitude"]), m.shape[1]
    image = torch.zeros(n_spheres * n_latitude * n_longitude, channels, dtype=m.dtype)
    splat_values = m[corners[0][2]]
    for cells, weights, edges in corners:
        values = splat_values if edges is corners[0][2] or len(edges) == len(splat_values) else m[edges]
        image.index_add_(0, cells, values * weights.view(-1, 1))
    image = torch.transpose(image.view(n_spheres, n_latitude * n_longitude, channels), 1, 2).contiguous()
    image = image.view(n_spheres, channels * n_latitude, n_longitude)
    padded = functional.pad(image, (n_longitude // 2, n_longitude // 2), mode="circular")
    x = swish(functional.conv1d(padded, w[f"{name}.weight"], w[f"{name}.bias"], groups=channels // 8))
    x = functional.avg_pool1d(x[:, :, :n_longitude], n_longitude).view(n_spheres, -1)
    return functional.group_norm(x, channels // 8, w[f"{name}.norm.weight"], w[f"{name}.norm.bias"])


def evaluate(model: GridSpinConv, numbers: Tensor, edge_index: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Energy (eV) and forces on the atoms (eV/Å) of a model without gradients of weights, its random rotations seeded."""
    w, s = {name: value.detach() for name, value in model.weights().items()}, model.settings()
    n_atoms, is_direct = len(numbers), model.config.direct_forces
    vectors = vectors.detach().requires_grad_(not is_direct)
    edge_index, vectors_kept = projection.kept_edges(s, edge_index, vectors, n_atoms)
    m = messages(w, s, numbers, edge_index, vectors_kept)
    energy = energy_of(w, s, numbers, edge_index, vectors_kept, m)
    if is_direct:
        rotations = equations.random_rotations(s, n_atoms, vectors)
        return energy, direct_forces(w, s, numbers, edge_index, vectors_kept, m, rotations)
    (gradient,) = torch.autograd.grad(energy, vectors_kept)
    forces = torch.zeros(n_atoms, 3, dtype=gradient.dtype)
    return energy.detach(), forces.index_add_(0, edge_index[1], gradient).index_add_(0, edge_index[0], -gradient)


def messages(w: Weights, s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor) -> Tensor:
    element = w["constants.element"][numbers]
    sender, receiver = element[edge_index[0]], element[edge_index[1]]
    distances = torch.sqrt(torch.sum(vectors**2, dim=1))
    t = distance_features(w, s, distances, sender, receiver)
    m = swish(linear(w, "initial_distance.last", swish(linear(w, "initial_distance.first", t))))
    m = embedding_block(w, "initial_message", m, sender, receiver)
    if s["intact"] > 0:
        corners = our_splat(s, edge_index, vectors, len(numbers))
    else:
        frames = projection.edge_frames(s, edge_index, vectors, len(numbers))[0]
        corners = splat(s, frames, *pairs(edge_index, len(numbers)), functional.normalize(vectors))
    for k in range(int(s["n_blocks"])):
        name = f"blocks.{k}"
        h = spin_convolution(w, s, f"{name}.convolution", corners, faded(s, m, distances), len(vectors))
        h = embedding_block(w, f"{name}.of_neighborhood", h, sender, receiver)
        h = h + linear(w, f"{name}.of_distance.last", swish(linear(w, f"{name}.of_distance.first", t)))
        added = embedding_block(w, f"{name}.to_message", swish(h), sender, receiver)
        m = added if k == 0 else m + added
    return m


def faded(s: dict[str, float], m: Tensor, distances: Tensor) -> Tensor:
    return m * envelope(distances.view(-1, 1) / s["cutoff"]) if s["envelope"] > 0 else m


def energy_of(w: Weights, s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor, m: Tensor) -> Tensor:
    """Less the reference energies of ours, which are those of atoms alone."""
    element = w["constants.element"][numbers]
    seen = faded(s, m, torch.sqrt(torch.sum(vectors**2, dim=1))) / s["average_neighbors"]
    sums = torch.zeros(len(numbers), m.shape[1], dtype=m.dtype).index_add(0, edge_index[1], seen)
    return s["scale"] * embedding_block(w, "energy", sums, element, element).double().sum()


def direct_forces(
    w: Weights, s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor, m: Tensor, rotations: Tensor
) -> Tensor:
    """Rotation by rotation and axis by axis."""
    element, each = w["constants.element"][numbers], torch.arange(len(vectors))
    directions, total = functional.normalize(vectors), torch.zeros(len(numbers), 3, dtype=m.dtype)
    for rotation in rotations:
        along = []
        for axis in range(3):
            frames = equations.axis_frames(rotation)[:, axis].contiguous()
            h = spin_convolution(w, s, "force.convolution", splat(s, frames, edge_index[1], each, directions), m, len(numbers))
            h = swish(embedding_block(w, "force.of_neighborhood", h, element, element))
            along.append(embedding_block(w, "force.to_force", h, element, element)[:, :1])
        total = total + torch.bmm(rotation.transpose(1, 2), torch.cat(along, dim=1).view(-1, 3, 1)).view(-1, 3)
    return total / len(rotations) * (s["scale"] * s["force_scale"])
