"""Reference frames: structures with energies, forces and perhaps stresses, read from files and checked one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ase
import ase.db
import ase.io
import numpy as np
from ase import units

from spinconv.potential.memory import available_memory, in_words

ENERGY = {"eV": 1.0, "kcal/mol": units.kcal / units.mol, "kJ/mol": units.kJ / units.mol, "Hartree": units.Hartree}
LENGTH = {"Angstrom": 1.0, "Bohr": units.Bohr, "nm": 10.0}
SPELLINGS = {
    "ang": "Angstrom",
    "angstrom": "Angstrom",
    "a": "Angstrom",
    "å": "Angstrom",
    "bohr": "Bohr",
    "ha": "Hartree",
    "hartree": "Hartree",
}

# npz layouts: keys of numbers, positions, energy, forces -> unit of energy by convention
LAYOUTS = {
    ("z", "R", "E", "F"): "kcal/mol",  # MD17
    ("nuclear_charges", "coords", "energies", "forces"): "kcal/mol",  # revised MD17
    ("numbers", "positions", "energy", "forces"): "eV",
    ("numbers", "pos", "energy", "forces"): "eV",
}


class DataError(ValueError):
    """A sentence about a file or frame that cannot be used."""


class Frame(NamedTuple):
    """A structure and what the reference method says about it, in eV and Å."""

    atoms: ase.Atoms
    energy: float  # eV
    forces: np.ndarray | None  # (n_atoms, 3), eV/Å
    stress: np.ndarray | None  # (3, 3), eV/Å³, ASE's sign; None unless periodic in all three directions
    name: str  # "train.xyz, frame 7"


def in_config(setting: str) -> str:
    """What a config calls a setting of the frames: both units are in `data.units`."""
    return "`data.units`" if setting.endswith("_unit") else f"`data.{setting}`"


def as_option(setting: str) -> str:
    """What a command calls the same setting."""
    return f"`--{setting.replace('_', '-')}`"


class Keys(NamedTuple):
    """What energy, forces and stress are called in a file, and what the settings are called that a user names them in."""

    energy: str = "energy"
    forces: str = "forces"
    stress: str = "stress"
    setting: Callable[[str], str] = in_config  # of "energy_key", "length_unit"


class FrameFile(NamedTuple):
    """The frames of a file, in eV and Å, and the units it was in."""

    frames: list[Frame]
    units: str  # a sentence for the log
    energy: str = "eV"
    length: str = "Angstrom"
    is_told: bool = False  # the unit of energies, by the user, the file or its layout; otherwise it is ASE's


def read_frames(
    path: str | Path,
    energy_unit: str | None = None,
    length_unit: str | None = None,
    keys: Keys = Keys(),  # noqa: B008  (immutable)
    forces_needed: bool = True,
    stress_needed: bool = False,
) -> FrameFile:
    """The checked frames of an .xyz, .extxyz (or anything else ASE reads), .db or .npz file, in eV and Å.

    Units not given are those that the file states, or of its layout (MD17 archives are in kcal/mol), or eV and Å.
    Raises DataError that names the file and the frame, counted from 0 as in ase.io.read(path, index).
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: there is no such file")
    if path.is_dir() or path.stat().st_size == 0:
        raise DataError(f"{path}: {'is a folder, not a file' if path.is_dir() else 'the file is empty'}")
    if (size := path.stat().st_size) > (free := available_memory()):
        raise DataError(
            f"{path}: has {in_words(size)}, needs as much memory at least, and {in_words(free)} are free; cut it into smaller files"
        )
    read = {".npz": read_npz, ".db": read_db}.get(path.suffix, read_ase)
    try:
        raw, stated_energy, stated_length, why = read(path, keys)
    except DataError:
        raise
    except Exception as error:  # parsers raise anything at all on a broken file
        raise DataError(f"{path}: cannot be read: {' '.join(str(error).split()) or type(error).__name__}") from error
    if not raw:
        raise DataError(f"{path}: holds no frames")
    for setting, wanted, stated in (("energy_unit", energy_unit, stated_energy), ("length_unit", length_unit, stated_length)):
        if wanted and stated and wanted != stated and why == "stated in the file":
            name = keys.setting(setting)
            raise DataError(f"{path}: the file says its unit is {stated}, {name} says {wanted}; take {name} out or mend the file")
    energy, length = energy_unit or stated_energy or "eV", length_unit or stated_length or "Angstrom"
    frames = [in_ev(frame, ENERGY[energy], LENGTH[length]) for frame in raw]
    for frame in frames:
        check(frame, keys, forces_needed, stress_needed)
    is_told = bool(energy_unit or stated_energy)
    origin = f"as {keys.setting('energy_unit')} says" if energy_unit else why if is_told else "ASE's units"
    return FrameFile(frames, f"{path.name}: {len(frames)} frames in {energy} and {length} ({origin})", energy, length, is_told)


