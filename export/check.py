"""Proves that a model file computes the same everywhere: eager, scripted, saved and loaded, by either evaluator and in each engine."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import NamedTuple

import ase
import numpy as np

from spinconv.export.build import torch_evaluator_problem
from spinconv.export.calculator import SpinConvCalculator, results_of
from spinconv.export.check_structures import Structures, own_structures, read_structures
from spinconv.export.engines import EngineResult, EngineUnavailable, Evaluate, installed_engines, metadata_of
from spinconv.export.evaluators import EVALUATORS, OpenModel, has_torch
from spinconv.export.extrapolation import allow_extrapolation
from spinconv.export.metadata import PRECISIONS
from spinconv.export.native_library import NativeModel, NotNativeError
from spinconv.potential.edges import edges_of

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
def compare(
    model: str | os.PathLike[str],
    structures: str | os.PathLike[str] | Structures | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    dtype: str = "float64",
    engines: dict[str, Evaluate] | None = None,
    device: str | None = None,
    progress: Callable[[float, str], None] = lambda done, what: None,
) -> list[Difference]:
    """The differences of every way to compute from the ASE calculator on the file, by torch where that is installed, for every structure.

    `structures` are some frames of a file, or small ones made of the model's elements unless given; `engines` are all that are
    installed unless given; `device`, "cuda" or "opencl", is compared too. `progress` is told the part that is done, 0 to 1, and what
    comes next.
    """
    if dtype not in PRECISIONS:
        raise ValueError(f"`dtype` must be one of {', '.join(PRECISIONS)}, got {dtype!r}")
    if checkpoint is not None and not has_torch():
        raise ValueError("`checkpoint` is read by torch, which is not installed; `pip install torch`")
    calculator = SpinConvCalculator(model, dtype, evaluator="torch" if has_torch() else None)
    sides = {
        **_ways_in_torch(model, checkpoint, dtype),
        **_evaluators(model, dtype, device),
        **(installed_engines() if engines is None else engines),
    }
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
        return difference(name, side, atoms, evaluate(), truth)
    except EngineUnavailable as reason:
        return Difference(name, side, unavailable=str(reason))


def _ways_in_torch(
    model: str | os.PathLike[str], checkpoint: str | os.PathLike[str] | None, dtype: str
) -> dict[str, Callable[[str, ase.Atoms, str], EngineResult]]:
    if not has_torch():
        return {}
    from spinconv.export.check_torch import ways_in_torch

    return ways_in_torch(model, checkpoint, dtype)


def _evaluators(model: str | os.PathLike[str], dtype: str, device: str | None) -> dict[str, Callable[[str, ase.Atoms, str], EngineResult]]:
    """Those of the library, by name, and its kernels on a device, by the device's."""
    kind = metadata_of(model).kind

    @cache
    def opened(evaluator: str, device: str) -> OpenModel:
        if evaluator == "torch" and (problem := torch_evaluator_problem(kind)):
            raise EngineUnavailable(problem)
        try:
            return NativeModel(model, dtype, device, evaluator)
        except NotNativeError as reason:
            raise EngineUnavailable(str(reason)) from None

    def evaluate(evaluator: str, device: str, path: str, atoms: ase.Atoms, dtype: str) -> EngineResult:
        return _of_open_model(atoms, opened(evaluator, device))

    sides = {evaluator: (evaluator, "cpu") for evaluator in EVALUATORS} | ({} if device is None else {device: ("native", device)})
    return {name: partial(evaluate, *side) for name, side in sides.items()}


def _of_open_model(atoms: ase.Atoms, model: OpenModel) -> EngineResult:
    found = model.evaluate(edges_of(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, model.metadata["cutoff"]))
    results = results_of(atoms, found)
    return EngineResult(results["energy"], results["forces"], results.get("stress") if atoms.pbc.all() else None)


def _of_calculator(atoms: ase.Atoms, calculator: SpinConvCalculator) -> EngineResult:
    atoms = atoms.copy()
    atoms.calc = calculator
    stress = atoms.get_stress() if atoms.pbc.all() and not calculator.direct_forces else None
    return EngineResult(atoms.get_potential_energy(), atoms.get_forces(), stress)


def difference(structure: str, engine: str, atoms: ase.Atoms, one: EngineResult, other: EngineResult) -> Difference:
    virial = None
    energy = abs(one.energy - other.energy)
    forces = float(np.abs(np.asarray(one.forces) - np.asarray(other.forces)).max(initial=0.0))
    relative = [energy / max(abs(other.energy), SMALL), forces / max(float(np.abs(other.forces).max(initial=0.0)), SMALL)]
    if one.stress is not None and other.stress is not None:
        per_atom = atoms.get_volume() / len(atoms)
        virial = float(np.abs(np.asarray(one.stress) - np.asarray(other.stress)).max()) * per_atom
        relative.append(virial / max(float(np.abs(other.stress).max()) * per_atom, SMALL))
    return Difference(structure, engine, energy / max(1, len(atoms)), forces, virial, float(np.max(relative)))
