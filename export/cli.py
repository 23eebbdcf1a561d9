"""The command `spinconv`: what other packages register in the group "spinconv.commands" stands beside our own sub-commands.

A command's module is imported to know its options, so it imports what is heavy (torch, ase, matplotlib) only when the command runs.
"""

import os
import sys
from importlib.metadata import entry_points
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from spinconv.export.commands.check import check
from spinconv.export.commands.evaluate import evaluate
from spinconv.export.commands.example import example
from spinconv.export.commands.export import export
from spinconv.export.commands.info import info
from spinconv.export.commands.plot import plot
from spinconv.export.commands.relax import relax
from spinconv.export.commands.version import print_version

TRAINING = ("torch", "lightning")
"""Packages that molecular dynamics does without."""


class Commands(TyperGroup):
    """The sub-commands; without a package, or a place for what they print, on a full disk say, they end in a sentence."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            try:
                return super().main(*args, **kwargs)
            finally:
                sys.stdout.flush()
        except ModuleNotFoundError as error:
            if (missing := (error.name or "").partition(".")[0]) not in TRAINING:
                raise
            print(f'ERROR: this command needs {missing}, which comes with training: pip install "spinconv[train]"', file=sys.stderr)
            sys.exit(1)
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python would try again when it leaves
            print(f"ERROR: the output could not be written: {error.strerror or error}", file=sys.stderr)
            sys.exit(1)


app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def spinconv(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the versions, and which plugins were built.")
    ] = False,
) -> None:
    """SpinConv potentials for molecular dynamics: train, export to one file, run in LAMMPS, OpenMM and ASE."""


for _command in (evaluate, export, check, info, relax, example):
    app.command()(_command)
app.add_typer(plot, name="plot")
for _entry in sorted(entry_points(group="spinconv.commands"), key=lambda entry: entry.name):
    app.command(name=_entry.name)(_entry.load())
