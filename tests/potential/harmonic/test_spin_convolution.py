"""The polynomial on the sphere is only a way to compute what the paper says."""

import math

import ase
import pytest
import torch
from structures import ethanol, triclinic

from models import random_model
from spinconv.potential import HarmonicSpinConv, build_graph
from spinconv.potential.graph import Graph
from spinconv.potential.harmonic import equations
from spinconv.potential.spherical_harmonics import evaluate_monomials, harmonics_matrix, n_harmonics


def frames_of(directions: torch.Tensor, roll: float) -> torch.Tensor:
    """Rotations that take each direction to the z axis, by any roll and `roll` more, [n, 3, 3]."""
    reference = torch.tensor([[0.3, -0.8, 0.52]], dtype=torch.float64).expand_as(directions)
    x = torch.nn.functional.normalize(torch.linalg.cross(reference, directions))
    y = torch.linalg.cross(directions, x)
    return torch.stack([math.cos(roll) * x + math.sin(roll) * y, math.cos(roll) * y - math.sin(roll) * x, directions], dim=1)


def rolled_responses(model: HarmonicSpinConv, graph: Graph, roll: float) -> tuple[torch.Tensor, torch.Tensor]:
    """What the kernels and their partners see of the neighbours of every edge's sender, turned into a frame of the edge and summed there.

    A kernel is a function on the sphere that is even in y: cosine parts only, normalised over a whole roll (those of order 0 times 1,
    others times sqrt 2).
    """
    (j, i), n_edges, lmax = graph.edge_index, graph.edge_index.shape[1], model.config.lmax
    w, s = model.weights(), model.settings()
    u, _, _, _, m = equations.edges(w, s, graph.vectors, equations.pairs(w, s, graph.numbers[j], graph.numbers[i]))
    directions = torch.nn.functional.normalize(graph.vectors)
    into, edge = torch.meshgrid(torch.arange(n_edges), torch.arange(n_edges), indexing="ij")  # edge `into` ends where `edge` starts
    into, edge = into[i[into] == j[edge]], edge[i[into] == j[edge]]
    turned = torch.einsum("pab,pb->pa", frames_of(directions, roll)[edge], directions[into])
    seen = evaluate_monomials(turned, lmax) @ harmonics_matrix(lmax)
    terms = seen.unsqueeze(2) * (m * u)[into].unsqueeze(1)
    signal = torch.zeros(n_edges, n_harmonics(lmax), m.shape[1], dtype=torch.float64).index_add(0, edge, terms)
    weight, group = model.blocks[0].convolution.weight, model.config.group
    grouped = signal.view(n_edges, n_harmonics(lmax), -1, group) / model.average_neighbors**0.5
    kernels = [(order, degree) for order in range(lmax + 1) for degree in range(order, lmax + 1)]
    parts = [
        torch.einsum("egc,gcd->egd", grouped[:, degree**2 + degree + order], weight[:, kernel]) * (2**0.5 if order else 1.0)
        for kernel, (order, degree) in enumerate(kernels)
    ]
    own, partner = (part.flatten(1) for part in sum(parts).chunk(2, dim=2))
    return own, partner


@pytest.mark.parametrize("structure", [ethanol, triclinic])
@pytest.mark.parametrize("lmax", [1, 2, 3, 4])
def test_the_polynomial_is_the_mean_over_the_roll_of_rotated_responses(lmax: int, structure: type[ase.Atoms]) -> None:
    """The response and its product with the partner's, over 2 lmax + 1 equidistant rolls: exact for degrees up to 2 lmax of the roll."""
    model = random_model(weights_times=2.0, lmax=lmax, cutoff=4.0)
    graph = build_graph(structure(), model.cutoff, torch.float64)
    j, i = graph.edge_index
    expected = model.blocks[0].convolution.bias
    n_rolls = 2 * lmax + 1
    for n in range(n_rolls):
        own, partner = rolled_responses(model, graph, 2 * math.pi * n / n_rolls)
        expected = expected + (own + own * partner) / n_rolls
    w, s = model.weights(), model.settings()
    u, y, _, _, m = equations.edges(w, s, graph.vectors, equations.pairs(w, s, graph.numbers[j], graph.numbers[i]))
    of_receivers, of_senders = (equations.tiles(w, s, atom, len(graph.numbers)) for atom in (i, j))
    moments = equations.moments(w, s, 0, m, u, y, of_receivers, len(graph.numbers))
    size = float(expected.detach().abs().max())
    torch.testing.assert_close(
        equations.spin(w, s, 0, moments, y, of_senders), torch.nn.functional.silu(expected), rtol=0, atol=1e-12 * max(1.0, size)
    )


def test_responses_that_depend_on_the_roll_are_averaged() -> None:
    """The law above says something: single rolls differ from each other as much as they differ from 0."""
    model = random_model(weights_times=2.0, cutoff=4.0)
    graph = build_graph(ethanol(), model.cutoff, torch.float64)
    one, other = (rolled_responses(model, graph, roll)[0] for roll in (0.0, 1.0))
    assert (one - other).abs().max() > 0.1 * one.abs().max()
