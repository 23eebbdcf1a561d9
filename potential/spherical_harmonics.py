"""Real spherical harmonics as polynomials of a unit vector.

The component (l, m) sits at index l^2 + l + m, with m = -l ... l: sine parts first, cosine parts last. The harmonics are
orthonormal on the sphere times sqrt(4 pi) ("component" normalisation: the squares of one degree sum to 2 l + 1), so every
component has mean square 1 and no degree drowns another.
"""

from math import comb, factorial, sqrt

import numpy as np
import torch

Exponents = tuple[int, int, int]
Polynomial = dict[Exponents, float]


def n_harmonics(lmax: int) -> int:
    """Number of components of degree 0 ... lmax, (lmax + 1)^2."""
    return (lmax + 1) * (lmax + 1)


def monomials(lmax: int) -> list[Exponents]:
    """Exponents (a, b, c) of x^a y^b z^c, degree by degree, in the order in which `evaluate_monomials` makes them."""
    return [(a, b, degree - a - b) for degree in range(lmax + 1) for a in range(degree, -1, -1) for b in range(degree - a, -1, -1)]


def evaluate_monomials(directions: torch.Tensor, lmax: int) -> torch.Tensor:
    """Monomials of `directions` [..., 3] of all degrees up to lmax, [..., (lmax + 1)(lmax + 2)(lmax + 3) / 6].

    Degree l follows from degree l - 1: all of it times x, those without x times y, the last one (z^(l-1)) times z.
    """
    x, y, z = directions[..., 0:1], directions[..., 1:2], directions[..., 2:3]
    previous = torch.ones_like(x)
    degrees = [previous]
    for degree in range(1, lmax + 1):
        previous = torch.cat([x * previous, y * previous[..., -degree:], z * previous[..., -1:]], dim=-1)
        degrees.append(previous)
    return torch.cat(degrees, dim=-1)


def harmonics_matrix(lmax: int) -> torch.Tensor:
    """The constant matrix that takes monomials to harmonics, float64 [n_monomials, n_harmonics].

    Solid harmonics in closed form, https://en.wikipedia.org/wiki/Solid_harmonics#Real_form: a polynomial of z and r^2
    times the real or imaginary part of (x + i y)^m, made homogeneous by r^2 = x^2 + y^2 + z^2.
    """
    row = {exponents: index for index, exponents in enumerate(monomials(lmax))}
    matrix = np.zeros((len(row), n_harmonics(lmax)))
    for l in range(lmax + 1):  # noqa: E741
        for m in range(-l, l + 1):
            for exponents, coefficient in _solid_harmonic(l, m).items():
                matrix[row[exponents], l * l + l + m] += coefficient
    return torch.from_numpy(matrix)


def _solid_harmonic(l: int, m: int) -> Polynomial:  # noqa: E741
    order = abs(m)
    norm = sqrt((2 * l + 1) * (2 if order else 1) * factorial(l - order) / factorial(l + order)) / 2**l
    polar: Polynomial = {}
    for k in range((l - order) // 2 + 1):
        factor = norm * (-1) ** k * comb(l, k) * comb(2 * l - 2 * k, l) * factorial(l - 2 * k) / factorial(l - 2 * k - order)
        for exponents, coefficient in _radius_squared_to_the(k).items():
            _add(polar, (exponents[0], exponents[1], exponents[2] + l - 2 * k - order), factor * coefficient)
    result: Polynomial = {}
    for (a, b, c), coefficient in polar.items():
        for power_of_y, azimuthal in _azimuthal(m):
            _add(result, (a + order - power_of_y, b + power_of_y, c), coefficient * azimuthal)
    return result


def _radius_squared_to_the(k: int) -> Polynomial:
    """(x^2 + y^2 + z^2)^k."""
    return {
        (2 * a, 2 * b, 2 * (k - a - b)): factorial(k) / (factorial(a) * factorial(b) * factorial(k - a - b))
        for a in range(k + 1)
        for b in range(k - a + 1)
    }


def _azimuthal(m: int) -> list[tuple[int, float]]:
    """Terms (power of y, coefficient) of Re (x + i y)^m for m >= 0 and of Im (x + i y)^|m| for m < 0."""
    first = 0 if m >= 0 else 1
    return [(p, comb(abs(m), p) * (-1.0) ** (p // 2)) for p in range(first, abs(m) + 1, 2)]


def _add(polynomial: Polynomial, exponents: Exponents, value: float) -> None:
    polynomial[exponents] = polynomial.get(exponents, 0.0) + value
