"""The ways of torch to compute a model file: eager, scripted, and what a host of its TorchScript calls."""

import copy
import os
from collections.abc import Callable

import ase
import torch

from spinconv.export.check import difference
from spinconv.export.check_structures import own_structures
from spinconv.export.engines import EngineResult, EngineUnavailable
from spinconv.export.module import exported_model
from spinconv.export.plain_torch import plain_torch
from spinconv.export.reader import read_model
from spinconv.export.torchscript import load_own_torchscript
from spinconv.export.units import ANGSTROM_PER_NM, KJ_PER_MOL_PER_EV
from spinconv.export.writer import DTYPES
from spinconv.potential import build_graph, energy_and_forces
from spinconv.potential.gradients import Model
from spinconv.potential.model import PotentialModel


@plain_torch()
def ways_in_torch(
    model: str | os.PathLike[str], checkpoint: str | os.PathLike[str] | None, dtype: str
) -> dict[str, Callable[[str, ase.Atoms, str], EngineResult]]:
    """Eager and scripted, from the checkpoint if there is one, else from the weights in the file."""
    if checkpoint is None:
        eager = read_model(model, "float64").module
    else:
        from spinconv.potential.training.checkpoint import load_checkpoint

        eager = load_checkpoint(checkpoint).model.to(torch.float64)
    scripted = torch.jit.script(exported_model(eager))
    precision = DTYPES[dtype]
    hosted = load_own_torchscript(model).to(precision)
    return {
        "eager": lambda path, atoms, dtype: _of_module(eager.to(precision), atoms, precision),
        "scripted": lambda path, atoms, dtype: _of_module(scripted.to(precision), atoms, precision),
        "forward": lambda path, atoms, dtype: _of_forward(hosted, atoms),
    }


@plain_torch()
def _of_module(module: Model, atoms: ase.Atoms, precision: torch.dtype) -> EngineResult:
    evaluation = energy_and_forces(module, build_graph(atoms, module.cutoff, precision))
    voigt = None
    if evaluation.virials is not None and atoms.pbc.all():
        stress = -evaluation.virials[0].detach().numpy() / atoms.get_volume()
        voigt = ((stress + stress.T) / 2)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    return EngineResult(float(evaluation.energies[0].detach()), evaluation.forces.detach().numpy(), voigt)


@plain_torch()
def _of_forward(module: torch.jit.ScriptModule, atoms: ase.Atoms) -> EngineResult:
    """By what OpenMM's TorchForce calls, neighbour list included."""
    if atoms.pbc.any() and not atoms.pbc.all():
        raise EngineUnavailable("positions and a box, or none: nothing periodic in one or two directions")
    module.numbers = torch.tensor(atoms.numbers, dtype=torch.int64)
    module.atoms, module.n_particles, module.boundary = torch.zeros(0, dtype=torch.int64), 0, ""  # a file may be bound to others
    box = torch.tensor(atoms.cell.array / ANGSTROM_PER_NM) if atoms.pbc.all() else None
    energy, forces = module.energy_and_forces(torch.tensor(atoms.positions / ANGSTROM_PER_NM), box)
    return EngineResult(float(energy) / KJ_PER_MOL_PER_EV, forces.numpy() / (KJ_PER_MOL_PER_EV * ANGSTROM_PER_NM), None)


@plain_torch()
def eager_difference(model: str | os.PathLike[str], eager: PotentialModel) -> float:
    """Largest energy difference (eV/atom) of a file just written from the model it was made of, in float64."""
    file = read_model(model, "float64")
    exact = copy.deepcopy(eager).to(torch.float64)
    return max(
        difference(name, "", atoms, _of_module(exact, atoms, torch.float64), _of_module(file.module, atoms, torch.float64)).energy
        for name, atoms in own_structures(file.metadata["elements"]).atoms.items()
    )
