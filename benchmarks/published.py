"""What was found wrong in the published SpinConv, measured on small models of clusters, beside the same mended (docs/paper.md).

    python benchmarks/published.py clusters_test.xyz published/best.ckpt mended/best.ckpt harmonic/best.ckpt force/best.ckpt

Each column is a model, by the name of its folder. One with the published gradient has a second column: the same weights with
the whole gradient. A force-centric model is asked for its forces alone, once as it is and once averaged over fixed rotations.
"""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import ase
import ase.io
import faults  # beside this file
import typer
from faults import changed
from rich.console import Console
from rich.table import Table

from spinconv.export.console import errors_in_words
from spinconv.export.guards import check_elements
from spinconv.export.loading import load
from spinconv.potential.kinds import has_direct_forces
from spinconv.potential.memory import keep_freed_memory
from spinconv.potential.model import PotentialModel

console = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 150)


class Column(NamedTuple):
    """A model with its name."""

    name: str
    model: PotentialModel


class Row(NamedTuple):
    """A measurement, and of which models it is one."""

    name: str
    measure: Callable[[PotentialModel, list[ase.Atoms]], str]
    concerns: Callable[[PotentialModel], bool]


def is_grid(model: PotentialModel) -> bool:
    return hasattr(model.config, "gradient")


def has_gradient(model: PotentialModel) -> bool:
    return not has_direct_forces(model.config)


def rows_of(cap: int, picoseconds: float) -> list[Row]:
    """All measurements."""

    def of_grid(model: PotentialModel) -> bool:
        return is_grid(model) and has_gradient(model)

    def direct(model: PotentialModel) -> bool:
        return not has_gradient(model)

    return [
        Row("error of F, MAE", faults.errors, lambda model: True),
        Row("cut out of the gradient, of F", faults.cut, of_grid),
        Row("F + dE/dx by steps of 0.0001 Å, of F", faults.finite_differences, has_gradient),
        Row("work around a circle of 0.1 Å, rms", faults.loop, lambda model: True),
        Row("E by moves of 1e-7 Å, rms", faults.jitter, has_gradient),
        Row("E when a pair crosses the cutoff: mean, largest", faults.cutoff_jumps, has_gradient),
        Row(f"E when one of the nearest {cap} changes: mean, largest", partial(faults.cap_jumps, cap=cap), of_grid),
        Row("F at the border of a cell: mean, largest", faults.kinks, of_grid),
        Row("E by rotations, rms", faults.turns, has_gradient),
        Row("E of mirror images, rms", faults.mirrors, has_gradient),
        Row("drift of E, meV/atom/ps, and rms about it, meV/atom", partial(faults.drift, picoseconds=picoseconds), has_gradient),
        Row("F from call to call, std", faults.draws, direct),
        Row("net force, rms", faults.net, direct),
    ]


def columns_of(paths: list[Path], frames: list[ase.Atoms]) -> list[Column]:
    """Models by the names of their folders; those with the published gradient, or with random rotations, in a second version too."""
    found = []
    for path in paths:
        loaded = load(path, "float64")
        for atoms in frames:
            check_elements(atoms, loaded.elements)
        name, model = path.parent.name or path.stem, loaded.module.eval()
        found.append(Column(name, model))
        if is_grid(model) and model.config.forces == "random":
            found.append(Column(f"{name}, fixed", changed(model, forces="fixed", n_rotations=8)))
        elif is_grid(model) and has_gradient(model) and model.config.gradient == "published":
            found.append(Column(f"{name}, intact", changed(model, gradient="intact")))
    return found


def main(
    structures: Annotated[Path, typer.Argument(help="Molecules or clusters, in any format of ASE.", show_default=False)],
    models: Annotated[list[Path], typer.Argument(help="Checkpoints or model files.", show_default=False)],
    frames: Annotated[int, typer.Option(min=1, help="So many of the structures, evenly.")] = 5,
    cap: Annotated[int, typer.Option(min=1, help="Neighbours at most, in place of 40: small clusters have no more than seven.")] = 4,
    picoseconds: Annotated[float, typer.Option(help="Of each of three trajectories at constant energy.")] = 0.4,
    only: Annotated[str, typer.Option(help="Rows that have this in their name.")] = "",
) -> None:
    """Print a table of measurements."""
    keep_freed_memory()
    with errors_in_words():
        chosen = ase.io.read(structures, ":")
        chosen = chosen[:: max(1, len(chosen) // frames)][:frames]
        if any(atoms.calc is None or atoms.pbc.any() for atoms in chosen):
            raise ValueError(f"`{structures}` must be molecules or clusters with forces, without periodic boundaries")
        columns = columns_of(models, chosen)
    table = Table("", *(column.name for column in columns), title=f"{len(chosen)} structures of {structures.name}")
    for row in rows_of(cap, picoseconds):
        if only in row.name:
            table.add_row(row.name, *(row.measure(column.model, chosen) if row.concerns(column.model) else "-" for column in columns))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
