import numpy as np
import pytest
import torch

from models import random_model
from spinconv.potential.harmonic import constants, equations
from spinconv.potential.spherical_harmonics import evaluate_monomials, harmonics_matrix, n_harmonics

LMAX = (1, 2, 3, 4, 5, 6)


def directions(n: int = 50) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    random = torch.nn.functional.normalize(torch.randn(n, 3, dtype=torch.float64, generator=generator))
    return torch.cat([random, torch.eye(3, dtype=torch.float64), -torch.eye(3, dtype=torch.float64)])


@pytest.mark.parametrize("lmax", LMAX)
def test_harmonics_by_tables_are_those_degree_by_degree(lmax: int) -> None:
    n = directions()
    expected = evaluate_monomials(n, 2 * lmax) @ harmonics_matrix(2 * lmax)
    torch.testing.assert_close(equations.harmonics(constants.spin_constants(lmax), n), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("degree", range(1, 13))
def test_every_monomial_is_a_product_of_two_of_its_tables(degree: int) -> None:
    """Tables double the degree, so there are as many as halvings; of whole numbers, products are exact."""
    xyz = torch.tensor([[2.0, 3.0, -1.0], [0.0, 1.0, 2.0]], dtype=torch.float64)
    made = torch.cat([torch.ones(2, 1, dtype=torch.float64), xyz], dim=1)
    tables = constants.monomial_tables(degree)
    for left, right in tables:
        made = made[:, left] * made[:, right]
    assert torch.equal(made, evaluate_monomials(xyz, degree))
    assert len(tables) == int(np.ceil(np.log2(degree)))


@pytest.mark.parametrize("lmax", LMAX)
def test_fixed_directions_determine_the_polynomial_well(lmax: int) -> None:
    at = constants.fixed_directions(lmax)
    torch.testing.assert_close(at.norm(dim=1), torch.ones(len(at), dtype=torch.float64), rtol=0, atol=1e-15)
    assert torch.linalg.cond(evaluate_monomials(at, 2 * lmax) @ harmonics_matrix(2 * lmax)) < 4


@pytest.mark.parametrize("lmax", LMAX)
def test_a_polynomial_follows_from_its_values_at_the_fixed_directions(lmax: int) -> None:
    fit = constants.spin_constants(lmax)["constants.interpolation"]
    coefficients = torch.randn(n_harmonics(2 * lmax), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values = evaluate_monomials(constants.fixed_directions(lmax), 2 * lmax) @ harmonics_matrix(2 * lmax) @ coefficients
    torch.testing.assert_close(fit @ values, coefficients, rtol=0, atol=1e-13)


def test_frames_are_right_handed_and_take_the_direction_to_the_z_axis() -> None:
    n = directions()
    frames = constants.frames(n)
    torch.testing.assert_close(torch.linalg.det(frames), torch.ones(len(n), dtype=torch.float64), atol=1e-14, rtol=0)
    z = torch.tensor([[0.0], [0.0], [1.0]], dtype=torch.float64)
    torch.testing.assert_close(frames @ n.unsqueeze(2), z.expand(len(n), 3, 1), atol=1e-15, rtol=0)


@pytest.mark.parametrize("lmax", LMAX)
def test_rotation_matrices_rotate_harmonics(lmax: int) -> None:
    into, n = directions(7), directions()
    turned = evaluate_monomials(torch.einsum("rab,nb->rna", constants.frames(into), n), lmax) @ harmonics_matrix(lmax)
    rotations = constants.rotation_matrices(into, lmax)
    expected = torch.einsum("rab,nb->rna", rotations, evaluate_monomials(n, lmax) @ harmonics_matrix(lmax))
    torch.testing.assert_close(turned, expected, atol=1e-12, rtol=0)
    identity = torch.eye(n_harmonics(lmax), dtype=torch.float64).expand_as(rotations)
    torch.testing.assert_close(rotations @ rotations.transpose(1, 2), identity, atol=1e-12, rtol=0)


def test_constants_keep_their_digits_through_a_change_of_precision() -> None:
    model = random_model()
    before = {name: value for name, value in model.weights().items() if name.startswith("constants.")}
    there_and_back = model.float().double().weights()
    assert all(torch.equal(there_and_back[name], value) for name, value in before.items())


def test_constants_keep_their_precision_through_a_move() -> None:
    weights = random_model().float().to("cpu").weights()
    kinds = {name: value.dtype for name, value in weights.items()}
    assert kinds.pop("constants.reference_energies") == torch.float64  # thousands of eV
    assert set(kinds.values()) == {torch.float32, torch.int64}
    assert kinds["constants.interpolation"] == torch.float32
