"""The equations of grid SpinConv, the published network (arXiv:2106.09575): from edge vectors to energies of atoms, or their forces.

Start at `energies` and `forces`, at the end of the page; network.py has the pieces, projection.py what an edge sees of its neighbours, and
chunks.py the same in less time for those who want no gradients of weights. Everything is a function of tensors, of `w`, the weights and
constants of a model by name (model.py says which), and of `s`, its numbers (`GridSpinConv.settings`). Indices and shapes: e edges, j the
atom that sends, i the atom that receives, C channels, H hidden channels, n spheres.

This page is TorchScript as well: from the line of dashes on, its text is compiled into the C++ reader, after layers.py, projection.py,
network.py and chunks.py.
"""

from torch import Tensor
from torch.nn.functional import silu

import torch  # isort: skip
from spinconv.potential.grid.chunks import back, derivatives, distances_in_chunks, forth, messages_in_chunks, plan, sorted_edges
from spinconv.potential.grid.network import (
    added_message,
    elements_of,
    embedding_block,
    energies_of_sums,
    fade,
    mixtures,
    of_distances,
    spin_convolution,
)
from spinconv.potential.grid.projection import edge_frames, kept_edges, pairs_of_edges, splat
from spinconv.potential.layers import safe_norm

# ----------------------------------------------------------------------------------------------------------------------------------------


def see(s: dict[str, float], edge_index: Tensor, vectors: Tensor, n_atoms: int) -> tuple[Tensor, Tensor, Tensor]:
    """The splat of all edges: what is around j, seen along each edge j -> i."""
    edge, source = pairs_of_edges(edge_index, n_atoms)
    return splat(s, edge, source, edge_frames(s, edge_index, vectors, n_atoms), vectors / safe_norm(vectors))


def messages(
    w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor, splat: tuple[Tensor, Tensor, Tensor]
) -> Tensor:
    """The messages after all blocks, [e, C], of what the edges see, which the blocks share."""
    sender, receiver = elements_of(w, numbers, edge_index)
    distances = safe_norm(vectors)
    found, u = of_distances(w, s, distances, sender, receiver), fade(s, distances)
    m = found[0]
    for k in range(int(s["n_blocks"])):
        name = "blocks." + str(k)
        seen = spin_convolution(w, s, name + ".convolution", splat, m * u, vectors.shape[0])
        added = added_message(w, name, seen, found[k + 1], mixtures(w, name, sender, receiver))
        m = added if k == 0 else m + added
    return m


def energies_of_messages(
    w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor, m: Tensor
) -> Tensor:
    """`energies_of_sums` of the messages into each atom, as others see them."""
    seen = m * fade(s, safe_norm(vectors)) * (1.0 / s["average_neighbors"])
    sums = torch.zeros(numbers.shape[0], m.shape[1], dtype=m.dtype, device=m.device).index_add(0, edge_index[1], seen)
    return energies_of_sums(w, s, numbers, sums)


# ---- forces of a head of their own


def hashed(s: dict[str, float], n: int, like: Tensor) -> Tensor:
    """n numbers in [0, 1) that `seed` alone decides, whatever machine and library there is, float64."""
    prime = 2147483647
    x = torch.arange(1, n + 1, device=like.device) + (int(s["seed"]) * 7919 + 12345)
    for _ in range(4):
        x = (((x % prime) * (x % prime)) % prime * 48271 + 11 * x + 1013904223) % prime
    return x.double() / prime


def random_rotations(s: dict[str, float], n_atoms: int, like: Tensor) -> Tensor:
    """Rotations about x, y and z, by random angles of every atom, [n_rotations, n_atoms, 3, 3]; by torch's generator if `seed` is -1."""
    n_rotations = int(s["n_rotations"])
    n = n_rotations * n_atoms
    uniform = hashed(s, 3 * n, like) if s["seed"] >= 0 else torch.empty(3 * n, device=like.device).double().uniform_(0.0, 1.0)
    angle = uniform.view(3, n) * 6.283185307179586
    (ca, cb, cc), (sa, sb, sc) = torch.cos(angle).unbind(0), torch.sin(angle).unbind(0)
    rows = [
        torch.stack([cb * cc, cb * sc, -sb], 1),
        torch.stack([sa * sb * cc - ca * sc, sa * sb * sc + ca * cc, sa * cb], 1),
        torch.stack([ca * sb * cc + sa * sc, ca * sb * sc - sa * cc, ca * cb], 1),
    ]
    return torch.stack(rows, 1).view(n_rotations, n_atoms, 3, 3).to(like.dtype)


def axis_frames(rotations: Tensor) -> Tensor:
    """The frames whose first rows are the axes x, y, z of each rotation, [..., 3, 3, 3]."""
    x, y, z = rotations.unbind(-2)
    return torch.stack([torch.stack([x, y, z], -2), torch.stack([y, -x, z], -2), torch.stack([z, y, -x], -2)], -3)


def force_head(
    w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, splat: tuple[Tensor, Tensor, Tensor], m: Tensor, n_directions: int
) -> Tensor:
    """The force along the pole of each sphere, [n_directions, n_atoms]; spheres of all atoms for the first direction, the next, ..."""
    n_atoms = numbers.shape[0]
    element = w["constants.element"].index_select(0, numbers).repeat(n_directions)
    h = spin_convolution(w, s, "force.convolution", splat, m, n_directions * n_atoms)
    h = silu(embedding_block(w, "force.of_neighborhood", h, element, element))
    return embedding_block(w, "force.to_force", h, element, element)[:, 0].view(n_directions, n_atoms)


