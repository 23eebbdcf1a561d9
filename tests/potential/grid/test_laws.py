"""The laws of the grid model, in float64: what holds exactly, what as far as a grid allows, and what the published choices break."""

from collections.abc import Callable

import ase
import numpy as np
import pytest
import torch
from grid_models import grid_model
from structures import STRUCTURES, collinear, dimer, ethanol, moved, on_axes, rattled_fcc, slab_with_adsorbate, triclinic

from models import energy_of, learned
from spinconv.potential import Evaluation, batch_graphs, build_graph, energy_and_forces
from spinconv.potential.grid import GridSpinConv, equations, net_forces
from spinconv.potential.kinds import has_direct_forces, is_conservative

MODELS: dict[str, Callable[[], GridSpinConv]] = {
    "grid": grid_model,
    "odd grid": lambda: grid_model(n_latitude=9, n_longitude=7),
    "harmonics": lambda: grid_model(convolution="harmonics", lmax=3),
    "plain distances": lambda: grid_model(scale_distances=False),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> GridSpinConv:
    return MODELS[request.param]()


def evaluate(model: GridSpinConv, atoms: ase.Atoms) -> Evaluation:
    return energy_and_forces(model, build_graph(atoms, model.cutoff, torch.float64))


def rotated(atoms: ase.Atoms, seed: int) -> ase.Atoms:
    rng = np.random.default_rng(seed)
    atoms = atoms.copy()
    atoms.rotate(rng.uniform(0, 360), rng.normal(size=3), rotate_cell=True)
    return atoms


def slope(model: GridSpinConv, atoms: ase.Atoms, direction: np.ndarray, step: float) -> float:
    """dE/ds along a direction, fourth order."""
    e = {n: energy_of(model, moved(atoms, n * step * direction)) for n in (-2, -1, 1, 2)}
    return (8 * (e[1] - e[-1]) - (e[2] - e[-2])) / (12 * step)


def cells(model: GridSpinConv, atoms: ase.Atoms) -> list[tuple[int, int]]:
    """Which cells there is something in, and of which edge."""
    graph = build_graph(atoms, model.cutoff, torch.float64)
    cell, weight, edge = equations.see(model.settings(), graph.edge_index, graph.vectors, len(atoms))
    seen = weight > 1e-12
    return sorted(zip(cell[seen].tolist(), edge[seen].tolist(), strict=True))


def is_smooth_along(model: GridSpinConv, atoms: ase.Atoms, displacement: np.ndarray) -> bool:
    """Whether no neighbour changes its cells on the way."""
    return cells(model, moved(atoms, -2 * displacement)) == cells(model, atoms) == cells(model, moved(atoms, 2 * displacement))


def test_energy_does_not_change_when_moved_or_relabelled(model: GridSpinConv) -> None:
    for atoms in (ethanol(), triclinic()):
        before = learned(model, atoms)
        order = np.random.default_rng(0).permutation(len(atoms))
        for after in (learned(model, moved(atoms, np.array([1.7, -30.1, 0.3]))), learned(model, atoms[order])[np.argsort(order)]):
            np.testing.assert_allclose(after, before, rtol=0, atol=1e-9 * np.abs(before).max())  # positions of 30 Å have lost two digits


@pytest.mark.parametrize(("offset", "part"), [(0.0001, 5e-4), (0.01, 3e-2)])
def test_energy_changes_a_little_when_rotated(model: GridSpinConv, offset: float, part: float) -> None:
    """`frame_offset` stands still while the atoms turn, so a grid sees them rolled by as much: a part of what other geometries change.

    Measured: 6e-5 of it (1e-4 Å) and 6e-3 (1e-2 Å) on the 8 x 6 grid, half of that on the 9 x 7 grid.
    """
    model = grid_model(**{**of(model), "frame_offset": offset})
    turned = [energy_of(model, rotated(ethanol(), seed)) for seed in range(6)]
    others = [energy_of(model, ethanol(seed)) for seed in range(6)]
    assert 0 < np.std(turned) < part * np.std(others)


def of(model: GridSpinConv) -> dict[str, object]:
    """The fields that tell the models of this page from each other."""
    return {name: getattr(model.config, name) for name in ("n_latitude", "n_longitude", "convolution", "lmax", "scale_distances")}


def test_energy_depends_on_angles_and_dihedrals() -> None:
    """The laws here would hold for a function of distances: structures with equal distances to all neighbours must differ."""
    model = grid_model(cutoff=1.5)  # H and O do not see each other
    straight, bent = (ase.Atoms("COH", [(0, 0, 0), (1.2, 0, 0), h]) for h in ((-1.0, 0, 0), (0, 1.0, 0)))
    cis, trans = (ase.Atoms("HOOH", [(0, 0.9, 0), (0, 0, 0), (1.4, 0, 0), (1.4, y, 0)]) for y in (0.9, -0.9))
    for one, other in ((straight, bent), (cis, trans)):
        assert abs(energy_of(model, one) - energy_of(model, other)) > 1e-4 * abs(energy_of(model, one))


SMOOTH = {
    "ethanol": ethanol,
    "on axes": on_axes,
    "collinear": collinear,
    "rattled fcc": rattled_fcc,
    "slab with adsorbate": slab_with_adsorbate,
    "triclinic": triclinic,
    "dimer": lambda: dimer(1.3),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_forces_are_minus_the_gradient(name: str) -> None:
    """Away from borders of cells, where the energy has kinks; at the poles, where straight rows of atoms and reverse edges are, too."""
    model, step = grid_model(), 1e-5
    atoms = SMOOTH[name]()
    at_poles = name in ("on axes", "collinear", "slab with adsorbate")  # where what is spread evenly changes its number of cells
    forces = evaluate(model, atoms).forces.numpy()
    rng, tried = np.random.default_rng(0), 0
    while tried < 3:
        direction = rng.normal(size=(len(atoms), 3))
        direction /= np.linalg.norm(direction)
        if not at_poles and not is_smooth_along(model, atoms, step * direction):
            continue
        # fourth-order differences: rounding of the energy, 1e-13 eV of its terms / 1e-5 Å
        assert slope(model, atoms, direction, step) == pytest.approx(-(forces * direction).sum(), abs=1e-6)
        tried += 1


@pytest.mark.parametrize("fields", [{"convolution": "harmonics", "lmax": 3}, {"n_latitude": 9, "n_longitude": 7}, {"n_blocks": 3}], ids=str)
def test_forces_are_minus_the_gradient_of_other_models(fields: dict[str, object]) -> None:
    model, atoms, step = grid_model(**fields), ethanol(), 1e-5
    forces = evaluate(model, atoms).forces.numpy()
    rng = np.random.default_rng(1)
    directions = [d / np.linalg.norm(d) for d in rng.normal(size=(4, len(atoms), 3))]
    smooth = [d for d in directions if is_smooth_along(model, atoms, step * d)]
    assert len(smooth) >= 2
    for direction in smooth:
        assert slope(model, atoms, direction, step) == pytest.approx(-(forces * direction).sum(), abs=1e-6)


def test_published_gradient_is_not_minus_the_gradient() -> None:
    """The part of the angles is missing from it: several per cent of the forces, at a step (0.01 Å) at which the noise at the poles is
    small and the intact gradient is right but for kinks."""
    atoms, step = ethanol(), 0.01
    directions = np.eye(3 * len(atoms)).reshape(-1, len(atoms), 3)[::3]
    true = -np.array([slope(grid_model(), atoms, d, step) for d in directions])
    missing = {}
    for gradient in ("intact", "published"):
        forces = evaluate(grid_model(gradient=gradient), atoms).forces.numpy()
        along = np.array([(forces * d).sum() for d in directions])
        missing[gradient] = np.linalg.norm(along - true) / np.linalg.norm(true)
    assert missing["intact"] < 0.05
    assert missing["published"] > 0.2


def test_published_gradient_says_of_itself_that_it_conserves_nothing() -> None:
    conservative = {"gradient": "intact", "envelope": True, "max_neighbors": 0, "forces": "gradient"}
    assert is_conservative(grid_model(**conservative).config)
    for field, value in [("gradient", "published"), ("envelope", False), ("max_neighbors", 40), ("forces", "fixed"), ("forces", "random")]:
        config = grid_model(**{**conservative, field: value}).config
        assert not is_conservative(config)
        assert has_direct_forces(config) == (field == "forces")


def third_atom_at(model: GridSpinConv, distance: float) -> ase.Atoms:
    """A third atom that leaves the sphere of a dimer."""
    return ase.Atoms("COH", [(0, 0, 0), (0, 0, 1.3), (0, 0.3, -((distance**2 - 0.09) ** 0.5))])


def test_with_an_envelope_nothing_jumps_as_an_atom_crosses_the_cutoff(model: GridSpinConv) -> None:
    """1e-6 Å to either side: u, u' and u'' vanish there, and the weight of the mean direction with its slope."""
    inside, outside = (evaluate(model, third_atom_at(model, model.cutoff + d)) for d in (-1e-6, 1e-6))
    assert abs(float((inside.energies - outside.energies).detach())) < 1e-9
    assert (inside.forces - outside.forces).abs().max() < 1e-5  # the cosine's curvature, 0.4 / Å^2 times 1e-6 Å, times the frame's part


def test_without_an_envelope_energies_jump_at_the_cutoff() -> None:
    model = grid_model(envelope=False)
    inside, outside = (energy_of(model, third_atom_at(model, model.cutoff + d)) for d in (-1e-6, 1e-6))
    assert abs(inside - outside) > 1e-3


def test_a_cap_of_neighbours_makes_energies_jump_where_the_nearest_change() -> None:
    model = grid_model(max_neighbors=2)
    near, far = (
        energy_of(model, ase.Atoms("CHOOH", [(0, 0, 0), (1.5, 0, 0), (0, 1.5 + d, 0), (0, 0, 1.5), (-3.0, 0, 0)])) for d in (-1e-7, 1e-7)
    )
    assert abs(near - far) > 1e-3


MORE = {
    "dimer": lambda: dimer(1.3),
    "along the diagonal": lambda: ase.Atoms("OCO", [(-0.7, -0.7, -0.7), (0, 0, 0), (0.7, 0.7, 0.7)]),
    "perfect bcc": lambda: ase.Atoms("Cu2", [(0, 0, 0), (1.4, 1.4, 1.4)], cell=[2.8] * 3, pbc=True),
}


@pytest.mark.parametrize("name", ["fcc", "slab with adsorbate", "tiny cell", "on axes", "collinear", *MORE])
def test_derivatives_are_finite(model: GridSpinConv, name: str) -> None:
    """Also where a frame has no roll: an edge along the direction that it would be taken from."""
    evaluation = evaluate(model, {**STRUCTURES, **MORE}[name]())
    assert torch.isfinite(evaluation.forces).all()
    assert evaluation.forces.abs().max() < 1e3  # eV/Å


def test_second_derivatives_are_finite_for_symmetric_structures() -> None:
    """Training differentiates forces."""
    model = grid_model()
    for name in ("on axes", "collinear", "fcc", "slab with adsorbate"):
        evaluation = energy_and_forces(model, build_graph(STRUCTURES[name](), model.cutoff, torch.float64), create_graph=True)
        model.zero_grad()
        (evaluation.forces * torch.arange(evaluation.forces.numel()).view(-1, 3)).sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None), name


def test_an_isolated_atom_has_its_reference_energy_and_no_force(model: GridSpinConv) -> None:
    evaluation = evaluate(model, ase.Atoms("C"))
    assert float(evaluation.energies.detach()) == pytest.approx(model.reference_energies[1], abs=1e-12)
    assert evaluation.forces.abs().max() == 0
    assert float(evaluate(model, ase.Atoms()).energies.detach()) == 0


def test_an_energy_of_every_structure_is_counted_once_a_structure() -> None:
    plain, shifted = grid_model(), grid_model(energy_offset=-0.75)
    graphs = [build_graph(atoms, 4.0, torch.float64) for atoms in (ethanol(), triclinic(), ase.Atoms("C"))]
    for graph in (*graphs, batch_graphs(graphs)):
        found = energy_and_forces(shifted, graph)
        torch.testing.assert_close(found.energies.detach(), energy_and_forces(plain, graph).energies.detach() - 0.75, rtol=1e-12, atol=0)
    torch.testing.assert_close(found.energies[0], found.atom_energies[: len(ethanol())].sum(), rtol=1e-12, atol=0)


def test_two_systems_in_a_batch_are_the_two_alone(model: GridSpinConv) -> None:
    systems = [build_graph(atoms, model.cutoff, torch.float64) for atoms in (ethanol(), triclinic())]
    together, alone = energy_and_forces(model, batch_graphs(systems)), [energy_and_forces(model, graph) for graph in systems]
    for name in ("energies", "forces", "virials"):
        separate = torch.cat([getattr(evaluation, name) for evaluation in alone]).detach()
        torch.testing.assert_close(getattr(together, name).detach(), separate, rtol=1e-9, atol=1e-9 * float(separate.abs().max()))


def test_a_supercell_has_a_multiple_of_the_energy(model: GridSpinConv) -> None:
    assert energy_of(model, rattled_fcc().repeat((2, 1, 2))) == pytest.approx(4 * energy_of(model, rattled_fcc()), rel=1e-9)


# ---- direct forces


@pytest.fixture(scope="module")
def fixed() -> GridSpinConv:
    return grid_model(forces="fixed")


def test_fixed_rotations_give_the_same_forces_at_every_call_and_in_every_order(fixed: GridSpinConv) -> None:
    for model in (fixed, grid_model(forces="fixed").train()):
        forces = evaluate(model, ethanol()).forces
        assert torch.equal(evaluate(model, ethanol()).forces, forces)
        order = np.random.default_rng(0).permutation(len(forces))
        torch.testing.assert_close(evaluate(model, ethanol()[order]).forces, forces[order], rtol=1e-9, atol=1e-9)


def test_random_rotations_are_those_of_the_seed_and_new_ones_in_training() -> None:
    model = grid_model(forces="random")
    forces = evaluate(model, ethanol()).forces
    assert torch.equal(evaluate(model, ethanol()).forces, forces)
    assert (evaluate(grid_model(forces="random", seed=0), ethanol()).forces - forces).abs().max() == 0
    model.train()
    drawn = [evaluate(model, ethanol()).forces for _ in range(2)]
    assert (drawn[0] - drawn[1]).abs().max() > 0.01 * forces.abs().max()
    model.eval()
    torch.testing.assert_close(evaluate(model, ethanol()).forces, forces)


def test_more_rotations_give_forces_that_depend_less_on_them() -> None:
    """Averages over 4 and 64 fixed rotations, of a molecule and of its image: the forces turn with it the better."""

    def turned_apart(n_rotations: int) -> float:
        model = grid_model(forces="fixed", n_rotations=n_rotations)
        image = rotated(ethanol(), 3)
        turn = np.linalg.lstsq(ethanol().positions - ethanol().positions.mean(0), image.positions - image.positions.mean(0), rcond=None)[0]
        before, after = (evaluate(model, atoms).forces.numpy() for atoms in (ethanol(), image))
        return float(np.linalg.norm(before @ turn - after) / np.linalg.norm(after))

    assert turned_apart(64) < 0.5 * turned_apart(4)


def test_direct_forces_are_those_of_the_module_and_their_sum_can_be_asked_for(fixed: GridSpinConv) -> None:
    graph = batch_graphs([build_graph(atoms, 4.0, torch.float64) for atoms in (ethanol(), triclinic())])
    found = energy_and_forces(fixed, graph)
    assert found.virials is None
    together = fixed.energies_and_forces(graph.numbers, graph.edge_index, graph.vectors)
    torch.testing.assert_close(together[1].detach(), found.forces)
    torch.testing.assert_close(together[0].detach(), found.atom_energies)
    net = net_forces(found.forces, graph.system, graph.n_systems)
    torch.testing.assert_close(net[0], found.forces[: len(ethanol())].sum(dim=0))
    assert net.abs().max() > 1e-3  # nothing makes them add up to zero


def test_an_atom_alone_has_no_force_by_fixed_rotations(fixed: GridSpinConv) -> None:
    """What the head says of an empty sphere is the same along all axes, and the axes add up to zero; not so of random rotations."""
    assert evaluate(fixed, ase.Atoms("C")).forces.abs().max() < 1e-12
    assert evaluate(grid_model(forces="random"), ase.Atoms("C")).forces.abs().max() > 1e-3


def test_a_model_without_a_head_has_no_direct_forces() -> None:
    with pytest.raises(ValueError, match="`forces` of this model are the gradient of its energy"):
        grid_model().forces(*build_graph(ethanol(), 4.0, torch.float64)[:3])
