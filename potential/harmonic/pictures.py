"""What can be drawn of harmonic SpinConv; potential/pictures.py says what spheres are."""

from math import isqrt

import torch
from torch import nn

from spinconv.potential.graph import Graph
from spinconv.potential.harmonic import equations
from spinconv.potential.harmonic.constants import frames
from spinconv.potential.harmonic.model import HarmonicSpinConv
from spinconv.potential.pictures import Embedding, Filters, Seen, Sphere, check_edge, check_number, edge_between, names
from spinconv.potential.spherical_harmonics import evaluate_monomials, harmonics_matrix

FACTORS = ".factors"


def embeddings(model: HarmonicSpinConv) -> list[Embedding]:
    """The factors of the hidden values of every embedding block: of elements for the energy, else of pairs."""
    n = model.n_elements
    tables = {name.removesuffix(FACTORS): value.detach() for name, value in model.named_parameters() if name.endswith(FACTORS)}
    return [Embedding(name, value if len(value) == n else value.view(n, n, -1)) for name, value in tables.items()]


def filters(model: HarmonicSpinConv, block: int, group: int, most: int | None = None) -> Filters:
    """Kernels w_ml of a group, of the first `most` outputs and inputs: sum over m and l of w_ml Y_lm, with cosines of longitude alone, so
    that each is its own mirror image.

    The partners' kernels, whose responses are multiplied with these, follow them (').
    """
    c = model.config
    check_number("block", block, c.n_blocks)
    check_number("group", group, c.channels // c.group)
    weight = model.state_dict()[f"blocks.{block}.convolution.weight"][group][:, :most, :most]  # (kernels, group, 2 group)
    kernels = [(m, l) for m in range(c.lmax + 1) for l in range(m, c.lmax + 1)]  # noqa: E741
    component = torch.tensor([l * l + l + m for m, l in kernels])  # noqa: E741

    def sphere(directions: torch.Tensor) -> torch.Tensor:
        return torch.einsum("kio,pk->oip", weight, about_the_edge(directions, c.lmax).to(weight.dtype)[:, component])

    channels, partners = (names(group * c.group, c.group, mark) for mark in ("", "'"))
    return Filters(c.channels // c.group, channels[:most], (channels + partners)[:most], sphere)


def about_the_edge(directions: torch.Tensor, lmax: int) -> torch.Tensor:
    """Harmonics about x, [p, (lmax + 1)^2], of unit vectors of a frame [p, 3]; longitude 0 is where their cosines are 1."""
    return evaluate_monomials(directions.double().flip(1), lmax) @ harmonics_matrix(lmax)


def seen(model: HarmonicSpinConv, graph: Graph, j: int, i: int) -> Seen:
    """The moments of atom j before each block, as functions on the sphere; ValueError where there is no edge j -> i."""
    numbers, edge_index, vectors, *_ = graph
    edge = check_edge(edge_between(edge_index, vectors, j, i), numbers, j, i, f"the model sees {model.cutoff:g} Å far")
    into_j = torch.nonzero(edge_index[1] == j).squeeze(1)
    frame = edge_frame(vectors[edge], vectors[into_j])
    return Seen(vectors[edge], vectors[into_j], edge_index[0, into_j], frame, [turned(a[j], frame) for a in moments(model, graph)])


def turned(moments: torch.Tensor, frame: torch.Tensor) -> Sphere:
    """What the moments [(lmax + 1)^2, C] of an atom say of the directions of a frame."""
    lmax = isqrt(len(moments)) - 1

    def sphere(directions: torch.Tensor) -> torch.Tensor:
        there = evaluate_monomials(directions.double() @ frame.double(), lmax) @ harmonics_matrix(lmax)
        return (there @ moments.double()).T

    return sphere


def edge_frame(vector: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Rows x, y, z: x along the edge, longitude 0 at the nearest of the `others` [n, 3] that is off it. The model knows no such roll."""
    x = nn.functional.normalize(vector, dim=0)
    across = others - (others @ x)[:, None] * x
    off = torch.nonzero(across.norm(dim=1) > 0.1 * others.norm(dim=1)).squeeze(1)
    if len(off) == 0:
        return frames(x[None])[0].flip(0)
    z = nn.functional.normalize(across[off[others[off].norm(dim=1).argmin()]], dim=0)
    return torch.stack([x, torch.linalg.cross(z, x), z])


def moments(model: HarmonicSpinConv, graph: Graph) -> list[torch.Tensor]:
    """A before each block, [n_atoms, (lmax + 1)^2, C] each; as `equations.energies` goes on."""
    w, s = model.weights(), model.settings()
    numbers, (j, i), n_atoms = graph.numbers, graph.edge_index, len(graph.numbers)
    pair = equations.pairs(w, s, numbers[j], numbers[i])
    of_receivers, of_senders = equations.tiles(w, s, i, n_atoms), equations.tiles(w, s, j, n_atoms)
    u, y, _, t, m = equations.edges(w, s, graph.vectors, pair)
    found = []
    for k in range(model.config.n_blocks):
        found.append(equations.moments(w, s, k, m, u, y, of_receivers, n_atoms))
        m = equations.mix(w, s, k, equations.spin(w, s, k, found[-1], y, of_senders), m, t, pair)
    return [a.detach() for a in found]
