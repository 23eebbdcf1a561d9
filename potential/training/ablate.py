"""spinconv ablate CONFIG.yaml"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spinconv.potential.console import console
from spinconv.potential.training.cli import Change, ConfigFile, told_in_words


def ablate(
    config: ConfigFile,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            help="What to vary, one at a time: sphere, forces, gradient, envelope, blocks, lmax, grid; several between commas, or one with "
            "values, blocks=1,2,4 or grid=8x6,16x12. (Default: all that the kind of model has.)",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the results (default: runs/NAME-ablation of the config).")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on in the output folder: trainings that have ended stay; more axes and seeds may be added.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Train each variant with so many seeds: `seed`, `seed` + 1, ...")] = 1,
    change: Change = None,
) -> None:
    """Train a config and variants that differ from it in one choice each; a table and a plot of their errors and times."""
    with told_in_words("spinconv ablate", console):
        from spinconv.potential.training.ablation import fit_ablation
        from spinconv.potential.training.config import read_config
        from spinconv.potential.training.splits import Source

        settings = read_config(config, change or [])
        plain = Path(settings.output or Path("runs") / config.stem)
        folder = output or plain.with_name(f"{plain.name}-ablation")
        fit_ablation(settings, Source(config.name, config.parent), folder, axis or [], seeds, resume, console)