Raw = tuple[list[Frame], str | None, str | None, str]  # frames, stated units of energy and length, who says so


def read_ase(path: Path, keys: Keys) -> Raw:
    """Whatever ase.io reads; its readers convert to eV and Å, and extxyz is taken to be in them."""
    return [labelled(atoms, keys, f"{path.name}, frame {k}") for k, atoms in enumerate(ase.io.read(path, ":"))], None, None, ""


def read_db(path: Path, keys: Keys) -> Raw:
    """An ASE database; labels as calculator results, key-value pairs or in `data`, units as SchNetPack states them."""
    frames = []
    with ase.db.connect(path) as database:
        stated = database.metadata
        for k, found in enumerate(database.select()):
            frames.append(labelled(db_atoms(found), keys, f"{path.name}, frame {k}"))
    energy = spelled(stated.get("_property_unit_dict", {}).get(keys.energy), ENERGY, path)
    return frames, energy, spelled(stated.get("_distance_unit"), LENGTH, path), "stated in the file"


def db_atoms(row: Any) -> ase.Atoms:
    """The atoms of a row, with all that the row says in `info`."""
    atoms = row.toatoms()
    atoms.info.update({**row.key_value_pairs, **row.data})
    return atoms


def first_atoms(path: str | Path, most: int) -> list[ase.Atoms]:
    """The first structures of a file that ASE reads, with everything that it says of them and nothing checked."""
    path = Path(path)
    if path.suffix != ".db":
        return list(ase.io.read(path, f":{most}"))
    with ase.db.connect(path) as database:
        return [db_atoms(row) for row in database.select(limit=most)]


def read_npz(path: Path, keys: Keys) -> Raw:
    """Arrays over frames of one composition: the layouts of MD17, revised MD17, or ASE's names."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files if key != "name"}
    layout = next((names for names in LAYOUTS if names[0] in arrays and names[1] in arrays), None)
    if layout is None:
        known = ", ".join(f"({' '.join(names)})" for names in LAYOUTS)
        raise DataError(f"{path}: has the arrays {' '.join(arrays)}; known npz layouts are {known}")
    numbers, positions = arrays[layout[0]], arrays[layout[1]]
    energies, forces = arrays.get(layout[2]), arrays.get(layout[3])
    positions = np.asarray(positions, dtype=float)
    if energies is not None and np.size(energies) != len(positions):
        raise DataError(f"{path}: `{layout[2]}` must hold one energy per frame ({len(positions)}), got {np.size(energies)}")
    frames = []
    for k, x in enumerate(positions):
        atoms = ase.Atoms(numbers if np.ndim(numbers) == 1 else numbers[k], x)
        if "cell" in arrays:
            atoms.set_cell(arrays["cell"] if arrays["cell"].ndim == 2 else arrays["cell"][k])
            atoms.pbc = arrays.get("pbc", True)
        if energies is not None:
            atoms.info[keys.energy] = np.ravel(energies)[k]
        if forces is not None:
            atoms.info[keys.forces] = forces[k]
        frames.append(labelled(atoms, keys, f"{path.name}, frame {k}"))
    if "e_unit" in arrays:
        return (
            frames,
            spelled(str(arrays["e_unit"]), ENERGY, path),
            spelled(str(arrays.get("r_unit", "Ang")), LENGTH, path),
            "stated in the file",
        )
    return frames, LAYOUTS[layout], "Angstrom", f"by the npz layout {' '.join(layout)}"


def spelled(unit: Any, known: dict[str, float], path: Path) -> str | None:
    """The name by which we know a unit that a file states."""
    if unit is None or unit == "None":
        return None
    for name in known:
        if str(unit).lower() == name.lower():
            return name
    if str(unit).lower() in SPELLINGS:
        return SPELLINGS[str(unit).lower()]
    raise DataError(f"{path}: the file says its unit is {unit!r}; known are {', '.join(known)}")


def labelled(atoms: ase.Atoms, keys: Keys, name: str) -> Frame:
    """A frame of what ASE read: labels from the calculator, `info` or `arrays`; NaN where the energy is missing."""
    found = everything(atoms)
    energy, forces, stress = found.get(keys.energy), found.get(keys.forces), found.get(keys.stress)
    if not atoms.pbc.all():
        stress = None  # a cell around a molecule has a volume, but no stress
    elif stress is None and keys.stress == "stress":
        virial = found.get("virial", found.get("virials"))
        stress = None if virial is None else -np.reshape(virial, (3, 3)) / atoms.get_volume()
    plain = ase.Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if energy is None:
        raise DataError(f"{name}: has no energy (`{keys.energy}`); name the right one in {keys.setting('energy_key')}{has(found, atoms)}")
    if forces is None and len(atoms) == 1 and not atoms.pbc.any():
        forces = np.zeros((1, 3))  # an atom alone feels none, and its frames often do not say so
    forces = None if forces is None else np.asarray(forces, dtype=float)
    return Frame(plain, float(np.ravel(energy)[0]), forces, None if stress is None else full_stress(np.asarray(stress, dtype=float)), name)


def everything(atoms: ase.Atoms) -> dict[str, Any]:
    """All that a structure says of itself: arrays over atoms, `info`, results of a calculator."""
    return {**atoms.arrays, **atoms.info, **(atoms.calc.results if atoms.calc is not None else {})}


def has(found: dict[str, Any], atoms: ase.Atoms) -> str:
    others = sorted(str(key) for key in found if key not in ("numbers", "positions"))
    return f"; the frame has {', '.join(others)}" if others else ""


def full_stress(stress: np.ndarray) -> np.ndarray:
    """The (3, 3) tensor of a tensor, of its 9 numbers or of Voigt's 6."""
    if stress.size == 9:
        return stress.reshape(3, 3)
    xx, yy, zz, yz, xz, xy = stress.ravel()
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def in_ev(frame: Frame, energy: float, length: float) -> Frame:
    """The frame in eV and Å."""
    if energy == length == 1.0:
        return frame
    atoms = frame.atoms.copy()
    atoms.set_cell(atoms.cell.array * length)
    atoms.positions = frame.atoms.positions * length
    forces = None if frame.forces is None else frame.forces * (energy / length)
    stress = None if frame.stress is None else frame.stress * (energy / length**3)
    return Frame(atoms, frame.energy * energy, forces, stress, frame.name)


