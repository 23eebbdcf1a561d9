"""What pictures show is what the networks compute: filters and spheres, put together again, are the convolutions."""

import math

import ase
import numpy as np
import pytest
import torch
from grid_models import grid_model
from structures import dimer, ethanol
from tiny_kind import TINY

from models import random_model
from spinconv.potential import Graph, build_graph
from spinconv.potential.grid import equations as grid_equations
from spinconv.potential.grid import pictures as grid_pictures
from spinconv.potential.grid.constants import latitude_weights
from spinconv.potential.harmonic import equations, pictures
from spinconv.potential.kinds import KINDS, kind_of
from spinconv.potential.layers import envelope
from spinconv.potential.model import PotentialModel
from spinconv.potential.pictures import Embedding, longitude_latitude

LATITUDES = torch.linspace(-math.pi / 2, math.pi / 2, 2001, dtype=torch.float64)[1:-1]


def graph_of(model: PotentialModel, atoms: ase.Atoms) -> Graph:
    return build_graph(atoms, model.cutoff, torch.float64)


def on_sphere(latitudes: torch.Tensor, longitudes: torch.Tensor) -> torch.Tensor:
    """Unit vectors of all pairs, [n_latitudes * n_longitudes, 3]."""
    a, b = torch.meshgrid(latitudes, longitudes, indexing="ij")
    return torch.stack([torch.sin(a), torch.cos(a) * torch.sin(b), torch.cos(a) * torch.cos(b)], dim=2).flatten(0, 1)


def cell_centers(n_latitude: int, n_longitude: int) -> torch.Tensor:
    """A direction in the middle of every cell of a grid; those of the outermost rows are just off the poles."""
    rows = ((torch.arange(n_latitude, dtype=torch.float64) / (n_latitude - 1) - 0.005) / 0.99 - 0.5) * math.pi
    columns = (torch.arange(n_longitude, dtype=torch.float64) / n_longitude - 0.5) * (2 * math.pi)
    return on_sphere(rows.clamp(-1.5707, 1.5707), columns)


def test_a_pair_is_named_by_its_sender_first() -> None:
    model = random_model()
    before = {e.name: e.values.clone() for e in pictures.embeddings(model)}
    o, h = model.config.elements.index(8), model.config.elements.index(1)
    with torch.no_grad():
        model.initial_message.factors[int(equations.pairs(model.weights(), {}, torch.tensor([8]), torch.tensor([1])))] += 1.0
    changed = {e.name: (e.values != before[e.name]).nonzero()[:, :-1].unique(dim=0).tolist() for e in pictures.embeddings(model)}
    assert changed.pop("initial_message") == [[o, h]]
    assert not any(changed.values())
    assert not next(e for e in pictures.embeddings(model) if e.name == "energy").of_pairs


def test_a_row_of_an_element_has_all_pairs_that_it_is_in() -> None:
    values = torch.arange(12.0).view(2, 2, 3)
    assert Embedding("pairs", values).of_elements().tolist() == [
        [0, 1, 2, 3, 4, 5, 0, 1, 2, 6, 7, 8],
        [6, 7, 8, 9, 10, 11, 3, 4, 5, 9, 10, 11],
    ]


@pytest.mark.parametrize("block", [0, 1])
def test_harmonic_filters_on_what_an_edge_sees_are_the_convolution(block: int) -> None:
    """Averaged over the roll only what does not depend on longitude is left: the mean over the sphere of both means over longitude.
    Simpson's rule over 2,001 latitudes is exact to 1e-9 for polynomials of degree 6."""
    model, atoms, j, i = random_model(weights_times=2.0), ethanol(), 2, 0
    with torch.no_grad():  # no partners: the response alone is pooled
        model.blocks[block].convolution.weight[..., 8:] = 0.0
    graph = graph_of(model, atoms)
    seen = pictures.seen(model, graph, j, i)
    longitudes = torch.arange(8, dtype=torch.float64) * (math.pi / 4)  # exact means of polynomials of degree 6
    everywhere = on_sphere(LATITUDES, longitudes)
    messages = seen.blocks[block](everywhere).view(16, -1, 8).mean(2)  # (channels, latitudes)
    weights = torch.cos(LATITUDES) * (math.pi / 2000) / 2
    found = []
    for group in range(2):
        kernels = pictures.filters(model, block, group).sphere(everywhere).view(16, 8, -1, 8).mean(3)[:8]
        found.append(torch.einsum("oil,il,l->o", kernels, messages[8 * group : 8 * group + 8], weights))
    w, s = model.weights(), model.settings()
    _, y, *_ = equations.edges(w, s, graph.vectors, torch.zeros(len(graph.vectors), dtype=torch.int64))
    edge = next(n for n, ends in enumerate(graph.edge_index.T.tolist()) if ends == [j, i])
    tiles = equations.tiles(w, s, graph.edge_index[0], len(atoms))
    expected = equations.spin(w, s, block, pictures.moments(model, graph)[block], y, tiles)[edge]
    bias = model.blocks[block].convolution.bias
    torch.testing.assert_close(torch.nn.functional.silu(torch.cat(found) + bias), expected, atol=1e-5, rtol=1e-4)
    assert expected.abs().max() > 0.1


