"""Errors against times, as a picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from spinconv.potential.training.history import plain_log_scale
from spinconv.potential.training.picture import write_picture

if TYPE_CHECKING:
    from spinconv.potential.training.ablation import Run

MARKERS = "osD^vPX<>p*h"
TIMES = {"evaluation_ms": "evaluation of one frame, energy and forces (ms)", "step_ms": "training step (ms)"}


def draw_trade_off(path: Path, runs: Sequence[Run], title: str) -> None:
    """The error of forces, or of energies where there are none, against the time of an evaluation and of a training step: a colour per
    axis, whose values are joined through the base, and a point per seed."""
    error = "energy_mae" if all(math.isnan(run.forces_mae) for run in runs) else "forces_mae"
    figure = Figure(figsize=(11.5, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (time, words) in zip(panels, TIMES.items(), strict=True):
        draw_panel(axes, runs, time, error)
        axes.set_xlabel(words)
    panels[0].set_ylabel("force MAE (meV/Å)" if error == "forces_mae" else "energy MAE (meV)")
    hollow = "hollow: forces are\nno gradient" if any(run.conservative == "no" for run in runs) else None
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside right center", fontsize="small", title=hollow, title_fontsize="small"
    )
    figure.suptitle(title)
    write_picture(path, figure, dpi=110)


def draw_panel(axes: Any, runs: Sequence[Run], time: str, error: str) -> None:
    """A point for each training, and for each axis a line through its values and the base, in the order of times."""
    by_variant = {name: [run for run in runs if run.variant == name] for name in dict.fromkeys(run.variant for run in runs)}
    points = {name: [[getattr(run, column) for run in same] for column in (time, error)] for name, same in by_variant.items()}
    base = points.pop("base")
    axes.scatter(*base, **style_of(by_variant["base"], "black", "*", 140))
    varied = dict.fromkeys(by_variant[name][0].axis for name in points)
    for k, axis in enumerate(varied):
        color = matplotlib.colormaps["tab10"](k)
        names = [name for name in points if by_variant[name][0].axis == axis]
        means = sorted([fmean(column) for column in point] for point in (base, *(points[name] for name in names)))
        axes.plot(*zip(*means, strict=True), color=color, linewidth=1, alpha=0.5, zorder=1)
        for name, marker in zip(names, itertools.cycle(MARKERS), strict=False):
            axes.scatter(*points[name], **style_of(by_variant[name], color, marker, 45))
    errors = [getattr(run, error) for run in runs]
    if max(errors) > 10 * min(errors):
        plain_log_scale(axes)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)


def style_of(runs: Sequence[Run], color: Any, marker: str, size: int) -> dict[str, Any]:
    """How the seeds of a variant are drawn; hollow where forces are no gradient of the energy."""
    face = (0, 0, 0, 0) if runs[0].conservative == "no" else color
    return {"edgecolors": [color], "facecolors": [face], "marker": marker, "s": size, "label": runs[0].variant, "zorder": 2}
