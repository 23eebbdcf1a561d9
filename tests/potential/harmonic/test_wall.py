"""The screened repulsion of nuclei, against the published formula, and what it does to a model."""

from itertools import combinations_with_replacement

import ase
import numpy as np
import pytest
import sympy
import torch
from ase.data import atomic_numbers, covalent_radii

from models import HAS_TRAINED, SHIPPED_CHECKPOINT, random_model
from spinconv.potential import HarmonicSpinConv, ModelConfig, batch_graphs, build_graph, energy_and_forces
from spinconv.potential.harmonic import equations
from spinconv.potential.training.checkpoint import load_checkpoint

ELEMENTS = (1, 6, 8, 14)
WALL = ModelConfig(ELEMENTS).wall
PAIRS = list(combinations_with_replacement(("H", "C", "O", "Si"), 2))


def published(z1: int, z2: int, reach: float, d: sympy.Symbol) -> sympy.Expr:
    """Ziegler, Biersack, Littmark, The Stopping and Range of Ions in Solids (1985): eV of two nuclei at d (Å); times the envelope of
    arXiv:2003.03123, eq. 8 (p = 6) at d / reach."""
    a = 0.4685 / (z1**0.23 + z2**0.23)
    terms = ((0.18175, 3.1998), (0.50986, 0.94229), (0.28022, 0.4029), (0.02817, 0.20162))
    screening = sum(c * sympy.exp(-b * d / a) for c, b in terms)
    x, p = d / reach, 6
    envelope = 1 - (p + 1) * (p + 2) * x**p / 2 + p * (p + 2) * x ** (p + 1) - p * (p + 1) * x ** (p + 2) / 2
    return 14.399645 * z1 * z2 / d * screening * envelope


def walls(model: HarmonicSpinConv, z1: int, z2: int, distances: torch.Tensor) -> torch.Tensor:
    """Twice the half that the model gives an edge from z1 to z2."""
    vectors = torch.cat([torch.zeros(len(distances), 2, dtype=torch.float64), distances], dim=1)
    w, s = model.weights(), model.settings()
    pair = equations.pairs(w, s, *(torch.full((len(distances),), z) for z in (z1, z2)))
    return 2 * equations.edges(w, s, vectors, pair)[2]


@pytest.mark.parametrize("pair", PAIRS)
def test_energy_and_two_derivatives_are_those_of_the_published_formula(pair: tuple[str, str]) -> None:
    z1, z2 = (atomic_numbers[symbol] for symbol in pair)
    reach = WALL * float(covalent_radii[z1] + covalent_radii[z2])
    d = torch.linspace(0.1, reach - 0.01, 40, dtype=torch.float64).view(-1, 1).requires_grad_(True)
    found = [walls(random_model(ELEMENTS), z1, z2, d)]
    for _ in range(2):
        found.append(torch.autograd.grad(found[-1].sum(), d, create_graph=True)[0])
    symbol = sympy.Symbol("d")
    formula = published(z1, z2, reach, symbol)
    for order, values in enumerate(found):
        exact = sympy.lambdify(symbol, sympy.diff(formula, symbol, order), "numpy")(d.detach().numpy())
        np.testing.assert_allclose(values.detach().numpy(), exact, rtol=0, atol=1e-7 * np.abs(exact).max())  # digits of e^2 / (4 pi eps0)


@pytest.mark.parametrize("pair", PAIRS)
def test_wall_is_symmetric_and_zero_beyond_the_covalent_radii(pair: tuple[str, str]) -> None:
    z1, z2 = (atomic_numbers[symbol] for symbol in pair)
    reach = WALL * float(covalent_radii[z1] + covalent_radii[z2])
    d = torch.tensor([[0.2], [reach - 0.05], [reach], [reach + 1e-9], [4.0], [7.0]], dtype=torch.float64)
    model = random_model(ELEMENTS)
    wall = walls(model, z1, z2, d).detach()
    torch.testing.assert_close(wall, walls(model, z2, z1, d).detach(), rtol=1e-15, atol=0)
    assert (wall[:2] > 0).all()
    assert (wall[2:].abs() < 1e-12).all()
    assert (wall[3:] == 0).all()


