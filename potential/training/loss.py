"""What training makes small."""

from __future__ import annotations

import torch

from spinconv.potential.gradients import Evaluation
from spinconv.potential.training.config import Loss
from spinconv.potential.training.data import Batch, stresses_of


def loss(evaluation: Evaluation, batch: Batch, settings: Loss) -> torch.Tensor:
    """w_E <f(dE / n_atoms)> + w_F <f(dF)> + w_S <f(dS)>, means over the systems, force and stress components that have a label.

    f is the square, the absolute value or Huber's mixture; eV, eV/Å and eV/Å³ set the weights' meaning. Energies are subtracted
    in float64: they may be thousands of eV.
    """
    energy = ((evaluation.energies - batch.energies) / batch.n_atoms).to(evaluation.forces.dtype)  # (n_systems,)
    total = settings.energy_weight * mean_penalty(energy, batch.energies, settings)
    if settings.forces_weight > 0:
        total = total + settings.forces_weight * mean_penalty(evaluation.forces - batch.forces, batch.forces, settings)
    if settings.stress_weight > 0:
        stress = stresses_of(evaluation.virials, batch)  # (n_systems, 3, 3); the trainer refuses models without
        assert stress is not None
        total = total + settings.stress_weight * mean_penalty(stress - batch.stresses, batch.stresses, settings)
    return total


def mean_penalty(error: torch.Tensor, label: torch.Tensor, settings: Loss) -> torch.Tensor:
    """Mean price of the errors whose label is there (not NaN), 0 if none is; a prediction that is NaN stays one."""
    missing = torch.isnan(label)
    known = penalty(torch.where(missing, 0.0, error), settings)  # masked before it is priced: 0 times NaN is NaN
    return known.sum() / (~missing).sum().clamp(min=1)


def penalty(error: torch.Tensor, settings: Loss) -> torch.Tensor:
    """The price of each error. Huber's is scaled so that it is e^2 where it is squared, as mse."""
    if settings.type == "mse":
        return error.square()
    if settings.type == "mae":
        return error.abs()
    delta, size = settings.huber_delta, error.abs()
    return torch.where(size < delta, error.square(), delta * (2 * size - delta))
