"""What a file says of a structure, as numbers that mean what we take them for, or a sentence."""

from __future__ import annotations

import reprlib
from typing import Any

import ase
import numpy as np
from ase.constraints import FixAtoms, FixCartesian

from spinconv.potential.stress import along_periodic, has_stress
from spinconv.potential.training.frames import DataError, Frame, Keys, Needs

STRESS, VIRIALS = "stress", ("virial", "virials")  # looked for where no name is given
SAME = 0.01  # relative; a stress and a virial that differ by more are not the same one
OTHERS = [  # part of a name, the key that may not have it, what such a thing is, what to do
    ("virial", "stress", "a virial (an energy, -stress * volume)", "name it in {virial_key}"),
    ("stress", "virial", "a stress (energy per volume)", "name it in {stress_key}"),
    ("per_atom", "energy", "an energy per atom", "the energy must be that of all atoms of a frame"),
    ("peratom", "energy", "an energy per atom", "the energy must be that of all atoms of a frame"),
    ("grad", "forces", "a gradient of the energy", "forces are minus that; change the sign in the file, and the name"),
]


def check_keys(keys: Keys) -> None:
    """Refuse names that say that the label is something else, or two for the same thing."""
    stress_key, virial_key = keys.setting("stress_key"), keys.setting("virial_key")
    for part, quantity, what, advice in OTHERS:
        name = getattr(keys, quantity)
        if name is not None and part in name.lower():
            advice = advice.format(stress_key=stress_key, virial_key=virial_key)
            raise DataError(f"{keys.setting(f'{quantity}_key')} names `{name}`, which by its name is {what}; {advice}")
    if keys.stress is not None and keys.virial is not None:
        raise DataError(f"takes {stress_key} or {virial_key}, not both, got `{keys.stress}` and `{keys.virial}`")


def labelled(atoms: ase.Atoms, keys: Keys, needs: Needs, name: str) -> Frame:
    """A frame of what ASE read: labels from the calculator, `info` or `arrays`."""
    found = everything(atoms)
    left_out: list[str] = []
    energy = energy_of(atoms, found, keys, name)
    if energy is None and needs.energy:
        raise DataError(f"{name}: has no energy (`{keys.energy}`); name the right one in {keys.setting('energy_key')}{has(found)}")
    forces = None if found.get(keys.forces) is None else real(found[keys.forces], keys.forces, name)
    if forces is None and len(atoms) == 1:
        if needs.forces:
            left_out.append("have one atom and no forces, which are taken as 0")
        forces = np.zeros((1, 3))  # an atom alone, and one of a lattice, feels none, and its frames often do not say so
    if forces is None and needs.forces:
        raise DataError(f"{name}: has no forces (`{keys.forces}`); name the right ones in {keys.setting('forces_key')}{has(found)}")
    stress = stress_of(atoms, found, keys, needs, name, left_out)
    plain = ase.Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    return Frame(
        plain,
        np.nan if energy is None else finite(energy, "energy", needs.energy, name, left_out, np.nan),
        None if forces is None else finite(forces, "forces", needs.forces, name, left_out, None),
        None if stress is None else finite(stress, "stress", needs.stress, name, left_out, None),
        name,
        is_called_isolated(found),
        tuple(left_out),
        tags_of(atoms),
        held_in_place(atoms),
    )


def tags_of(atoms: ase.Atoms) -> np.ndarray | None:
    """Whole numbers, one for each atom; None where a file has none."""
    return np.array(atoms.arrays["tags"], dtype=int) if "tags" in atoms.arrays else None


