"""The command `spinconv`: what other packages register in the group "spinconv.commands" stands beside our own sub-commands.

A command's module is imported to know its options, so it imports what is heavy (torch, ase, matplotlib) only when the command runs.
"""

from importlib.metadata import entry_points
from typing import Annotated

import typer

from spinconv.export.commands.check import check
from spinconv.export.commands.evaluate import evaluate
from spinconv.export.commands.example import example
from spinconv.export.commands.export import export
from spinconv.export.commands.info import info
from spinconv.export.commands.version import print_version

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def spinconv(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the versions, and which plugins were built.")
    ] = False,
) -> None:
    """SpinConv potentials for molecular dynamics: train, export to one file, run in LAMMPS, OpenMM and ASE."""


for _command in (evaluate, export, check, info, example):
    app.command()(_command)
for _entry in sorted(entry_points(group="spinconv.commands"), key=lambda entry: entry.name):
    app.command(name=_entry.name)(_entry.load())
