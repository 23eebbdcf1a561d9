"""The command `spinconv export`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from spinconv.export.console import console, errors_in_words


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
        known = {"training": metadata["training"], "coverage": metadata["coverage"]}
        export_model(model, config, output, dtype=dtype, name=name, licence=licence, **known)
        difference = eager_difference(output, model)
        console.print(f"{escape(str(output))}: written; energies differ from the checkpoint's by {difference:.1e} eV/atom", highlight=False)
