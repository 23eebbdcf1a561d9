"""What an edge sees: which pairs there are, which neighbours are kept, and how the poles of the sphere do no harm."""

import ase
import pytest
import torch
from grid_models import grid_model
from structures import STRUCTURES, cluster, collinear, ethanol, fcc, slab_with_adsorbate, tiny_cell, triclinic, water_box

from spinconv.potential import Graph, build_graph
from spinconv.potential.grid import equations, projection

CUTOFF = 4.0


def graph_of(atoms: ase.Atoms) -> Graph:
    return build_graph(atoms, CUTOFF, torch.float64)


@pytest.mark.parametrize("name", STRUCTURES)
def test_pairs_are_all_edges_into_the_sender(name: str) -> None:
    """By a dense mask here, in any order of the edges."""
    graph = graph_of(STRUCTURES[name]())
    shuffled = torch.randperm(len(graph.vectors), generator=torch.Generator().manual_seed(0))
    for edge_index in (graph.edge_index, graph.edge_index[:, shuffled]):
        edge, source = projection.pairs_of_edges(edge_index, len(graph.numbers))
        expected = torch.nonzero(edge_index[0][:, None] == edge_index[1])
        assert torch.equal(torch.stack([edge, source], dim=1)[torch.argsort(edge * len(source) + source)], expected)


def test_memory_is_linear_in_pairs() -> None:
    """A chain: twice the atoms have twice the numbers, where masks of all edges by all would have four times."""

    def largest(n_atoms: int) -> int:
        model = grid_model()
        graph = graph_of(ase.Atoms("H" * n_atoms, [(1.1 * n, 0, 0) for n in range(n_atoms)]))
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            model.energies(graph.numbers, graph.edge_index, graph.vectors.requires_grad_(True))
        return sum(sizes)

    assert largest(80) < 2.3 * largest(40)


@pytest.mark.parametrize("max_neighbors", [1, 3, 12])
@pytest.mark.parametrize("atoms", [ethanol(), triclinic(), water_box(), slab_with_adsorbate(), cluster(30)], ids=str)
def test_a_pair_is_kept_if_either_of_its_atoms_has_it_among_its_nearest(atoms: ase.Atoms, max_neighbors: int) -> None:
    atoms.rattle(0.01, seed=1)  # no two edges but reverse ones are equally long
    graph = graph_of(atoms)
    distances = graph.vectors.norm(dim=1)
    nearest = set()
    for atom in range(len(atoms)):
        into = torch.nonzero(graph.edge_index[1] == atom)[:, 0]
        for edge in into[torch.argsort(distances[into])][:max_neighbors].tolist():
            nearest.add(frozenset(graph.edge_index[:, edge].tolist()))
    expected = [frozenset(pair) in nearest for pair in graph.edge_index.T.tolist()]
    assert projection.nearest_pairs(graph.edge_index, distances, len(atoms), max_neighbors).tolist() == expected


def test_at_most_100_edges_go_into_an_atom() -> None:
    """As the original's search of neighbours has it, before pairs are looked at."""
    graph = build_graph(tiny_cell(), 9.0, torch.float64)
    kept = projection.nearest_pairs(graph.edge_index, graph.vectors.norm(dim=1), 1, 1000)
    assert len(kept) > 100
    assert int(kept.sum()) == 100


def test_edges_beyond_the_cutoff_are_left_out() -> None:
    model, wide = grid_model(envelope=False), build_graph(cluster(20), 6.0, torch.float64)
    narrow = graph_of(cluster(20))
    assert len(wide.vectors) > len(narrow.vectors)
    energies = [model.energies(*graph[:3]) for graph in (wide, narrow)]
    torch.testing.assert_close(energies[0], energies[1], rtol=1e-13, atol=0)


def test_frames_are_orthonormal_rows_along_the_edge_and_left_handed() -> None:
    graph = graph_of(triclinic())
    frames, certain = projection.edge_frames(grid_model().settings(), graph.edge_index, graph.vectors, len(graph.numbers))
    identity = torch.eye(3, dtype=torch.float64).expand_as(frames)
    torch.testing.assert_close(frames @ frames.transpose(1, 2), identity, rtol=0, atol=1e-4)  # 1e-7 by length of what is normalised
    torch.testing.assert_close(torch.linalg.det(frames), -torch.ones(len(frames), dtype=torch.float64), rtol=0, atol=1e-4)
    torch.testing.assert_close(frames[:, 0], graph.vectors / graph.vectors.norm(dim=1, keepdim=True), rtol=0, atol=1e-14)
    assert certain.min() >= 0
    assert certain.max() == 1


