"""ASE's databases, SchNetPack's among them, opened so that nothing can be written."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase.db.sqlite import SQLite3Database

from spinconv.potential.training.frames import DataError, Frame, Keys, Needs
from spinconv.potential.training.labels import labelled
from spinconv.potential.training.units import ENERGY, LENGTH, spelled

MAGIC = b"SQLite format 3\0"


class ReadOnly(SQLite3Database):  # type: ignore[misc]
    """A database that ASE can read and not change; ASE itself makes its tables in any SQLite file that it opens."""

    def _connect(self) -> sqlite3.Connection:
        return connect(Path(self.filename))


def connect(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, and leaves no file beside the database unless another program writes to it now."""
    busy = any(path.with_name(path.name + end).exists() for end in ("-wal", "-journal"))
    return sqlite3.connect(f"{path.absolute().as_uri()}?{'mode=ro' if busy else 'immutable=1'}", uri=True, timeout=20)


def is_database(path: Path) -> bool:
    """Whether a file is SQLite's, whatever its name."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


@contextmanager
def opened(path: Path) -> Iterator[ReadOnly]:
    """The database in a file; DataError if it is another program's."""
    connection = connect(path)
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        connection.close()
    if "systems" not in tables:
        raise DataError(
            f"{path}: must be an ASE database, and has no table `systems`; its tables are {', '.join(sorted(tables)) or 'none'}"
        )
    with ReadOnly(str(path.absolute()), create_indices=False, use_lock_file=False) as database:
        yield database


def read_db(path: Path, keys: Keys, needs: Needs) -> tuple[list[Frame], str | None, str | None, str]:
    """The frames, the units of energy and length as SchNetPack states them, and who says so."""
    with opened(path) as database:
        stated = database.metadata
        frames = [labelled(db_atoms(row), keys, needs, f"{path.name}, frame {k}") for k, row in enumerate(database.select())]
    energy, length = stated_units(stated, keys, path)
    return frames, energy, length, "stated in the file"


def stated_units(metadata: Mapping[str, Any], keys: Keys, path: Path) -> tuple[str | None, str | None]:
    """The units of energy and length; those of the forces must be the one by the other."""
    units = metadata.get("_property_unit_dict") or {}
    energy, length = spelled(units.get(keys.energy), ENERGY, path), spelled(metadata.get("_distance_unit"), LENGTH, path)
    forces = units.get(keys.forces)
    if forces is not None and forces != "None" and energy is not None:
        above, _, below = str(forces).rpartition("/")
        if (spelled(above, ENERGY, path), spelled(below, LENGTH, path)) != (energy, length or "Angstrom"):
            raise DataError(
                f"{path}: the file says that forces are in {forces}, energies in {energy} and lengths in {length or 'Angstrom'}; "
                "forces must be in the units of the energies by that of the lengths"
            )
    return energy, length


def db_atoms(row: Any) -> ase.Atoms:
    """The atoms of a row, with all that the row says in `info`."""
    atoms = row.toatoms()
    atoms.info.update({**row.key_value_pairs, **decoded(row.data)})
    return atoms


def decoded(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data of a row; the first SchNetPack kept arrays as texts, with `_shape_` and `_dtype_` beside them."""
    plain = {key: value for key, value in data.items() if not key.startswith(("_shape_", "_dtype_"))}
    for key, value in plain.items():
        if isinstance(value, str) and f"_dtype_{key}" in data:
            values = np.frombuffer(base64.b64decode(value), dtype=np.dtype(data[f"_dtype_{key}"]))
            plain[key] = values.reshape(data[f"_shape_{key}"])
    return plain
