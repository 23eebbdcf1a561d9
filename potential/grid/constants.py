"""Constants of grid SpinConv, float64: the products of a convolution around a circle, harmonics on the grid, rotations."""

import math

import torch

from spinconv.potential.grid.config import GridConfig
from spinconv.potential.spherical_harmonics import evaluate_monomials, harmonics_matrix, n_harmonics

IRRATIONAL = 1.533751168755204288118041  # the positive root of x^4 = x + 4


def grid_constants(config: GridConfig) -> dict[str, torch.Tensor]:
    """The constants of this kind by the names that the equations give them."""
    constants = dict(zip(("constants.of_image", "constants.of_kernel", "constants.back"), cyclic_products(config.n_longitude), strict=True))
    if config.has_harmonics:
        constants["constants.harmonics"] = harmonics_on_grid(config.n_latitude, config.n_longitude, config.lmax)
        constants["constants.rolls"] = rolls(config.n_longitude, config.lmax)
    if config.forces == "fixed":
        constants["constants.rotations"] = fixed_rotations(config.n_rotations)
    return constants


def cyclic_products(n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A, B and C with which sum_x' K(x') S(x + x'), x' around a circle of n, is sum_p C[x, p] (A S)_p (B K)_p.

    By Fourier coefficients, S + iS' = sum_x S(x) (cos + i sin)(2 pi f x / n) and K + iK' likewise. Where they are complex, the three
    products S K, S' K' and (S + S') (K - K') make the response's S K + S' K' and S' K - S K': 17 products for 12 columns, where the sum
    as it stands has 144. A and B [p, n], C [n, p].
    """
    of_image: list[torch.Tensor] = []
    of_kernel: list[torch.Tensor] = []
    back: list[torch.Tensor] = []
    for f in range(n // 2 + 1):
        phase = (torch.arange(n) * f % n).double() * (2 * math.pi / n)  # without whole turns
        c, s = torch.cos(phase), torch.sin(phase)
        if f == 0 or 2 * f == n:
            of_image, of_kernel, back = [*of_image, c], [*of_kernel, c], [*back, c / n]
        else:
            of_image, of_kernel = [*of_image, c, s, c + s], [*of_kernel, c, s, c - s]
            back += [(c - s) * (2 / n), (c + s) * (2 / n), s * (2 / n)]
    return torch.stack(of_image), torch.stack(of_kernel), torch.stack(back, dim=1)


def harmonics_on_grid(n_latitude: int, n_longitude: int, lmax: int) -> torch.Tensor:
    """What takes values on the grid to coefficients of spherical harmonics, [n_latitude * n_longitude, (lmax + 1)^2].

    The mean over the sphere of the values times sqrt((2 l + 1) (lmax + 1)) Y_lm, the norm of e3nn's `FromS2Grid`. Rows are at the
    colatitudes (row + 1/2) pi / n_latitude, with the weights of Kostelec and Rockmore (FFTs on the rotation group, 2008).
    """
    theta = (torch.arange(n_latitude, dtype=torch.float64) + 0.5) * (math.pi / n_latitude)
    phi = torch.arange(n_longitude, dtype=torch.float64) * (2 * math.pi / n_longitude)
    x, y = torch.outer(torch.sin(theta), torch.cos(phi)), torch.outer(torch.sin(theta), torch.sin(phi))
    directions = torch.stack([x, y, torch.cos(theta)[:, None].expand_as(x)], dim=2).reshape(-1, 3)
    values = evaluate_monomials(directions, lmax) @ harmonics_matrix(lmax)
    weights = latitude_weights(n_latitude).repeat_interleave(n_longitude) / n_longitude
    degree = torch.tensor([math.isqrt(lm) for lm in range(n_harmonics(lmax))], dtype=torch.float64)
    return values * weights[:, None] * torch.sqrt((2 * degree + 1) * (lmax + 1))


def latitude_weights(n: int) -> torch.Tensor:
    """Weights of n rows, an even number, that add up to 1 and integrate polynomials of cos(theta) of degrees below n exactly."""
    angle = (2 * torch.arange(n, dtype=torch.float64) + 1) * (math.pi / (2 * n))
    odd = 2 * torch.arange(n // 2, dtype=torch.float64) + 1
    return (2 / n) * torch.sin(angle) * (torch.sin(torch.outer(angle, odd)) / odd).sum(dim=1)


def rolls(n: int, lmax: int) -> torch.Tensor:
    """D of the n rolls about the polar axis, which mixes the components m and -m, [n, (lmax + 1)^2, (lmax + 1)^2]."""
    matrices = torch.zeros(n, n_harmonics(lmax), n_harmonics(lmax), dtype=torch.float64)
    angle = torch.arange(n, dtype=torch.float64) * (2 * math.pi / n)
    for l in range(lmax + 1):  # noqa: E741
        for m in range(-l, l + 1):
            matrices[:, l * l + l + m, l * l + l + m] = torch.cos(m * angle)
            if m != 0:
                matrices[:, l * l + l + m, l * l + l - m] = torch.sin(m * angle)
    return matrices


def fixed_rotations(n: int) -> torch.Tensor:
    """n rotation matrices, a multiple of four, that are spread over all rotations and add up to zero, [n, 3, 3].

    A super-Fibonacci spiral of a quarter as many (Alexa, CVPR 2022), each before half turns about no axis, x, y and z: what a head says
    alike in all directions is no force then.
    """
    half_turns = torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64)
    return torch.einsum("ta,nab->ntab", half_turns, spiral(n // 4)).flatten(0, 1)


def spiral(n: int) -> torch.Tensor:
    """n rotation matrices that are far from each other, [n, 3, 3]."""
    s = torch.arange(n, dtype=torch.float64) + 0.5
    inner, outer = torch.sqrt(s / n), torch.sqrt(1 - s / n)
    alpha, beta = s * (2 * math.pi / math.sqrt(2)), s * (2 * math.pi / IRRATIONAL)
    x, y, z, w = inner * torch.sin(alpha), inner * torch.cos(alpha), outer * torch.sin(beta), outer * torch.cos(beta)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
