import pytest
import torch

from spinconv.potential.numerics import safe_divide, safe_norm
from spinconv.potential.radial import envelope


@pytest.mark.parametrize("vector", [(0.0, 0.0, 0.0), (0.0, 0.0, 1e-150), (3.0, 4.0, 0.0)])
def test_norm_and_its_derivative_are_finite(vector: tuple[float, float, float]) -> None:
    v = torch.tensor(vector, dtype=torch.float64, requires_grad=True)
    safe_norm(v).backward()
    assert torch.isfinite(v.grad).all()


def test_norm_is_the_length() -> None:
    assert safe_norm(torch.tensor([[3.0, 4.0, 12.0], [0.0, 0.0, 0.0]])).tolist() == [13.0, 0.0]


def test_division_by_zero_is_zero_with_zero_gradient() -> None:
    x, y = torch.tensor([1.0, 6.0], requires_grad=True), torch.tensor([0.0, 3.0], requires_grad=True)
    ratio = safe_divide(x, y)
    ratio.sum().backward()
    assert ratio.tolist() == [0.0, 2.0]
    assert x.grad[0] == 0
    assert y.grad[0] == 0


def test_envelope_and_two_derivatives_vanish_at_the_cutoff_and_beyond() -> None:
    cutoff = 5.0
    d = torch.tensor([cutoff - 1e-9, cutoff, cutoff + 1e-9, 2 * cutoff], dtype=torch.float64, requires_grad=True)
    u = envelope(d, cutoff)
    (first,) = torch.autograd.grad(u.sum(), d, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), d)
    for value in (u, first, second):
        assert value.abs().max() < 1e-7  # u'' falls linearly: 168 / cutoff^3 times 1e-9 / cutoff away from it
    assert u[-1] == 0


def test_envelope_is_one_at_zero() -> None:
    assert envelope(torch.zeros(1), 5.0) == 1
