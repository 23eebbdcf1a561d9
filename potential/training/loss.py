"""What training makes small."""

from __future__ import annotations

import torch

from spinconv.potential.gradients import Evaluation
from spinconv.potential.training.config import Loss
from spinconv.potential.training.data import Batch


def loss(evaluation: Evaluation, batch: Batch, settings: Loss) -> torch.Tensor:
    """w_E <f(dE / n_atoms)> + w_F <f(dF)> + w_S <f(dS)>, means over systems, force components and stress components.

    f is the square, the absolute value or Huber's mixture; eV, eV/Å and eV/Å³ set the weights' meaning. Energies are subtracted
    in float64: they may be thousands of eV.
    """
    energy = ((evaluation.energies - batch.energies) / batch.n_atoms).to(evaluation.forces.dtype)  # (n_systems,)
    total = settings.energy_weight * penalty(energy, settings).mean()
    if settings.forces_weight > 0:
        total = total + settings.forces_weight * penalty(evaluation.forces - batch.forces, settings).mean()
    if settings.stress_weight > 0:
        stress = -evaluation.virials / batch.volumes[:, None, None]  # (n_systems, 3, 3)
        total = total + settings.stress_weight * penalty(stress - batch.stresses, settings).mean()
    return total


def penalty(error: torch.Tensor, settings: Loss) -> torch.Tensor:
    """The price of each error. Huber's is scaled so that it is e^2 where it is squared, as mse."""
    if settings.type == "mse":
        return error.square()
    if settings.type == "mae":
        return error.abs()
    delta, size = settings.huber_delta, error.abs()
    return torch.where(size < delta, error.square(), delta * (2 * size - delta))
