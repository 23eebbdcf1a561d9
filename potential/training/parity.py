"""Predictions against references, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from ase.data import chemical_symbols
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from spinconv.potential.training.evaluation import EvaluationResult, pairs
from spinconv.potential.training.frames import elements_of
from spinconv.potential.training.metrics import mae_and_rmse
from spinconv.potential.training.picture import write_picture
from spinconv.potential.training.statistics import composition, one_composition, shift

MOST = 20_000  # points of a panel; more make the picture no clearer


class Panel(NamedTuple):
    """A quantity: references, predictions, and an element for the colour of each (0: none)."""

    name: str
    unit: str
    reference: np.ndarray  # (n,)
    predicted: np.ndarray  # (n,)
    elements: np.ndarray  # (n,) atomic numbers
    what: str  # what a value is, in the plural


def draw_parity(path: Path, result: EvaluationResult, title: str) -> None:
    """Parity and residuals of energies per atom, force components and stress components; what has no references is left out."""
    panels = [panel for panel in (energies(result), forces(result), stresses(result)) if panel.reference.size]
    figure = Figure(figsize=(10.4, 4.2 * len(panels) + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(panels), 2, squeeze=False, width_ratios=[1, 1.25])
    for (parity, residuals), panel in zip(rows, panels, strict=True):
        shown = np.random.default_rng(0).permutation(panel.reference.size)[:MOST]  # at random, so that no element lies above another
        colors = colors_of(panel.elements)
        size = 5 if len(shown) > 1000 else 15
        points = {"c": [colors[z] for z in panel.elements[shown].tolist()], "s": size, "linewidths": 0, "alpha": 0.6, "rasterized": True}
        draw_panel(parity, residuals, panel, shown, points)
        if len(colors) > 1:
            legend(parity, residuals, panel, colors)
    figure.suptitle(f"{title}, {len(result.frames):,} frames")
    write_picture(path, figure, dpi=130)


def draw_panel(parity: Any, residuals: Any, panel: Panel, shown: np.ndarray, points: dict[str, Any]) -> None:
    """A row: predictions against references, and beside it what is left of them, a thousand times larger."""
    error = 1000 * (panel.predicted - panel.reference)
    sampled = f"\n{len(shown):,} of them drawn" if len(shown) < error.size else ""
    mae, rmse = mae_and_rmse(panel.predicted - panel.reference)
    figures = f"N = {error.size:,} {panel.what}{sampled}\nMAE {mae:.3g}, RMSE {rmse:.3g} m{panel.unit}"
    parity.axline((panel.reference[0], panel.reference[0]), slope=1.0, color="grey", linewidth=0.8, zorder=0)
    parity.scatter(panel.reference[shown], panel.predicted[shown], **points)
    parity.set_aspect("equal", adjustable="datalim")
    parity.set_ylabel(f"predicted ({panel.unit})")
    parity.text(0.03, 0.97, figures, transform=parity.transAxes, va="top", fontsize="small")
    residuals.axhline(0.0, color="grey", linewidth=0.8, zorder=0)
    residuals.axhspan(*np.nan_to_num([-rmse, rmse], posinf=0.0, neginf=0.0), color="grey", alpha=0.15, linewidth=0, zorder=0)
    residuals.scatter(panel.reference[shown], error[shown], **points)
    largest = 1.15 * max(np.abs(error[np.isfinite(error)]).max(initial=0.0), 1e-12)
    residuals.set_ylim(-largest, largest)
    residuals.set_ylabel(f"predicted − reference (m{panel.unit})")
    residuals.set_title("residuals; the band is ± RMSE", fontsize="medium")
    for axes in (parity, residuals):
        axes.set_xlabel(f"reference {panel.name} ({panel.unit})")
        axes.locator_params(axis="x", nbins=6)


def legend(parity: Any, residuals: Any, panel: Panel, colors: dict[int, Any]) -> None:
    """A colour per element, with its error."""
    for z, color in colors.items():
        mae, _ = mae_and_rmse((panel.predicted - panel.reference)[panel.elements == z])
        residuals.scatter([], [], color=color, s=25, label=f"{chemical_symbols[z]}: MAE {mae:.3g}")
    residuals.legend(loc="upper right", fontsize="small", ncols=min(len(colors), 4))


def colors_of(elements: np.ndarray) -> dict[int, Any]:
    """A colour for each element that occurs."""
    found = np.unique(elements).tolist()
    palette = matplotlib.colormaps["tab10" if len(found) <= 10 else "turbo"]
    return {z: palette(k if len(found) <= 10 else k / (len(found) - 1)) for k, z in enumerate(found)}


def energies(result: EvaluationResult) -> Panel:
    """Energies per atom above the mean of the references: above that of their composition, where there are several."""
    frames = result.frames
    elements = elements_of(frames)
    counts = composition(frames, elements)
    n_atoms = counts.sum(axis=1)
    mean = counts @ shift(frames, elements, np.zeros(len(elements)))
    both = np.array([[frame.energy for frame in frames], [prediction.energy for prediction in result.predictions]])
    reference, predicted = (both - mean) / n_atoms
    name = f"energy per atom less {'the mean' if one_composition(counts) else 'a fit to the composition'}"
    return Panel(name, "eV/atom", reference, predicted, np.zeros(len(frames), dtype=int), "frames")


def forces(result: EvaluationResult) -> Panel:
    """Force components, in the colours of their atoms."""
    found = pairs(result.frames, result.predictions)
    reference, predicted = found.forces.reshape(2, -1)
    return Panel("force component", "eV/Å", reference, predicted, np.repeat(found.numbers, 3), "components")


def stresses(result: EvaluationResult) -> Panel:
    """Stress components of the frames that have a stress."""
    reference, predicted = pairs(result.frames, result.predictions).stresses
    return Panel("stress component", "eV/Å³", reference, predicted, np.zeros(reference.size, dtype=int), "components")
