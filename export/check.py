"""Proves that a model file computes the same everywhere: eager, scripted, saved and loaded, and in each engine."""

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import ase
import numpy as np
import torch

from spinconv.export.calculator import SpinConvCalculator
from spinconv.export.check_structures import Structures, own_structures, read_structures
from spinconv.export.engines import EngineResult, EngineUnavailable, Evaluate, installed_engines
from spinconv.export.extrapolation import allow_extrapolation
from spinconv.export.module import ANGSTROM_PER_NM, KJ_PER_MOL_PER_EV, exported_model
from spinconv.export.plain_torch import plain_torch
from spinconv.export.reader import read_model
from spinconv.export.torchscript import load_own_torchscript
from spinconv.export.writer import DTYPES
from spinconv.potential import build_graph, energy_and_forces
from spinconv.potential.gradients import Model
from spinconv.potential.model import PotentialModel

SMALL = 0.1
"""eV, eV/Å: what energies, forces and virials are compared with where they are smaller, as the forces in a perfect crystal are."""


class Difference(NamedTuple):
    """How far an engine is from ASE for one structure."""

    structure: str
    engine: str
    energy: float = 0.0
    """eV/atom."""
    forces: float = 0.0
    """Largest component, eV/Å."""
    virial: float | None = None
    """Largest component, eV/atom; None where one side has none."""
    relative: float = 0.0
    """The largest of the three, each over the largest number of its kind, or over SMALL where all are smaller."""
    unavailable: str = ""
    """Why there is nothing to compare."""


class Tolerance(NamedTuple):
    """What two correct implementations may differ by in one precision."""

    energy: float
    forces: float
    virial: float
    relative: float

    def holds_for(self, row: Difference) -> bool:
        """Whether a row is within it; NaN is not."""
        return self.used_by(row) <= 1

    def used_by(self, row: Difference) -> float:
        """How much of it a row takes, 1 being all of it; NaN takes more than any number.

        What is rounding of large numbers, a tenth of the relative tolerance, counts as that alone: odd structures may have
        forces of 10^5 eV/Å.
        """
        absolute = [row.energy / self.energy, row.forces / self.forces, (row.virial or 0.0) / self.virial]
        relative = row.relative / self.relative
        shares = [relative] if 0 < relative < 0.1 else [*absolute, relative]
        return float(np.nan_to_num(np.max(shares), nan=np.inf))


# float64: a thousand times what rounding leaves. float32: some hundred roundings of 1e-7 of forces of 10 eV/Å.
TOLERANCES = {"float64": Tolerance(1e-8, 1e-7, 1e-7, 1e-10), "float32": Tolerance(2e-5, 5e-4, 5e-4, 1e-3)}


@allow_extrapolation()  # odd structures are a good test
@plain_torch()
def compare(
    model: str | os.PathLike[str],
    structures: str | os.PathLike[str] | Structures | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    dtype: str = "float64",
    engines: dict[str, Evaluate] | None = None,
    progress: Callable[[float, str], None] = lambda done, what: None,
) -> list[Difference]:
    """The differences of every way to compute from the ASE calculator on the file, for every structure.

    `structures` are some frames of a file, or small ones made of the model's elements unless given; `engines` are all that are
    installed unless given. `progress` is told the part that is done, 0 to 1, and what comes next.
    """
    if dtype not in DTYPES:
        raise ValueError(f"`dtype` must be one of {', '.join(DTYPES)}, got {dtype!r}")
    calculator = SpinConvCalculator(model, dtype)
    sides = {**_ways_in_python(model, checkpoint, dtype), **(installed_engines() if engines is None else engines)}
    if structures is None:
        structures = own_structures(calculator.model.metadata["elements"])
    elif not isinstance(structures, Structures):
        structures = read_structures(structures)
    rows = []
    for n, (name, atoms) in enumerate(structures.atoms.items()):
        with _naming(name, "ASE"):
            truth = _of_calculator(atoms, calculator)
        for m, (side, evaluate) in enumerate(sides.items()):
            progress((n + m / len(sides)) / len(structures.atoms), f"{name}, {side}")
            with _naming(name, side):
                rows.append(_row(name, side, atoms, partial(evaluate, str(model), atoms.copy(), dtype), truth))
    return rows