def rotated_forces(
    w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor, m: Tensor, rotations: Tensor
) -> Tensor:
    """Forces along the axes of `rotations` [n_rotations, n_atoms, 3, 3], averaged over these, [n_atoms, 3] in eV/Å."""
    n_rotations, n_atoms, n_edges = rotations.shape[0], numbers.shape[0], vectors.shape[0]
    n_directions = 3 * n_rotations
    frames = axis_frames(rotations).transpose(1, 2).reshape(n_directions * n_atoms, 3, 3)
    first = torch.arange(n_directions, device=numbers.device).unsqueeze(1) * n_atoms
    sphere = (first + edge_index[1]).flatten()
    edge = torch.arange(n_edges, device=numbers.device).repeat(n_directions)
    distances = safe_norm(vectors)
    spots = splat(s, sphere, edge, (frames, torch.ones_like(frames[:, 0, 0])), vectors / distances)
    along = force_head(w, s, numbers, spots, m * fade(s, distances), n_directions).view(n_rotations, 3, n_atoms)
    total = (along.permute(0, 2, 1).unsqueeze(3) * rotations).sum(2).mean(0)
    return total * (s["scale"] * s["force_scale"])


def forces_of_messages(
    w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor, m: Tensor
) -> Tensor:
    """Forces by the rotations of the model: the fixed ones, the same for all atoms, or random ones of each atom."""
    if "constants.rotations" in w:
        rotations = w["constants.rotations"].unsqueeze(1).expand(-1, numbers.shape[0], -1, -1)
    else:
        rotations = random_rotations(s, numbers.shape[0], vectors)
    return rotated_forces(w, s, numbers, edge_index, vectors, m, rotations)


# ---- what engines call


def energies(w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor) -> Tensor:
    """Energy of every atom (eV, float64 [n_atoms]), differentiable with respect to `vectors`.

    `numbers` int64 [n_atoms]; `edge_index` int64 [2, e], row 0 the sending atoms j, row 1 the receiving atoms i, both directions of every
    pair; `vectors` [e, 3] r_j - r_i in Å. Edges longer than the cutoff count nothing.
    """
    edge_index, vectors = kept_edges(s, edge_index, vectors, numbers.shape[0])
    seen = see(s, edge_index, vectors, numbers.shape[0])
    return energies_of_messages(w, s, numbers, edge_index, vectors, messages(w, s, numbers, edge_index, vectors, seen))


def forces(w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor) -> Tensor:
    """Direct forces on every atom (eV/Å, [n_atoms, 3]), by a model that has a head for them; they need not add up to zero."""
    return energies_and_forces(w, s, numbers, edge_index, vectors)[1]


def energies_and_forces(
    w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor
) -> tuple[Tensor, Tensor]:
    """Energies and direct forces of the same messages; in chunks where no gradients are asked for."""
    edge_index, vectors = sorted_edges(s, edge_index, vectors, numbers.shape[0])
    if torch.is_grad_enabled() or vectors.shape[0] == 0:
        m = messages(w, s, numbers, edge_index, vectors, see(s, edge_index, vectors, numbers.shape[0]))
    else:
        m = messages_in_chunks(w, s, numbers, edge_index, vectors)
    energy = energies_of_messages(w, s, numbers, edge_index, vectors, m)
    return energy, forces_of_messages(w, s, numbers, edge_index, vectors, m)


def energies_and_gradients(
    w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor
) -> tuple[Tensor, Tensor]:
    """`energies` and the gradient of their sum with respect to `vectors`, [e, 3]; neither is differentiable."""
    leaf = vectors.detach().requires_grad_(True)
    edge_index, near = sorted_edges(s, edge_index, leaf, numbers.shape[0])
    if near.shape[0] == 0:
        return energies(w, s, numbers, edge_index, near).detach(), torch.zeros_like(vectors)
    elements, distances = elements_of(w, numbers, edge_index), safe_norm(near)
    u, chunks = fade(s, distances), plan(s, edge_index, near, numbers.shape[0], True)
    of_distance = distances_in_chunks(w, s, elements, distances, chunks[1], True)
    m, kept = forth(w, s, elements, u.detach(), chunks, of_distance, True)
    ends = [m.detach().requires_grad_(True), u.detach().clone().requires_grad_(True)]
    sums = torch.zeros(numbers.shape[0], m.shape[1], dtype=m.dtype, device=m.device)
    found = energies_of_sums(w, s, numbers, sums.index_add(0, edge_index[1], ends[0] * ends[1] * (1.0 / s["average_neighbors"])))
    of_ends = derivatives(found.sum(), ends)
    d_distances, du, of_weights = back(s, u.detach(), chunks, of_distance, kept, of_ends[0])
    total = (distances * d_distances).sum() + (u * (du + of_ends[1])).sum()
    if s["intact"] > 0:
        for c in range(len(of_weights)):
            total = total + (chunks[2][c][1] * of_weights[c]).sum()
    return found.detach(), derivatives(total, [leaf])[0]
