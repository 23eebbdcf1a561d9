"""A model file for one system: what OpenMM's TorchForce loads, which tells a module positions and a box and nothing else."""

import os
from collections.abc import Sequence
from typing import Any

import torch

from spinconv.export.metadata import Bound, check_is_conservative
from spinconv.export.module import exported_model
from spinconv.export.particles import check_atoms, whole_numbers
from spinconv.export.plain_torch import plain_torch
from spinconv.export.reader import read_model
from spinconv.export.writer import DTYPES, write_model_file


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
    check_is_conservative(file.said, model)
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
