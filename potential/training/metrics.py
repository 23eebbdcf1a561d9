"""Errors of a model against reference labels, summed over batches and ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from ase.data import chemical_symbols

from spinconv.potential.gradients import Evaluation
from spinconv.potential.training.data import Batch, stresses_of


class ErrorFigure(NamedTuple):
    """One line of a table of errors."""

    quantity: str
    unit: str
    mae: float
    rmse: float
    values: int


def quantities(elements: Sequence[int]) -> list[tuple[str, str]]:
    """What errors are of, and their units."""
    names = [("energy", "meV"), ("energy per atom", "meV/atom"), ("forces", "meV/Å"), ("stress", "meV/Å³")]
    return names + [(f"forces on {chemical_symbols[z]}", "meV/Å") for z in elements]


def mae_and_rmse(error: np.ndarray) -> tuple[float, float]:
    """Mean absolute and root mean square error, in units of a thousandth."""
    return 1000 * float(np.abs(error).mean()), 1000 * float(np.sqrt(np.square(error).mean()))


class Errors:
    """Running sums of absolute and squared errors: energy, energy per atom, forces (all, per element), stress.

    Energies in meV, forces in meV/Å, stresses in meV/Å³. Labels that are NaN (missing) do not count; predictions that are NaN do,
    and make the figure NaN.
    """

    def __init__(self, elements: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.elements = list(elements)
        rows = 4 + len(self.elements)
        self.sums = torch.zeros(rows, 3, dtype=torch.float64, device=device)  # absolute, squared, count

    def add(self, evaluation: Evaluation, batch: Batch) -> None:
        """Count the errors of one batch."""
        energy = evaluation.energies.detach() - batch.energies  # (n_systems,)
        self._add(0, energy, batch.energies)
        self._add(1, energy / batch.n_atoms, batch.energies)
        forces = evaluation.forces.detach() - batch.forces  # (n_atoms, 3)
        self._add(2, forces, batch.forces)
        stresses = stresses_of(evaluation.virials, batch)  # (n_systems, 3, 3)
        if stresses is not None:
            self._add(3, stresses.detach() - batch.stresses, batch.stresses)
        for row, element in enumerate(self.elements, start=4):
            its = batch.graph.numbers == element
            self._add(row, forces[its], batch.forces[its])

    def _add(self, row: int, error: torch.Tensor, label: torch.Tensor) -> None:
        known = error[~torch.isnan(label)].double() * 1000.0
        self.sums[row] += torch.stack([known.abs().sum(), known.square().sum(), known.new_tensor(known.numel())])

    def figures(self) -> list[ErrorFigure]:
        """Every error of which there was at least one label."""
        rows = zip(quantities(self.elements), self.sums.tolist(), strict=True)
        return [ErrorFigure(name, unit, a / n, (s / n) ** 0.5, int(n)) for (name, unit), (a, s, n) in rows if n]

    def mae(self, quantity: str) -> float:
        """Mean absolute error; NaN where there was no label."""
        return next((figure.mae for figure in self.figures() if figure.quantity == quantity), float("nan"))
