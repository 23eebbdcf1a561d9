"""The numbers of the original: its projection away from the poles, and its network given the splat, for every reference file there is.

A reverse edge lies on the pole, where the original's longitude is rounding noise; so the network is compared given the original's splat.
"""

import ase
import pytest
import torch
from grid_models import REFERENCE, needs_reference

from spinconv.potential import build_graph
from spinconv.potential.grid import GridSpinConv, equations, projection
from spinconv.potential.grid.published import published_model

pytestmark = needs_reference

FILES = [] if REFERENCE is None else sorted(path.name for path in REFERENCE.glob("*_centric_*.pt"))
ROUNDING = {torch.float64: 1e-10, torch.float32: 1e-5}
"""Of the largest number, as the references' README asks."""


class Reference:
    """A file of the original's numbers, and our model of its weights."""

    def __init__(self, name: str) -> None:
        assert REFERENCE is not None
        found = torch.load(REFERENCE / name, weights_only=True)
        self.systems = found["systems"]
        self.arguments, self.state = found["config"], found["state_dict"]
        self.is_direct = self.arguments["force_estimator"] == "random"
        self.rounding = ROUNDING[found["state_dict"]["distfc1.weight"].dtype]

    def model(self, **options: str) -> GridSpinConv:
        return published_model(self.arguments, self.state, **options).model


@pytest.fixture(scope="module", params=FILES)
def reference(request: pytest.FixtureRequest) -> Reference:
    return Reference(request.param)


def stored_splat(system: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return system["splat_cells"].flatten(), system["splat_weights"].flatten(), system["splat_source_edge"].repeat(4)


def assert_same(ours: torch.Tensor, theirs: torch.Tensor, rounding: float) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=rounding * float(theirs.abs().max()))


def test_network_given_the_splat_has_the_original_s_messages_energies_and_forces(reference: Reference) -> None:
    model = reference.model()
    w, s = model.weights(), model.settings()
    for system in reference.systems.values():
        numbers, edge_index = system["numbers"], system["edge_index"]
        vectors = system["edge_vectors"].clone().requires_grad_(True)
        m = equations.messages(w, s, numbers, edge_index, vectors, stored_splat(system))
        assert_same(m.detach(), system["message_block_outputs"].sum(0), reference.rounding)  # the blocks after the first are residuals
        energy = equations.energies_of_messages(w, s, numbers, edge_index, vectors, m).sum()
        assert_same(energy.detach(), system["energy"].double(), reference.rounding)
        if reference.is_direct:
            forces = equations.rotated_forces(w, s, numbers, edge_index, vectors, m, system["random_rotations"])
        else:
            (gradient,) = torch.autograd.grad(energy, vectors)
            forces = torch.zeros_like(system["forces"]).index_add(0, edge_index[1], gradient).index_add(0, edge_index[0], -gradient)
        assert_same(forces.detach(), system["forces"], reference.rounding)


def test_spin_convolution_given_the_splat_is_the_original_s(reference: Reference) -> None:
    model = reference.model()
    for system in reference.systems.values():
        m, name = system["messages_initial"], "blocks.0.convolution"
        for k in range(len(system["spinconv_outputs"])):
            found = equations.spin_convolution(model.weights(), model.settings(), name, stored_splat(system), m, len(m))
            assert_same(found.detach(), system["spinconv_outputs"][k], reference.rounding)
            m, name = system["message_block_outputs"][: k + 1].sum(0), f"blocks.{k + 1}.convolution"