def check(frame: Frame, keys: Keys, forces_needed: bool, stress_needed: bool) -> None:
    """Refuse a frame whose labels are missing, of the wrong shape or not finite."""
    n_atoms = len(frame.atoms)
    if n_atoms == 0:
        raise DataError(f"{frame.name}: has no atoms")
    if frame.forces is None and forces_needed:
        raise DataError(f"{frame.name}: has no forces (`{keys.forces}`); name the right ones in {keys.setting('forces_key')}")
    if frame.forces is not None and frame.forces.shape != (n_atoms, 3):
        raise DataError(f"{frame.name}: forces must be {n_atoms} x 3, got {' x '.join(map(str, frame.forces.shape))}")
    if frame.stress is None and stress_needed:
        why = (
            f"has no stress (`{keys.stress}`)" if frame.atoms.pbc.all() else "is not periodic in all three directions, so it has no stress"
        )
        raise DataError(f"{frame.name}: {why}, which `loss.stress_weight` asks for")
    for label, value in (("positions", frame.atoms.positions), ("cell", frame.atoms.cell.array), ("energy", frame.energy)):
        if not np.all(np.isfinite(value)):
            raise DataError(f"{frame.name}: {label}: not a finite number")
    for label, values in (("forces", frame.forces), ("stress", frame.stress)):
        if values is not None and not np.all(np.isfinite(values)):
            raise DataError(f"{frame.name}: {label}: not a finite number")
    if np.any(frame.atoms.numbers < 1):
        raise DataError(f"{frame.name}: atom {int(np.argmin(frame.atoms.numbers))} has no chemical element")
    if np.any(frame.atoms.pbc) and abs(np.linalg.det(frame.atoms.cell.complete().array)) < 1e-6:
        raise DataError(f"{frame.name}: is periodic but its cell has no volume")


def check_elements(frames: Sequence[Frame], elements: Sequence[int], whose: str) -> None:
    """Refuse frames with an element that is not among `elements`."""
    for frame in frames:
        unknown = sorted(set(frame.atoms.numbers.tolist()) - set(elements))
        if unknown:
            known = " ".join(ase.data.chemical_symbols[z] for z in elements)
            raise DataError(f"{frame.name}: has the element {ase.data.chemical_symbols[unknown[0]]}, {whose} knows {known}")


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
        ):
            if values is not None:
                digest.update(np.ascontiguousarray(values, dtype=np.float64).tobytes())
    return digest.hexdigest()


def split(frames: Sequence[Frame], n_validation: int, seed: int) -> tuple[list[Frame], list[Frame]]:
    """Training and validation frames, drawn at random, each in the order of the file."""
    drawn = np.random.default_rng(seed).permutation(len(frames))
    return [frames[k] for k in sorted(drawn[n_validation:])], [frames[k] for k in sorted(drawn[:n_validation])]
