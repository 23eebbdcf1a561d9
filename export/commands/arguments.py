"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

ModelPath = Annotated[Path, typer.Argument(help="A model file written by `spinconv export`.", show_default=False)]
