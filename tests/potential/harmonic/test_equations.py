"""Functions of one variable, finite with all derivatives that training takes; and the page of equations as TorchScript."""

import ase
import pytest
import sympy
import torch
from pages import compiled_pages
from structures import ethanol, triclinic, water_box

from models import random_model
from spinconv.potential import build_graph, layers
from spinconv.potential.harmonic import equations

CUTOFF = 5.0


def derivatives(y: torch.Tensor, x: torch.Tensor, n: int) -> list[torch.Tensor]:
    """y and its first n derivatives, where every row of y depends on the same row of x only."""
    found = [y]
    for _ in range(n):
        found.append(torch.autograd.grad(found[-1].sum(), x, create_graph=True)[0])
    return [values.detach() for values in found]


@pytest.mark.parametrize("vector", [(0.0, 0.0, 0.0), (0.0, 0.0, 1e-150), (3.0, 4.0, 0.0)])
def test_norm_and_its_derivatives_are_finite(vector: tuple[float, float, float]) -> None:
    v = torch.tensor([vector], dtype=torch.float64, requires_grad=True)
    for values in derivatives(equations.safe_norm(v), v, 2):
        assert torch.isfinite(values).all()


def test_norm_is_the_length() -> None:
    assert equations.safe_norm(torch.tensor([[3.0, 4.0, 12.0], [0.0, 0.0, 0.0]])).tolist() == [[13.0], [0.0]]


def test_inverse_of_zero_is_zero_with_zero_derivatives() -> None:
    x = torch.tensor([0.0, 4.0], requires_grad=True)
    value, first, second = derivatives(equations.inverse(x), x, 2)
    assert (value.tolist(), first.tolist(), second.tolist()) == ([0.0, 0.25], [0.0, -0.0625], [0.0, 0.03125])


def test_envelope_and_two_derivatives_vanish_at_the_cutoff_and_beyond() -> None:
    d = torch.tensor([CUTOFF - 1e-9, CUTOFF, CUTOFF + 1e-9, 2 * CUTOFF], dtype=torch.float64, requires_grad=True)
    for values in derivatives(equations.envelope(d / CUTOFF), d, 2):
        assert values.abs().max() < 1e-7  # u'' falls linearly: 336 / cutoff^2 times 1e-9 / cutoff away from it
        assert values[-1] == 0


def test_envelope_is_one_at_zero_and_falls() -> None:
    x = torch.linspace(0, 1, 101, dtype=torch.float64)
    u = equations.envelope(x)
    assert u[0] == 1
    assert (u.diff() < 0).all()


@pytest.mark.parametrize("x", [0.0, 1e-12, 1e-4, 0.0501, 0.0506, 0.3, 1.7, 5.0, -0.8])
def test_bessel_functions_and_two_derivatives_are_those_of_the_formula(x: float) -> None:
    """On either side of where the series begins too: 0.0503 for the last of ten functions. Training on forces takes two derivatives."""
    symbol = sympy.Symbol("x")
    at = torch.full((1, 1), x, dtype=torch.float64, requires_grad=True)
    for k in range(1, 11):
        wave = k * sympy.pi / sympy.Integer(5)
        formula = 2 * sympy.sqrt(sympy.Rational(2, 5)) * sympy.sin(wave * symbol) / symbol
        found = derivatives(equations.bessel(at, 10, CUTOFF)[:, k - 1 : k], at, 2)
        for order, value in enumerate(found):
            derivative = sympy.diff(formula, symbol, order)
            exact = sympy.limit(derivative, symbol, 0) if x == 0 else derivative.subs(symbol, sympy.Float(x, 60)).evalf(60)
            size = float(2 * sympy.sqrt(sympy.Rational(2, 5)) * wave ** (order + 1))
            assert value.item() == pytest.approx(float(exact), abs=5e-13 * size), (k, order)  # the series ends at x^10


def test_the_page_below_its_line_is_torchscript_and_gives_the_same_energies() -> None:
    compiled = compiled_pages(layers, equations)
    model = random_model(weights_times=2.0)
    graph = build_graph(ethanol(), model.cutoff, torch.float64)
    arguments = (graph.numbers, graph.edge_index, graph.vectors)
    weights = {name: weight.detach() for name, weight in model.weights().items()}
    torch.testing.assert_close(
        compiled.energies(weights, model.settings(), *arguments), model.energies(*arguments).detach(), rtol=1e-14, atol=0
    )


@pytest.mark.parametrize("lmax", [1, 3, 4])
def test_scripted_is_eager(lmax: int) -> None:
    scripted = torch.jit.script(equations.energies)
    model = random_model(weights_times=2.0, lmax=lmax)
    for atoms in (ethanol(), triclinic(), ase.Atoms("C"), ase.Atoms(), water_box()):
        graph = build_graph(atoms, model.cutoff, torch.float64)
        vectors = graph.vectors.requires_grad_(True)
        eager = model.energies(graph.numbers, graph.edge_index, vectors)
        compiled = scripted(model.weights(), model.settings(), graph.numbers, graph.edge_index, vectors)
        torch.testing.assert_close(compiled, eager, rtol=1e-14, atol=0)
        gradients = [torch.autograd.grad(energies.sum(), vectors)[0] for energies in (eager, compiled)]
        size = float(gradients[0].abs().max()) if len(vectors) else 0.0
        torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=1e-12 * size)
