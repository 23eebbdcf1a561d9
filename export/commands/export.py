"""The command `spinconv export`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from spinconv.export.console import console, errors_in_words


def export(
    checkpoint: Annotated[
        Path, typer.Argument(help="A checkpoint of `spinconv train`, or the folder of its results; of a committee all.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The model file to write (default: model.pt); of a committee the folder of its files."),
    ] = None,
    dtype: Annotated[str, typer.Option(help="Precision in which engines compute unless told otherwise: float32 or float64.")] = "float32",
    name: Annotated[str, typer.Option(help="Name of the model (default: of the file).")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the weights, to be read in the file.")] = "",
) -> None:
    """Write the one file that LAMMPS, OpenMM and ASE read."""
    from spinconv.export.check_torch import eager_difference
    from spinconv.export.writer import export_model
    from spinconv.potential.safe_write import in_a_sentence
    from spinconv.potential.training.checkpoint import load_checkpoint

    with errors_in_words():
        for source, target in sources(checkpoint, output):
            with in_a_sentence(target):
                target.parent.mkdir(parents=True, exist_ok=True)
            model, metadata = load_checkpoint(source)
            check_is_energy(metadata["training"], source)
            known = {"training": metadata["training"], "coverage": metadata["coverage"]}
            export_model(model, target, dtype=dtype, name=name, licence=licence, **known)
            difference = eager_difference(target, model)
            console.print(
                f"{escape(str(target))}: written; energies differ from the checkpoint's by {difference:.1e} eV/atom", highlight=False
            )


def check_is_energy(training: Mapping[str, Any], source: Path) -> None:
    """Refuse a model of something else than an energy: an engine would take it for eV."""
    from spinconv.potential.training.qm9 import SCALARS

    data = training.get("settings", {}).get("data")
    learned = str(data.get("energy_key")) if isinstance(data, Mapping) else ""
    if learned in SCALARS:
        raise ValueError(
            f"{source}: was trained on `{learned}` ({SCALARS[learned]}), which is no energy, and engines would take it for eV; "
            "use the checkpoint with `spinconv evaluate`"
        )


def sources(checkpoint: Path, output: Path | None) -> list[tuple[Path, Path]]:
    """Checkpoints and the files to make of them: one, or those of every member where a folder holds a committee."""
    if not checkpoint.is_dir():
        return [(checkpoint, output or Path("model.pt"))]
    if (checkpoint / "best.ckpt").is_file():
        return [(checkpoint / "best.ckpt", output or Path("model.pt"))]
    members = sorted(checkpoint.glob("seed*/best.ckpt"), key=lambda path: (len(path.parent.name), path.parent.name))  # seed2 before seed10
    if not members:
        raise ValueError(f"{checkpoint}: must be a checkpoint or a folder of `spinconv train`, has neither best.ckpt nor seed*/best.ckpt")
    folder = output or checkpoint / "committee"
    if folder.is_file():
        raise ValueError(f"{folder}: must be a folder for the {len(members)} members of {checkpoint}, is a file")
    return [(member, folder / f"{member.parent.name}.pt") for member in members]
