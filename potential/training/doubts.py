"""What to know of one's frames before an hour is spent on them: sentences for the log, not errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase.data import chemical_symbols
from rich.console import Console

from spinconv.potential.console import warn
from spinconv.potential.training.frames import ENERGY, LENGTH, Frame, FrameFile, in_config
from spinconv.potential.training.statistics import composition, one_composition

LEAST_FORCE, MOST_FORCE = 0.02, 10.0  # eV/Å, rms of a set of frames: colder or hotter ones are hardly ever computed
UNITS = [
    ("eV", "Angstrom"),
    ("kcal/mol", "Angstrom"),
    ("kJ/mol", "Angstrom"),
    ("kJ/mol", "nm"),
    ("Hartree", "Bohr"),
    ("Hartree", "Angstrom"),
]


def undetermined_references(frames: Sequence[Frame], elements: Sequence[int]) -> str | None:
    """Whether least squares can tell the reference energies of the elements apart; a sentence if not."""
    counts = composition(frames, elements)
    if np.linalg.matrix_rank(counts / counts.sum(axis=1, keepdims=True), tol=1e-6) == len(elements):
        return None
    same = one_composition(counts)
    why = f"all frames have the composition {formula(frames[0])}" if same else "the compositions of the frames are not independent"
    symbols = ", ".join(chemical_symbols[z] for z in elements)
    return (
        f"{why}: least squares cannot tell the reference energies of {symbols} apart; the model is for "
        f"{'this composition' if same else 'these compositions'} only (`reference_energies` of isolated atoms would determine them)"
    )


def formula(frame: Frame) -> str:
    """C6H6 of a molecule, H2O of a liquid."""
    found = frame.atoms.symbols.formula
    return str((found.reduce()[0] if frame.atoms.pbc.any() else found).format("hill"))


def implausible_forces(file: FrameFile, setting: Callable[[str], str] = in_config) -> str | None:
    """Whether forces are of a size that occurs; if not, a sentence with the unit in which they would be, and the `setting` of units."""
    forces = [frame.forces.ravel() for frame in file.frames if frame.forces is not None]
    rms = float(np.sqrt(np.mean(np.concatenate(forces) ** 2))) if forces else 0.0
    if rms == 0 or LEAST_FORCE <= rms <= MOST_FORCE:
        return None
    in_file = rms / (ENERGY[file.energy] / LENGTH[file.length])
    size, energy, length = min(
        ((in_file * ENERGY[e] / LENGTH[x], e, x) for e, x in UNITS), key=lambda option: abs(np.log(option[0]))
    )  # the unit in which they come nearest to 1 eV/Å
    name = file.frames[0].name.rpartition(", frame ")[0]
    settings = ", ".join(dict.fromkeys(setting(unit) for unit in ("energy_unit", "length_unit")))
    return (
        f"{name}: read in {file.energy} and {file.length}, the forces have an rms of {rms:.3g} eV/Å, "
        f"which is implausibly {'large' if rms > MOST_FORCE else 'small'}; in {energy} and {length} it would be {size:.3g} ({settings})"
    )


def say_doubt(console: Console, doubt: str | None) -> None:
    """What may be wrong with the frames, if anything is."""
    if doubt is not None:
        warn(doubt, console)
