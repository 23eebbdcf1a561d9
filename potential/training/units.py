"""Units that files of frames are in, and what each is in eV and Å."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ase import units

from spinconv.potential.training.frames import DataError

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


def spelled(unit: Any, known: dict[str, float], path: Path) -> str | None:
    """The name by which we know a unit that a file states."""
    if unit is None or unit == "None":
        return None
    for name in known:
        if str(unit).lower() == name.lower():
            return name
    if (name := SPELLINGS.get(str(unit).lower(), "")) in known:
        return name
    raise DataError(f"{path}: the file says its unit is {unit!r}; known are {', '.join(known)}")
