"""spinconv new FRAMES"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from spinconv.potential.console import console, errors_in_words, warn
from spinconv.potential.safe_write import write_file


def new(
    frames: Annotated[Path, typer.Argument(help="Reference frames: .xyz/.extxyz, ASE .db, .npz or QM9.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The config to write (default: NAME.yaml of the frames, here).")
    ] = None,
    cutoff: Annotated[float, typer.Option(help="Distance (Å) from which on two atoms are no neighbours.")] = 5.0,
    preset: Annotated[
        Literal["fast", "accurate"], typer.Option(help="How large a model: fast to train and to run, or with lower errors.")
    ] = "fast",
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a commented config for `spinconv train`, with names and sizes from the frames."""
    from rich.markup import escape

    from spinconv.potential.training.draft import PRESETS, draft
    from spinconv.potential.training.survey import survey

    path = output or Path(f"{frames.stem}.yaml")
    with errors_in_words():
        if cutoff <= 0:
            raise ValueError(f"`--cutoff` must be positive (Å), got {cutoff:g}")
        if path.exists() and not force:
            raise ValueError(f"{path}: is there already; choose another --output, or write over it with --force")
        drawn = draft(survey(frames, cutoff), frames, path, PRESETS[preset])
        write_file(path, drawn.text)
    for line in drawn.found:
        console.print(escape(line), highlight=False)
    for line in drawn.doubts:
        warn(line)
    console.print(f"{escape(str(path))}: written; read it, then: spinconv train {escape(str(path))}", highlight=False)
