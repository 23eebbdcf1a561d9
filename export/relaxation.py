"""Structures moved downhill by a model until no force is left: one after the other, whatever becomes of the others."""

import itertools
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ase
import numpy as np
from ase.calculators.calculator import Calculator, all_properties
from ase.calculators.singlepoint import SinglePointCalculator
from ase.optimize import FIRE, LBFGS

from spinconv.potential.training.database import opened, stated_units
from spinconv.potential.training.frames import Keys, Needs, structure_of
from spinconv.potential.training.readers import DATABASE, NPZ, check_file, in_data_errors, kind_of, read_frames
from spinconv.potential.training.selection import chosen
from spinconv.potential.words import in_one_line

OPTIMIZERS: dict[str, Any] = {"lbfgs": LBFGS, "fire": FIRE}
CONVERGED, STOPPED, FAILED = "converged", "not converged", "failed"


class Start(NamedTuple):
    """A structure to relax, or why there is none."""

    name: str
    atoms: ase.Atoms | None
    problem: str = ""


class Settings(NamedTuple):
    optimizer: str = "lbfgs"
    fmax: float = 0.03  # eV/Å, of the largest force on a free atom
    steps: int = 200


class Outcome(NamedTuple):
    """What became of a structure."""

    name: str
    status: str  # one of the three above
    steps: int
    energy: float  # eV; NaN where it failed before the first
    max_force: float  # eV/Å, on a free atom
    seconds: float
    problem: str  # a sentence, if it failed
    atoms: ase.Atoms | None  # relaxed, with energy and forces; None where it failed
    trajectory: list[ase.Atoms]  # every step, with energies and forces


def starts(paths: Sequence[str]) -> Iterator[Start]:
    """All structures of files, of which `file@0` or `file@-1` picks one and `file@:5` several, as ASE does; a file that cannot be read
    is one start with its problem."""
    for path in paths:
        try:
            yield from (Start(name, plain(atoms)) for name, atoms in picked(path))
        except (ValueError, OSError) as error:
            yield Start(path, None, str(error))


def picked(path: str) -> Iterator[tuple[str, ase.Atoms]]:
    """The structures of a file, or those that its `@` picks, with their names; ValueError in words where there are none."""
    name, _, number = path.rpartition("@")
    if name and not Path(path).exists() and re.fullmatch(r"-?\d+", number):
        found = list(numbered(Path(name)))
        if not -len(found) <= int(number) < len(found):
            raise ValueError(f"`{path}` must pick one of the {len(found)} structures of {name}, as `{name}@0`, or several, as `{name}@:5`")
        yield found[int(number)]
        return
    file, selection = chosen(Path(path))
    yield from numbered(file) if selection is None else selection.of(list(numbered(file)), file)


def numbered(file: Path) -> Iterator[tuple[str, ase.Atoms]]:
    """The structures of a file as far as they can be read, with their names."""
    check_file(file)
    structures = in_data_errors(file, lambda: in_angstrom(file))
    for k in itertools.count():
        atoms = in_data_errors(file, lambda: next(structures, None))
        if atoms is None:
            return
        yield f"{file.name}, frame {k}", atoms


def in_angstrom(file: Path) -> Iterator[ase.Atoms]:
    """The structures of a file in Å; archives are converted, databases in other units refused."""
    kind = kind_of(file)
    if kind is NPZ:
        return map(structure_of, read_frames(file, needs=Needs(energy=False, forces=False)).frames)
    if kind is DATABASE:
        with opened(file) as database:
            _, length = stated_units(database.metadata, Keys(), file)
        if length not in (None, "Angstrom"):
            raise ValueError(f"{file}: must have lengths in Å to be relaxed, says that they are in {length}")
    return kind.structures(file)


def plain(atoms: ase.Atoms) -> ase.Atoms:
    """Elements, positions, cell, tags and constraints, and of what else is said texts and numbers that are no labels."""
    copy = ase.Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, constraint=atoms.constraints)
    if "tags" in atoms.arrays:
        copy.set_tags(atoms.arrays["tags"])
    copy.info = {
        key: value for key, value in atoms.info.items() if isinstance(value, str | int | float | bool) and key not in all_properties
    }
    return copy


def relax(
    start: Start, calculator: Calculator, settings: Settings, tell: Callable[[int, float], None] = lambda step, force: None
) -> Outcome:
    """Moves the atoms that no constraint holds until the largest force is below `fmax` or the steps are over; the cell stays.

    `tell` hears of every step and its largest force. Nothing is raised for a structure that cannot be evaluated: it has failed.
    """
    began, trajectory = time.monotonic(), []
    step, energy, force, converged, problem = 0, np.nan, np.nan, False, start.problem
    if start.atoms is not None:
        atoms = start.atoms.copy()
        atoms.calc = calculator
        try:
            optimizer = OPTIMIZERS[settings.optimizer](atoms, logfile=None)
            for converged in optimizer.irun(settings.fmax, settings.steps):  # noqa: B007  (the last one is told)
                step = optimizer.nsteps
                energy, force = float(atoms.get_potential_energy()), max_force(atoms)
                trajectory.append(as_calculated(atoms))
                tell(step, force)
        except ValueError as error:  # what the model cannot evaluate: other elements, atoms on top of each other, a step to nowhere
            problem = str(error)
        except (RuntimeError, MemoryError) as error:  # of torch: it is too large, most often
            problem = in_one_line(error)
    status = FAILED if problem else CONVERGED if converged else STOPPED
    relaxed = None if problem else trajectory[-1]
    return Outcome(start.name, status, step, energy, force, time.monotonic() - began, problem, relaxed, trajectory)


def max_force(atoms: ase.Atoms) -> float:
    """The largest force (eV/Å) that constraints leave."""
    return float(np.linalg.norm(atoms.get_forces(), axis=1).max(initial=0.0))


def as_calculated(atoms: ase.Atoms) -> ase.Atoms:
    """A copy with its energy, and the forces on all atoms as the model gives them."""
    copy = atoms.copy()
    copy.calc = SinglePointCalculator(copy, energy=atoms.get_potential_energy(), forces=atoms.get_forces(apply_constraint=False))
    return copy
