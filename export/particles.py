"""The particles that a force of OpenMM acts on, as callers name them: checked."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
from ase.data import atomic_numbers

from spinconv.potential.words import element_name


def whole_numbers(name: str, values: Sequence[Any]) -> list[int]:
    """`values` as integers. Raises ValueError for one that is none, where int() would cut it.

    >>> whole_numbers("numbers", [6, 8.0])
    [6, 8]
    """
    for value in values:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float | np.integer | np.floating)
            or not isfinite(value)
            or int(value) != value
        ):
            raise ValueError(f"`{name}` must be whole numbers, got {value!r}")
    return [int(value) for value in values]


def check_atoms(numbers: Sequence[int], particles: Sequence[int] | None, n_particles: int | None, symbols: Sequence[str]) -> None:
    """Raises ValueError unless `numbers` are of elements in `symbols` and belong one each to `particles`, indices below `n_particles`."""
    if not numbers:
        raise ValueError("`particles` must name at least one particle, got none; leave it out for all of them")
    if particles is not None:
        if len(numbers) != len(particles):
            raise ValueError(f"`numbers` must hold one atomic number for each of the {len(particles)} `particles`, got {len(numbers)}")
        if len(set(particles)) < len(particles):
            twice = next(particle for particle in particles if list(particles).count(particle) > 1)
            raise ValueError(f"`particles` must name a particle once, got {twice} twice")
        if min(particles) < 0 or (n_particles is not None and max(particles) >= n_particles):
            wrong = min(particles) if min(particles) < 0 else max(particles)
            most = "" if n_particles is None else f" and below {n_particles}, the number of particles"
            raise ValueError(f"`particles` must be indices from 0 on{most}, got {wrong}")
    known = {atomic_numbers[symbol] for symbol in symbols}
    for i, number in enumerate(numbers):
        if number not in known:
            particle = i if particles is None else particles[i]
            raise ValueError(
                f"`numbers` must be of elements that the model knows ({', '.join(symbols)}), "
                f"got {element_name(number)} for particle {particle}"
            )