def held_in_place(atoms: ase.Atoms) -> np.ndarray | None:
    """Which atoms ASE's constraints hold in every direction, bool (n_atoms,); None where that is none."""
    free = np.ones((len(atoms), 3), dtype=bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            free[constraint.index] = False
        elif isinstance(constraint, FixCartesian):
            free[constraint.index] &= ~np.asarray(constraint.mask)
    fixed: np.ndarray = ~free.any(axis=1)
    return fixed if fixed.any() else None


def everything(atoms: ase.Atoms) -> dict[str, Any]:
    """All that a structure says of itself: arrays over atoms, `info`, results of a calculator."""
    return {**atoms.arrays, **atoms.info, **(atoms.calc.results if atoms.calc is not None else {})}


def has(found: dict[str, Any]) -> str:
    others = sorted(str(key) for key in found if key not in ("numbers", "positions"))
    return f"; the frame has {', '.join(others)}" if others else ""


def real(value: Any, what: str, name: str) -> np.ndarray:
    """Real numbers; what is true, text or complex is none."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of several lengths
        array = np.asarray(None)
    if array.dtype.kind not in "fiu":
        raise DataError(f"{name}: `{what}` must be real numbers, got {reprlib.repr(value)}")
    return array.astype(float)


def energy_of(atoms: ase.Atoms, found: dict[str, Any], keys: Keys, name: str) -> float | None:
    """The one number that is the energy of a frame (or NaN); None where there is none."""
    if (value := found.get(keys.energy)) is None:
        return None
    column = value is atoms.arrays.get(keys.energy)
    energy = real(value, keys.energy, name)
    if energy.size != 1 or column:
        got = "one for each atom" if column or energy.shape == (len(atoms),) else f"{energy.size} of them"
        raise DataError(
            f"{name}: `{keys.energy}` must be one number, the energy of the frame, got {got}; "
            f"name the right one in {keys.setting('energy_key')}"
        )
    return float(energy.ravel()[0])


def stress_of(atoms: ase.Atoms, found: dict[str, Any], keys: Keys, needs: Needs, name: str, left_out: list[str]) -> np.ndarray | None:
    """The stress under its name or from the virial, -virial / volume, along the periodic directions: a molecule in a cell has none."""
    neither = keys.stress is None and keys.virial is None
    stress_key = STRESS if neither else keys.stress
    virial_key = next((key for key in VIRIALS if found.get(key) is not None), None) if neither else keys.virial
    stress, virial = (None if key is None or found.get(key) is None else tensor(found[key], key, name) for key in (stress_key, virial_key))
    if not has_stress(atoms) or (stress is None and virial is None):
        return None
    if not atoms.pbc.all():
        left_out.append("are not periodic in every direction, and their stress counts along the periodic ones alone")
    stress, virial = (None if found is None else along_periodic(found, atoms) for found in (stress, virial))
    if virial is None:
        return stress
    by_virial = -virial / atoms.get_volume()
    if stress is None or np.abs(stress - by_virial).max() <= SAME * np.abs(stress).max():
        return by_virial if stress is None else stress
    settings = f"{keys.setting('stress_key')} or {keys.setting('virial_key')}"
    if needs.stress:
        raise DataError(f"{name}: `{stress_key}` and -`{virial_key}` / volume differ; name the right one in {settings}")
    left_out.append(f"have a `{stress_key}` that is not -`{virial_key}` / volume; {settings} says which is right")
    return None


def tensor(value: Any, key: str, name: str) -> np.ndarray:
    """The (3, 3) tensor of a tensor, of its 9 numbers or of Voigt's 6 (xx, yy, zz, yz, xz, xy)."""
    values = real(value, key, name)
    flat = np.squeeze(values)
    if flat.shape in ((3, 3), (9,)):
        return flat.reshape(3, 3)
    if flat.shape != (6,):
        raise DataError(f"{name}: `{key}` must be 3 x 3, nine or six numbers, got {' x '.join(map(str, values.shape)) or 'one number'}")
    xx, yy, zz, yz, xz, xy = flat
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def finite(value: Any, label: str, needed: bool, name: str, left_out: list[str], nothing: Any) -> Any:
    """The label; `nothing` in its place where it is NaN and nobody learns it."""
    if not np.any(np.isnan(value)):
        return value
    if needed:
        raise DataError(f"{name}: {label}: not a finite number")
    left_out.append(f"have NaN as {label}, left out")
    return nothing


def is_called_isolated(found: dict[str, Any]) -> bool:
    """Whether the file calls a frame an isolated atom, in the ways that people do: `config_type=IsolatedAtom`."""
    said = "".join(character for character in str(found.get("config_type", "")).lower() if character.isalnum())
    return said.startswith("isolatedatom")
