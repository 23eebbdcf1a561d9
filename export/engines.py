"""What an engine that runs a model file gives back to be compared; engines register in the entry-point group "spinconv.engines"."""

from collections.abc import Callable
from functools import partial
from importlib.metadata import entry_points
from typing import NamedTuple

import ase
import numpy as np


class EngineResult(NamedTuple):
    """One structure, evaluated."""

    energy: float
    """eV."""
    forces: np.ndarray
    """eV/Å, [n_atoms, 3]."""
    stress: np.ndarray | None
    """Voigt order of ASE (xx, yy, zz, yz, xz, xy), eV/Å^3; None where the cell is not periodic or the engine has none."""


class EngineUnavailable(RuntimeError):  # noqa: N818  (a state, said in a sentence, not an error)
    """The engine is not installed, was not built, or cannot run this structure; the text says which."""


Evaluate = Callable[[str, ase.Atoms, str], EngineResult]


def installed_engines() -> dict[str, Evaluate]:
    """The registered engines by name; each is `evaluate(model_path, atoms, dtype)` and may raise EngineUnavailable."""
    return {entry.name: entry.load() for entry in entry_points(group="spinconv.engines")}


def parallel_engines(ranks: int) -> dict[str, Evaluate]:
    """LAMMPS on one rank, on 2, 4, ... up to `ranks` MPI ranks, and on `ranks` with its atoms balanced in tiles."""
    if ranks < 1:
        raise ValueError(f"`ranks` must be a number of MPI ranks, 1 or more, got {ranks}")
    engines = installed_engines()
    if "lammps" not in engines:
        raise ValueError("`ranks` are of LAMMPS, whose plugin is not installed")
    evaluate: Callable[..., EngineResult] = engines["lammps"]
    counts = [n for n in (2**k for k in range(1, 12)) if n < ranks] + ([ranks] if ranks > 1 else [])
    found: dict[str, Evaluate] = {"lammps": evaluate, **{f"lammps, {n} ranks": partial(evaluate, ranks=n) for n in counts}}
    if ranks > 1:
        found[f"lammps, {ranks} ranks tiled"] = partial(evaluate, ranks=ranks, tiled=True)
    return found
