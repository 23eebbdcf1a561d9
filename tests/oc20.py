"""Slabs with adsorbates in the layouts that OC20 is handed out in, made here."""

import json
import lzma
import zlib
from collections.abc import Sequence
from pathlib import Path

import ase
import ase.build
import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms


def adslab(seed: int = 0) -> ase.Atoms:
    """CO on Cu(111), tagged and with its lower layer held, whose labels are not zero: VASP's forces know of no constraint."""
    slab = ase.build.fcc111("Cu", (2, 2, 2), vacuum=5.0)
    ase.build.add_adsorbate(slab, ase.build.molecule("CO"), 1.9, "ontop")
    del slab.info["adsorbate_info"]  # nothing that can be written
    slab.pbc = True
    slab.set_tags([0] * 4 + [1] * 4 + [2] * 2)
    slab.rattle(0.05, seed=seed)
    slab.set_constraint(FixAtoms(range(4)))
    chance = np.random.default_rng(seed)
    slab.calc = SinglePointCalculator(slab, energy=-30.0 - seed, forces=chance.normal(scale=0.5, size=(10, 3)))
    return slab


def write_s2ef(
    folder: Path, number: int, slabs: Sequence[ase.Atoms], packed: bool = False, references: Sequence[float] | None = None
) -> None:
    """N.extxyz (or .xz) and N.txt; reference energies are -29 - k of frame k if not given."""
    folder.mkdir(exist_ok=True)
    file = folder / f"{number}.extxyz"
    ase.io.write(file, slabs)
    if packed:
        (folder / f"{number}.extxyz.xz").write_bytes(lzma.compress(file.read_bytes()))
        file.unlink()
    energies = [-29.0 - k for k in range(len(slabs))] if references is None else references
    (folder / f"{number}.txt").write_text("".join(f"random{100 + k},frame{7 * k},{energy}\n" for k, energy in enumerate(energies)))


def row(slab: ase.Atoms, arrays_as_ase_does: bool, long: bool) -> dict[str, object]:
    """A structure as fairchem (orjson: plain lists) or ase-db-backends (`__ndarray__`) keeps it."""

    def array(values: object) -> object:
        found = np.asarray(values)
        return {"__ndarray__": [list(found.shape), str(found.dtype), found.ravel().tolist()]} if arrays_as_ase_does else found.tolist()

    return {
        "numbers": array(slab.numbers),
        "positions": array(slab.positions),
        "cell": array(slab.cell.array),
        "pbc": array(slab.pbc),
        "tags": array(slab.get_tags()),
        "constraints": [{"name": "FixAtoms", "kwargs": {"indices": slab.constraints[0].index.tolist()}}],
        "energy": slab.get_potential_energy(),
        "forces": array(slab.get_forces(apply_constraint=False)),
        "calculator": "unknown",
        "key_value_pairs": {"sid": "random100"},
        "data": {"note": np.random.default_rng(0).bytes(6000).hex() if long else ""},  # long enough for pages of its own
        "unique_id": "0" * 32,
        "ctime": 1.0,
        "mtime": 1.0,
        "user": None,
    }


def write_aselmdb(path: Path, rows: dict[bytes, object]) -> None:
    """An LMDB by LMDB's own library; values that are no bytes as packed JSON."""
    import lmdb

    with lmdb.open(str(path), subdir=False, map_size=2**26, lock=False) as environment, environment.begin(write=True) as transaction:
        for key, value in rows.items():
            transaction.put(key, value if isinstance(value, bytes) else zlib.compress(json.dumps(value).encode()))


def as_database(slabs: Sequence[ase.Atoms], arrays_as_ase_does: bool = False) -> dict[bytes, object]:
    """The rows of a database of slabs, of which the second has been deleted."""
    rows: dict[bytes, object] = {str(k + 1).encode(): row(slab, arrays_as_ase_does, k % 4 == 0) for k, slab in enumerate(slabs) if k != 1}
    return {**rows, b"nextid": len(slabs) + 1, b"deleted_ids": [2], b"metadata": {"about": "slabs"}}