@contextmanager
def _naming(structure: str, side: str) -> Iterator[None]:
    """Says of an error where it happened."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{structure}, {side}: {error}") from error


def _row(name: str, side: str, atoms: ase.Atoms, evaluate: Callable[[], EngineResult], truth: EngineResult) -> Difference:
    try:
        return _difference(name, side, atoms, evaluate(), truth)
    except EngineUnavailable as reason:
        return Difference(name, side, unavailable=str(reason))


def eager_difference(model: str | os.PathLike[str], eager: PotentialModel) -> float:
    """Largest energy difference (eV/atom) of a file just written from the model it was made of, in float64."""
    file = read_model(model, "float64")
    exact = copy.deepcopy(eager).to(torch.float64)
    return max(
        _difference(name, "", atoms, _of_module(exact, atoms, torch.float64), _of_module(file.module, atoms, torch.float64)).energy
        for name, atoms in own_structures(file.metadata["elements"]).atoms.items()
    )


def _ways_in_python(
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


def _of_module(module: Model, atoms: ase.Atoms, precision: torch.dtype) -> EngineResult:
    evaluation = energy_and_forces(module, build_graph(atoms, module.cutoff, precision))
    voigt = None
    if evaluation.virials is not None and atoms.pbc.all():
        stress = -evaluation.virials[0].detach().numpy() / atoms.get_volume()
        voigt = ((stress + stress.T) / 2)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    return EngineResult(float(evaluation.energies[0].detach()), evaluation.forces.detach().numpy(), voigt)


def _of_forward(module: torch.jit.ScriptModule, atoms: ase.Atoms) -> EngineResult:
    """By what OpenMM's TorchForce calls, neighbour list included."""
    if atoms.pbc.any() and not atoms.pbc.all():
        raise EngineUnavailable("positions and a box, or none: nothing periodic in one or two directions")
    module.numbers = torch.tensor(atoms.numbers, dtype=torch.int64)
    module.atoms, module.n_particles, module.boundary = torch.zeros(0, dtype=torch.int64), 0, ""  # a file may be bound to others
    box = torch.tensor(atoms.cell.array / ANGSTROM_PER_NM) if atoms.pbc.all() else None
    energy, forces = module.energy_and_forces(torch.tensor(atoms.positions / ANGSTROM_PER_NM), box)
    return EngineResult(float(energy) / KJ_PER_MOL_PER_EV, forces.numpy() / (KJ_PER_MOL_PER_EV * ANGSTROM_PER_NM), None)


def _of_calculator(atoms: ase.Atoms, calculator: SpinConvCalculator) -> EngineResult:
    atoms = atoms.copy()
    atoms.calc = calculator
    stress = atoms.get_stress() if atoms.pbc.all() and not calculator.direct_forces else None
    return EngineResult(atoms.get_potential_energy(), atoms.get_forces(), stress)


def _difference(structure: str, engine: str, atoms: ase.Atoms, one: EngineResult, other: EngineResult) -> Difference:
    virial = None
    energy = abs(one.energy - other.energy)
    forces = float(np.abs(np.asarray(one.forces) - np.asarray(other.forces)).max(initial=0.0))
    relative = [energy / max(abs(other.energy), SMALL), forces / max(float(np.abs(other.forces).max(initial=0.0)), SMALL)]
    if one.stress is not None and other.stress is not None:
        per_atom = atoms.get_volume() / len(atoms)
        virial = float(np.abs(np.asarray(one.stress) - np.asarray(other.stress)).max()) * per_atom
        relative.append(virial / max(float(np.abs(other.stress).max()) * per_atom, SMALL))
    return Difference(structure, engine, energy / max(1, len(atoms)), forces, virial, float(np.max(relative)))
