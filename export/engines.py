"""What an engine that runs a model file gives back to be compared; engines register in the entry-point group "spinconv.engines"."""

import os
from collections.abc import Callable
from functools import partial
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, NamedTuple

import ase
import numpy as np

from spinconv.export.build import read_build, torch_evaluator_problem
from spinconv.potential.kinds import KINDS

if TYPE_CHECKING:
    from spinconv.export.metadata import Metadata


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


def asked_by_name(model_path: str) -> dict[str, bool]:
    """What a file wants of engines that they give only to those who ask for it by name: `nonconservative`, `direct_forces`.

    Who compares engines has asked.
    """
    said = metadata_of(model_path)
    direct = said.forces == "direct"
    return {"nonconservative": not said.conservative and not direct, "direct_forces": direct}


def metadata_of(model_path: str | os.PathLike[str]) -> "Metadata":
    """What a model file says of itself."""
    from spinconv.export.container import read_container  # which those who ask for an engine's MPI need not wait for

    return read_container(model_path).metadata


def check_kind(model_path: str, plugin: str, ranks: int = 1) -> None:
    """Raises EngineUnavailable where a plugin (its sub-package) does not run the kind of a model file, or not on so many MPI ranks."""
    kind = metadata_of(model_path).kind
    if problem := read_build(plugin).kind_problem(kind) or ("" if KINDS[kind].has_native else torch_evaluator_problem(kind)):
        raise EngineUnavailable(problem)
    if ranks > 1 and not KINDS[kind].has_stages:
        raise EngineUnavailable(f"models of kind {kind} run on one MPI rank")


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
