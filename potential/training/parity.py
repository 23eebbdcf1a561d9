"""Predictions against references, as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from spinconv.potential.training.evaluation import EvaluationResult

MOST = 20_000  # points of a panel; more make the picture no clearer


def draw_parity(path: Path, result: EvaluationResult, title: str) -> None:
    """A panel each of energies per atom, force components and stress components; those without references are left out."""
    panels = [
        ("energy", "eV/atom", result.energies),
        ("force component", "eV/Å", result.forces),
        ("stress component", "eV/Å³", result.stresses),
    ]
    panels = [panel for panel in panels if panel[2].size]
    figure = Figure(figsize=(4.2 * len(panels), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, unit, (reference, predicted)) in zip(np.ravel(figure.subplots(1, len(panels))), panels, strict=True):
        shown = np.random.default_rng(0).permutation(len(reference))[:MOST]
        axes.axline((reference[0], reference[0]), slope=1.0, color="grey", linewidth=0.8)
        axes.plot(reference[shown], predicted[shown], ".", markersize=2, alpha=0.5)
        axes.set_xlabel(f"reference {name} ({unit})")
        axes.set_ylabel(f"predicted ({unit})")
        axes.set_title(f"MAE {1000 * np.abs(predicted - reference).mean():.3g} m{unit}", fontsize="medium")
        axes.locator_params(axis="x", nbins=4)
        axes.set_aspect("equal", adjustable="datalim")
    figure.suptitle(title)
    figure.savefig(path, dpi=130)
