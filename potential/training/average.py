"""A running average of the weights, which validates and generalises better than the last step's."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """average <- d average + (1 - d) weights after every step, with d = min(decay, (1 + n) / (10 + n)) at step n.

    The smaller d of the first steps forgets the random start. With decay 0 the average is the weights themselves.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self.parameters = list(parameters)
        self.decay = decay
        self.steps = 0
        self.average = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights of a new step into the average."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        get_ema_multi_avg_fn(decay)(self.average, self.parameters, self.steps)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange weights and average: before validation, and back after it."""
        for parameter, average in zip(self.parameters, self.average, strict=True):
            weights = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(weights)

    def to(self, device: torch.device) -> None:
        self.average = [average.to(device) for average in self.average]
