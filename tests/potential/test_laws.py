"""The laws of the model, in float64, with random, with trained and with tenfold weights."""

from collections.abc import Callable

import ase
import numpy as np
import pytest
import torch
from structures import (
    STRUCTURES,
    cluster,
    collinear,
    dimer,
    ethanol,
    fcc,
    moved,
    on_axes,
    rattled_fcc,
    slab_with_adsorbate,
    triclinic,
    water_box,
)

from models import HAS_TRAINED, energy_of, learned, random_model, trained_model
from spinconv.potential import Evaluation, HarmonicSpinConv, batch_graphs, build_graph, energy_and_forces

Transform = Callable[[ase.Atoms], ase.Atoms]

MODELS: dict[str, Callable[[], HarmonicSpinConv]] = {
    "random": random_model,
    "random times 2": lambda: random_model(weights_times=2.0),
    "random times 10": lambda: random_model(weights_times=10.0),
    "lmax 1": lambda: random_model(weights_times=2.0, lmax=1),
    "lmax 5": lambda: random_model(weights_times=2.0, lmax=5),
}
if HAS_TRAINED:
    MODELS["trained"] = trained_model
    MODELS["trained times 10"] = lambda: trained_model(weights_times=10.0)


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> HarmonicSpinConv:
    return MODELS[request.param]()


@pytest.fixture(scope="module", params=[name for name in MODELS if "10" not in name])
def soft_model(request: pytest.FixtureRequest) -> HarmonicSpinConv:
    """Without tenfold weights: where a finite difference is the truth, the energy must be smooth on the scale of its step."""
    return MODELS[request.param]()


def evaluate(model: HarmonicSpinConv, atoms: ase.Atoms, dtype: torch.dtype = torch.float64) -> Evaluation:
    return energy_and_forces(model, build_graph(atoms, model.cutoff, dtype))


def known(model: HarmonicSpinConv, atoms: ase.Atoms) -> ase.Atoms:
    """`atoms`, with copper replaced by oxygen for a model that does not know it."""
    atoms = atoms.copy()
    if model.n_elements == 3:
        atoms.numbers[atoms.numbers == 29] = 8
    return atoms


def rotated(atoms: ase.Atoms) -> ase.Atoms:
    atoms = atoms.copy()
    atoms.rotate(73.0, (1.0, -2.0, 0.5), rotate_cell=True)
    return atoms


def reflected(atoms: ase.Atoms) -> ase.Atoms:
    atoms = atoms.copy()
    normal = np.array([2.0, -1.0, 3.0]) / 14**0.5
    mirror = np.eye(3) - 2 * np.outer(normal, normal)
    atoms.set_cell(atoms.cell.array @ mirror)
    atoms.positions = atoms.positions @ mirror
    return atoms


def translated(atoms: ase.Atoms) -> ase.Atoms:
    atoms = atoms.copy()
    atoms.translate((1.7, -30.1, 0.3))
    return atoms


@pytest.mark.parametrize("transform", [rotated, reflected, translated])
@pytest.mark.parametrize("name", STRUCTURES)
def test_energy_and_forces_follow_a_rigid_motion(model: HarmonicSpinConv, name: str, transform: Transform) -> None:
    atoms = known(model, STRUCTURES[name]())
    moved = transform(atoms)
    before, after = learned(model, atoms), learned(model, moved)
    size = np.abs(before).max()
    assert size > 0
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-10 * size)
    forces, moved_forces = (np.linalg.norm(evaluate(model, a).forces.numpy(), axis=1) for a in (atoms, moved))
    # a perfect crystal has no force: there the size of what cancels in it is the measure
    scale = max(forces.max(), gradient_size(model, atoms))
    np.testing.assert_allclose(moved_forces, forces, rtol=0, atol=1e-10 * scale)


def gradient_size(model: HarmonicSpinConv, atoms: ase.Atoms) -> float:
    graph = build_graph(atoms, model.cutoff, torch.float64)
    vectors = graph.vectors.requires_grad_(True)
    (gradient,) = torch.autograd.grad(model.energies(graph.numbers, graph.edge_index, vectors).sum(), vectors)
    return float(gradient.abs().max())


def test_energy_depends_on_angles_and_dihedrals() -> None:
    """The laws above would hold for a function of distances: structures with equal distances to all neighbours must differ."""
    model = random_model(weights_times=4.0, cutoff=1.5)  # H and O do not see each other
    straight, bent = (ase.Atoms("COH", [(0, 0, 0), (1.2, 0, 0), h]) for h in ((-1.0, 0, 0), (0, 1.0, 0)))
    cis, trans = (ase.Atoms("HOOH", [(0, 0.9, 0), (0, 0, 0), (1.4, 0, 0), (1.4, y, 0)]) for y in (0.9, -0.9))
    for one, other in ((straight, bent), (cis, trans)):
        size = np.abs(learned(model, one)).max()
        assert np.abs(learned(model, one) - learned(model, other)).max() > 1e-3 * size


