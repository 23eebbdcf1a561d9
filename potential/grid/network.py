"""The page of equations of the network's pieces, each a function of any number of edges or spheres: equations.py and chunks.py put them
together.

Indices and shapes: e edges, j the atom that sends, i the atom that receives, C channels in G groups, H hidden channels, n spheres. An image
is what a sphere sees of a group of channels, [n_longitude, n, n_latitude, C / G]: columns first, because the convolution is over columns.

TorchScript, like equations.py: from the line of dashes on, its text is compiled into the C++ reader before that one.
"""

from torch import Tensor
from torch.nn.functional import silu

import torch  # isort: skip
from spinconv.potential.layers import envelope, linear, network

# ----------------------------------------------------------------------------------------------------------------------------------------


def elements_of(w: dict[str, Tensor], numbers: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the elements that send and that receive, [e] each."""
    element = w["constants.element"].index_select(0, numbers)
    return element.index_select(0, edge_index[0]), element.index_select(0, edge_index[1])


def mixture(w: dict[str, Tensor], name: str, sender: Tensor, receiver: Tensor) -> Tensor:
    """How an embedding block mixes its networks: a softmax over what `sender` and `receiver` [n], rows of elements, say, [n, networks]."""
    elements = [w[name + ".sender.weight"].index_select(0, sender), w[name + ".receiver.weight"].index_select(0, receiver)]
    return torch.softmax(linear(w, name + ".mixture", torch.cat(elements, 1)), 1)


def mixed(w: dict[str, Tensor], name: str, x: Tensor, mixture: Tensor) -> Tensor:
    """W3 sum_b g_b silu(W2_b silu(W1 x)): an embedding block, whose networks are mixed by g."""
    hidden = silu(linear(w, name + ".middle", silu(linear(w, name + ".first", x))))
    hidden = hidden.view(x.shape[0], mixture.shape[1], w[name + ".last.weight"].shape[1])
    return linear(w, name + ".last", torch.bmm(mixture.unsqueeze(1), hidden).squeeze(1))


def embedding_block(w: dict[str, Tensor], name: str, x: Tensor, sender: Tensor, receiver: Tensor) -> Tensor:
    """`mixed` by the elements of `sender` and `receiver` [n]."""
    return mixed(w, name, x, mixture(w, name, sender, receiver))


def distance_features(w: dict[str, Tensor], s: dict[str, float], distances: Tensor, sender: Tensor, receiver: Tensor) -> Tensor:
    """Linear layer of Gaussians of the distance, scaled and offset by the pair of elements, [e, H]; `distances` [e, 1] (Å)."""
    x = distances
    if "distance.scale.weight" in w:
        pair = sender * w["initial_message.sender.weight"].shape[0] + receiver
        scale = 2.0 * torch.sigmoid(w["distance.scale.weight"].index_select(0, pair)) - 1.0
        x = torch.exp(scale * s["log_distance_scale_max"]) * x + w["distance.offset.weight"].index_select(0, pair)
    x = x - w["distance.centers"]
    return linear(w, "distance.linear", torch.exp(x * x * w["distance.rate"]))


def of_distances(w: dict[str, Tensor], s: dict[str, float], distances: Tensor, sender: Tensor, receiver: Tensor) -> list[Tensor]:
    """What follows from the distance and the elements alone: the messages before all blocks, and what is added in each of these."""
    t = distance_features(w, s, distances, sender, receiver)
    found = [embedding_block(w, "initial_message", silu(network(w, "initial_distance", t)), sender, receiver)]
    for k in range(int(s["n_blocks"])):
        found.append(network(w, "blocks." + str(k) + ".of_distance", t))
    return found


def fade(s: dict[str, float], distances: Tensor) -> Tensor:
    """u(d), which messages are multiplied by where others see them, [e, 1]; 1 where the model has no envelope."""
    return envelope(distances * (1.0 / s["cutoff"])) if s["envelope"] > 0 else torch.ones_like(distances)


# ---- the spin convolution


def begins(counts: Tensor) -> Tensor:
    """Where each of things that have so many rows begins, and the end of the last, [n + 1]."""
    return torch.cat([torch.zeros(1, dtype=counts.dtype, device=counts.device), counts.cumsum(0)])


def bags(bag: Tensor, n_bags: int, row: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The rows and their weights bag by bag, and where the bags begin [n_bags + 1]."""
    order = torch.argsort(bag)
    return row.index_select(0, order), weight.index_select(0, order), begins(torch.bincount(bag, minlength=n_bags))


def sums_of_bags(values: Tensor, rows: Tensor, weights: Tensor, begin: Tensor) -> Tensor:
    """The sums of `weights` times `rows` of `values` [n, width], bag by bag, [n_bags, width]."""
    return torch.embedding_bag(values, rows, begin, False, 0, False, weights, True)[0]


def in_groups(m: Tensor) -> list[Tensor]:
    """Messages of each group of channels, [e, C / G]."""
    n_groups = m.shape[1] // 8
    return list(m.view(m.shape[0], n_groups, m.shape[1] // n_groups).transpose(0, 1).contiguous().unbind(0))


def images_of_bags(s: dict[str, float], x: list[Tensor], rows: Tensor, weights: Tensor, begin: Tensor) -> list[Tensor]:
    """The images whose cells are bags, columns first, of messages `x` of each group."""
    n_latitude, n_longitude = int(s["n_latitude"]), int(s["n_longitude"])
    found: list[Tensor] = []
    for values in x:
        found.append(sums_of_bags(values, rows, weights, begin).view(n_longitude, -1, n_latitude, values.shape[1]))
    return found


def image(s: dict[str, float], splat: tuple[Tensor, Tensor, Tensor], m: Tensor, n_spheres: int) -> list[Tensor]:
    """The images that messages `m` make, of each group of channels; by bags, which have no second derivatives, where gradients are
    off."""
    n_latitude, n_longitude, width = int(s["n_latitude"]), int(s["n_longitude"]), m.shape[1] // (m.shape[1] // 8)
    cell, weight, edge = splat
    row = torch.div(cell, n_longitude, rounding_mode="floor")
    place, n_cells = (cell - row * n_longitude) * (n_spheres * n_latitude) + row, n_longitude * n_spheres * n_latitude
    if not torch.is_grad_enabled():
        rows, weights, begin = bags(place, n_cells, edge, weight)
        return images_of_bags(s, in_groups(m), rows, weights, begin)
    empty = torch.zeros(n_cells, m.shape[1], dtype=m.dtype, device=m.device)
    whole = empty.index_add_(0, place, m.index_select(0, edge) * weight.unsqueeze(1))
    return list(whole.view(n_longitude, n_spheres, n_latitude, m.shape[1]).split(width, 3))


def kernels(w: dict[str, Tensor], s: dict[str, float], name: str, n_groups: int) -> Tensor:
    """The weights of a convolution as its products want them: `roll_on_grid`'s or `roll_harmonics`'."""
    weight = w[name + ".weight"]
    if weight.dim() == 2:  # [H, C (lmax + 1)^2]: the weights are rolled, not the harmonics of every sphere
        rolls = w["constants.rolls"]
        return torch.matmul(weight.view(1, -1, rolls.shape[1]), rolls).view(-1, weight.shape[1])
    hidden, inputs = weight.shape[0], weight.shape[1]  # [H, C / G n_latitude, n_longitude]
    n_latitude = int(s["n_latitude"])
    products = torch.matmul(weight, w["constants.of_kernel"].t())
    products = products.view(n_groups, hidden // n_groups, inputs // n_latitude, n_latitude, products.shape[2])
    return products.permute(0, 4, 3, 2, 1).reshape(n_groups, products.shape[4], inputs, hidden // n_groups)


def roll_on_grid(w: dict[str, Tensor], kernel: Tensor, bias: Tensor, image: Tensor) -> Tensor:
    """Mean over x of silu(bias + sum_x' K(x') S(x + x')), [n, H / G]: kernels of all rows of a group that roll over the columns, a circle.

    `kernel` [products, n_latitude C / G, H / G] has the products B K of `cyclic_products` (constants.py).
    """
    n_longitude, n = image.shape[0], image.shape[1]
    seen = torch.matmul(w["constants.of_image"], image.reshape(n_longitude, -1)).view(kernel.shape[0], n, kernel.shape[1])
    products = torch.bmm(seen, kernel).view(kernel.shape[0], n * kernel.shape[2])
    responses = torch.matmul(w["constants.back"], products).view(n_longitude, n, kernel.shape[2])
    return silu(responses + bias).sum(0) * (1.0 / n_longitude)


def roll_harmonics(w: dict[str, Tensor], kernel: Tensor, bias: Tensor, image: Tensor) -> Tensor:
    """Sum over rolls R of silu(bias + W D(R) a), [n, H], with a the spherical harmonics of what the grid holds, of all channels: the
    published option `rotspharmwd`. `kernel` [n_longitude H, C (lmax + 1)^2] has the rows W D(R)."""
    n_longitude, n, n_latitude, channels = image.shape
    on_grid = image.permute(1, 3, 2, 0).reshape(n * channels, n_latitude * n_longitude)
    a = torch.matmul(on_grid, w["constants.harmonics"]).view(n, kernel.shape[1])
    return silu(torch.matmul(a, kernel.t()).view(n, n_longitude, bias.shape[0]) + bias).sum(1)


def convolved(w: dict[str, Tensor], name: str, kernel: Tensor, images: list[Tensor]) -> Tensor:
    """What kernels see as they roll about the pole of each sphere, normalised by group, [n, H]."""
    bias, n_groups = w[name + ".bias"], len(images)
    if kernel.dim() == 2:
        pooled = roll_harmonics(w, kernel, bias, torch.cat(images, 3))
    else:
        biases = bias.view(n_groups, -1)
        pooled = torch.cat([roll_on_grid(w, kernel[g], biases[g], images[g]) for g in range(n_groups)], 1)
    return torch.group_norm(pooled, n_groups, w[name + ".norm.weight"], w[name + ".norm.bias"], 1e-5)


def spin_convolution(
    w: dict[str, Tensor], s: dict[str, float], name: str, splat: tuple[Tensor, Tensor, Tensor], m: Tensor, n_spheres: int
) -> Tensor:
    """`convolved` images of all spheres at once, [n, H]."""
    images = image(s, splat, m, n_spheres)
    return convolved(w, name, kernels(w, s, name, len(images)), images)


# ---- blocks and the head of the energies


def mixtures(w: dict[str, Tensor], name: str, sender: Tensor, receiver: Tensor) -> tuple[Tensor, Tensor]:
    """Of the two embedding blocks of a block."""
    return mixture(w, name + ".of_neighborhood", sender, receiver), mixture(w, name + ".to_message", sender, receiver)


def added_message(w: dict[str, Tensor], name: str, seen: Tensor, of_distance: Tensor, mixtures: tuple[Tensor, Tensor]) -> Tensor:
    """What a block adds to the messages of edges, [e, C], of what they have `seen` [e, H]."""
    h = mixed(w, name + ".of_neighborhood", seen, mixtures[0]) + of_distance
    return mixed(w, name + ".to_message", silu(h), mixtures[1])


def energies_of_sums(w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, sums: Tensor) -> Tensor:
    """E_i = E0 + scale (head(sum of messages into i) - head(0)): an atom without neighbours has its reference energy; float64 [n_atoms].

    `energy_offset`, of the whole structure, is shared out among its atoms.
    """
    reference = w["constants.reference_energies"]  # float64 whatever the model computes in
    element = w["constants.element"].index_select(0, numbers)
    each = torch.arange(reference.shape[0], device=numbers.device)
    alone = embedding_block(w, "energy", torch.zeros(each.shape[0], sums.shape[1], dtype=sums.dtype, device=sums.device), each, each)
    learned = (embedding_block(w, "energy", sums, element, element) - alone.index_select(0, element)).squeeze(1)
    return reference.index_select(0, element) + s["scale"] * learned.double() + s["energy_offset"] / max(1, numbers.shape[0])
