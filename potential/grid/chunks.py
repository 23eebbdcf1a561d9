"""The page of equations of an evaluation in chunks of edges that stay in the caches: the network of network.py, with a way back by hand.

Where no gradients of weights are asked for, this gives the numbers of equations.py's `messages`, and the gradient of energies, in less time
and memory. Edges are in the order of their senders; a chunk has those of some whole atoms, so what it sees are all edges into these atoms,
a row of those in the order of receivers. A chunk's sight puts them into bags, a bag a cell, sorted once for all blocks; and back.
Autograd goes through no splat: it is linear in the messages, and its transpose is a sum over bags again.

TorchScript, like equations.py: from the line of dashes on, its text is compiled into the C++ reader before that one.
"""

from torch import Tensor

import torch  # isort: skip
from spinconv.potential.grid.network import (
    added_message,
    bags,
    begins,
    convolved,
    elements_of,
    fade,
    images_of_bags,
    in_groups,
    kernels,
    mixtures,
    of_distances,
    sums_of_bags,
)
from spinconv.potential.grid.projection import edge_frames, kept_edges, pairs_of_edges, splat
from spinconv.potential.layers import safe_norm

# ----------------------------------------------------------------------------------------------------------------------------------------


def chunk_bounds(sent: Tensor, size: int) -> list[int]:
    """Atoms at which chunks begin, and the end: of `sent` edges each [n_atoms], together about `size` or what one atom has, never none."""
    total = sent.cumsum(0)
    n_edges = int(total[sent.shape[0] - 1])
    last = torch.searchsorted(total, torch.arange(size, max(size, n_edges), size, device=sent.device))
    last = last.index_select(0, torch.nonzero(total.index_select(0, last) < n_edges).squeeze(1))
    ends: list[int] = (last + 1).tolist()
    bounds = [0]
    for end in ends:
        if end > bounds[len(bounds) - 1]:
            bounds.append(end)
    bounds.append(sent.shape[0])
    return bounds


def plan(
    s: dict[str, float], edge_index: Tensor, vectors: Tensor, n_atoms: int, keep: bool
) -> tuple[Tensor, list[int], list[list[Tensor]]]:
    """The edges in the order of receivers [e]; where chunks begin, and the end; and what each of them sees, and to `keep` the way back, how
    it goes back."""
    sent, received = torch.bincount(edge_index[0], minlength=n_atoms), torch.bincount(edge_index[1], minlength=n_atoms)
    bounds = torch.tensor(chunk_bounds(sent, chunk_size(vectors)), device=sent.device)
    first: list[int] = begins(sent).index_select(0, bounds).tolist()
    incoming: list[int] = begins(received).index_select(0, bounds).tolist()
    by_receiver = torch.argsort(edge_index[1], stable=True)
    return by_receiver, first, sights(s, edge_index, vectors, n_atoms, ranks(by_receiver), first, incoming, keep)


def ranks(order: Tensor) -> Tensor:
    """Where each stands in an order: its inverse."""
    return torch.empty_like(order).scatter_(0, order, torch.arange(order.shape[0], device=order.device))


def chunk_size(like: Tensor) -> int:
    """Edges whose arrays stay in the caches of a CPU; elsewhere as many as keep it busy."""
    return 512 if like.device.type == "cpu" else 16384


