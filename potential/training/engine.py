"""What computes energies, forces and their derivatives in a training: torch, or code of our own."""

from __future__ import annotations

import torch

from spinconv.potential.kinds import NoTrainingStepError, TrainingStep, kind_of
from spinconv.potential.model import PotentialModel
from spinconv.potential.training.config import Config, ConfigError


def training_step(config: Config, model: PotentialModel, name: str) -> TrainingStep | None:
    """What trains the model in the place of torch; None where torch does: where a GPU is used, or nothing else is there.

    ConfigError, with the `name` of the config, where it asks for what cannot be had.
    """
    if config.engine == "torch":
        return None
    try:
        if not on_cpu(config):
            raise NoTrainingStepError("the native training step is for a CPU")
        return kind_of(model.config).training_step(model, torch.get_num_threads())
    except NoTrainingStepError as reason:
        if config.engine == "native":
            raise ConfigError(f"{name}: `engine: native` cannot be had: {reason}; use `engine: torch`") from reason
        return None


def on_cpu(config: Config) -> bool:
    """Whether a training is one on a CPU; `auto` is where there is no GPU."""
    has_gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    return config.accelerator == "cpu" or (config.accelerator == "auto" and not has_gpu)
