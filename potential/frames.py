"""Edge frames and the rotation of spherical harmonics into them."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import nn

from spinconv.potential.numerics import safe_divide, safe_norm
from spinconv.potential.spherical_harmonics import evaluate_monomials, harmonics_matrix


def edge_frames(directions: torch.Tensor) -> torch.Tensor:
    """A rotation matrix per edge that takes its direction to the z axis, [n_edges, 3, 3] (rows x', y', z' = direction).

    The roll about the direction is a free gauge, because only roll invariants leave the edge: x' is the coordinate axis least
    parallel to the direction, made orthogonal. Its length before normalisation is at least sqrt(2/3), so there is no
    singular direction.
    """
    least = directions.abs().argmin(dim=1, keepdim=True)
    axis = (torch.arange(3, device=directions.device) == least).to(directions.dtype)  # (n_edges, 3), one-hot
    x = axis - (axis * directions).sum(dim=1, keepdim=True) * directions
    x = safe_divide(x, safe_norm(x).unsqueeze(1))  # a zero direction (coincident atoms) still gives finite numbers
    y = torch.linalg.cross(directions, x)
    return torch.stack([x, y, directions], dim=1)  # (n_edges, 3, 3)


def rotation_entries(lmax: int) -> list[tuple[int, int]]:
    """Row and column of the entries of D(R) that are not zero for every R: rows (l, m) and columns (l, m') of the same degree.

    In the order in which a convolution over the roll wants them: by |m|, cosine row before sine row, then by (l, m') for l >= |m|.
    """
    order = [(0, 1)] + [(m, sign) for m in range(1, lmax + 1) for sign in (1, -1)]
    return [(l * l + l + sign * m, l * l + k) for m, sign in order for l in range(m, lmax + 1) for k in range(2 * l + 1)]  # noqa: E741


class Harmonics(nn.Module):
    """Spherical harmonics up to `lmax`, and the matrices D(R) that rotate them: Y(R v) = D(R) Y(v).

    D_l(R) = pinv(Y_l(p)) Y_l(R^T p) for any fixed directions p that determine a degree: exact, differentiable, without angles
    and without a singular rotation.
    """

    lmax: int
    _to_harmonics: torch.Tensor
    _directions: torch.Tensor
    _inverse: torch.Tensor
    _entries: torch.Tensor

    def __init__(self, lmax: int) -> None:
        super().__init__()
        self.lmax = lmax
        constants = _constants(lmax)
        self.register_buffer("_to_harmonics", constants.to_harmonics, persistent=False)
        self.register_buffer("_directions", constants.directions, persistent=False)
        self.register_buffer("_inverse", constants.inverse, persistent=False)  # (n_harmonics, 2 lmax + 1)
        n_harmonics = (lmax + 1) ** 2
        entries = torch.tensor([row * n_harmonics + column for row, column in rotation_entries(lmax)])
        self.register_buffer("_entries", entries, persistent=False)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> "Harmonics":
        """Every move to another precision starts from the exact constants: float32 and back must not leave rounded ones."""
        super()._apply(fn, recurse)
        for name, exact in _constants(self.lmax)._asdict().items():
            setattr(self, f"_{name}", exact.to(getattr(self, f"_{name}")))
        return self

    def forward(self, directions: torch.Tensor) -> torch.Tensor:
        """Harmonics of unit vectors [..., 3], [..., (lmax + 1)^2]."""
        return evaluate_monomials(directions, self.lmax) @ self._to_harmonics

    def rotation(self, frames: torch.Tensor) -> torch.Tensor:
        """The `rotation_entries` of D(R) for rotation matrices `frames` [n, 3, 3], [n, n_entries]."""
        rotated = self.forward(self._directions @ frames)  # (n, 2 lmax + 1, n_harmonics), harmonics of R^T p
        return (self._inverse @ rotated).flatten(1).index_select(1, self._entries)


class _Constants(NamedTuple):
    """What depends on lmax alone, float64."""

    to_harmonics: torch.Tensor  # (n_monomials, n_harmonics)
    directions: torch.Tensor  # (2 lmax + 1, 3)
    inverse: torch.Tensor  # (n_harmonics, 2 lmax + 1)


@cache
def _constants(lmax: int) -> _Constants:
    matrix = harmonics_matrix(lmax)
    directions = _well_conditioned_directions(lmax, matrix)
    at_directions = evaluate_monomials(directions, lmax) @ matrix  # (2 lmax + 1, n_harmonics)
    inverse = [torch.linalg.pinv(at_directions[:, l * l : (l + 1) ** 2]) for l in range(lmax + 1)]  # noqa: E741
    return _Constants(matrix, directions, torch.cat(inverse))


def _well_conditioned_directions(lmax: int, matrix: torch.Tensor) -> torch.Tensor:
    """2 lmax + 1 fixed directions at which the harmonics of each degree have a condition number below 9, float64 [2 lmax + 1, 3]."""
    best, best_condition = torch.zeros(2 * lmax + 1, 3, dtype=torch.float64), float("inf")
    generator = torch.Generator().manual_seed(0)
    for _ in range(2_000):  # enough up to lmax = 8
        directions = nn.functional.normalize(torch.randn(2 * lmax + 1, 3, dtype=torch.float64, generator=generator))
        values = evaluate_monomials(directions, lmax) @ matrix
        condition = max(float(torch.linalg.cond(values[:, l * l : (l + 1) ** 2])) for l in range(lmax + 1))  # noqa: E741
        if condition < best_condition:
            best, best_condition = directions, condition
        if best_condition < 9:
            break
    return best
