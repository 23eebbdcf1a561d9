"""The command `spinconv`: export, info, check, evaluate, and what other packages register in the group "spinconv.commands"."""

import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from spinconv.export.console import console, errors_in_words
from spinconv.export.evaluate import evaluate

app = typer.Typer(
    help="SpinConv potentials for molecular dynamics: train, export to one file, run in LAMMPS, OpenMM and ASE.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ModelPath = Annotated[Path, typer.Argument(help="A model file written by `spinconv export`.", show_default=False)]


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of `spinconv train`.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file to write.")] = Path("model.pt"),
    dtype: Annotated[str, typer.Option(help="Precision in which engines compute unless told otherwise: float32 or float64.")] = "float32",
    name: Annotated[str, typer.Option(help="Name of the model (default: of the file).")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the weights, to be read in the file.")] = "",
) -> None:
    """Write the one file that LAMMPS, OpenMM and ASE read."""
    from spinconv.export.check import eager_difference
    from spinconv.export.writer import export_model
    from spinconv.potential import ModelConfig
    from spinconv.potential.training.checkpoint import load_checkpoint

    with errors_in_words():
        model, metadata = load_checkpoint(checkpoint)
        config = ModelConfig.from_dict(metadata["config"])
        export_model(model, config, output, dtype=dtype, training=metadata["training"], name=name, licence=licence)
        difference = eager_difference(output, model)
        console.print(f"{escape(str(output))}: written; energies differ from the checkpoint's by {difference:.1e} eV/atom", highlight=False)


@app.command()
def info(
    model: ModelPath,
    as_json: Annotated[bool, typer.Option("--json", help="Print spinconv.json as it stands in the file.")] = False,
) -> None:
    """Tell what a model file is: elements, cutoff, units, training data and errors, licence, versions."""
    from spinconv.export.reader import read_model

    with errors_in_words():
        metadata = read_model(model).metadata
    if as_json:
        print(json.dumps(metadata, indent=2))
        return
    table = Table(title=escape(str(model)), show_header=False)
    for key, value in metadata.items():
        table.add_row(key, escape(_in_words(value)))
    console.print(table)


@app.command()
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


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_in_words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


app.command()(evaluate)
for _entry in sorted(entry_points(group="spinconv.commands"), key=lambda entry: entry.name):
    app.command(name=_entry.name)(_entry.load())
