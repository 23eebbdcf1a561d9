"""The step of a training, its validation and its checkpoint: what Lightning's loop calls."""

from __future__ import annotations

import math
from typing import Any

import lightning
import torch

from spinconv.potential.config import KindConfig
from spinconv.potential.gradients import Evaluation, energies_alone, energy_and_forces, energy_and_forces_by
from spinconv.potential.graph import Graph
from spinconv.potential.kinds import TrainingStep
from spinconv.potential.model import PotentialModel
from spinconv.potential.training.average import WeightAverage
from spinconv.potential.training.checkpoint import KEY, model_state
from spinconv.potential.training.clock import Clock
from spinconv.potential.training.config import Config, Schedule
from spinconv.potential.training.data import Batch
from spinconv.potential.training.loss import loss
from spinconv.potential.training.metrics import Errors
from spinconv.potential.training.optimizer import optimizer_of


class TrainingError(RuntimeError):
    """A sentence about a training that cannot go on."""


class Training(lightning.LightningModule):
    """A model with its loss, optimizer, running average and validation errors.

    `about` is what checkpoints tell of the data and settings, `coverage` what of the training frames. Nothing is logged within an
    epoch: at a few milliseconds a step the bookkeeping would cost as much as the model. `steps` are those of an epoch; the clock knows
    how many the training has, or its time. `step` computes in the place of torch where there is one.
    """

    def __init__(
        self,
        model: PotentialModel,
        architecture: KindConfig,
        config: Config,
        steps: int,
        clock: Clock,
        about: dict[str, Any],
        coverage: dict[str, Any],
        step: TrainingStep | None = None,
    ) -> None:
        super().__init__()
        self.model, self.coverage, self.step = model, coverage, step
        self.architecture, self.config, self.steps, self.clock, self.about = architecture, config, steps, clock, about
        self.average = WeightAverage(model.parameters(), config.ema_decay)
        self.plateau: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        self.loss_sum, self.losses = torch.zeros((), dtype=torch.float64), 0
        self.validation_loss = torch.zeros(2, dtype=torch.float64)
        self.errors = Errors(architecture.elements)

    def configure_optimizers(self) -> Any:
        s = self.config.schedule
        optimizer = optimizer_of(self.model, self.config.optimizer)
        if s.type == "plateau":  # stepped here, after each validation: Lightning would do it after the checkpoint has been written
            floor = optimizer.defaults["lr"] * s.final_fraction
            self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=s.factor, patience=s.patience, min_lr=floor)
            return optimizer
        fraction = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self.rate_fraction(step, s))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": fraction, "interval": "step"}}

    def rate_fraction(self, step: int, schedule: Schedule) -> float:
        """Learning rate of a step as a fraction of the highest, by the budget of this training."""
        if self.clock.alone:
            return timed_rate_fraction(step, schedule, self.clock.done, self.steps)
        return rate_fraction(step, schedule, self.clock.total_steps, self.steps)

    @property
    def epochs_done(self) -> int:
        """Epochs that have ended, asked for at the end of one; the last one may have been cut short by the time."""
        return int(self.current_epoch) + 1

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch if device.type == "cpu" else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        w = self.config.loss
        has_derivatives = w.forces_weight > 0 or w.stress_weight > 0
        evaluation = self.evaluation(batch.graph, create_graph=True) if has_derivatives else energies_alone(self.model, batch.graph)
        value = loss(evaluation, batch, self.config.loss)
        self.loss_sum += value.detach()
        self.losses += 1
        return value

    def evaluation(self, graph: Graph, create_graph: bool = False) -> Evaluation:
        if self.step is not None:
            return energy_and_forces_by(self.step, graph)
        return energy_and_forces(self.model, graph, create_graph)

    def backward(self, loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """Of the parameters alone: what the loss would be at other positions, which forces as derivatives keep at hand, nobody asks."""
        super().backward(loss, *args, inputs=self.average.parameters, **kwargs)

    def configure_gradient_clipping(self, optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: Any = None) -> None:
        if gradient_clip_val is not None:  # with the list at hand: to walk through the modules at each step takes as long as to clip
            torch.nn.utils.clip_grad_norm_(self.average.parameters, float(gradient_clip_val))

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.average.update()

    def on_validation_epoch_start(self) -> None:
        mean = self.trainer.strategy.reduce(self.loss_sum / self.losses, reduce_op="mean")
        self.loss_sum, self.losses = torch.zeros_like(self.loss_sum), 0
        if not math.isfinite(float(mean)):
            raise TrainingError(
                f"the loss became {float(mean)} before step {self.global_step}: "
                "lower `optimizer.learning_rate` or `gradient_clip`, or look for broken frames"
            )
        self.log("train_loss", mean.float(), logger=False)
        self.average.swap()
        self.errors = Errors(self.architecture.elements, self.device)
        self.validation_loss = torch.zeros(2, dtype=torch.float64, device=self.device)

    @torch.enable_grad()
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        evaluation = self.evaluation(batch.graph)
        n = batch.graph.n_systems
        self.validation_loss += torch.stack(
            [loss(evaluation, batch, self.config.loss).detach().double() * n, self.validation_loss.new_tensor(n)]
        )
        self.errors.add(evaluation, batch)

    def on_validation_epoch_end(self) -> None:
        self.average.swap()
        total, n = self.trainer.strategy.reduce(self.validation_loss, reduce_op="sum").tolist()
        self.errors.sums = self.trainer.strategy.reduce(self.errors.sums, reduce_op="sum")
        figures = {figure.quantity: figure.mae for figure in self.errors.figures()}
        self.log_dict({"validation_loss": total / n, **figures}, logger=False)
        if self.plateau is not None:
            self.plateau.step(total / n)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the model, with averaged weights; a file for use (without optimizer) keeps nothing else."""
        weights = dict(self.model.state_dict())
        weights |= dict(zip([name for name, _ in self.model.named_parameters()], self.average.average, strict=True))
        training = {**self.about, "epoch": self.epochs_done, "step": self.global_step}
        training["validation"] = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        checkpoint[KEY] = {**model_state(self.model, self.architecture, weights, self.coverage), "training": training}
        if "optimizer_states" not in checkpoint:
            for key in [key for key in checkpoint if key not in (KEY, "pytorch-lightning_version")]:
                del checkpoint[key]
            return
        checkpoint["average_steps"] = self.average.steps
        checkpoint["plateau"] = None if self.plateau is None else self.plateau.state_dict()
        checkpoint["random_state"] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        weights = checkpoint[KEY]["weights"]
        self.average.average = [weights[name].clone() for name, _ in self.model.named_parameters()]
        self.average.steps = checkpoint["average_steps"]
        self._plateau_state = checkpoint["plateau"]
        torch.set_rng_state(checkpoint["random_state"])

    def on_train_start(self) -> None:
        self.average.to(self.device)
        self.loss_sum = self.loss_sum.to(self.device)
        if self.plateau is not None and getattr(self, "_plateau_state", None) is not None:
            self.plateau.load_state_dict(self._plateau_state)


def rate_fraction(step: int, schedule: Schedule, total_steps: int, steps_per_epoch: int) -> float:
    """Learning rate of a step as a fraction of the highest: a linear rise, then what `type` says, down to `final_fraction`."""
    warmup = min(schedule.warmup_steps, total_steps // 10)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return fall(schedule, min(1.0, (step - warmup) / max(1, total_steps - warmup)), step // steps_per_epoch)


def timed_rate_fraction(step: int, schedule: Schedule, done: float, steps_per_epoch: int) -> float:
    """The same where time is the budget, of which the part `done` is over: the rise takes `warmup_steps`, at most a tenth of the time."""
    rise = min(1.0, max((step + 1) / (schedule.warmup_steps + 1), 10 * done))
    return rise * fall(schedule, done, step // steps_per_epoch)


def fall(schedule: Schedule, done: float, epoch: int) -> float:
    """What `type` makes of the highest learning rate after the part `done` of a training."""
    if schedule.type == "constant":
        return 1.0
    if schedule.type == "exponential":
        return max(schedule.final_fraction, schedule.factor**epoch)
    return schedule.final_fraction + (1 - schedule.final_fraction) * 0.5 * (1 + math.cos(math.pi * done))
