"""The command `spinconv check`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from spinconv.export.commands.arguments import ModelPath
from spinconv.export.console import console, errors_in_words


def check(
    model: ModelPath,
    structures: Annotated[
        Path | None, typer.Argument(help="Structures in any format of ASE (default: small ones made on the spot).")
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Compare with this checkpoint in eager PyTorch too.")] = None,
    dtype: Annotated[str, typer.Option(help="Precision of all sides: float32 or float64.")] = "float64",
    lammps: Annotated[bool, typer.Option("--lammps", help="Of the engines, LAMMPS only.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Every engine, LAMMPS on 2 ranks too; LAMMPS and OpenMM must be there.")
    ] = False,
    ranks: Annotated[int, typer.Option(help="LAMMPS on 1, 2, 4, ... up to so many MPI ranks, too; with --lammps.")] = 1,
) -> None:
    """Compare eager, scripted, loaded and every installed engine in energy, forces and virial; exit 1 where they differ."""
    from spinconv.export.check import TOLERANCES, compare
    from spinconv.export.engines import installed_engines, parallel_engines

    with errors_in_words():
        if ranks != 1 and not lammps:
            raise ValueError(f"`--ranks` are of LAMMPS: say `--lammps --ranks {ranks}`")
        if everything and lammps:
            raise ValueError("`--all` and `--lammps` exclude each other")
        engines = {**installed_engines(), **parallel_engines(2)} if everything else parallel_engines(ranks) if lammps else None
        rows = compare(model, structures, checkpoint, dtype, engines)
    tolerance = TOLERANCES[dtype]
    table = Table(title=f"{model}, {dtype}: largest differences from ASE", caption=tolerance.in_words())
    for column in ("structure", "engine", "energy (eV/atom)", "forces (eV/Å)", "virial (eV/atom)", "relative", ""):
        table.add_column(column)
    failed = 0
    for row in rows:
        if row.unavailable:
            table.add_row(row.structure, row.engine, "-", "-", "-", "-", escape(row.unavailable))
            continue
        ok = tolerance.holds_for(row)
        failed += not ok
        virial = "-" if row.virial is None else f"{row.virial:.1e}"
        figures = (f"{row.energy:.1e}", f"{row.forces:.1e}", virial, f"{row.relative:.1e}")
        table.add_row(row.structure, row.engine, *figures, "ok" if ok else "DIFFERS")
    console.print(table)
    if failed:
        console.print(f"ERROR: {failed} comparisons of {model} are beyond the tolerance; do not use this file", highlight=False)
        raise typer.Exit(1)
    missing = {"lammps", "openmm"} - {row.engine for row in rows if not row.unavailable}
    if everything and missing:
        console.print(f"ERROR: `--all` needs LAMMPS and OpenMM; {' and '.join(sorted(missing))} could not be run", highlight=False)
        raise typer.Exit(1)
