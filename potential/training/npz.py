"""Archives of numpy arrays over frames: the layouts of MD17, revised MD17, sGDML, or ASE's names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import ase
import numpy as np
from ase.constraints import FixAtoms

from spinconv.potential.memory import available_memory, in_words
from spinconv.potential.training.frames import DataError, Frame, Keys, Needs
from spinconv.potential.training.labels import STRESS, VIRIALS, labelled, real
from spinconv.potential.training.units import ENERGY, LENGTH, spelled

Arrays = Mapping[str, np.ndarray]

# names of numbers, positions, energy, forces -> unit of energy by convention
LAYOUTS = {
    ("z", "R", "E", "F"): "kcal/mol",  # MD17
    ("nuclear_charges", "coords", "energies", "forces"): "kcal/mol",  # revised MD17
    ("numbers", "positions", "energy", "forces"): "eV",
    ("numbers", "pos", "energy", "forces"): "eV",
}
BESIDE = {"cell", "lattice", "pbc", "e_unit", "r_unit", "fixed", "tags", STRESS, *VIRIALS}  # understood in every layout
IGNORED = {  # where the frames come from, and figures and labels that stand there beside those of the layout
    *("type", "name", "theory", "code_version", "md5", "index", "indices", "id", "ids", "old_indices", "old_energies", "old_forces"),
    *(f"{quantity}_{figure}" for quantity in "EF" for figure in ("min", "max", "mean", "var", "std")),
}


def check_unpacked(size: int, path: Path) -> None:
    """Refuse an archive that does not fit into the memory: packed, it may be a thousand times smaller."""
    if size > (free := available_memory()):
        raise DataError(f"{path}: has {in_words(size)} of arrays, {in_words(free)} of memory are free; cut it into smaller files")


def read_npz(path: Path, keys: Keys, needs: Needs) -> tuple[list[Frame], str | None, str | None, str]:
    """The frames, the units of energy and length, and who says so."""
    arrays, layout, names = arrays_of(path, keys)
    frames = [
        labelled(atoms, keys, needs, f"{path.name}, frame {k}") for k, atoms in enumerate(structures(arrays, layout, names, keys, path))
    ]
    said = f"by the npz layout {' '.join(layout)}"
    stated = spelled(text(arrays, "e_unit"), ENERGY, path), spelled(text(arrays, "r_unit"), LENGTH, path)
    if stated[0] is None:
        return frames, LAYOUTS[layout], stated[1] or "Angstrom", said
    return frames, stated[0], stated[1] or "Angstrom", "stated in the file"


def npz_atoms(path: Path) -> Iterator[ase.Atoms]:
    """The structures of an archive."""
    keys = Keys()
    return iter(structures(*arrays_of(path, keys), keys, path))


def arrays_of(path: Path, keys: Keys) -> tuple[Arrays, tuple[str, ...], tuple[str, ...]]:
    """The arrays of an archive that mean something, its layout, and its names of numbers, positions, energy, forces."""
    with np.load(path, allow_pickle=False) as archive:
        check_unpacked(sum(member.file_size for member in archive.zip.infolist()), path)
        layout, names = layout_of(archive.files, keys, path)
        return {key: archive[key] for key in archive.files if key in BESIDE.union(names)}, layout, names


def text(arrays: Arrays, key: str) -> str | None:
    """What an array of one text says, which older archives keep as bytes."""
    if key not in arrays:
        return None
    said = arrays[key].ravel()
    return said[0].decode("utf-8", "replace") if said.size == 1 and said.dtype.kind == "S" else str(arrays[key])


def layout_of(found: list[str], keys: Keys, path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The layout of an archive, and its names of numbers, positions, energy, forces; an array that nobody knows is refused."""
    layout = next((names for names in LAYOUTS if names[0] in found and names[1] in found), None)
    if layout is None:
        known = ", ".join(f"({' '.join(names)})" for names in LAYOUTS)
        raise DataError(f"{path}: has the arrays {' '.join(found)}; known npz layouts are {known}")
    energy, forces = (key if key in found else usual for key, usual in ((keys.energy, layout[2]), (keys.forces, layout[3])))
    named = {name for name in (keys.stress, keys.virial) if name is not None}
    unknown = [name for name in found if name not in {*layout, energy, forces, *named, *BESIDE, *IGNORED}]
    if unknown:
        raise DataError(
            f"{path}: has the array `{unknown[0]}`, which may mean something and is not known; beside {' '.join(layout)} an archive may "
            f"have {' '.join(sorted(BESIDE))}; take out what does not matter"
        )
    return layout, (layout[0], layout[1], energy, forces, *named)


