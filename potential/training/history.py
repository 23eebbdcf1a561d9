"""The log of a training: a CSV line per validation, and the curves drawn from it."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from spinconv.potential.safe_write import append_line, write_file
from spinconv.potential.training.picture import write_picture

UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
ROUND = [1, 2, 5, 10]


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
    """The records of a log.csv; none if it is not there. A line that was cut short when its training was killed is left out."""
    if not path.is_file():
        return []
    whole = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True) if line.endswith("\n")]
    rows = csv.DictReader(line.replace("\0", "?") for line in whole)  # a machine that loses its power may leave zeros
    return [record for row in rows if (record := read_record(row)) is not None]


def read_record(row: Mapping[str, str | None]) -> Record | None:
    """The record of a row; None if the row is not a whole one."""
    try:
        return Record(int(row["epoch"] or ""), int(row["step"] or ""), *(float(row[name] or "") for name in Record._fields[2:]))
    except (KeyError, ValueError):
        return None


def write_history(path: Path, records: Sequence[Record]) -> None:
    write_file(path, "".join(f"{','.join(row)}\n" for row in [Record._fields, *map(formatted, records)]))


def append_history(path: Path, record: Record) -> None:
    append_line(path, ",".join(formatted(record)))


def formatted(record: Record) -> list[str]:
    return [f"{value:.6g}" if isinstance(value, float) else str(value) for value in record]


def draw_history(path: Path, records: Sequence[Record], title: str) -> None:
    """Loss, errors and learning rate against the step (below) and the time (above), as a PNG."""
    figure = Figure(figsize=(12, 3.9), layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(wspace=0.04)  # type: ignore[union-attr]
    losses, errors, rate = figure.subplots(1, 3)
    steps = [record.step for record in records]
    marker = "." if len(records) < 30 else ""  # a line alone does not show where there were validations, nor a single one
    losses.plot(steps, [r.train_loss for r in records], marker=marker, label="training")
    losses.plot(steps, [r.validation_loss for r in records], marker=marker, label="validation (averaged weights)")
    losses.set_ylabel("loss")
    for quantity, values in (
        ("forces, meV/Å", [r.forces_mae_mev_per_angstrom for r in records]),
        ("energy, meV/atom", [r.energy_mae_mev_per_atom for r in records]),
        ("stress, meV/Å³", [r.stress_mae_mev_per_cubic_angstrom for r in records]),
    ):
        if not all(map(math.isnan, values)):
            errors.plot(steps, values, marker=marker, label=f"{quantity}: {values[-1]:.3g}")
    errors.set_ylabel("validation MAE")
    rate.plot(steps, [r.learning_rate for r in records], color="grey", marker=marker)
    rate.set_ylabel("learning rate")
    for axes in (losses, errors, rate):
        plain_log_scale(axes)
        axes.set_xlabel("steps")
        axes.set_xlim(0, 1.02 * steps[-1])
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=ROUND, integer=True))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.grid(alpha=0.3)
        add_time_axis(axes, records)
    losses.legend(fontsize="small")
    errors.legend(fontsize="small")
    figure.suptitle(title)
    write_picture(path, figure, dpi=110)


def plain_log_scale(axes: Axes) -> None:
    """A logarithmic y axis with numbers that can be read: 50, 100, 200 within two decades, their powers of ten beyond."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 100 * low else (1.0,)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def add_time_axis(axes: Axes, records: Sequence[Record]) -> None:
    """Above the axes, the time at which the steps below were reached."""
    unit, times = time_ticks(records[-1].seconds)
    reached = np.interp(np.multiply(times, UNITS[unit]), [0.0, *(r.seconds for r in records)], [0, *(r.step for r in records)])
    above = axes.secondary_xaxis("top")
    above.set_xticks(reached, [f"{time:g}" for time in times])
    above.set_xlabel(unit)


def time_ticks(seconds: float) -> tuple[str, list[float]]:
    """The unit in which a time is read best, and some round times up to it."""
    unit = next(name for name, size in reversed(UNITS.items()) if seconds >= 2 * size or size == 1)
    end = seconds / UNITS[unit]
    return unit, [float(time) for time in MaxNLocator(5, steps=ROUND).tick_values(0, end) if 0 <= time <= end]
