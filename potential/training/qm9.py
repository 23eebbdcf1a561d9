"""QM9 as it was published: a text of lines of its own for each molecule, in files, a folder or a tar of them.

R. Ramakrishnan, P. O. Dral, M. Rupp, O. A. von Lilienfeld, Scientific Data 1, 140022 (2014), and the readme.txt of the data set
(doi:10.6084/m9.figshare.c.978904). Of a molecule of n atoms: n; `gdb`, its number and 15 properties; n lines of element, x, y, z (Å) and
Mulliken charge; frequencies; SMILES; InChI. Some numbers are written as 2.1997*^-6.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import ase
import numpy as np
from ase import units
from ase.data import atomic_numbers

from spinconv.potential.memory import available_memory, in_words
from spinconv.potential.training.frames import DataError, Frame, Keys, Needs
from spinconv.potential.training.labels import labelled
from spinconv.potential.words import shown

PROPERTIES = ("A", "B", "C", "mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "U0", "U", "H", "G", "Cv")
ENERGIES = ("U0", "U", "H", "G", "zpve")  # Hartree, sums over atoms
SCALARS = {"alpha": "Bohr³", "Cv": "cal/(mol K)"}  # sums over atoms that are no energies
NO_SUMS = {  # what cannot be a sum over atoms, and why; extended xyz files call some of them otherwise
    **dict.fromkeys("ABC", "a rotational constant is a property of the whole shape"),
    "mu": "the dipole moment is the length of a vector",
    **dict.fromkeys(("homo", "epsHOMO", "lumo", "epsLUMO", "gap", "epsgap"), "an orbital energy does not grow with the molecule"),
    **dict.fromkeys(("r2", "<R2>"), "the spatial extent grows with the square of the distances between atoms"),
}
FIRST_LINES = re.compile(rb"\s*\d+\s*\n\s*gdb9?\s+\d+\s")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)((\*\^|[eE])[-+]?\d+)?", re.ASCII)
IN_COMMENTS = tuple(f" {name}=" for name in (*ENERGIES, *SCALARS))
TAR = re.compile(r"\.(tar(\.(gz|bz2|xz))?|tgz|tbz2?|txz)$")
AFTER = ("frequencies", "SMILES", "InChI")
LARGEST_FILE = 2**20  # bytes of a molecule in a tar or a folder; QM9's have some 3,000

ATOMS = {  # of an atom alone, by the same method: atomref.txt of the data set (doi:10.6084/m9.figshare.1057643), Hartree; Cv in cal/(mol K)
    "zpve": {1: 0.0, 6: 0.0, 7: 0.0, 8: 0.0, 9: 0.0},
    "U0": {1: -0.500273, 6: -37.846772, 7: -54.583861, 8: -75.064579, 9: -99.718730},
    "U": {1: -0.498857, 6: -37.845355, 7: -54.582445, 8: -75.063163, 9: -99.717314},
    "H": {1: -0.497912, 6: -37.844411, 7: -54.581501, 8: -75.062219, 9: -99.716370},
    "G": {1: -0.510927, 6: -37.861317, 7: -54.598897, 8: -75.079532, 9: -99.733544},
    "Cv": {1: 2.981, 6: 2.981, 7: 2.981, 8: 2.981, 9: 2.981},
}


def atom_references(name: str) -> dict[int, float]:
    """The property of each element's atom alone, in eV (Cv in its own unit), by atomic number."""
    unit = 1.0 if name in SCALARS else units.Hartree
    return {z: value * unit for z, value in ATOMS[name].items()}


def is_property(name: str) -> bool:
    """Whether QM9 has a property of this name, learned here or not."""
    return name in ENERGIES or name in SCALARS or name in NO_SUMS


def unit_of(keys: Keys, needs: Needs, path: Path) -> str:
    """The unit that the property that is learned is read in; DataError where it is none that a model here can learn."""
    name = keys.energy
    if name in NO_SUMS:
        raise DataError(f"{path}: `{name}` of QM9 is not learned: {NO_SUMS[name]}, and a model here is a sum over atoms")
    if name not in ENERGIES and name not in SCALARS:
        known = ", ".join((*ENERGIES, *SCALARS))
        raise DataError(f"{path}: {keys.setting('energy_key')} must be one of QM9's properties {known}, got `{name}`")
    if needs.forces:
        raise DataError(f"{path}: QM9 has no forces; set `loss.forces_weight: 0` and learn from energies alone")
    return SCALARS.get(name, "Hartree")


def meaning(name: str) -> str:
    """What a user should know of a property of QM9 that is learned, for the log."""
    if name in SCALARS:
        return f"`{name}` is no energy: wherever eV stands below, read {SCALARS[name]}"
    return f"`{name}` of molecules at rest: such a model says nothing of forces, and is not for dynamics"


def is_qm9(path: Path) -> bool:
    """Whether a file, a folder or a tar has QM9's own texts."""
    if path.is_dir():
        first = min(path.glob("*.xyz"), default=None)
        return first is not None and is_qm9(first)
    if TAR.search(path.name):
        return True
    with path.open("rb") as file:
        return FIRST_LINES.match(file.read(200)) is not None


