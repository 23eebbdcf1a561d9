import numpy as np
import pytest
import torch

from spinconv.potential.frames import Harmonics, edge_frames, rotation_entries
from spinconv.potential.spherical_harmonics import monomials, n_harmonics

LMAX = 6
AXES = torch.cat([torch.eye(3), -torch.eye(3)]).to(torch.float64)


def directions(n: int = 50) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    random = torch.randn(n, 3, dtype=torch.float64, generator=generator)
    return torch.cat([torch.nn.functional.normalize(random), AXES])


def random_rotations(n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    q = torch.linalg.qr(torch.randn(n, 3, 3, dtype=torch.float64, generator=generator))[0]
    return q * torch.linalg.det(q)[:, None, None]


@pytest.fixture(scope="module")
def harmonics() -> Harmonics:
    return Harmonics(LMAX)


def square(entries: torch.Tensor) -> torch.Tensor:
    """D(R) as a matrix [n, n_harmonics, n_harmonics] from its entries."""
    rows, columns = torch.tensor(rotation_entries(LMAX)).T
    matrix = entries.new_zeros(len(entries), n_harmonics(LMAX), n_harmonics(LMAX))
    matrix[:, rows, columns] = entries
    return matrix


def test_low_degrees_have_their_textbook_form(harmonics: Harmonics) -> None:
    n = directions()
    x, y, z = n.T
    expected = [torch.ones_like(x), 3**0.5 * y, 3**0.5 * z, 3**0.5 * x, 15**0.5 * x * y, 15**0.5 * y * z, 5**0.5 * (3 * z * z - 1) / 2]
    torch.testing.assert_close(harmonics(n)[:, :7], torch.stack(expected, dim=1), atol=1e-14, rtol=0)


def test_harmonics_are_orthonormal_on_the_sphere(harmonics: Harmonics) -> None:
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


def test_sum_of_squares_of_a_degree_is_constant(harmonics: Harmonics) -> None:
    values = harmonics(directions())
    for degree in range(LMAX + 1):
        squares = values[:, degree**2 : (degree + 1) ** 2].square().sum(dim=1)
        torch.testing.assert_close(squares, torch.full_like(squares, 2 * degree + 1), atol=1e-12, rtol=0)


def test_rotation_matrices_rotate_harmonics(harmonics: Harmonics) -> None:
    rotations, n = random_rotations(7), directions()
    rotated = harmonics(n @ rotations.transpose(1, 2))  # (7, n, n_harmonics)
    expected = torch.einsum("rab,nb->rna", square(harmonics.rotation(rotations)), harmonics(n))
    torch.testing.assert_close(rotated, expected, atol=1e-12, rtol=0)


def test_rotation_matrices_are_orthogonal(harmonics: Harmonics) -> None:
    rotation = square(harmonics.rotation(edge_frames(directions())))
    identity = torch.eye(n_harmonics(LMAX), dtype=torch.float64).expand_as(rotation)
    torch.testing.assert_close(rotation @ rotation.transpose(1, 2), identity, atol=1e-12, rtol=0)


def test_frames_are_right_handed_and_take_the_direction_to_the_z_axis() -> None:
    n = directions()
    frames = edge_frames(n)
    torch.testing.assert_close(torch.linalg.det(frames), torch.ones(len(n), dtype=torch.float64), atol=1e-14, rtol=0)
    torch.testing.assert_close(frames @ n.unsqueeze(2), torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(len(n), 3).unsqueeze(2))


def test_derivatives_are_finite_on_the_axes_and_at_a_zero_vector(harmonics: Harmonics) -> None:
    n = torch.cat([AXES, torch.zeros(1, 3, dtype=torch.float64)]).requires_grad_(True)
    (harmonics.rotation(edge_frames(n)).sum() + harmonics(n).sum()).backward()
    assert torch.isfinite(n.grad).all()


def test_constants_keep_their_digits_through_a_change_of_precision() -> None:
    there_and_back = Harmonics(3).float().double()
    torch.testing.assert_close(there_and_back(directions()), Harmonics(3)(directions()), atol=0, rtol=0)


def test_constants_keep_their_precision_through_a_move() -> None:
    assert Harmonics(3).float().to("cpu")(directions().float()).dtype == torch.float32


def test_monomials_are_complete() -> None:
    assert len(monomials(4)) == len(set(monomials(4))) == 5 * 6 * 7 // 6
