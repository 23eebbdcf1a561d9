"""What can be drawn of grid SpinConv; potential/pictures.py says what spheres are."""

import math

import torch

from spinconv.potential.graph import Graph
from spinconv.potential.grid import equations
from spinconv.potential.grid.model import GridSpinConv
from spinconv.potential.grid.projection import edge_frames, kept_edges
from spinconv.potential.layers import envelope
from spinconv.potential.pictures import Embedding, Filters, Seen, Sphere, check_edge, check_number, edge_between, longitude_latitude, names
from spinconv.potential.spherical_harmonics import evaluate_monomials, harmonics_matrix

SENDER, RECEIVER = ".sender.weight", ".receiver.weight"


def embeddings(model: GridSpinConv) -> list[Embedding]:
    """The embeddings of elements, as they send and as they receive, by which every embedding block mixes its networks."""
    tables = [(name, value) for name, value in model.named_parameters() if name.endswith((SENDER, RECEIVER))]
    return [Embedding(name.removesuffix(".weight"), value.detach()) for name, value in tables]


def filters(model: GridSpinConv, block: int, group: int, most: int | None = None) -> Filters:
    """Kernels on the grid of a group, of the first `most` outputs and inputs; or of all channels together, by spherical harmonics."""
    c = model.config
    n_groups = 1 if c.convolution == "harmonics" else c.groups
    check_number("block", block, c.n_blocks)
    check_number("group", group, n_groups)
    n_in, n_out = c.channels // n_groups, c.hidden_channels // n_groups
    weight = model.state_dict()[f"blocks.{block}.convolution.weight"][group * n_out : (group + 1) * n_out]
    if c.convolution == "harmonics":
        sphere = harmonic(weight.view(n_out, n_in, -1)[:most, :most], c.lmax)
    else:
        sphere = cells(weight.view(n_out, n_in, c.n_latitude, c.n_longitude)[:most, :most])
    return Filters(n_groups, names(group * n_in, n_in)[:most], names(group * n_out, n_out)[:most], sphere)


def cells(values: torch.Tensor) -> Sphere:
    """What stands in the nearest cell of a grid [..., n_latitude, n_longitude]; see `projection.splat`."""
    n_latitude, n_longitude = values.shape[-2:]

    def sphere(directions: torch.Tensor) -> torch.Tensor:
        longitude, latitude = longitude_latitude(directions)
        row = torch.round((0.99 * (latitude / math.pi + 0.5) + 0.005) * (n_latitude - 1)).long()
        column = torch.round((longitude / (2 * math.pi) + 0.5) * n_longitude).long() % n_longitude
        return values[..., row, column]

    return sphere


def harmonic(kernels: torch.Tensor, lmax: int) -> Sphere:
    """Sum of w_lm sqrt((2 l + 1) (lmax + 1)) Y_lm for kernels w [..., (lmax + 1)^2]; the polar axis of `constants.harmonics_on_grid`
    points to its first row, and its longitude begins at the first column."""
    degree = torch.tensor([math.isqrt(lm) for lm in range(kernels.shape[-1])], dtype=torch.float64)

    def sphere(directions: torch.Tensor) -> torch.Tensor:
        values = evaluate_monomials(-directions.double().flip(1), lmax) @ harmonics_matrix(lmax)
        return torch.matmul(kernels.double(), (values * torch.sqrt((2 * degree + 1) * (lmax + 1))).T)

    return sphere


def image(splat: tuple[torch.Tensor, ...], m: torch.Tensor, sphere: int, n_latitude: int, n_longitude: int) -> torch.Tensor:
    """Messages on the grid of one sphere, [C, n_latitude, n_longitude]."""
    size = n_latitude * n_longitude
    cell, weight, edge = (part[splat[0] // size == sphere] for part in splat)
    empty = torch.zeros(size, m.shape[1], dtype=m.dtype)
    return empty.index_add(0, cell - sphere * size, m[edge] * weight.detach()[:, None]).T.view(-1, n_latitude, n_longitude)


def seen(model: GridSpinConv, graph: Graph, j: int, i: int) -> Seen:
    """The grid of the edge j -> i before each block; ValueError where there is no such edge."""
    w, s, c = model.weights(), model.settings(), model.config
    numbers, n_atoms = graph.numbers, len(graph.numbers)
    edge_index, vectors = kept_edges(s, graph.edge_index, graph.vectors, n_atoms)
    cap = f" and keeps pairs among the {c.max_neighbors} nearest of either" if c.max_neighbors else ""
    edge = check_edge(edge_between(edge_index, vectors, j, i), numbers, j, i, f"the model sees {c.cutoff:g} Å far{cap}")
    splat = equations.see(s, edge_index, vectors, n_atoms)
    fade = envelope(vectors.norm(dim=1, keepdim=True) / c.cutoff) if c.envelope else 1.0
    images = []
    for k in range(c.n_blocks):
        m = equations.messages(w, {**s, "n_blocks": float(k)}, numbers, edge_index, vectors, splat)
        images.append(image(splat, (m * fade).detach(), edge, c.n_latitude, c.n_longitude))
    frame = edge_frames(s, edge_index, vectors, n_atoms)[0][edge]
    into_j = torch.nonzero(edge_index[1] == j).squeeze(1)
    return Seen(vectors[edge], vectors[into_j], edge_index[0, into_j], frame.detach(), [cells(image) for image in images])
