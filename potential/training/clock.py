"""The time of a training: how much it has had, how much it gets, and when it will end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from spinconv.potential.training.data import Batch


class Forecast(NamedTuple):
    """When a training will end, at the speed of this run so far."""

    seconds: float
    """Seconds from now."""
    steps: int
    """Steps that the whole training will have then."""


class Clock(Callback):
    """Counts the seconds of a training over all its resumptions, and ends it when its time is over.

    `total_steps` are those of the whole training. Where they are -1, `max_time` is the budget of the whole training, resumptions
    included: it ends within the epoch, after the step at which its time was over, and `done` drives the learning rate. Otherwise
    `max_time` ends this run after the epoch in which it has lasted so long, and no learning rate depends on it.
    `now` gives seconds, from any zero.
    """

    def __init__(self, max_time: float | None, total_steps: int, now: Callable[[], float] = time.monotonic) -> None:
        self.max_time, self.total_steps, self.now = max_time, total_steps, now
        self.start = now()
        self.before = 0.0  # seconds of the runs that this one resumes
        self.at_step = 0.0  # seconds of the training at its last step, the same on every device
        self.first_step = self.epoch_step = 0  # steps before this run and before this epoch
        self.epoch_start = self.start
        self.edges = 0
        """Edges of the steps of this run, on this device."""
        self.step_milliseconds = math.nan
        """Milliseconds of a training step in the last epoch, validation not counted."""

    @property
    def alone(self) -> bool:
        """Whether time is the only budget."""
        return self.total_steps < 0

    @property
    def session(self) -> float:
        """Seconds of this run alone."""
        return self.now() - self.start

    @property
    def seconds(self) -> float:
        """Seconds of the training, over all its resumptions."""
        return self.before + self.session

    @property
    def done(self) -> float:
        """The part of the time budget that was over at the last step."""
        return min(1.0, self.at_step / self.max_time) if self.alone and self.max_time else 0.0

    def forecast(self, step: int) -> Forecast:
        """When the training will end, told after a step of this run."""
        a_step = self.session / (step - self.first_step)
        left = math.inf if self.max_time is None else self.max_time - (self.seconds if self.alone else self.session)
        if not self.alone:
            left = min(left, a_step * (self.total_steps - step))
        left = max(0.0, left)
        return Forecast(left, step + round(left / a_step))

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.start, self.first_step, self.edges = self.now(), trainer.global_step, 0
        trainer.should_stop = self.done == 1.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.epoch_start, self.epoch_step = self.now(), trainer.global_step

    def on_before_optimizer_step(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, optimizer: Any) -> None:
        """The time of a step is read once: its learning rate and the end of the training follow from the same figure, on every device."""
        self.at_step = self.seconds
        if self.alone and trainer.world_size > 1:
            here = torch.tensor(self.at_step, dtype=torch.float64, device=pl_module.device)
            self.at_step = float(trainer.strategy.reduce(here, reduce_op="max"))

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.edges += batch.graph.edge_index.shape[1]
        if self.done == 1.0:
            trainer.should_stop = True

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        steps = trainer.global_step - self.epoch_step
        if steps > 0:
            self.step_milliseconds = 1000 * (self.now() - self.epoch_start) / steps

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        over = self.max_time is not None and (self.seconds if self.alone else self.session) > self.max_time
        if trainer.strategy.reduce_boolean_decision(over, all=False):
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.before = self.at_step = state_dict["seconds"]


def duration(seconds: float) -> str:
    """A time in the two units that matter: 45 s, 10 min, 12 min 05 s, 3 h 20 min, 2 d 3 h."""
    whole = round(seconds)
    for (size, unit), (smaller, its_unit, digits) in (
        ((86400, "d"), (3600, "h", 1)),
        ((3600, "h"), (60, "min", 2)),
        ((60, "min"), (1, "s", 2)),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest:0{digits}d} {its_unit}" if rest else "")
    return f"{whole} s"


def clock_time(seconds: float) -> str:
    """The time of day so many seconds from now, with the day if that is not today."""
    now = datetime.now()
    then = now + timedelta(seconds=seconds)
    if then.date() == now.date():
        return then.strftime("at %H:%M:%S")
    return then.strftime("on %a at %H:%M" if then - now < timedelta(days=6) else "on %Y-%m-%d")