def sights(
    s: dict[str, float],
    edge_index: Tensor,
    vectors: Tensor,
    n_atoms: int,
    rank: Tensor,
    first: list[int],
    incoming: list[int],
    keep: bool,
) -> list[list[Tensor]]:
    """What each chunk sees: rows (edges in the order of receivers), weights and bags of the cells of its images; and for the way back
    rows (cells), weights and bags of its incoming edges.

    `rank` [e] of edges in the order of receivers; chunks begin at the edges `first`, and what they see at `incoming`.
    """
    n_latitude, n_longitude = int(s["n_latitude"]), int(s["n_longitude"])
    n_cells, n_edges = n_latitude * n_longitude, vectors.shape[0]
    edge, source = pairs_of_edges(edge_index, n_atoms)
    frames = edge_frames(s, edge_index, vectors, n_atoms)
    cell, weight, source = splat(s, edge, source, frames, vectors / safe_norm(vectors))
    row = torch.div(cell, n_longitude, rounding_mode="floor")
    column = cell - row * n_longitude
    sphere = torch.div(row, n_latitude, rounding_mode="floor")
    begin = torch.tensor(first, device=cell.device)
    sizes = begin[1:] - begin[:-1]
    of_edge = torch.repeat_interleave(sizes)
    size, start = sizes.index_select(0, of_edge).index_select(0, sphere), begin.index_select(0, of_edge).index_select(0, sphere)
    place = column * (size * n_latitude) + row - start * n_latitude  # within the chunk: columns first
    seen = rank.index_select(0, source)
    rows, weights, cells = bags(place + start * n_cells, n_edges * n_cells, seen, weight)
    found = cut_bags([rows, weights, cells], [n * n_cells for n in first])
    if keep:
        back_rows, back_weights, edges = bags(seen, n_edges, place, weight.detach())
        there = cut_bags([back_rows, back_weights, edges], incoming)
        found = [found[c] + there[c] for c in range(len(found))]
    return found


def cut_bags(whole: list[Tensor], first: list[int]) -> list[list[Tensor]]:
    """Rows, weights and bags of all chunks one by one, whose bags begin at `first`."""
    found: list[list[Tensor]] = []
    for c in range(len(first) - 1):
        bounds = whole[2][first[c] : first[c + 1] + 1]
        begin, end = int(bounds[0]), int(bounds[bounds.shape[0] - 1])
        found.append([whole[0][begin:end], whole[1][begin:end], bounds - begin])
    return found


def back_to_messages(sight: list[Tensor], images: list[Tensor]) -> Tensor:
    """Derivatives with respect to the messages that a chunk sees, in the order of receivers, of those with respect to its images."""
    found: list[Tensor] = []
    for of_group in images:
        found.append(sums_of_bags(of_group.reshape(-1, of_group.shape[3]), sight[3], sight[4], sight[5]))
    return torch.cat(found, 1)


def back_to_weights(sight: list[Tensor], images: list[Tensor], x: list[Tensor]) -> Tensor:
    """The same with respect to the weights of the cells, in the order of these."""
    cell = torch.repeat_interleave(sight[2][1:] - sight[2][:-1])
    found = torch.zeros_like(sight[1])
    for g in range(len(x)):
        of_cell = images[g].reshape(-1, x[g].shape[1]).index_select(0, cell)
        found = found + (of_cell * x[g].index_select(0, sight[0])).sum(1)
    return found


