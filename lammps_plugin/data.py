"""A structure as a LAMMPS data file, and the lines of an input that go with it."""
# SPDX-License-Identifier: GPL-2.0-or-later

import io
import os
from collections.abc import Sequence

import ase
import ase.io
import numpy as np
from ase.calculators.lammps import convert
from ase.data import atomic_numbers
from ase.io.lammpsdata import write_lammps_data
from ase.units import fs

from spinconv.export.check_structures import read_frames
from spinconv.lammps_plugin.engine import Box, box_of

UNITS = ("metal", "real", "si", "cgs", "electron", "micro", "nano")
"""The unit systems of `pair_style spinconv`."""
ROOM = 5.0  # Å beyond the outermost atoms where the structure is not periodic: more than the skin, or LAMMPS warns
SKIN = 2.0  # Å, of the neighbor list: LAMMPS' own choice in units metal and real


def read_structure(path: str | os.PathLike[str], index: int = -1) -> ase.Atoms:
    """One frame of a file in any format of ASE, counted as Python does; FileNotFoundError or ValueError in words."""
    frames = read_frames(path)
    if not -len(frames) <= index < len(frames):
        raise ValueError(f"`index` must be the number of one of the {len(frames)} frames of {path}, 0 the first, -1 the last; got {index}")
    atoms = frames[index]
    if not len(atoms):
        raise ValueError(f"`{path}` must hold atoms, frame {index} has none")
    return atoms


def types_of(atoms: ase.Atoms, order: Sequence[str] = ()) -> list[str]:
    """The elements of the atom types 1, 2, ...: as given, or those of `atoms` by atomic number."""
    present = sorted(set(atoms.get_chemical_symbols()), key=atomic_numbers.__getitem__)
    types = list(order) or present
    wrong = [symbol for symbol in types if symbol not in atomic_numbers or types.count(symbol) > 1]
    if wrong:
        raise ValueError(f"`types` must be different chemical symbols, got {' '.join(types)}")
    missing = [symbol for symbol in present if symbol not in types]
    if missing:
        raise ValueError(f"`types` must name every element of the structure, got {' '.join(types)} without {missing[0]}")
    return types


def check_elements(types: Sequence[str], known: Sequence[str], model: str | os.PathLike[str]) -> None:
    """Raises ValueError for a type that the model does not know."""
    unknown = [symbol for symbol in types if symbol not in known]
    if unknown:
        raise ValueError(f"`model` must know all elements of the structure, {model} knows {', '.join(known)}, got {unknown[0]}")


def data_file(atoms: ase.Atoms, types: Sequence[str], units: str = "metal", title: str = "") -> str:
    """The text of a data file, `atom_style atomic`: IDs in the order of `atoms`, box and atoms turned to LAMMPS' axes.

    Masses are those of `atoms`, velocities are written where it has momenta. Directions that are not periodic get
    some room; with `boundary m` they grow where atoms want more.
    """
    if units not in UNITS:
        raise ValueError(f"`units` must be one of {', '.join(UNITS)}, got {units!r}")
    _check_masses(atoms)
    text = io.StringIO()
    turned = _in_box(atoms, box_of(atoms, ROOM))
    if units == "electron" and turned.has("momenta"):  # Bohr/fs in LAMMPS, where ASE follows its manual's 1.03275 fs
        bohr_per_fs = convert(1.0, "distance", "ASE", units) * fs
        turned.set_velocities(turned.get_velocities() * bohr_per_fs / convert(1.0, "velocity", "ASE", units))
    write_lammps_data(text, turned, specorder=list(types), masses=True, velocities=turned.has("momenta"), units=units)
    _, _, rest = text.getvalue().partition("\n")
    return f"{title or atoms.get_chemical_formula()}; units {units}; types {_numbered(types)}\n{rest}"


def input_lines(atoms: ase.Atoms, types: Sequence[str], data: str, model: str, units: str = "metal") -> list[str]:
    """The lines that read the data file and set the style: what an input begins with."""
    skin = convert(SKIN, "distance", "ASE", units)
    return [
        f"units       {units}",
        "atom_style  atomic",
        "boundary    " + " ".join("p" if periodic else "m" for periodic in atoms.pbc),
        f"read_data   {_quoted(data)}",
        f"pair_style  spinconv {_quoted(model)}",
        f"pair_coeff  * * {' '.join(types)}",
        *([] if units in ("metal", "real") else [f"neighbor    {skin:.6g} bin"]),  # LAMMPS' own is 1 mm in units si
    ]


def _in_box(atoms: ase.Atoms, box: Box) -> ase.Atoms:
    """`atoms` in the axes of LAMMPS, the box's lower corner at zero."""
    turned = ase.Atoms(
        atoms.numbers, atoms.positions @ box.rotation.T - box.origin, cell=box.edges, pbc=atoms.pbc, masses=atoms.get_masses()
    )
    if atoms.has("momenta"):
        turned.set_velocities(atoms.get_velocities() @ box.rotation.T)
    return turned


def _check_masses(atoms: ase.Atoms) -> None:
    """An atom type of LAMMPS has one mass."""
    masses = atoms.get_masses()
    for symbol, members in atoms.symbols.indices().items():
        if np.ptp(masses[members]) > 1e-6:
            raise ValueError(f"all atoms of an element must have one mass, those of {symbol} have {sorted(set(masses[members].tolist()))}")


def _numbered(types: Sequence[str]) -> str:
    return ", ".join(f"{number} {symbol}" for number, symbol in enumerate(types, 1))


def _quoted(path: str) -> str:
    return f'"{path}"' if any(character.isspace() or character == "#" for character in path) else path
