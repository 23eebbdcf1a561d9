"""A model file for one system: what OpenMM's TorchForce loads, which tells a module positions and a box and nothing else."""

import os
from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
import torch
from ase.data import atomic_numbers

from spinconv.export.metadata import Bound
from spinconv.export.module import exported_model
from spinconv.export.plain_torch import plain_torch
from spinconv.export.reader import check_is_conservative, read_model
from spinconv.export.writer import DTYPES, write_model_file
from spinconv.potential.words import element_name


@plain_torch()
def bind_model(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    numbers: Sequence[int],
    *,
    particles: Sequence[int] | None = None,
    n_particles: int | None = None,
    periodic: bool | None = None,
    dtype: str | None = None,
    outputs_forces: bool = False,
) -> dict[str, Any]:
    """Writes `output`, the model file `model` bound to atoms, and returns its metadata.

    `numbers` are atomic numbers, of all particles of the system in order, or of the particles with the indices `particles`. `n_particles`
    of the system, and whether it is `periodic`, are checked at every evaluation when they are given. `dtype` is the precision of the
    network, "float32", "float64" or None for the model file's own. With `outputs_forces` the forward pass returns energy and forces, for
    `TorchForce.setOutputsForces(True)`. The bound file is a model file still: every other engine reads it too.

    Raises ValueError for what does not fit together, FileNotFoundError; an existing file is replaced only once the new one is complete.
    """
    file = read_model(model, "float64")
    check_is_conservative(file, model)
    numbers = whole_numbers("numbers", numbers)
    indices = None if particles is None else whole_numbers("particles", particles)
    n_particles = None if n_particles is None else whole_numbers("n_particles", [n_particles])[0]
    check_atoms(numbers, indices, n_particles, file.metadata["elements"])
    dtype = dtype or file.metadata["dtype"]
    if dtype not in DTYPES:
        raise ValueError(f"`dtype` must be one of {', '.join(DTYPES)}, got {dtype!r}")

    exact = file.module
    exported = exported_model(exact, outputs_forces)
    exported.numbers = torch.tensor(numbers)
    exported.atoms = torch.tensor(indices or [], dtype=torch.int64)
    exported.n_particles = n_particles or (len(numbers) if particles is None else 0)
    exported.boundary = {None: "", False: "free", True: "periodic"}[periodic]
    bound = Bound(
        particles=indices, numbers=numbers, n_particles=exported.n_particles or None, periodic=periodic, outputs_forces=outputs_forces
    )
    metadata = file.said.model_copy(update={"dtype": dtype, "bound": bound})
    write_model_file(output, exact, exported.to(DTYPES[dtype]), metadata)
    return metadata.plain()


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
