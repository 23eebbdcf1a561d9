"""ASE's databases in LMDB files (.aselmdb), as fairchem and ase-db-backends write them: nothing of a row is run.

A key is a row's number from 1 on, in decimal digits, and its value JSON packed by zlib: arrays as lists (fairchem, orjson) or as
{"__ndarray__": [shape, dtype, numbers]} (ase-db-backends). `nextid`, `deleted_ids` and `metadata` stand beside the rows.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase.calculators.calculator import all_properties
from ase.constraints import FixAtoms

from spinconv.potential.memory import available_memory
from spinconv.potential.training.database import stated_units
from spinconv.potential.training.frames import DataError, Frame, Keys, Needs
from spinconv.potential.training.labels import labelled
from spinconv.potential.training.lmdb_file import entries

PICKLED = b"length"  # a key of what OCP wrote until 2023
MOST_BYTES = 2**30  # of a row, unpacked


def read_aselmdb(path: Path, keys: Keys, needs: Needs) -> tuple[list[Frame], str | None, str | None, str]:
    """The frames, units as far as the file states them, and who says so."""
    found = entries(path)
    energy, length = stated_units(said(found, b"metadata", {}, path), keys, path)
    frames = [labelled(atoms, keys, needs, f"{path.name}, frame {k}") for k, atoms in enumerate(structures(found, path))]
    return frames, energy, length, "stated in the file"


def aselmdb_atoms(path: Path) -> Iterator[ase.Atoms]:
    """The structures of a file, with their labels in `info`."""
    return structures(entries(path), path)


def structures(found: Mapping[bytes, memoryview], path: Path) -> Iterator[ase.Atoms]:
    """The rows in the order of their numbers; DataError where the file does not have all that it says."""
    ids = sorted(int(key) for key in found if key.isdigit())
    if b"nextid" not in found:
        old = PICKLED in found or 0 in ids
        why = (
            "is of pickled objects, as OCP wrote them until 2023: to unpickle them would run code of the file" if old else "has no `nextid`"
        )
        raise DataError(f"{path}: must be a database of ASE (.aselmdb), {why}; write it anew with fairchem or ase-db-backends")
    deleted = said(found, b"deleted_ids", [], path)
    n = int(said(found, b"nextid", 1, path)) - 1 - len(set(deleted))
    if n != len(ids):
        raise DataError(f"{path}: says that it has {n} rows, and has {len(ids)}; copy or download it again")
    for number in ids:
        row = said(found, str(number).encode(), {}, path)
        try:
            yield atoms_of(row)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: row {number} is no structure: {type(error).__name__} {error}") from error


def said(found: Mapping[bytes, memoryview], key: bytes, nothing: Any, path: Path) -> Any:
    """What stands under a key, unpacked."""
    if key not in found:
        return nothing
    most = min(MOST_BYTES, available_memory())
    try:
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(found[key], most)
        if unpacking.unconsumed_tail:
            raise ValueError(f"it has more than {most} bytes")
        return json.loads(text, object_hook=array_of)
    except (zlib.error, ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: `{key.decode()}` must be JSON packed by zlib: {error}") from error


def array_of(value: dict[str, Any]) -> Any:
    """The array of what ASE's encoder makes of one; other mappings as they are."""
    if "__ndarray__" not in value:
        return value
    shape, dtype, numbers = value["__ndarray__"]
    if np.dtype(dtype).kind not in "biuf":
        raise ValueError(f"an array must be of numbers, got {dtype!r}")
    return np.array(numbers, dtype=dtype).reshape(shape)


def atoms_of(row: Mapping[str, Any]) -> ase.Atoms:
    """The structure of a row, with all that the row says in `info`; of constraints those that hold atoms in place."""
    atoms = ase.Atoms(np.array(row["numbers"], dtype=int), np.array(row["positions"], dtype=float).reshape(-1, 3))
    atoms.set_cell(np.array(row.get("cell", np.zeros((3, 3))), dtype=float).reshape(3, 3))
    atoms.pbc = np.array(row.get("pbc", False), dtype=bool)
    if row.get("tags") is not None:
        atoms.set_tags(np.array(row["tags"], dtype=int))
    constraints = row.get("constraints") or []
    held = [
        c["kwargs"]["indices"]
        for c in (json.loads(constraints) if isinstance(constraints, str) else constraints)
        if c["name"] == "FixAtoms"
    ]
    atoms.set_constraint([FixAtoms(indices=np.array(indices, dtype=int).ravel()) for indices in held])
    atoms.info.update({**row.get("key_value_pairs", {}), **row.get("data", {})})
    atoms.info.update({name: np.array(row[name]) for name in all_properties if row.get(name) is not None})
    return atoms
