"""A model against reference frames: predictions, errors, the table of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.table import Table

from spinconv.potential.gradients import energy_and_forces
from spinconv.potential.training.data import GraphDataset, Once, loader, on_device
from spinconv.potential.training.frames import Frame, check_elements
from spinconv.potential.training.metrics import ErrorFigure, Errors

EDGES = 20_000  # about so many edges are evaluated together: enough to be fast, little enough for any memory


class EvaluationResult(NamedTuple):
    """Errors, and what they are the errors of: references and predictions in eV per atom, eV/Å and eV/Å³."""

    figures: list[ErrorFigure]
    energies: np.ndarray  # (2, n_frames) per atom, reference first
    forces: np.ndarray  # (2, n)
    stresses: np.ndarray  # (2, n)


def evaluate_frames(
    model: Any,
    architecture: Mapping[str, Any],
    frames: Sequence[Frame],
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
) -> EvaluationResult:
    """Errors of a model, or of an exported file's module, on frames.

    `architecture` has "elements" (atomic numbers) and "cutoff" (Å); dtype: that of the model's weights if not given.
    """
    dtype = dtype or next(p.dtype for p in model.parameters())
    model = model.to(device=device, dtype=dtype)
    check_elements(frames, architecture["elements"], "the model")
    graphs = GraphDataset(frames, architecture["cutoff"], dtype)
    most_edges = max(1, max(batch.graph.vectors.shape[0] for batch in graphs.graphs))
    errors = Errors(architecture["elements"], device)
    energies, forces, stresses = [], [], []
    for batch in loader(graphs, Once(len(frames), max(1, EDGES // most_edges))):
        batch = on_device(batch, device)
        evaluation = energy_and_forces(model, batch.graph)
        errors.add(evaluation, batch)
        energies.append(torch.stack([batch.energies, evaluation.energies.detach()]) / batch.n_atoms)
        forces.append(torch.stack([batch.forces.flatten(), evaluation.forces.detach().flatten()]))
        predicted = -evaluation.virials.detach() / batch.volumes[:, None, None]  # (n_systems, 3, 3)
        stresses.append(torch.stack([batch.stresses.flatten(), predicted.flatten()]))
    return EvaluationResult(errors.figures(), *(known(parts) for parts in (energies, forces, stresses)))


def known(parts: list[torch.Tensor]) -> np.ndarray:
    """References and predictions where there is a reference, (2, n)."""
    both = torch.cat(parts, dim=1)
    return both[:, ~torch.isnan(both[0])].double().cpu().numpy()


def error_table(figures: Sequence[ErrorFigure], title: str) -> Table:
    """The errors as a table for a terminal."""
    table = Table(title=title)
    for name in ("quantity", "MAE", "RMSE", "unit", "values"):
        table.add_column(name, justify="left" if name in ("quantity", "unit") else "right")
    for figure in figures:
        table.add_row(figure.quantity, f"{figure.mae:.4g}", f"{figure.rmse:.4g}", figure.unit, f"{figure.values}")
    return table
