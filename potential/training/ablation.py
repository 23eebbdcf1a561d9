"""What each choice of a model is worth: trainings that differ from one config in an axis alone, side by side."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table

from spinconv.potential.model import count_parameters
from spinconv.potential.safe_write import write_file
from spinconv.potential.training.axes import Variant, variants
from spinconv.potential.training.checkpoint import load_checkpoint
from spinconv.potential.training.config import Config, ConfigError, read_config
from spinconv.potential.training.evaluation import evaluate_frames, pairs
from spinconv.potential.training.frames import Frame
from spinconv.potential.training.lock import locked
from spinconv.potential.training.oc20 import cosines
from spinconv.potential.training.resume import RESULT, changed
from spinconv.potential.training.several import check_folders, check_one_device, fit_each
from spinconv.potential.training.splits import Source, read_splits
from spinconv.potential.training.timing import Times, times_of
from spinconv.potential.training.trade_off import draw_trade_off

COLUMNS = {
    "energy_mae": "energy MAE\nmeV",
    "forces_mae": "force MAE\nmeV/Å",
    "forces_rmse": "force RMSE\nmeV/Å",
    "force_cosine": "force\ncosine",
    "parameters": "para-\nmeters",
    "step_ms": "step\nms",
    "evaluation_ms": "eval.\nms",
    "conservative": "conser-\nvative",
}
"""What the table on a terminal has of a run, and above which words."""


class Trial(NamedTuple):
    """A training of an ablation."""

    variant: Variant
    config: Config
    """That of the variant, with a seed."""
    folder: Path


class Run(NamedTuple):
    """What came of a training, a line of ablation.csv; NaN where there are no such labels."""

    variant: str
    axis: str
    value: str
    seed: int
    parameters: int
    conservative: str  # yes or no: whether the forces are the gradient of the energy
    energy_mae: float  # meV a frame
    forces_mae: float  # meV/Å, of components
    forces_rmse: float
    force_cosine: float
    steps: int
    seconds: float  # of the training, validation included
    step_ms: float
    evaluation_ms: float


def fit_ablation(
    config: Config,
    source: Source,
    output: Path,
    axes: Sequence[str] = (),
    seeds: int = 1,
    resume: bool = False,
    console: Console | None = None,
) -> list[Run]:
    """Trains a config and its variants along axes, each with the seeds `seed`, `seed` + 1, ..., and judges them by held-out frames.

    A training is in output/VARIANT/seedN, ablation.csv and ablation.png are in output. Resumed, trainings that have ended are not made
    again, and one that was stopped goes on.
    """
    console = console or Console()
    check_one_device(config, source.name, "`spinconv ablate`")
    trials = plan(variants(config, source.name, axes), output, seeds)
    folders = {trial.folder: trial.config for trial in trials}
    with locked(output):
        for folder in check_folders(folders, output, resume):
            check_unchanged(folder, folders[folder])
        splits = read_splits(config, source, console)
        fit_each(folders, "training", source, resume, console, splits)
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        frames, kind = splits.held_out
        times = times_of_variants(trials, splits.train, frames[0])
        runs = [run_of(trial, frames, times[trial.variant.name]) for trial in trials]
        title = f"{source.name}, {len(frames)} {kind} frames"
        write_file(output / "ablation.csv", as_csv(runs))
        draw_trade_off(output / "ablation.png", runs, title)
    console.print()
    console.print(ablation_table(runs, title))
    console.print(f"written: {output / 'ablation.csv'}, {output / 'ablation.png'}", highlight=False, markup=False)
    return runs


def plan(chosen: Sequence[Variant], output: Path, seeds: int) -> list[Trial]:
    """Every variant with every seed."""
    return [
        Trial(variant, variant.config.model_copy(update={"seed": seed}), output / variant.name / f"seed{seed}")
        for variant in chosen
        for seed in range(variant.config.seed, variant.config.seed + seeds)
    ]


def check_unchanged(folder: Path, config: Config) -> None:
    """Refuse to go on with a training of another config, whichever key is another one: what is compared must differ in its axis alone."""
    path = folder / "config.yaml"
    before, now = read_config(path).model_dump() if path.is_file() else {}, config.model_dump()
    for key, old in before.items():
        if key != "output" and (other := changed(key, old, now[key])):
            raise ConfigError(f"{path}: `{other[0]}` was another one when this ablation began; put it back, or choose another --output")


def times_of_variants(trials: Sequence[Trial], learned: Sequence[Frame], held_out: Frame) -> dict[str, Times]:
    """How long a step and an evaluation take, by the names of variants: of their first seeds, as no time depends on a seed."""
    first = {trial.variant.name: trial for trial in reversed(trials)}
    models = [(load_checkpoint(trial.folder / "best.ckpt").model, trial.config) for trial in first.values()]
    return dict(zip(first, times_of(models, learned, held_out), strict=True))


def run_of(trial: Trial, frames: Sequence[Frame], times: Times) -> Run:
    """The best weights of a training on held-out frames."""
    model, metadata = load_checkpoint(trial.folder / "best.ckpt")
    ended = json.loads((trial.folder / RESULT).read_text())
    result = evaluate_frames(model, metadata["config"], frames)
    errors = {figure.quantity: (figure.mae, figure.rmse) for figure in result.figures}
    nothing = (math.nan, math.nan)
    found = cosines(pairs(result.frames, result.predictions))
    return Run(
        trial.variant.name,
        trial.variant.axis,
        trial.variant.value,
        trial.config.seed,
        count_parameters(model),
        "yes" if metadata["conservative"] else "no",
        errors.get("energy", nothing)[0],
        *errors.get("forces", nothing),
        float(found.mean()) if found.size else math.nan,
        ended["steps"],
        ended["seconds"],
        *times,
    )


def as_csv(runs: Sequence[Run]) -> str:
    """A line for each training; meV, meV/Å, s and ms."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Run._fields)
    writer.writerows([f"{value:.6g}" if isinstance(value, float) else value for value in run] for run in runs)
    return text.getvalue()


def ablation_table(runs: Sequence[Run], title: str) -> Table:
    """A row for each variant: means over its seeds, and half of the range of these where there are several."""
    n_seeds = len({run.seed for run in runs})
    of_seeds = f"means of {n_seeds} seeds ± half of their range; " if n_seeds > 1 else ""
    table = Table(
        title=title, caption=f"{of_seeds}times of one CPU process, all variants in turns: a training step, an evaluation of one frame"
    )
    table.add_column("variant", no_wrap=True)
    for words in COLUMNS.values():
        table.add_column(words, justify="right")
    for name in dict.fromkeys(run.variant for run in runs):
        same = [run for run in runs if run.variant == name]
        table.add_row(name, *(cell([getattr(run, column) for run in same]) for column in COLUMNS), end_section=name == "base")
    return table


def cell(values: Sequence[float | str]) -> str:
    """What several seeds have in a column, in three digits."""
    numbers = [value for value in values if not isinstance(value, str)]
    if not numbers:
        return str(values[0])
    mean = fmean(numbers)
    if not math.isfinite(mean):
        return "-"
    if all(isinstance(number, int) for number in numbers):
        return f"{mean:,.0f}"
    decimals = max(0, 2 - math.floor(math.log10(abs(mean)))) if mean else 0
    spread = (max(numbers) - min(numbers)) / 2
    return f"{mean:.{decimals}f} ± {spread:.{decimals}f}" if spread else f"{mean:.{decimals}f}"