@pytest.mark.parametrize("block", [0, 1])
def test_grid_filters_on_what_an_edge_sees_are_the_convolution(block: int) -> None:
    model, atoms = grid_model(), ethanol()
    c = model.config
    graph = graph_of(model, atoms)
    seen = grid_pictures.seen(model, graph, 2, 0)
    centers = cell_centers(c.n_latitude, c.n_longitude)
    image = seen.blocks[block](centers).view(c.channels, c.n_latitude, c.n_longitude)
    name = f"blocks.{block}.convolution"
    w, s, edges = model.weights(), model.settings(), (graph.edge_index, graph.vectors)
    splat = grid_equations.see(s, *edges, len(atoms))
    m = grid_equations.messages(w, {**s, "n_blocks": float(block)}, graph.numbers, *edges, splat)
    faded = m * envelope(graph.vectors.norm(dim=1, keepdim=True) / c.cutoff)
    expected = grid_equations.spin_convolution(w, s, name, splat, faded, len(graph.vectors))[graph.edge_index.T.tolist().index([2, 0])]
    responses = []
    for group in range(c.groups):
        kernels = grid_pictures.filters(model, block, group).sphere(centers).view(-1, 8, c.n_latitude, c.n_longitude)
        own = image[8 * group : 8 * group + 8]
        responses.append(torch.stack([(kernels * own.roll(-x, dims=2)).sum((1, 2, 3)) for x in range(c.n_longitude)]))
    pooled = torch.nn.functional.silu(torch.cat(responses, dim=1) + w[name + ".bias"]).mean(0)
    torch.testing.assert_close(model.blocks[block].convolution.norm(pooled[None])[0], expected)
    assert expected.abs().max() > 0.01


def test_harmonic_filters_of_the_grid_are_what_its_harmonics_weigh() -> None:
    model = grid_model(convolution="harmonics", lmax=3)
    c = model.config
    rows = -(math.pi / 2) + (torch.arange(c.n_latitude, dtype=torch.float64) + 0.5) * (math.pi / c.n_latitude)
    columns = (torch.arange(c.n_longitude, dtype=torch.float64) / c.n_longitude - 0.5) * (2 * math.pi)
    kernels = grid_pictures.filters(model, 0, 0).sphere(on_sphere(rows, columns))
    weights = latitude_weights(c.n_latitude).repeat_interleave(c.n_longitude) / c.n_longitude
    of_cells = torch.matmul(
        model.blocks[0].convolution.weight.view(c.hidden_channels, c.channels, -1), model.weights()["constants.harmonics"].T
    )
    torch.testing.assert_close(kernels * weights, of_cells.detach())


@pytest.mark.parametrize("model", [random_model(weights_times=2.0), grid_model(frame_offset=1e-9)], ids=["harmonic", "grid"])
def test_what_an_edge_sees_does_not_turn_with_the_atoms(model: PotentialModel) -> None:
    atoms = ethanol()
    turned = atoms.copy()
    turned.rotate(77, (1, 2, -0.5))
    one, other = (kind_of(model.config).picture("seen")(model, graph_of(model, a), 2, 0) for a in (atoms, turned))
    directions = cell_centers(8, 6)
    for before, after in zip(one.blocks, other.blocks, strict=True):
        torch.testing.assert_close(after(directions), before(directions), atol=1e-6, rtol=1e-6)
    assert one.blocks[0](directions).abs().max() > 0.01
    receiver = longitude_latitude((one.neighbors @ one.frame.T)[one.atoms == 0] / one.vector.norm())[1]
    assert receiver.item() == pytest.approx(-math.pi / 2)


def test_an_edge_of_two_atoms_alone_has_a_frame() -> None:
    model = random_model()
    frame = pictures.seen(model, graph_of(model, dimer(1.2)), 0, 1).frame
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("model", [random_model(), grid_model()], ids=["harmonic", "grid"])
def test_an_edge_between_atoms_too_far_apart_is_refused(model: PotentialModel) -> None:
    graph = graph_of(model, dimer(9.0))
    far = rf"`edge` must be between neighbours, atoms 0 \(.*\) and 1 \(.*\) are none: the model sees {model.cutoff:g} Å far"
    with pytest.raises(ValueError, match=far):
        kind_of(model.config).picture("seen")(model, graph, 0, 1)


def test_an_edge_that_the_cap_of_neighbors_leaves_out_is_refused() -> None:
    model, atoms = grid_model(max_neighbors=1), ase.Atoms("HHHH", [(0, 0, 0), (0.8, 0, 0), (3.0, 0, 0), (3.8, 0, 0)])
    with pytest.raises(ValueError, match=r"are none: the model sees 4 Å far and keeps pairs among the 1 nearest of either"):
        grid_pictures.seen(model, graph_of(model, atoms), 0, 3)


@pytest.mark.parametrize("model", [random_model(), grid_model()], ids=["harmonic", "grid"])
def test_blocks_and_groups_are_counted(model: PotentialModel) -> None:
    filters = kind_of(model.config).picture("filters")
    with pytest.raises(ValueError, match=r"`block` must be from 0 to 1, got 2"):
        filters(model, 2, 0)
    with pytest.raises(ValueError, match=r"`group` must be from 0 to 1, got -1"):
        filters(model, 0, -1)


def test_a_kind_without_pictures_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, TINY.name, TINY)
    with pytest.raises(ValueError, match=r"models of kind `tiny` have no picture of `filters`"):
        TINY.picture("filters")
