"""The command `spinconv example`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from spinconv.export.console import console, errors_in_words
from spinconv.export.example import write_example


def example(
    folder: Annotated[Path, typer.Argument(help="Where to put it; made if missing.", show_default=False)],
) -> None:
    """Write a trained model of ethanol and inputs for LAMMPS and OpenMM that run it."""
    with errors_in_words():
        written = write_example(folder)
    console.print(f"{escape(str(folder))}: {', '.join(path.name for path in written)}; try, in that folder:", highlight=False)
    console.print("    lmp -in in.ethanol\n    python ethanol_nve.py model.pt\n    spinconv info model.pt", highlight=False)