def test_wall_ends_at_the_cutoff_where_that_is_shorter_than_the_radii() -> None:
    d = torch.tensor([[1.4], [1.5], [2.0]], dtype=torch.float64)  # Si-Si touch at 2.22 Å
    wall = walls(random_model(ELEMENTS, cutoff=1.5), 14, 14, d).detach()
    assert wall[0] > 0
    assert (wall[1:].abs() < 1e-12).all()


@pytest.mark.parametrize("pair", PAIRS)
def test_wall_fades_with_two_derivatives(pair: tuple[str, str]) -> None:
    """Forces are continuous there, and differentiable: u = 56 (1 - x)^3 and less, close to its end."""
    z1, z2 = (atomic_numbers[symbol] for symbol in pair)
    reach = WALL * float(covalent_radii[z1] + covalent_radii[z2])
    left = 1e-3
    d = torch.tensor([[reach * (1 - left)]], dtype=torch.float64, requires_grad=True)
    wall = walls(random_model(ELEMENTS), z1, z2, d)
    (first,) = torch.autograd.grad(wall.sum(), d, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), d)
    bare = 14.4 * z1 * z2 / reach  # eV, without screening
    for value, most in ((wall, 56 * left**3), (first, 168 * left**2 / reach), (second, 336 * left / reach**2)):
        assert 0 < value.abs().max() < most * bare


def test_forces_are_continuous_where_the_wall_fades() -> None:
    """Of the whole model: either side of the end of the wall of C and O, forces differ by 2e-6 Å times the curvature, no more."""
    model = random_model(ELEMENTS, weights_times=2.0)
    reach = float(covalent_radii[6] + covalent_radii[8])

    def force(d: float) -> float:
        return float(energy_and_forces(model, build_graph(ase.Atoms("CO", [(0, 0, 0), (0, 0, d)]), 5.0, torch.float64)).forces[0, 2])

    before, after = force(reach - 1e-6), force(reach + 1e-6)
    curvature = (force(reach + 2e-3) - force(reach + 1e-3)) / 1e-3
    assert abs(after - before) < 4e-6 * max(1.0, abs(curvature))


MODELS = {"random": lambda: random_model(ELEMENTS), "lmax 1": lambda: random_model(ELEMENTS, lmax=1, channels=32, seed=1)}
SHIPPED = [path.name for path in (SHIPPED_CHECKPOINT.parents[1]).iterdir() if HAS_TRAINED and (path / "checkpoint.ckpt").is_file()]


@pytest.mark.parametrize("name", SHIPPED)
def test_two_atoms_of_a_shipped_model_too(name: str) -> None:
    model = load_checkpoint(SHIPPED_CHECKPOINT.parents[1] / name / "checkpoint.ckpt").model.to(torch.float64)
    assert known_to(model)
    for pair in known_to(model):
        curve = energies_of_two(model, pair)
        assert curve[0] > min(curve) + 5.0, pair


@pytest.mark.parametrize("name", MODELS)
def test_two_atoms_at_a_third_of_an_angstrom_are_far_above_their_minimum(name: str) -> None:
    model = MODELS[name]()
    assert len(known_to(model)) == len(PAIRS)
    for pair in PAIRS:
        curve = energies_of_two(model, pair)
        assert curve[0] > min(curve) + 5.0, pair


def known_to(model: HarmonicSpinConv) -> list[tuple[str, str]]:
    return [pair for pair in PAIRS if all(atomic_numbers[symbol] in model.config.elements for symbol in pair)]


def energies_of_two(model: HarmonicSpinConv, pair: tuple[str, str]) -> list[float]:
    """eV, of two atoms at 0.3 to 5 Å."""
    graphs = [build_graph(ase.Atoms(pair, [(0, 0, 0), (0, 0, d)]), 5.0, torch.float64) for d in np.linspace(0.3, 5.0, 200)]
    return energy_and_forces(model, batch_graphs(graphs)).energies.tolist()
