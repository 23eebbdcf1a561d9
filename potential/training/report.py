"""What a training says before, at its end, and above its pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ase.data import chemical_symbols
from rich.console import Console

from spinconv.potential.kinds import TrainingStep
from spinconv.potential.model import PotentialModel, count_parameters
from spinconv.potential.safe_write import write_file
from spinconv.potential.training.checkpoint import keep_test_errors, load_checkpoint
from spinconv.potential.training.clock import duration
from spinconv.potential.training.config import Config
from spinconv.potential.training.evaluation import error_table, evaluate_frames
from spinconv.potential.training.frames import Frame
from spinconv.potential.training.splits import Source, Splits
from spinconv.potential.training.statistics import Statistics, force_rms, has_forces


def headline(source: Source, config: Config, model: PotentialModel, splits: Splits) -> str:
    """What a picture of this training has above it."""
    return (
        f"{Path(source.name).stem} ({' '.join(symbols(model))}), {len(splits.train):,} + {len(splits.validation):,} frames, "
        f"{count_parameters(model):,} parameters, seed {config.seed}"
    )


def symbols(model: PotentialModel) -> list[str]:
    """Chemical symbols of the model's elements, in its order."""
    return [chemical_symbols[z] for z in model.config.elements]


def say_plan(
    console: Console,
    config: Config,
    model: PotentialModel,
    numbers: Statistics,
    splits: Splits,
    steps: int,
    epochs: int,
    step: TrainingStep | None = None,
) -> None:
    """What is going to happen, before it does."""
    references = ", ".join(f"{symbol} {energy:.4f}" for symbol, energy in zip(symbols(model), numbers.reference_energies, strict=True))
    length = f"{epochs} epochs of {steps} steps" if epochs > 0 else f"{duration(config.max_time or 0)} in epochs of {steps} steps"
    engine = f"native engine ({step.level})" if step else "torch engine"
    extra = f" and {len(splits.extra)} extra" if splits.extra else ""
    for line in (
        f"{len(splits.train)} training{extra}, {len(splits.validation)} validation, {len(splits.test)} test frames",
        f"reference energies {references} eV; {scale_in_words(numbers.scale, splits.train)}; {numbers.average_neighbors:.2f} neighbours",
        f"{count_parameters(model):,} parameters, {config.dtype}, {engine}, {length}, {config.batch_size} frames a step",
    ):
        console.print(line, highlight=False)


def scale_in_words(scale: float, frames: Sequence[Frame]) -> str:
    """The scale of the network's outputs: the rms of the training forces, unless there are none or a trained model brought its own."""
    return f"force rms {scale:.4f} eV/Å" if scale == force_rms(frames) and has_forces(frames) else f"scale {scale:.4f} eV"


def say_end(console: Console, best: Path, test: list[Frame], output: Path) -> None:
    """Where the result is, and its errors on the test frames."""
    model, metadata = load_checkpoint(best)
    console.print(f"best epoch {metadata['training']['epoch']}: {best}", highlight=False)
    if test:
        result = evaluate_frames(model, metadata["config"], test)
        write_file(output / "test.json", json.dumps([figure._asdict() for figure in result.figures], indent=2))
        keep_test_errors(best, result.figures, len(test))
        console.print(error_table(result.figures, f"{len(test)} test frames"))