def structures(arrays: Arrays, layout: tuple[str, ...], names: tuple[str, ...], keys: Keys, path: Path) -> list[ase.Atoms]:
    """The structures, with their labels in `info` under the names that `keys` has for them."""
    positions = real(arrays[names[1]], names[1], str(path))
    if positions.ndim != 3 or positions.shape[2] != 3:
        raise DataError(f"{path}: `{names[1]}` must be frames x atoms x 3, got {shape(positions)}")
    n_frames, n_atoms, _ = positions.shape
    numbers = of_frames(arrays, names[0], n_frames, [(n_atoms,)], path)
    if np.any(numbers != np.rint(numbers)):
        raise DataError(f"{path}: `{names[0]}` must be whole atomic numbers, got {numbers[numbers != np.rint(numbers)][0]}")
    cells, pbc = lattices(arrays, layout, n_frames, path)
    fixed, tags = (of_atoms(arrays, name, n_frames, n_atoms, path) for name in ("fixed", "tags"))
    labels = {
        key: each_frame(arrays, name, n_frames, shapes, path)
        for key, name, shapes in (
            (keys.energy, names[2], [(), (1,)]),
            (keys.forces, names[3], [(n_atoms, 3)]),
            *((name, name, [(3, 3), (9,), (6,)]) for name in {STRESS, *VIRIALS, *names[4:]}),
        )
        if name in arrays
    }
    found = []
    for k, x in enumerate(positions):
        atoms = ase.Atoms(numbers[k].astype(int), x, cell=cells[k], pbc=pbc[k])
        if tags is not None:
            atoms.set_tags(tags[k].astype(int))
        if fixed is not None:
            atoms.set_constraint(FixAtoms(mask=fixed[k].astype(bool)))
        atoms.info.update({key: values[k] for key, values in labels.items()})
        found.append(atoms)
    return found


def lattices(arrays: Arrays, layout: tuple[str, ...], n_frames: int, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Cells, rows of lattice vectors, and along which of them each frame is periodic."""
    if "cell" in arrays and "lattice" in arrays:
        raise DataError(f"{path}: must have `cell` or `lattice`, not both")
    cells, periodic = np.zeros((n_frames, 3, 3)), False
    if "cell" in arrays:
        cells, periodic = of_frames(arrays, "cell", n_frames, [(3, 3)], path), True
    if "lattice" in arrays:
        if layout[:2] != ("z", "R"):
            raise DataError(f"{path}: `lattice` is known of sGDML's archives (z R E F) alone; call it `cell`, with lattice vectors as rows")
        cells, periodic = of_frames(arrays, "lattice", n_frames, [(3, 3)], path).swapaxes(1, 2), True  # sGDML: vectors as columns
    if "pbc" not in arrays:
        return cells, np.full((n_frames, 3), periodic)
    pbc = np.asarray(arrays["pbc"])
    if not np.all(np.isin(pbc, (0, 1))) or pbc.shape not in ((), (3,), (n_frames,), (n_frames, 3)):
        raise DataError(f"{path}: `pbc` must be true or false for all, three of them, or that for each frame, got {shape(pbc)}")
    if pbc.shape == (3,) == (n_frames,) and len(set(pbc.tolist())) > 1:
        raise DataError(f"{path}: `pbc` of 3 values may be of 3 axes or 3 frames; give 3 x 3")
    each = pbc[:, None] if pbc.shape == (n_frames,) != (3,) else pbc
    return cells, np.broadcast_to(each.astype(bool), (n_frames, 3))


def of_atoms(arrays: Arrays, name: str, n_frames: int, n_atoms: int, path: Path) -> np.ndarray | None:
    """`fixed` (true or false) or `tags` of the atoms of each frame; None where an archive has none."""
    if name not in arrays:
        return None
    values = np.asarray(arrays[name])
    plain = values.astype(np.int64) if values.dtype.kind == "b" else values
    return of_frames({name: plain}, name, n_frames, [(n_atoms,)], path)


def of_frames(arrays: Arrays, name: str, n_frames: int, shapes: list[tuple[int, ...]], path: Path) -> np.ndarray:
    """An array that is the same for all frames, or has a part for each, as one of the latter kind."""
    values = real(arrays[name], name, str(path))
    if values.shape in shapes:
        return np.broadcast_to(values, (n_frames, *values.shape))
    return each_frame(arrays, name, n_frames, shapes, path)


def each_frame(arrays: Arrays, name: str, n_frames: int, shapes: list[tuple[int, ...]], path: Path) -> np.ndarray:
    """An array with a part of one of `shapes` for each frame."""
    values = real(arrays[name], name, str(path))
    if values.shape not in [(n_frames, *part) for part in shapes]:
        wanted = " or ".join(shape(np.empty((n_frames, *part))) for part in shapes)
        raise DataError(f"{path}: `{name}` must be {wanted}, a part for each frame, got {shape(values)}")
    return values


def shape(values: np.ndarray) -> str:
    return " x ".join(map(str, values.shape)) or "one number"
