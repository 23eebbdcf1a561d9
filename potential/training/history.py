"""The log of a training: a CSV line per validation, and the curves drawn from it."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


class Record(NamedTuple):
    """One validation, with the averaged weights."""

    epoch: int
    step: int
    train_loss: float
    validation_loss: float
    energy_mae_mev: float
    energy_mae_mev_per_atom: float
    forces_mae_mev_per_angstrom: float
    stress_mae_mev_per_cubic_angstrom: float  # NaN without stresses
    learning_rate: float
    seconds: float


def read_history(path: Path) -> list[Record]:
    """The records of a log.csv; none if it is not there."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [
            Record(int(row["epoch"]), int(row["step"]), *(float(row[name]) for name in Record._fields[2:])) for row in csv.DictReader(file)
        ]


def write_history(path: Path, records: Sequence[Record]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([Record._fields, *map(formatted, records)])


def append_history(path: Path, record: Record) -> None:
    with path.open("a", newline="") as file:
        csv.writer(file).writerow(formatted(record))


def formatted(record: Record) -> list[str]:
    return [f"{value:.6g}" if isinstance(value, float) else str(value) for value in record]


def draw_history(path: Path, records: Sequence[Record], title: str) -> None:
    """Loss, errors and learning rate against the step, as a PNG."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    losses, errors, rate = figure.subplots(1, 3)
    steps = [record.step for record in records]
    losses.plot(steps, [r.train_loss for r in records], label="training")
    losses.plot(steps, [r.validation_loss for r in records], label="validation (averaged weights)")
    losses.set_ylabel("loss")
    errors.plot(steps, [r.forces_mae_mev_per_angstrom for r in records], label="forces, meV/Å")
    errors.plot(steps, [r.energy_mae_mev_per_atom for r in records], label="energy, meV/atom")
    if any(not math.isnan(r.stress_mae_mev_per_cubic_angstrom) for r in records):
        errors.plot(steps, [r.stress_mae_mev_per_cubic_angstrom for r in records], label="stress, meV/Å³")
    errors.set_ylabel("validation MAE")
    rate.plot(steps, [r.learning_rate for r in records], color="grey")
    rate.set_ylabel("learning rate")
    for axes in (losses, errors, rate):
        axes.set_yscale("log")
        axes.set_xlabel("step")
        axes.grid(alpha=0.3, which="both")
    losses.legend()
    errors.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