def test_order_of_atoms_does_not_matter(model: HarmonicSpinConv) -> None:
    atoms = ethanol()
    order = np.random.default_rng(0).permutation(len(atoms))
    before, after = learned(model, atoms), learned(model, atoms[order])
    np.testing.assert_allclose(after, before[order], rtol=0, atol=1e-10 * np.abs(before).max())
    forces = evaluate(model, atoms).forces.numpy()
    np.testing.assert_allclose(evaluate(model, atoms[order]).forces.numpy(), forces[order], rtol=0, atol=1e-10 * np.abs(forces).max())


SMOOTH = {
    "ethanol": ethanol,
    "on axes": on_axes,
    "collinear": collinear,
    "perfect fcc": fcc,
    "rattled fcc": rattled_fcc,
    "slab with adsorbate": slab_with_adsorbate,
    "triclinic": triclinic,
    "dimer": lambda: dimer(1.3),
    "dimer within the wall": lambda: dimer(0.5),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_forces_are_minus_the_gradient(soft_model: HarmonicSpinConv, name: str) -> None:
    if soft_model.config.elements == (1, 6, 8) and name != "ethanol":
        pytest.skip("a trained network is not smooth on the scale of the step so far from its data")
    atoms = known(soft_model, SMOOTH[name]())
    forces = evaluate(soft_model, atoms).forces.numpy()
    rng = np.random.default_rng(0)
    step = 1e-3
    for _ in range(4):
        direction = rng.normal(size=(len(atoms), 3))
        direction /= np.linalg.norm(direction)
        slope = central_difference(lambda s, d=direction: energy_of(soft_model, moved(atoms, s * d)), step)
        # eighth-order differences: what is left is rounding of the energy, 1e-12 eV / 1e-3 Å, and 1e-7 of the forces themselves
        assert slope == pytest.approx(-(forces * direction).sum(), abs=1e-7 * max(1.0, gradient_size(soft_model, atoms)))


def central_difference(f: Callable[[float], float], step: float) -> float:
    """df/ds at 0, eighth order."""
    return sum(c * (f(n * step) - f(-n * step)) for n, c in ((1, 4 / 5), (2, -1 / 5), (3, 4 / 105), (4, -1 / 280))) / step


@pytest.mark.parametrize("name", ["perfect fcc", "triclinic"])
def test_virial_is_minus_the_strain_derivative(soft_model: HarmonicSpinConv, name: str) -> None:
    if soft_model.config.elements == (1, 6, 8):
        pytest.skip("a trained network is not smooth on the scale of the step so far from its data")
    atoms = known(soft_model, SMOOTH[name]())
    virial = evaluate(soft_model, atoms).virials[0].detach().numpy()
    rng = np.random.default_rng(1)
    strain = rng.normal(size=(3, 3))
    strain = (strain + strain.T) / np.linalg.norm(strain + strain.T)

    def energy(s: float) -> float:
        strained = atoms.copy()
        strained.set_cell(atoms.cell.array @ (np.eye(3) + s * strain), scale_atoms=True)
        return energy_of(soft_model, strained)

    assert central_difference(energy, 2e-4) == pytest.approx(-(virial * strain).sum(), abs=2e-7 * max(1.0, np.abs(virial).max()))


def test_forces_of_a_perfect_crystal_vanish(model: HarmonicSpinConv) -> None:
    atoms = known(model, fcc())
    assert evaluate(model, atoms).forces.abs().max() <= 1e-10 * gradient_size(model, atoms)


def test_forces_add_up_to_zero(model: HarmonicSpinConv) -> None:
    forces = evaluate(model, ethanol()).forces
    assert forces.sum(dim=0).abs().max() <= 1e-12 * forces.abs().sum()


def test_energy_and_forces_are_continuous_as_an_atom_crosses_the_cutoff(soft_model: HarmonicSpinConv) -> None:
    """A third atom leaves the sphere of a dimer: at 1e-6 Å either side of the cutoff E and F differ by less than 1e-9 (eV, eV/Å).

    u and its first two derivatives vanish there, so the jump of the force is of the order of (1e-6 Å)^2.
    """

    def at(distance: float) -> Evaluation:
        return evaluate(soft_model, ase.Atoms("COH", [(0, 0, 0), (0, 0, 1.3), (0, 0.3, -((distance**2 - 0.09) ** 0.5))]))

    inside, outside = at(soft_model.cutoff - 1e-6), at(soft_model.cutoff + 1e-6)
    assert abs(float(inside.energies.detach() - outside.energies.detach())) < 1e-9
    assert (inside.forces - outside.forces).abs().max() < 1e-9 * max(1.0, float(inside.forces.abs().max()))
    assert (
        len(build_graph(ase.Atoms("CH", [(0, 0, 0), (0, 0, soft_model.cutoff - 1e-6)]), soft_model.cutoff).vectors) == 2
    )  # inside is inside


def test_a_dimer_beyond_the_cutoff_is_two_atoms(soft_model: HarmonicSpinConv) -> None:
    apart = evaluate(soft_model, dimer(soft_model.cutoff + 1e-9))
    just_inside = evaluate(soft_model, dimer(soft_model.cutoff - 1e-4))
    alone = sum(soft_model.reference_energies[i] for i in (1, 2))
    assert float(apart.energies.detach()) == pytest.approx(alone, abs=1e-9)
    assert float(just_inside.energies.detach()) == pytest.approx(alone, abs=1e-9)
    assert apart.forces.abs().max() == 0
    assert just_inside.forces.abs().max() < 1e-6  # quadratic in the 1e-4 Å


def test_a_second_neighbour_is_felt_through_the_first() -> None:
    """Two hops away, beyond the cutoff: messages travel."""
    model = random_model(weights_times=2.0)

    def force_on_first(x: float) -> torch.Tensor:
        return evaluate(model, ase.Atoms("CCOH", [(0, 0, 0), (4, 0, 0), (8, 0.5, 0), (8, x, 1)])).forces[0]

    assert (force_on_first(0.0) - force_on_first(0.3)).abs().max() > 1e-9


def test_an_isolated_atom_has_its_reference_energy_and_no_force(model: HarmonicSpinConv) -> None:
    evaluation = evaluate(model, ase.Atoms("C"))
    assert float(evaluation.energies.detach()) == model.reference_energies[1]
    assert evaluation.forces.abs().max() == 0


def test_no_atoms_have_no_energy(model: HarmonicSpinConv) -> None:
    assert float(evaluate(model, ase.Atoms()).energies.detach()) == 0


def test_two_systems_in_a_batch_are_the_two_alone(model: HarmonicSpinConv) -> None:
    systems = [build_graph(atoms, model.cutoff, torch.float64) for atoms in (ethanol(), water_box())]
    together = energy_and_forces(model, batch_graphs(systems))
    alone = [energy_and_forces(model, graph) for graph in systems]
    for name in ("energies", "atom_energies", "forces", "virials"):
        separate = torch.cat([getattr(evaluation, name) for evaluation in alone]).detach()
        torch.testing.assert_close(getattr(together, name).detach(), separate, rtol=1e-11, atol=1e-11 * float(separate.abs().max()))


def test_ten_copies_far_apart_have_ten_times_the_energy(model: HarmonicSpinConv) -> None:
    one = cluster(100)
    many = ase.Atoms()
    for copy in range(10):
        many += moved(one, np.array([100.0 * copy, 0, 0]))
    assert energy_of(model, many) == pytest.approx(10 * energy_of(model, one), rel=1e-11)


def test_a_supercell_has_a_multiple_of_the_energy(model: HarmonicSpinConv) -> None:
    atoms = known(model, rattled_fcc())
    assert energy_of(model, atoms.repeat((2, 1, 3))) == pytest.approx(6 * energy_of(model, atoms), rel=1e-10)


@pytest.mark.parametrize("name", STRUCTURES)
def test_derivatives_are_finite(model: HarmonicSpinConv, name: str) -> None:
    evaluation = evaluate(model, known(model, STRUCTURES[name]()))
    assert torch.isfinite(evaluation.forces).all()
    assert torch.isfinite(evaluation.virials).all()


def test_second_derivatives_are_finite_for_symmetric_structures() -> None:
    """Training differentiates forces: no direction may be singular there either."""
    model = random_model(weights_times=2.0)
    for name in ("on axes", "collinear", "fcc"):
        evaluation = energy_and_forces(model, build_graph(STRUCTURES[name](), model.cutoff, torch.float64), create_graph=True)
        model.zero_grad()
        (evaluation.forces * torch.arange(evaluation.forces.numel()).view(-1, 3)).sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None), name


@pytest.mark.parametrize("lmax", [3, 4])
def test_float32_agrees_with_float64_to_its_rounding(lmax: int) -> None:
    """Energies of single precision carry about 1e-7 of each learned part, forces some hundred roundings of their terms."""
    model = random_model(weights_times=2.0, lmax=lmax, channels=32)
    for atoms in (ethanol(), water_box(), triclinic()):
        double = evaluate(model.to(torch.float64), atoms)
        size = max(1.0, gradient_size(model, atoms))
        single = evaluate(model.to(torch.float32), atoms, torch.float32)
        assert float((single.energies - double.energies).detach().abs()) < 3e-5 * size
        assert float((single.forces - double.forces).abs().max()) < 3e-5 * size
