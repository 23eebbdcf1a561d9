"""Reference frames: structures with energies, forces and perhaps stresses, each checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.data import chemical_symbols

from spinconv.potential.words import element_name

LARGEST = 1e100  # of labels, positions and cells: squares and sums of them are still numbers
HEAVIEST = 118  # atomic number


class DataError(ValueError):
    """A sentence about a file or frame that cannot be used."""


class Frame(NamedTuple):
    """A structure and what the reference method says about it, in eV and Å."""

    atoms: ase.Atoms
    energy: float  # eV; NaN where it is missing and nobody learns it
    forces: np.ndarray | None  # (n_atoms, 3), eV/Å
    stress: np.ndarray | None  # (3, 3), eV/Å³, ASE's sign, zero across what is not periodic; None where there is none
    name: str  # "train.xyz, frame 7"
    called_isolated: bool = False  # the file says that this is an isolated atom
    left_out: tuple[str, ...] = ()  # what was made of labels that are missing or of no use, as the end of "3 of 9 frames ..."
    tags: np.ndarray | None = None  # (n_atoms,) ASE's; in OC20 0 below the surface, 1 at the surface, 2 of the adsorbate
    fixed: np.ndarray | None = None  # (n_atoms,) bool, atoms held in place, whose forces are no labels; None where there are none

    @property
    def counted(self) -> np.ndarray:
        """(n_atoms,) bool: the atoms whose forces are labels."""
        return np.ones(len(self.atoms), dtype=bool) if self.fixed is None else ~self.fixed


def in_config(setting: str) -> str:
    """What a config calls a setting of the frames: both units are in `data.units`."""
    return "`data.units`" if setting.endswith("_unit") else f"`data.{setting}`"


def as_option(setting: str) -> str:
    """What a command calls the same setting."""
    return f"`--{setting.replace('_', '-')}`"


class Keys(NamedTuple):
    """What energy, forces and stress are called in a file, and what the settings are called that a user names them in.

    Without a name for stress or virial, `stress`, `virial` and `virials` are looked for. A virial is an energy, -stress * volume.
    """

    energy: str = "energy"
    forces: str = "forces"
    stress: str | None = None
    virial: str | None = None
    setting: Callable[[str], str] = in_config  # of "energy_key", "length_unit"
    ref_energy: bool = True  # whether an energy is given less the reference energy that an S2EF folder has for it


class Needs(NamedTuple):
    """Labels that are learned: a frame where such a one is NaN is refused, other labels are left out there."""

    energy: bool = True
    forces: bool = True
    stress: bool = False


def in_ev(frame: Frame, energy: float, length: float) -> Frame:
    """The frame in eV and Å, of one whose units are so many eV and Å."""
    if energy == length == 1.0:
        return frame
    atoms = frame.atoms.copy()
    atoms.set_cell(atoms.cell.array * length)
    atoms.positions = frame.atoms.positions * length
    forces = None if frame.forces is None else frame.forces * (energy / length)
    stress = None if frame.stress is None else frame.stress * (energy / length**3)
    return frame._replace(atoms=atoms, energy=frame.energy * energy, forces=forces, stress=stress)


def structure_of(frame: Frame) -> ase.Atoms:
    """The atoms with their tags, held in place where they are, and with the labels as the results of a calculator."""
    atoms: ase.Atoms = frame.atoms.copy()
    if frame.tags is not None:
        atoms.set_tags(frame.tags)
    atoms.set_constraint(None if frame.fixed is None else FixAtoms(mask=frame.fixed))
    labels = {"energy": None if np.isnan(frame.energy) else frame.energy, "forces": frame.forces, "stress": frame.stress}
    atoms.calc = SinglePointCalculator(atoms, **{name: value for name, value in labels.items() if value is not None})
    return atoms


def of_all_atoms(frames: Sequence[Frame]) -> list[Frame]:
    """The frames with the forces of all atoms as labels, also of those that are held in place."""
    return [frame._replace(fixed=None) for frame in frames]


def held(frames: Sequence[Frame]) -> str | None:
    """How many atoms are held in place, in words; None where none are."""
    n = sum(int(frame.fixed.sum()) for frame in frames if frame.fixed is not None)
    return f"{n / sum(len(frame.atoms) for frame in frames):.0%} of the atoms are held in place" if n else None


def check(frame: Frame) -> None:
    """Refuse a frame whose atoms or labels are of the wrong shape or not finite."""
    n_atoms = len(frame.atoms)
    if n_atoms == 0:
        raise DataError(f"{frame.name}: has no atoms")
    if frame.forces is not None and frame.forces.shape != (n_atoms, 3):
        raise DataError(f"{frame.name}: forces must be {n_atoms} x 3, got {' x '.join(map(str, frame.forces.shape))}")
    for label, values in (
        ("positions", frame.atoms.positions),
        ("cell", frame.atoms.cell.array),
        ("energy", None if np.isnan(frame.energy) else frame.energy),
        ("forces", frame.forces),
        ("stress", frame.stress),
    ):
        if values is not None and not np.all(np.isfinite(values)):
            raise DataError(f"{frame.name}: {label}: not a finite number")
        if values is not None and np.max(np.abs(values), initial=0.0) > LARGEST:
            raise DataError(f"{frame.name}: {label}: a number beyond {LARGEST:g}, whose square cannot be computed")
    for k, number in enumerate(frame.atoms.numbers.tolist()):
        if not 1 <= number <= HEAVIEST:
            raise DataError(f"{frame.name}: atom {k} has no chemical element, its atomic number is {number}")
    cell, pbc = frame.atoms.cell, frame.atoms.pbc
    if np.any(pbc & ~np.any(cell.array, axis=1)) or (np.any(pbc) and abs(np.linalg.det(cell.complete().array)) < 1e-6):
        raise DataError(f"{frame.name}: is periodic but its cell has no volume")


def check_elements(frames: Sequence[Frame], elements: Sequence[int], whose: str) -> None:
    """Refuse frames with an element that is not among `elements`."""
    for frame in frames:
        unknown = sorted(set(frame.atoms.numbers.tolist()) - set(elements))
        if unknown:
            known = " ".join(chemical_symbols[z] for z in elements)
            raise DataError(f"{frame.name}: has the element {element_name(unknown[0])}, {whose} knows {known}")


def elements_of(frames: Sequence[Frame]) -> list[int]:
    """Atomic numbers that occur, ascending."""
    return sorted(set(np.concatenate([frame.atoms.numbers for frame in frames]).tolist()))


def fingerprint(frames: Sequence[Frame]) -> str:
    """sha256 of what is learned from: it changes with any number of any frame."""
    digest = hashlib.sha256()
    for frame in frames:
        for values in (
            frame.atoms.numbers,
            frame.atoms.positions,
            frame.atoms.cell.array,
            frame.atoms.pbc,
            frame.energy,
            frame.forces,
            frame.stress,
            frame.fixed,
        ):
            if values is not None:
                digest.update(np.ascontiguousarray(values, dtype=np.float64).tobytes())
    return digest.hexdigest()


def split(frames: Sequence[Frame], n_validation: int, seed: int) -> tuple[list[Frame], list[Frame]]:
    """Training and validation frames, drawn at random, each in the order of the file."""
    drawn = np.random.default_rng(seed).permutation(len(frames))
    return [frames[k] for k in sorted(drawn[n_validation:])], [frames[k] for k in sorted(drawn[:n_validation])]