@pytest.mark.parametrize("gradient", ["published", "intact"])
def test_frames_and_projection_away_from_the_poles_are_the_original_s(reference: Reference, gradient: str) -> None:
    model = reference.model(gradient=gradient)
    s = model.settings()
    n_cells = model.config.n_latitude * model.config.n_longitude
    for system in reference.systems.values():
        vectors, edge_index = system["edge_vectors"], system["edge_index"]
        frames = projection.edge_frames(s, edge_index, vectors, len(system["numbers"]))
        assert_same(frames[0], system["frames"], 10 * reference.rounding)  # roll of edges that are nearly along the mean
        sphere, source = system["splat_cells"][0] // n_cells, system["splat_source_edge"]
        directions = vectors / vectors.norm(dim=1, keepdim=True)
        pairs = torch.arange(len(source))
        splat = projection.splat(s, sphere, pairs, frames, directions[source])
        theirs = (system["splat_cells"].flatten(), system["splat_weights"].flatten(), pairs.repeat(4))
        sine = torch.linalg.cross(frames[0][sphere, 0], directions[source]).norm(dim=1)
        away = (sine > 0.011) & (frames[1][sphere] == 1)  # nearer, `intact` is smooth instead
        assert away.sum() > 0.5 * len(away)
        difference = (on_cells(splat, len(pairs), n_cells) - on_cells(theirs, len(pairs), n_cells)).abs().amax(dim=1)
        assert difference[away].max() < 10 * reference.rounding


def on_cells(splat: tuple[torch.Tensor, ...], n_pairs: int, n_cells: int) -> torch.Tensor:
    """What each pair puts on each cell: at a border of two cells, a weight of nothing may be in either."""
    cell, weight, pair = splat
    return weight.new_zeros(n_pairs, n_cells).index_put((pair, cell % n_cells), weight, accumulate=True)


def test_pairs_of_edges_are_the_original_s(reference: Reference) -> None:
    model = reference.model()
    n_cells = model.config.n_latitude * model.config.n_longitude
    for system in reference.systems.values():
        edge, source = projection.pairs_of_edges(system["edge_index"], len(system["numbers"]))
        theirs = zip((system["splat_cells"][0] // n_cells).tolist(), system["splat_source_edge"].tolist(), strict=True)
        assert sorted(zip(edge.tolist(), source.tolist(), strict=True)) == sorted(theirs)


def test_graph_with_its_cap_of_neighbours_is_the_original_s(reference: Reference) -> None:
    model = reference.model()
    for system in reference.systems.values():
        cell = {} if "cell" not in system else {"cell": system["cell"].numpy(), "pbc": True}
        atoms = ase.Atoms(system["numbers"].numpy(), system["positions"].numpy(), **cell)
        graph = build_graph(atoms, model.cutoff, torch.float64)
        edge_index, vectors = projection.kept_edges(model.settings(), graph.edge_index, graph.vectors, len(atoms))
        assert edge_index.shape == system["edge_index"].shape
        apart = torch.cdist(vectors, system["edge_vectors"].double())
        same = (edge_index[:, :, None] == system["edge_index"][:, None]).all(dim=0)
        assert apart.masked_fill(~same, torch.inf).amin(dim=1).max() < 1e-5  # Å: positions of single precision
        energy = model.energies(graph.numbers, graph.edge_index, graph.vectors.to(system["energy"].dtype)).sum()
        assert float(energy.detach()) == pytest.approx(float(system["energy"]), abs=1e-5)  # noise at the poles: 2e-6


def test_head_of_the_forces_is_the_original_s(reference: Reference) -> None:
    """Of the first draw, frame by frame: what is thrown on the spheres of the atoms, and what the head says."""
    if not reference.is_direct:
        pytest.skip("energy-centric")
    model = reference.model()
    w, s = model.weights(), model.settings()
    for system in reference.systems.values():
        m = system["message_block_outputs"].sum(0)
        frames = equations.axis_frames(system["random_rotations"][0])
        for axis, (node, output) in enumerate(zip(system["node_splats"], system["force_block_outputs"], strict=True)):
            theirs = (node["cells"].flatten(), node["weights"].flatten(), node["source_edge"].repeat(4))
            along = equations.force_head(w, s, system["numbers"], theirs, m, 1)[0]
            assert_same(along.detach(), output[:, 0], reference.rounding)
            edge = torch.arange(len(m))
            directions = system["edge_vectors"] / system["edge_vectors"].norm(dim=1, keepdim=True)
            certain = torch.ones(len(frames), dtype=m.dtype)
            splat = projection.splat(s, system["edge_index"][1], edge, (frames[:, axis].contiguous(), certain), directions)
            n_cells = len(frames) * model.config.n_latitude * model.config.n_longitude
            by_edge = [on_cells(values, len(m), n_cells) for values in (splat, theirs)]
            assert (by_edge[0] - by_edge[1]).abs().max() < 10 * reference.rounding
