import numpy as np
import torch

from spinconv.potential.spherical_harmonics import evaluate_monomials, harmonics_matrix, monomials, n_harmonics

LMAX = 6
AXES = torch.cat([torch.eye(3), -torch.eye(3)]).to(torch.float64)


def directions(n: int = 50) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    random = torch.randn(n, 3, dtype=torch.float64, generator=generator)
    return torch.cat([torch.nn.functional.normalize(random), AXES])


def harmonics(directions: torch.Tensor) -> torch.Tensor:
    return evaluate_monomials(directions, LMAX) @ harmonics_matrix(LMAX)


def test_low_degrees_have_their_textbook_form() -> None:
    n = directions()
    x, y, z = n.T
    expected = [torch.ones_like(x), 3**0.5 * y, 3**0.5 * z, 3**0.5 * x, 15**0.5 * x * y, 15**0.5 * y * z, 5**0.5 * (3 * z * z - 1) / 2]
    torch.testing.assert_close(harmonics(n)[:, :7], torch.stack(expected, dim=1), atol=1e-14, rtol=0)


def test_harmonics_are_orthonormal_on_the_sphere() -> None:
    # Gauss-Legendre in z times equidistant longitudes integrates degree 2 LMAX exactly
    z, weights = np.polynomial.legendre.leggauss(LMAX + 1)
    longitude = np.arange(2 * LMAX + 2) * np.pi / (LMAX + 1)
    radius = np.sqrt(1 - z**2)
    points = np.stack(
        [np.outer(radius, np.cos(longitude)), np.outer(radius, np.sin(longitude)), np.outer(z, np.ones_like(longitude))], axis=-1
    )
    values = harmonics(torch.from_numpy(points.reshape(-1, 3)))
    quadrature = torch.from_numpy(np.repeat(weights / 2 / len(longitude), len(longitude)))
    torch.testing.assert_close(
        values.T @ (values * quadrature[:, None]), torch.eye(n_harmonics(LMAX), dtype=torch.float64), atol=1e-13, rtol=0
    )


def test_sum_of_squares_of_a_degree_is_constant() -> None:
    values = harmonics(directions())
    for degree in range(LMAX + 1):
        squares = values[:, degree**2 : (degree + 1) ** 2].square().sum(dim=1)
        torch.testing.assert_close(squares, torch.full_like(squares, 2 * degree + 1), atol=1e-12, rtol=0)


def test_derivatives_are_finite_on_the_axes_and_at_a_zero_vector() -> None:
    n = torch.cat([AXES, torch.zeros(1, 3, dtype=torch.float64)]).requires_grad_(True)
    harmonics(n).sum().backward()
    assert torch.isfinite(n.grad).all()


def test_monomials_are_complete() -> None:
    assert len(monomials(4)) == len(set(monomials(4))) == 5 * 6 * 7 // 6