def has_properties(path: Path) -> bool:
    """Whether a file is an extended xyz whose comment lines have QM9's properties under their names, Hartree among them."""
    if path.suffix not in (".xyz", ".extxyz"):
        return False
    with path.open("rb") as file:
        file.readline(100)
        comment = " " + file.readline(2000).decode("utf-8", "replace")
    return all(name in comment for name in IN_COMMENTS)


def read_qm9(path: Path, keys: Keys, needs: Needs) -> tuple[list[Frame], str | None, str | None, str]:
    """The frames, the units of energy and length, and who says so."""
    unit = unit_of(keys, needs, path)
    frames = [labelled(atoms, keys, needs, f"{path.name}, frame {k} (gdb {atoms.info['gdb']})") for k, atoms in enumerate(qm9_atoms(path))]
    return frames, unit, "Angstrom", "by the layout of QM9"


def qm9_atoms(path: Path) -> Iterator[ase.Atoms]:
    """The molecules of a file, or of the .xyz files of a folder or a tar in the order of their names, with their properties in `info`."""
    if not path.is_dir() and not TAR.search(path.name):
        yield from molecules(path.read_bytes(), path.name)
        return
    texts = dict(bounded(texts_of_folder(path) if path.is_dir() else texts_of_tar(path), path))
    if not texts:
        raise DataError(f"{path}: has none of QM9's .xyz files")
    for name in sorted(texts):
        yield from molecules(texts[name], f"{path.name}, {name}")


def texts_of_folder(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the .xyz files in a folder."""
    for file in path.glob("*.xyz"):
        with file.open("rb") as opened:
            yield file.name, opened.read(LARGEST_FILE + 1)


def texts_of_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the .xyz files in a tar, read from its beginning to its end; nothing is unpacked into files."""
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".xyz") and (file := archive.extractfile(member)) is not None:
                yield Path(member.name).name, file.read(LARGEST_FILE + 1)


def bounded(texts: Iterator[tuple[str, bytes]], path: Path) -> Iterator[tuple[str, bytes]]:
    """The texts, as long as each is a molecule's and all of them fit into the memory."""
    free, total = available_memory(), 0
    for name, text in texts:
        total += len(text)
        if len(text) > LARGEST_FILE:
            raise DataError(f"{path}, {name}: is larger than {in_words(LARGEST_FILE)}; of QM9 each file is a molecule of some 3 kB")
        if total > free:
            raise DataError(f"{path}: has more than {in_words(free)} of molecules, and so much memory is free; use a smaller part of it")
        yield name, text


def molecules(text: bytes, name: str) -> Iterator[ase.Atoms]:
    """The molecules in a text, one after the other."""
    lines = text.decode("utf-8", "replace").rstrip().splitlines()
    first = frame = 0
    while first < len(lines):
        whose = f"{name}, molecule {frame}" if frame else name
        count = lines[first].strip()
        if not re.fullmatch(r"[0-9]{1,6}", count) or int(count) == 0:
            raise DataError(f"{whose}: must begin with its number of atoms, got {shown(count, 40)} in line {first + 1}")
        end = first + 2 + int(count)
        if end > len(lines):
            raise DataError(f"{whose}: says that it has {count} atoms, and ends after {max(0, len(lines) - first - 2)} of them")
        if end + len(AFTER) > len(lines):
            raise DataError(f"{whose}: must end with {', '.join(AFTER)}, a line each, is cut after {len(lines) - end} of them")
        yield molecule(lines[first + 1], lines[first + 2 : end], whose)
        first, frame = end + len(AFTER), frame + 1


def molecule(tag: str, rows: list[str], whose: str) -> ase.Atoms:
    """A molecule of its line of properties and its lines of atoms."""
    label, *words = tag.split() or [""]
    if label not in ("gdb", "gdb9") or len(words) != 1 + len(PROPERTIES) or not re.fullmatch(r"[0-9]{1,9}", words[0]):
        wanted = f"`gdb`, a number and {len(PROPERTIES)} properties ({' '.join(PROPERTIES)})"
        raise DataError(f"{whose}: its second line must be {wanted}, got {shown(tag.strip(), 60)} with {len(words) - 1} of them")
    symbols, positions, charges = [], [], []
    for k, row in enumerate(rows):
        symbol, *numbers = row.split() or [""]
        if symbol not in atomic_numbers or atomic_numbers[symbol] == 0 or len(numbers) != 4:
            raise DataError(f"{whose}: atom {k} must be an element, x, y, z (Å) and a charge, got {shown(row.strip(), 60)}")
        *xyz, charge = (number(word, f"{whose}: atom {k}") for word in numbers)
        symbols.append(atomic_numbers[symbol])
        positions.append(xyz)
        charges.append(charge)
    properties = {name: number(word, f"{whose}: `{name}`") for name, word in zip(PROPERTIES, words[1:], strict=True)}
    atoms = ase.Atoms(symbols, positions, info={"gdb": int(words[0]), **properties})
    atoms.arrays["mulliken_charges"] = np.array(charges)
    return atoms


def number(word: str, whose: str) -> float:
    """A number, also one of Mathematica's, 2.1997*^-6."""
    if NUMBER.fullmatch(word) is None:
        raise DataError(f"{whose}: must be a number, got {shown(word, 30)}")
    return float(word.replace("*^", "e"))
