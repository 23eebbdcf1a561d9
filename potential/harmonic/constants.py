"""Constants of harmonic SpinConv, float64: what depends on lmax alone, and the screened repulsion of the elements' nuclei."""

import math
from collections.abc import Sequence
from functools import cache
from math import isqrt

import torch
from ase.data import covalent_radii
from torch import nn

from spinconv.potential.spherical_harmonics import Exponents, evaluate_monomials, harmonics_matrix, monomials, n_harmonics

COULOMB = 14.3996454784936  # e^2 / (4 pi eps0) in eV Å, CODATA 2018
SCREENING = ((0.18175, 3.1998), (0.50986, 0.94229), (0.28022, 0.4029), (0.02817, 0.20162))  # c_k and b_k
SCREENING_LENGTH = 0.4685  # Å, of unit charges


def pair_constants(elements: Sequence[int], cutoff: float, wall: float) -> torch.Tensor:
    """Rows of every pair of elements: half Z Z' e^2 / (4 pi eps0) c_k (eV Å), -b_k / a (1/Å), both for k = 1 ... 4; 1 / range
    of the wall and 1 / cutoff (1/Å), [pairs, 10].

    a is the screening length of Ziegler, Biersack and Littmark; the wall ends at `wall` times the sum of the covalent radii (Cordero et al.
    2008), or at the cutoff.
    """
    rows = []
    for a in elements:
        for b in elements:
            amplitudes = [0.5 * COULOMB * a * b * c for c, _ in SCREENING]
            rates = [-rate * (a**0.23 + b**0.23) / SCREENING_LENGTH for _, rate in SCREENING]
            reach = min(wall * float(covalent_radii[a] + covalent_radii[b]), cutoff)
            rows.append([*amplitudes, *rates, 1.0 / reach, 1.0 / cutoff])
    return torch.tensor(rows, dtype=torch.float64)


@cache
def spin_constants(lmax: int) -> dict[str, torch.Tensor]:
    """Harmonics from monomials; the responses at fixed directions; and the polynomial from its values there."""
    degree = 2 * lmax
    to_harmonics = harmonics_matrix(degree)
    directions = fixed_directions(lmax)
    rotations = rotation_matrices(directions, lmax)  # (n_directions, n_harmonics, n_harmonics)
    row_of = [(m, lm) for m in range(lmax + 1) for lm in range(m * m, n_harmonics(lmax))]
    kernels = [(m, l) for m in range(lmax + 1) for l in range(m, lmax + 1)]  # noqa: E741
    constants = {
        "constants.harmonics": to_harmonics,
        "constants.row_component": torch.tensor([lm for _, lm in row_of]),
        "constants.row_kernel": torch.tensor([kernels.index((m, isqrt(lm))) for m, lm in row_of]),
        "constants.interpolation": torch.linalg.pinv(evaluate_monomials(directions, degree) @ to_harmonics),
    }
    for m in range(lmax + 1):
        signs = (0,) if m == 0 else (m, -m)  # cosine row, sine row
        rows = [
            torch.cat([rotations[:, l * l + l + sign, l * l : (l + 1) ** 2] for l in range(m, lmax + 1)], dim=1)  # noqa: E741
            for sign in signs
        ]
        constants[f"constants.responses.{m}"] = torch.cat(rows)
    for n, table in enumerate(monomial_tables(degree)):
        constants[f"constants.monomials.{n}"] = table
    return constants


def monomial_tables(degree: int) -> list[torch.Tensor]:
    """Which two monomials of the degrees so far make each of those of up to twice the degree, until `degree`, int64 [2, n] each."""
    tables, reached = [], 1
    while reached < max(1, degree):
        index = {exponents: n for n, exponents in enumerate(monomials(reached))}
        reached = min(2 * reached, degree)
        halves = [[index[half] for half in halved(exponents)] for exponents in monomials(reached)]
        tables.append(torch.tensor(halves).T.contiguous())
    return tables


def halved(exponents: Exponents) -> tuple[Exponents, Exponents]:
    """Two monomials of half the degree whose product is this one."""
    left = sum(exponents) // 2
    taken = []
    for power in exponents:
        taken.append(min(power, left))
        left -= taken[-1]
    a, b, c = taken
    return (a, b, c), (exponents[0] - a, exponents[1] - b, exponents[2] - c)


def fixed_directions(lmax: int) -> torch.Tensor:
    """Well spread directions that determine a polynomial of degree 2 lmax, float64 [n, 3]: a spiral over the sphere.

    A seventh more of them than coefficients keep the condition number of the harmonics at them below 4 (lmax <= 6).
    """
    n = math.ceil(n_harmonics(2 * lmax) * 8 / 7)
    index = torch.arange(n, dtype=torch.float64)
    z = 1 - (2 * index + 1) / n
    angle = index * (math.pi * (3 - math.sqrt(5)))  # the golden angle
    radius = torch.sqrt(1 - z * z)
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle), z], dim=1)


def rotation_matrices(directions: torch.Tensor, lmax: int) -> torch.Tensor:
    """D(R) with Y(R v) = D(R) Y(v) for a rotation R of each direction to the z axis, float64 [n, (lmax + 1)^2, (lmax + 1)^2].

    The roll of R is free: only what does not depend on it is used. D follows from the harmonics of some points and of their images.
    """
    generator = torch.Generator().manual_seed(0)
    points = nn.functional.normalize(torch.randn(4 * n_harmonics(lmax), 3, dtype=torch.float64, generator=generator))
    matrix = harmonics_matrix(lmax)
    at_points = evaluate_monomials(points, lmax) @ matrix  # (n_points, n_harmonics)
    images = torch.einsum("nab,pb->npa", frames(directions), points).flatten(0, 1)
    at_images = (evaluate_monomials(images, lmax) @ matrix).view(len(directions), len(points), -1)
    rotations = torch.zeros(len(directions), n_harmonics(lmax), n_harmonics(lmax), dtype=torch.float64)
    for l in range(lmax + 1):  # noqa: E741
        degree = slice(l * l, (l + 1) ** 2)
        rotations[:, degree, degree] = (torch.linalg.pinv(at_points[:, degree]) @ at_images[:, :, degree]).transpose(1, 2)
    return rotations


def frames(directions: torch.Tensor) -> torch.Tensor:
    """A rotation matrix for each direction that takes it to the z axis, [n, 3, 3] (rows x', y', z' = direction)."""
    least = directions.abs().argmin(dim=1)
    axis = nn.functional.one_hot(least, 3).to(directions.dtype)
    x = nn.functional.normalize(axis - (axis * directions).sum(dim=1, keepdim=True) * directions)
    return torch.stack([x, torch.linalg.cross(directions, x), directions], dim=1)
