"""The equations of grid SpinConv, the published network (arXiv:2106.09575): from edge vectors to energies of atoms, or their forces.

Start at `energies` and `forces`, at the end of the page; projection.py says what an edge sees of its neighbours. Everything is a function
of tensors, of `w`, the weights and constants of a model by name (model.py says which), and of `s`, its numbers (`GridSpinConv.settings`).
Indices and shapes: e edges, j the atom that sends, i the atom that receives, C channels, H hidden channels, n spheres.

This page is TorchScript as well: from the line of dashes on, its text is compiled into the C++ reader, after layers.py and projection.py.
"""

from torch import Tensor
from torch.nn.functional import silu

import torch  # isort: skip
from spinconv.potential.grid.projection import edge_frames, kept_edges, pairs_of_edges, splat
from spinconv.potential.layers import envelope, linear, network, safe_norm

# ----------------------------------------------------------------------------------------------------------------------------------------


def embedding_block(w: dict[str, Tensor], name: str, x: Tensor, sender: Tensor, receiver: Tensor) -> Tensor:
    """W3 sum_b g_b silu(W2_b silu(W1 x)): networks mixed by a softmax over what `sender` and `receiver` [n], rows of elements, say."""
    elements = [w[name + ".sender.weight"].index_select(0, sender), w[name + ".receiver.weight"].index_select(0, receiver)]
    mixture = torch.softmax(linear(w, name + ".mixture", torch.cat(elements, 1)), 1)
    hidden = silu(linear(w, name + ".middle", silu(linear(w, name + ".first", x))))
    hidden = hidden.view(x.shape[0], mixture.shape[1], w[name + ".last.weight"].shape[1])
    return linear(w, name + ".last", torch.bmm(mixture.unsqueeze(1), hidden).squeeze(1))


def distance_features(w: dict[str, Tensor], s: dict[str, float], distances: Tensor, sender: Tensor, receiver: Tensor) -> Tensor:
    """Linear layer of Gaussians of the distance, scaled and offset by the pair of elements, [e, H]; `distances` [e, 1] (Å)."""
    x = distances
    if "distance.scale.weight" in w:
        pair = sender * w["initial_message.sender.weight"].shape[0] + receiver
        scale = 2.0 * torch.sigmoid(w["distance.scale.weight"].index_select(0, pair)) - 1.0
        x = torch.exp(scale * s["log_distance_scale_max"]) * x + w["distance.offset.weight"].index_select(0, pair)
    x = x - w["distance.centers"]
    return linear(w, "distance.linear", torch.exp(x * x * w["distance.rate"]))


# ---- the spin convolution


def image(s: dict[str, float], splat: tuple[Tensor, Tensor, Tensor], m: Tensor, n_spheres: int) -> Tensor:
    """Messages on the grids of spheres, [n_longitude, n, n_latitude, C]; columns first, because the convolution is one over columns."""
    n_latitude, n_longitude = int(s["n_latitude"]), int(s["n_longitude"])
    cell, weight, edge = splat
    row = torch.div(cell, n_longitude, rounding_mode="floor")
    place = (cell - row * n_longitude) * (n_spheres * n_latitude) + row
    empty = torch.zeros(n_longitude * n_spheres * n_latitude, m.shape[1], dtype=m.dtype, device=m.device)
    return empty.index_add_(0, place, m.index_select(0, edge) * weight.unsqueeze(1)).view(n_longitude, n_spheres, n_latitude, m.shape[1])


