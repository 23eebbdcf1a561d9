"""spinconv train CONFIG.yaml"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from spinconv.potential.console import errors_in_words

if TYPE_CHECKING:
    from spinconv.potential.training.config import Config


ConfigFile = Annotated[Path, typer.Argument(help="YAML file; docs/training.md lists its keys.", show_default=False)]
Change = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, laid over the config: --set model.lmax=4.")]


def train(
    config: ConfigFile,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the results (default: runs/NAME of the config).")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the training in the output folder exactly where its last epoch ended.")
    ] = False,
    max_time: Annotated[
        str | None,
        typer.Option(
            help="90s, 30m, 2h: time of the whole training, schedule included, in place of the config's max_epochs and max_steps. "
            "With --seeds: of each member."
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, help="Train a committee: so many members, with the seeds `seed`, `seed` + 1, ... in OUTPUT/seed0, OUTPUT/seed1, ..."
        ),
    ] = None,
    change: Change = None,
) -> None:
    """Train a model on the energies and forces of reference frames."""
    console = Console(soft_wrap=True, quiet=os.environ.get("LOCAL_RANK", "0") != "0")  # with several devices, the first one speaks
    with told_in_words("spinconv train", console):
        from spinconv.potential.training.committee import fit_committee
        from spinconv.potential.training.config import read_config
        from spinconv.potential.training.pretrain import fit_in_turn
        from spinconv.potential.training.resume import check_budget
        from spinconv.potential.training.splits import Source

        changes = list(change or []) + ([] if max_time is None else [f"max_time={max_time}"])
        settings = read_config(config, changes)
        folder = output or Path(settings.output or Path("runs") / config.stem)
        if max_time is not None:
            check_budget(folder, max_time)
            settings = time_alone(settings, max_time, console)
        where = Source(config.name, config.parent)
        if seeds is None:
            fit_in_turn(settings, where, folder, resume, console)
        else:
            fit_committee(settings, where, folder, seeds, resume, console)


@contextmanager
def told_in_words(command: str, console: Console) -> Iterator[None]:
    """A command that trains ends in a sentence where Lightning is missing, something is at fault, or somebody stops it."""
    try:
        from spinconv.potential.training.module import TrainingError
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "lightning":
            raise
        console.print(f'{command} needs lightning: pip install "lightning>=2.4"', highlight=False)
        raise typer.Exit(1) from None
    try:
        with errors_in_words(TrainingError, to=console):
            yield
    except SystemExit:  # Lightning's way to leave after Ctrl-C
        console.print("Interrupted; the same command with --resume goes on after the last complete epoch.", highlight=False)
        raise typer.Exit(130) from None


def time_alone(settings: Config, max_time: str, console: Console) -> Config:
    """The settings with `max_time` as the only budget; says what it replaces."""
    others = {key: value for key in ("max_epochs", "max_steps") if (value := getattr(settings, key)) is not None}
    if others:
        said = " and ".join(f"`{key}: {value}`" for key, value in others.items())
        console.print(f"--max-time {escape(max_time)} is the whole budget, schedule included, in place of {said}", highlight=False)
    return settings.model_copy(update=dict.fromkeys(others))
