"""What to know of one's frames and settings before an hour is spent on them: sentences for the log, not errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase.data import chemical_symbols
from ase.units import GPa, Hartree
from rich.console import Console

from spinconv.potential.console import warn
from spinconv.potential.training.config import Config
from spinconv.potential.training.frames import Frame, in_config
from spinconv.potential.training.readers import FrameFile
from spinconv.potential.training.statistics import composition, one_composition
from spinconv.potential.training.units import ENERGY, LENGTH

LEAST_FORCE, MOST_FORCE = 0.02, 10.0  # eV/Å, rms of a set of frames: colder or hotter ones are hardly ever computed
DEEPEST = (
    0.7687 * Hartree
)  # eV per Z^(7/3): no atom's energy lies below that (Thomas and Fermi; of all its electrons, in the limit of large Z)
HIGHEST = 20.0  # eV per atom: a mean so far above the atoms apart is of no method
MOST_STRESS = 1.0  # eV/Å³, 160 GPa
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


def implausible_energies(file: FrameFile, setting: Callable[[str], str] = in_config) -> str | None:
    """Whether an energy lies below that of all electrons of the atoms, or the mean far above the atoms apart; if so, a sentence."""
    known = [frame for frame in file.frames if np.isfinite(frame.energy)]
    deepest = [DEEPEST * float(np.sum(frame.atoms.numbers ** (7 / 3))) for frame in known]  # eV
    size = [len(frame.atoms) for frame in known]
    below = next((k for k, frame in enumerate(known) if -frame.energy > deepest[k]), None)
    if below is not None:
        found, why = known[below], f"below {-deepest[below] / size[below]:.4g}, which no method gives with all electrons of its elements"
    elif known and np.median([frame.energy / n for frame, n in zip(known, size, strict=True)]) > HIGHEST:
        found, why = known[0], "and most frames lie so far above their atoms apart"
    else:
        return None
    return (
        f"{found.name}: read in {file.energy}, its energy is {found.energy / len(found.atoms):.4g} eV per atom, {why}; "
        f"is it in another unit ({setting('energy_unit')})?"
    )


def implausible_stresses(file: FrameFile, setting: Callable[[str], str] = in_config) -> str | None:
    """Whether a stress is larger than pressures that are ever computed; if so, a sentence."""
    sizes = [0.0 if frame.stress is None else float(np.abs(frame.stress).max()) for frame in file.frames]
    largest = int(np.argmax(sizes))
    if sizes[largest] <= MOST_STRESS:
        return None
    return (
        f"{file.frames[largest].name}: its stress is {sizes[largest]:.3g} eV/Å³ ({sizes[largest] / GPa:.0f} GPa); "
        f"a virial, which is an energy, belongs in {setting('virial_key')}, and stresses in eV/Å³ in {setting('stress_key')}"
    )


def doubts(file: FrameFile, setting: Callable[[str], str] = in_config) -> list[str]:
    """All that is doubtful of the numbers in a file, with the names of settings that may mend it."""
    found = [implausible(file, setting) for implausible in (implausible_energies, implausible_forces, implausible_stresses)]
    return [doubt for doubt in found if doubt is not None]


def judged_half_way(config: Config) -> str | None:
    """Whether a training may be stopped by what says nothing of its end; a sentence if so."""
    if config.early_stopping is None or config.optimizer.type != "soap" or config.schedule.type != "cosine":
        return None
    return (
        f"`early_stopping: {config.early_stopping}` judges averaged weights half-way through the cosine, where those of "
        "`optimizer.type: soap` are poor: most of the gain comes at the end, which a stop would miss"
    )


def say_doubt(console: Console, doubt: str | None) -> None:
    """What may be wrong with the frames, if anything is."""
    if doubt is not None:
        warn(doubt, console)