def roll_on_grid(w: dict[str, Tensor], name: str, image: Tensor) -> Tensor:
    """Mean over x of silu(bias + sum_x' K(x') S(x + x')), [n, H]: kernels of all rows that roll over the columns, a circle, in groups.

    By Fourier coefficients over the columns, of which every one is a product: S+iS' = sum_x S (cos + i sin)(2 pi f x / n_longitude) and
    K likewise give K S + K' S' and K S' - K' S, an n_longitude / 2 times less arithmetic.
    """
    n_longitude, n, n_latitude, channels = image.shape
    forth, back = w["constants.fourier"], w["constants.inverse_fourier"]
    n_waves, groups = forth.shape[0] // 2, channels // 8
    weight = w[name + ".weight"]  # [H, C / groups * n_latitude, n_longitude]
    hidden, inputs = weight.shape[0], weight.shape[1]
    seen = torch.matmul(forth, image.view(n_longitude, n * n_latitude * channels))
    seen = seen.view(2, n_waves, n, n_latitude, groups, channels // groups).permute(0, 1, 4, 2, 5, 3)
    c, s = seen.reshape(2, n_waves * groups, n, inputs).unbind(0)  # no indices: their derivatives would be filled up with zeros
    kernels = torch.matmul(weight, forth.t()).view(groups, hidden // groups, inputs, 2, n_waves).permute(3, 4, 0, 2, 1)
    kc, ks = kernels.reshape(2, n_waves * groups, inputs, hidden // groups).unbind(0)
    cosine = torch.baddbmm(torch.bmm(c, kc), s, ks)
    sine = torch.baddbmm(torch.bmm(s, kc), c, ks, alpha=-1)
    waves = torch.stack([cosine, sine]).view(2 * n_waves, groups, n, hidden // groups).transpose(1, 2).reshape(2 * n_waves, n * hidden)
    responses = torch.matmul(back, waves).view(n_longitude, n, hidden) + w[name + ".bias"]
    return silu(responses).mean(0)


def roll_harmonics(w: dict[str, Tensor], name: str, image: Tensor) -> Tensor:
    """Sum over rolls R of silu(bias + W D(R) a), [n, H], with a the spherical harmonics of what the grid holds: the published option
    `rotspharmwd`. It is the weights that are rolled, not the harmonics of every sphere."""
    n_longitude, n, n_latitude, channels = image.shape
    to_harmonics, rolls = w["constants.harmonics"], w["constants.rolls"]
    n_harmonics = rolls.shape[1]
    a = torch.matmul(image.permute(1, 3, 2, 0).reshape(n * channels, n_latitude * n_longitude), to_harmonics).view(
        n, channels * n_harmonics
    )
    weight = w[name + ".weight"]  # [H, C (lmax + 1)^2]
    rolled = torch.matmul(weight.view(1, -1, n_harmonics), rolls).view(-1, channels * n_harmonics)
    responses = torch.matmul(a, rolled.t()).view(n, n_longitude, weight.shape[0]) + w[name + ".bias"]
    return silu(responses).sum(1)


def spin_convolution(
    w: dict[str, Tensor], s: dict[str, float], name: str, splat: tuple[Tensor, Tensor, Tensor], m: Tensor, n_spheres: int
) -> Tensor:
    """What kernels see as they roll about the pole of each sphere, normalised by group, [n, H]."""
    seen = image(s, splat, m, n_spheres)
    pooled = roll_on_grid(w, name, seen) if w[name + ".weight"].dim() == 3 else roll_harmonics(w, name, seen)
    return torch.group_norm(pooled, m.shape[1] // 8, w[name + ".norm.weight"], w[name + ".norm.bias"], 1e-5)


# ---- the network


def faded(s: dict[str, float], m: Tensor, distances: Tensor) -> Tensor:
    """Messages as others see them: times u(d) where the model has an envelope."""
    return m * envelope(distances * (1.0 / s["cutoff"])) if s["envelope"] > 0 else m


def see(s: dict[str, float], edge_index: Tensor, vectors: Tensor, n_atoms: int) -> tuple[Tensor, Tensor, Tensor]:
    """The splat of all edges: what is around j, seen along each edge j -> i."""
    edge, source = pairs_of_edges(edge_index, n_atoms)
    return splat(s, edge, source, edge_frames(s, edge_index, vectors, n_atoms), vectors / safe_norm(vectors))


def messages(
    w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor, splat: tuple[Tensor, Tensor, Tensor]
) -> Tensor:
    """The messages after all blocks, [e, C], of what the edges see, which the blocks share."""
    element = w["constants.element"].index_select(0, numbers)
    sender, receiver = element.index_select(0, edge_index[0]), element.index_select(0, edge_index[1])
    distances = safe_norm(vectors)
    t = distance_features(w, s, distances, sender, receiver)
    m = embedding_block(w, "initial_message", silu(network(w, "initial_distance", t)), sender, receiver)
    for k in range(int(s["n_blocks"])):
        name = "blocks." + str(k)
        h = spin_convolution(w, s, name + ".convolution", splat, faded(s, m, distances), vectors.shape[0])
        h = embedding_block(w, name + ".of_neighborhood", h, sender, receiver) + network(w, name + ".of_distance", t)
        added = embedding_block(w, name + ".to_message", silu(h), sender, receiver)
        m = added if k == 0 else m + added
    return m


def energies_of_messages(
    w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor, m: Tensor
) -> Tensor:
    """E_i = E0 + scale (head(sum of messages into i) - head(0)): an atom without neighbours has its reference energy; float64 [n_atoms].

    `energy_offset`, of the whole structure, is shared out among its atoms.
    """
    n_atoms = numbers.shape[0]
    seen = faded(s, m, safe_norm(vectors)) * (1.0 / s["average_neighbors"])
    sums = torch.zeros(n_atoms, m.shape[1], dtype=m.dtype, device=m.device).index_add(0, edge_index[1], seen)
    reference = w["constants.reference_energies"]  # float64 whatever the model computes in
    element = w["constants.element"].index_select(0, numbers)
    each = torch.arange(reference.shape[0], device=numbers.device)
    alone = embedding_block(w, "energy", torch.zeros(each.shape[0], m.shape[1], dtype=m.dtype, device=m.device), each, each)
    learned = (embedding_block(w, "energy", sums, element, element) - alone.index_select(0, element)).squeeze(1)
    return reference.index_select(0, element) + s["scale"] * learned.double() + s["energy_offset"] / max(1, n_atoms)


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
    along = force_head(w, s, numbers, spots, faded(s, m, distances), n_directions).view(n_rotations, 3, n_atoms)
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
    """Energies and direct forces of the same messages."""
    edge_index, vectors = kept_edges(s, edge_index, vectors, numbers.shape[0])
    seen = see(s, edge_index, vectors, numbers.shape[0])
    m = messages(w, s, numbers, edge_index, vectors, seen)
    energy = energies_of_messages(w, s, numbers, edge_index, vectors, m)
    return energy, forces_of_messages(w, s, numbers, edge_index, vectors, m)
