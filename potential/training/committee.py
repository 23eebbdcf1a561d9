"""Trainings that differ in their seed alone: the mean of such a committee errs less than its members, and their spread tells where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from spinconv.potential.training.checkpoint import load_checkpoint
from spinconv.potential.training.config import Config, ConfigError
from spinconv.potential.training.evaluation import evaluate_frames
from spinconv.potential.training.frames import Frame
from spinconv.potential.training.resume import about, check_same_training, has_ended
from spinconv.potential.training.splits import Source, read_splits
from spinconv.potential.training.trainer import fit


class Predictions(NamedTuple):
    """References (row 0) and predictions (row 1) of one member."""

    energies: np.ndarray  # (2, n_frames) eV per atom
    forces: np.ndarray  # (2, n) eV/Å
    stresses: np.ndarray  # (2, n) eV/Å³


def fit_committee(
    config: Config, source: Source, output: Path, members: int, resume: bool = False, console: Console | None = None
) -> list[Path]:
    """Trains members with the seeds `seed`, `seed` + 1, ... one after the other, and gives back their best checkpoints.

    Their results are in output/seed0, output/seed1, ... All have the same frames. Resuming skips members whose training has ended.
    """
    console = console or Console()
    if config.devices > 1:
        raise ConfigError(
            f"{source.name}: `--seeds` trains with `devices: 1`, got {config.devices}; train the seeds one by one, --set seed=1"
        )
    configs = {output / f"seed{seed}": config.model_copy(update={"seed": seed}) for seed in range(config.seed, config.seed + members)}
    begun = [folder for folder in configs if (folder / "last.ckpt").exists()]
    if begun and not resume:
        raise ConfigError(f"{begun[0]}: holds a training already; continue with --resume or choose another --output")
    if resume and not begun:
        raise ConfigError(f"{output}: has no seed*/last.ckpt to resume from; start without --resume")

    splits = read_splits(config, source, console)
    for k, (folder, member) in enumerate(configs.items(), start=1):
        if has_ended(folder, member):
            check_same_training(folder / "last.ckpt", about(member, splits), console)
            console.print(f"\nmember {k} of {members}: {folder} has ended already", highlight=False)
        else:
            console.print(f"\nmember {k} of {members}: {folder}", highlight=False)
            fit(member, source, folder, folder in begun, console, splits=splits)
    best = [folder / "best.ckpt" for folder in configs]
    frames, kind = (splits.test, "test") if splits.test else (splits.validation, "validation")
    console.print()
    console.print(committee_table({path.parent.name: predictions(path, frames) for path in best}, f"{len(frames)} {kind} frames"))
    say_how_to_use(console, output, list(configs))
    return best


def predictions(path: Path, frames: Sequence[Frame]) -> Predictions:
    """What a member says about frames, beside the references that there are."""
    model, metadata = load_checkpoint(path)
    result = evaluate_frames(model, metadata["config"], frames)
    both = list(zip(frames, result.predictions, strict=True))
    energies = [(frame.energy / len(frame.atoms), found.energy / len(frame.atoms)) for frame, found in both if np.isfinite(frame.energy)]
    forces = [np.stack([frame.forces.ravel(), found.forces.ravel()]) for frame, found in both if frame.forces is not None]
    stresses = [
        np.stack([frame.stress.ravel(), found.stress.ravel()])
        for frame, found in both
        if frame.stress is not None and found.stress is not None
    ]
    nothing = np.empty((2, 0))
    return Predictions(np.array(energies).reshape(-1, 2).T, np.hstack([nothing, *forces]), np.hstack([nothing, *stresses]))


def committee_table(members: dict[str, Predictions], title: str) -> Table:
    """MAE and RMSE of every member and of the mean of their predictions."""
    mean = Predictions(*(np.mean(arrays, axis=0) for arrays in zip(*members.values(), strict=True)))
    names = {"energies": ("energy", "meV/atom"), "forces": ("forces", "meV/Å"), "stresses": ("stress", "meV/Å³")}
    known = [quantity for quantity in names if getattr(mean, quantity).size]
    table = Table(title=title)
    table.add_column("member")
    for quantity in known:
        name, unit = names[quantity]
        table.add_column(f"{name} MAE\n{unit}", justify="right")
        table.add_column(f"{name} RMSE\n{unit}", justify="right")
    for member, found in members.items():
        table.add_row(member, *figures(found, known), end_section=member == list(members)[-1])
    table.add_row("their mean", *figures(mean, known))
    return table


def figures(found: Predictions, quantities: Sequence[str]) -> list[str]:
    """MAE and RMSE of each quantity, in units of a thousandth."""
    errors = [1000 * (predicted - reference) for reference, predicted in (getattr(found, quantity) for quantity in quantities)]
    return [f"{figure:.4g}" for error in errors for figure in (np.abs(error).mean(), np.sqrt(np.square(error).mean()))]


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