def derivatives(total: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """Of a number with respect to `inputs`, all of which it depends on."""
    found: list[Tensor] = []
    for value in torch.autograd.grad([total], inputs):
        assert value is not None
        found.append(value)
    return found


# ---- forth, and back


def distances_in_chunks(
    w: dict[str, Tensor], s: dict[str, float], elements: tuple[Tensor, Tensor], distances: Tensor, first: list[int], keep: bool
) -> list[list[Tensor]]:
    """Of each chunk its distances, and `of_distances`; to `keep` the way back, distances are a leaf."""
    found: list[list[Tensor]] = []
    for c in range(len(first) - 1):
        begin, end = first[c], first[c + 1]
        leaf = distances[begin:end].detach().requires_grad_(keep)
        parts = [leaf]
        parts += of_distances(w, s, leaf, elements[0][begin:end], elements[1][begin:end])
        found.append(parts)
    return found


def forth(
    w: dict[str, Tensor],
    s: dict[str, float],
    elements: tuple[Tensor, Tensor],
    u: Tensor,
    plan: tuple[Tensor, list[int], list[list[Tensor]]],
    of_distance: list[list[Tensor]],
    keep: bool,
) -> tuple[Tensor, list[list[Tensor]]]:
    """The messages after all blocks, [e, C]; and to `keep` the way back, for every block what others see of its messages, and these, after
    its chunks' leaves, and what was made of them."""
    by_receiver, first, seen = plan
    kept: list[list[Tensor]] = []
    m = torch.cat([parts[1].detach() for parts in of_distance])
    for k in range(int(s["n_blocks"])):
        name = "blocks." + str(k)
        x = in_groups((m * u).index_select(0, by_receiver))
        kernel, mix = kernels(w, s, name + ".convolution", len(x)), mixtures(w, name, elements[0], elements[1])
        added: list[Tensor] = []
        for c in range(len(seen)):
            begin, end = first[c], first[c + 1]
            leaves = [of_distance[c][k + 2].detach()]
            leaves += images_of_bags(s, x, seen[c][0], seen[c][1].detach(), seen[c][2])
            leaves = [leaf.requires_grad_(keep) for leaf in leaves]
            pooled = convolved(w, name + ".convolution", kernel, leaves[1:])
            made = added_message(w, name, pooled, leaves[0], (mix[0][begin:end], mix[1][begin:end]))
            if keep:
                leaves.append(made)
                kept.append(leaves)
            added.append(made.detach())
        if keep:
            x.append(m)
            kept.append(x)
        m = torch.cat(added) if k == 0 else m + torch.cat(added)
    return m, kept


def back(
    s: dict[str, float],
    u: Tensor,
    plan: tuple[Tensor, list[int], list[list[Tensor]]],
    of_distance: list[list[Tensor]],
    kept: list[list[Tensor]],
    dm: Tensor,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Derivatives with respect to the distances and `u`, [e, 1] each, and to the weights that chunks see with, of those with respect to the
    messages after all blocks, `dm` [e, C]. What was `kept` is let go on the way."""
    by_receiver, first, seen = plan
    rank = ranks(by_receiver)
    du = torch.zeros_like(u)
    of_weights = [torch.zeros_like(sight[1]) for sight in seen]
    of_parts = [[torch.empty(0)] for _ in seen]  # by chunk, of what each block adds for the distance, the last first
    for k in range(int(s["n_blocks"]) - 1, -1, -1):
        x = kept.pop()
        m = x.pop()
        seen_back: list[Tensor] = []
        for c in range(len(seen) - 1, -1, -1):
            leaves = kept.pop()
            made = leaves.pop()
            found = derivatives((made * dm[first[c] : first[c + 1]]).sum(), leaves)
            of_parts[c].append(found[0])
            seen_back.append(back_to_messages(seen[c], found[1:]))
            if s["intact"] > 0:
                of_weights[c] += back_to_weights(seen[c], found[1:], x)
        seen_back.reverse()
        dx = torch.cat(seen_back).index_select(0, rank)
        du = du + (dx * m).sum(1, keepdim=True)
        dm = dx * u if k == 0 else dm + dx * u
    d_distances: list[Tensor] = []
    for c in range(len(seen)):
        parts = of_distance[c]
        total = (parts[1] * dm[first[c] : first[c + 1]]).sum()
        for k in range(2, len(parts)):
            total = total + (parts[k] * of_parts[c][len(parts) - k]).sum()
        d_distances += derivatives(total, parts[:1])
    return torch.cat(d_distances), du, of_weights


def sorted_edges(s: dict[str, float], edge_index: Tensor, vectors: Tensor, n_atoms: int) -> tuple[Tensor, Tensor]:
    """`kept_edges` in the order of their senders."""
    edge_index, vectors = kept_edges(s, edge_index, vectors, n_atoms)
    order = torch.argsort(edge_index[0], stable=True)
    return edge_index.index_select(1, order), vectors.index_select(0, order)


def messages_in_chunks(w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor) -> Tensor:
    """The messages after all blocks of edges in the order of their senders, [e, C], not differentiable."""
    elements, distances = elements_of(w, numbers, edge_index), safe_norm(vectors)
    chunks = plan(s, edge_index, vectors, numbers.shape[0], False)
    of_distance = distances_in_chunks(w, s, elements, distances, chunks[1], False)
    return forth(w, s, elements, fade(s, distances), chunks, of_distance, False)[0]