@pytest.mark.parametrize("gradient", ["intact", "published"])
@pytest.mark.parametrize("atoms", [ethanol(), collinear(), fcc(), triclinic()], ids=str)
def test_every_neighbour_is_shared_out_whole(atoms: ase.Atoms, gradient: str) -> None:
    """Among cells of its own sphere, with weights from 0 to 1."""
    model, graph = grid_model(gradient=gradient), graph_of(atoms)
    cell, weight, source = equations.see(model.settings(), graph.edge_index, graph.vectors, len(atoms))
    assert weight.min() >= 0
    n_cells = model.config.n_latitude * model.config.n_longitude
    total = torch.zeros(len(graph.vectors), len(graph.vectors), dtype=torch.float64)
    total = total.index_put((cell // n_cells, source), weight, accumulate=True)
    expected = (graph.edge_index[0][:, None] == graph.edge_index[1]).double()
    torch.testing.assert_close(total, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_reverse_edge_lies_evenly_around_the_south_pole(dtype: torch.dtype) -> None:
    """To rounding it does not move when atoms do: the gradient of its weights vanishes."""
    model, graph = grid_model(), graph_of(ethanol())
    s, n = model.settings(), model.config.n_longitude
    vectors = graph.vectors.to(dtype).requires_grad_(True)
    directions = vectors / vectors.norm(dim=1, keepdim=True)
    edges = torch.arange(len(vectors))
    reverse = ((graph.edge_index[0][:, None] == graph.edge_index[1]) & (graph.edge_index[1][:, None] == graph.edge_index[0])).nonzero()[
        :, 1
    ]
    frames = projection.edge_frames(s, graph.edge_index, vectors, len(graph.numbers))
    cell, weight, _ = projection.splat(s, edges, reverse, frames, directions)
    grid = weight.new_zeros(len(edges), model.config.n_latitude * n).index_put(
        (cell // (model.config.n_latitude * n), cell % (model.config.n_latitude * n)), weight, accumulate=True
    )
    row = 0.005 * (model.config.n_latitude - 1)  # as published: the pole is 0.005 of the circle's half above row 0
    expected = torch.zeros(model.config.n_latitude, n, dtype=dtype)
    expected[0], expected[1] = (1 - row) / n, row / n
    rounding = 1e-12 if dtype == torch.float64 else 1e-4
    torch.testing.assert_close(grid.detach(), expected.flatten().expand_as(grid), rtol=0, atol=rounding)
    (gradient,) = torch.autograd.grad((weight * torch.arange(len(weight))).sum(), vectors)
    assert gradient.abs().max() < rounding * 1e5  # weights of up to 1e4, times 1 / 0.01


def test_latitude_is_the_arcsine_away_from_the_poles_and_smooth_at_them() -> None:
    angle = torch.tensor([0.0, 1e-9, 1e-4, 0.005, 0.00999, 0.01001, 0.3, 1.5], dtype=torch.float64)
    for sign in (1.0, -1.0):
        x = (sign * torch.cos(angle)).requires_grad_(True)
        latitude = projection.smooth_latitude(x)
        away = angle > 0.01
        torch.testing.assert_close(latitude[away], torch.asin(x[away]), rtol=0, atol=1e-13)
        assert (latitude - torch.asin(x.detach())).abs().max() < 0.003
        assert float(latitude[0].detach()) == pytest.approx(sign * torch.pi / 2, abs=1e-15)
        (slope,) = torch.autograd.grad(latitude.sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(slope.sum(), x)
        assert torch.isfinite(slope).all()
        assert torch.isfinite(second).all()


@pytest.mark.parametrize("function", ["latitude", "certainty"])
def test_what_is_smooth_at_a_pole_joins_what_is_published(function: str) -> None:
    """Value and slope by the angle from the pole, a hair to either side of where they meet at 0.01 rad."""
    step = 1e-9
    angle = torch.asin(torch.tensor([0.01 - step, 0.01 + step], dtype=torch.float64)).requires_grad_(True)
    y = projection.smooth_latitude(torch.cos(angle)) if function == "latitude" else projection.certainty(torch.sin(angle) ** 2)
    (slope,) = torch.autograd.grad(y.sum(), angle)
    assert (y[1] - y[0]).abs() < 3 * step
    assert (slope[1] - slope[0]).abs() < 1e-3  # a second derivative of 6 / 0.01^2, times the step


def test_directions_next_to_each_other_have_nearly_equal_images() -> None:
    """Across borders of cells, across the cut of the longitudes and over the poles: the splat is continuous."""
    s = grid_model(n_latitude=5, n_longitude=7).settings()
    turn = torch.linspace(0, 2 * torch.pi, 20001, dtype=torch.float64)  # steps of 3e-4 rad
    for axes in ([0, 1, 2], [1, 0, 2], [1, 2, 0]):
        circle = torch.stack([torch.cos(turn), torch.sin(turn), torch.zeros_like(turn)], dim=1)[:, axes]
        frame = torch.eye(3, dtype=torch.float64)[None], torch.ones(1, dtype=torch.float64)
        each = torch.arange(len(turn))
        cell, weight, direction = projection.splat(s, torch.zeros_like(each), each, frame, circle)
        images = torch.zeros(len(turn), 35, dtype=torch.float64).index_put((direction, cell), weight, accumulate=True)
        # from nothing to all within 0.01 rad of a pole is 1.5 x 3e-4 / 0.005 at most
        assert (images[1:] - images[:-1]).abs().max() < 0.1
