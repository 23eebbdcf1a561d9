"""The figures of OC20's S2EF task, as its evaluator computes them: of the atoms that are not held in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rich.table import Table

from spinconv.potential.training.evaluation import EvaluationResult, Pairs, Prediction, pairs
from spinconv.potential.training.frames import Frame

ENERGY_WITHIN, FORCES_WITHIN = 0.02, 0.03  # eV of a frame; eV/Å, the largest component of any atom
SMALLEST = 1e-8  # eV/Å, of a product of two lengths, as in torch.cosine_similarity


class Figure(NamedTuple):
    """A line of OC20's table."""

    quantity: str
    unit: str
    value: float
    values: int


def figures_of(result: EvaluationResult) -> list[Figure]:
    """Energy MAE, force MAE (of components), the mean cosine of forces, and EFwT: the part of the frames with energy and forces within a
    threshold; those of which there is a label."""
    found = pairs(result.frames, result.predictions)
    within = [is_within(*both) for both in zip(result.frames, result.predictions, strict=True) if has_both(both[0])]
    rows = [
        ("energy MAE", "eV", np.abs(found.energies[1] - found.energies[0])),
        ("force MAE", "eV/Å", np.abs(found.forces[1] - found.forces[0])),
        ("force cosine", "", cosines(found)),
        ("EFwT", "%", 100.0 * np.array(within, dtype=float)),
    ]
    return [Figure(name, unit, float(values.mean()), values.size) for name, unit, values in rows if values.size]


def cosines(found: Pairs) -> np.ndarray:
    """Between the force that is predicted and that of the label, one for each atom; 0 where one of them vanishes."""
    products = np.einsum("ak,ak->a", *found.forces)  # (n_atoms,)
    cosine: np.ndarray = products / np.maximum(np.prod(np.linalg.norm(found.forces, axis=2), axis=0), SMALLEST)
    return cosine


def has_both(frame: Frame) -> bool:
    """Whether a frame has an energy, and a force that counts."""
    return frame.forces is not None and not np.isnan(frame.energy) and bool(frame.counted.any())


def is_within(frame: Frame, prediction: Prediction) -> bool:
    """Whether the energy and every component of a force that counts are right to the thresholds."""
    assert frame.forces is not None
    forces = np.abs(prediction.forces - frame.forces)[frame.counted].max()
    return bool(abs(prediction.energy - frame.energy) < ENERGY_WITHIN and forces < FORCES_WITHIN)


def table_of(figures: Sequence[Figure]) -> Table:
    """The figures for a terminal."""
    table = Table(
        title="OC20's figures of energies and forces",
        caption=f"atoms held in place do not count; EFwT: energy within {ENERGY_WITHIN} eV, forces within {FORCES_WITHIN} eV/Å",
    )
    for name in ("quantity", "value", "unit", "values"):
        table.add_column(name, justify="left" if name in ("quantity", "unit") else "right")
    for figure in figures:
        table.add_row(figure.quantity, f"{figure.value:.4g}", figure.unit, f"{figure.values}")
    return table
