"""Trainings that differ in their seed alone: the mean of such a committee errs less than its members, and their spread tells where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from spinconv.potential.training.checkpoint import load_checkpoint
from spinconv.potential.training.config import Config
from spinconv.potential.training.evaluation import EvaluationResult, evaluate_frames, mean_of
from spinconv.potential.training.frames import Frame
from spinconv.potential.training.metrics import ErrorFigure
from spinconv.potential.training.several import check_folders, check_one_device, fit_each
from spinconv.potential.training.splits import Source, read_splits


def fit_committee(
    config: Config, source: Source, output: Path, members: int, resume: bool = False, console: Console | None = None
) -> list[Path]:
    """Trains members with the seeds `seed`, `seed` + 1, ... one after the other, and gives back their best checkpoints.

    Their results are in output/seed0, output/seed1, ... All have the same frames. Resuming skips members whose training has ended.
    """
    console = console or Console()
    check_one_device(config, source.name, "`--seeds`")
    configs = {output / f"seed{seed}": config.model_copy(update={"seed": seed}) for seed in range(config.seed, config.seed + members)}
    check_folders(configs, output, resume)
    splits = read_splits(config, source, console)
    fit_each(configs, "member", source, resume, console, splits)
    best = [folder / "best.ckpt" for folder in configs]
    frames, kind = splits.held_out
    console.print()
    console.print(committee_table({path.parent.name: evaluated(path, frames) for path in best}, f"{len(frames)} {kind} frames"))
    say_how_to_use(console, output, list(configs))
    return best


def evaluated(path: Path, frames: Sequence[Frame]) -> EvaluationResult:
    """A member on frames."""
    model, metadata = load_checkpoint(path)
    return evaluate_frames(model, metadata["config"], frames)


def committee_table(members: dict[str, EvaluationResult], title: str) -> Table:
    """MAE and RMSE of every member and of the mean of their predictions."""
    rows = {**{name: result.figures for name, result in members.items()}, "their mean": mean_of(list(members.values())).figures}
    table = Table(title=title)
    table.add_column("member")
    for figure in of_committee(rows["their mean"]):
        for error in ("MAE", "RMSE"):
            table.add_column(f"{figure.quantity.removesuffix(' per atom')} {error}\n{figure.unit}", justify="right")
    for name, figures in rows.items():
        words = [f"{error:.4g}" for figure in of_committee(figures) for error in (figure.mae, figure.rmse)]
        table.add_row(name, *words, end_section=name == list(members)[-1])
    return table


def of_committee(figures: Sequence[ErrorFigure]) -> list[ErrorFigure]:
    """The errors that its table has."""
    return [figure for figure in figures if figure.quantity in ("energy per atom", "forces", "stress")]


def say_how_to_use(console: Console, output: Path, folders: Sequence[Path]) -> None:
    """The line that exports the members, and the lines that run them together."""
    files = [f"{output / 'committee' / folder.name}.pt" for folder in folders]
    for line in (
        "To run them as a committee:",
        f"    spinconv export {output} -o {output / 'committee'}",
        f"    LAMMPS: pair_style spinconv {' '.join(files)}",
        f"    Python: SpinConvCalculator([{', '.join(repr(file) for file in files)}])",
    ):
        console.print(line, highlight=False, markup=False)
