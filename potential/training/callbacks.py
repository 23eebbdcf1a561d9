"""What happens around the steps: checkpoints, the clock, the log and the display."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, cast

import lightning
from lightning.pytorch.callbacks import Callback, Checkpoint
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from spinconv.potential.training.history import Record, append_history, draw_history, read_history, write_history
from spinconv.potential.training.module import Training


class BestAndLast(Checkpoint):
    """best.ckpt (for use) when the validation loss is the lowest so far, last.ckpt (to resume) after every epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.best = math.inf

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        current = float(trainer.callback_metrics["validation_loss"])
        if current < self.best:
            self.best = current
            trainer.save_checkpoint(self.folder / "best.ckpt", weights_only=True)
        trainer.save_checkpoint(self.folder / "last.ckpt", weights_only=False)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]


class Clock(Callback):
    """Counts the seconds of a training over all its resumptions, and ends it after the epoch in which `max_time` is over."""

    def __init__(self, max_time: float | None) -> None:
        self.max_time = max_time
        self.before = 0.0
        self.start = time.monotonic()

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.start = time.monotonic()

    @property
    def session(self) -> float:
        """Seconds of this run alone."""
        return time.monotonic() - self.start

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        over = self.max_time is not None and self.session > self.max_time
        if trainer.strategy.reduce_boolean_decision(over, all=False):
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.before + self.session}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.before = state_dict["seconds"]


class HistoryLog(Callback):
    """log.csv and learning_curve.png; the picture at most every half minute, and at the end."""

    def __init__(self, folder: Path, clock: Clock, title: str) -> None:
        self.csv, self.png, self.clock, self.title = folder / "log.csv", folder / "learning_curve.png", clock, title
        self.records: list[Record] = []
        self.drawn = -math.inf

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.is_global_zero:
            self.records = [r for r in read_history(self.csv) if r.step <= trainer.global_step]
            write_history(self.csv, self.records)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self.records.append(self.record(trainer, cast(Training, pl_module).epochs_done))
        append_history(self.csv, self.records[-1])
        if time.monotonic() - self.drawn > 30:
            self.draw()

    def record(self, trainer: lightning.Trainer, epoch: int) -> Record:
        found = {name: float(value) for name, value in trainer.callback_metrics.items()}
        return Record(
            epoch=epoch,
            step=trainer.global_step,
            train_loss=found["train_loss"],
            validation_loss=found["validation_loss"],
            energy_mae_mev=found["energy"],
            energy_mae_mev_per_atom=found["energy per atom"],
            forces_mae_mev_per_angstrom=found.get("forces", math.nan),
            stress_mae_mev_per_cubic_angstrom=found.get("stress", math.nan),
            learning_rate=trainer.optimizers[0].param_groups[0]["lr"],
            seconds=self.clock.before + self.clock.session,
        )

    def draw(self) -> None:
        draw_history(self.png, self.records, self.title)
        self.drawn = time.monotonic()

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.is_global_zero and self.records:
            self.draw()


class Display(Callback):
    """Two live lines in a terminal; elsewhere a line of text per epoch."""

    REDRAW = 0.2  # seconds

    def __init__(self, console: Console, history: HistoryLog) -> None:
        self.console, self.history = console, history
        self.best = math.inf
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(None),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            expand=True,
        )
        self.figures = Text("errors follow after the first epoch")
        self.live: Live | None = None
        self.drawn = 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.best = min((r.forces_mae_mev_per_angstrom for r in self.history.records), default=math.inf)
        if not trainer.is_global_zero:
            return
        if self.console.is_terminal:
            epochs = trainer.max_epochs or -1
            total = epochs * int(trainer.num_training_batches) if epochs > 0 else None
            self.progress.add_task("", total=total, completed=trainer.global_step, epoch=trainer.current_epoch + 1)
            self.live = Live(Group(self.progress, self.figures), console=self.console, auto_refresh=False)
            self.live.start()
        else:
            names = f"{'epoch':>6} {'step':>8} {'train loss':>11} {'val. loss':>11} {'forces':>9} {'energy':>10} {'rate':>9} {'seconds':>9}"
            self.console.print(f"{names}\n{'':>39} {'meV/Å':>9} {'meV/atom':>10}", highlight=False)

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any) -> None:
        if self.live is not None and time.monotonic() - self.drawn > self.REDRAW:
            self.drawn = time.monotonic()
            self.progress.update(self.progress.task_ids[0], completed=trainer.global_step, epoch=trainer.current_epoch + 1)
            self.live.refresh()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        r = self.history.records[-1]  # HistoryLog stands before us in the list of callbacks
        self.best = min(self.best, r.forces_mae_mev_per_angstrom)
        if self.live is not None:
            self.figures.plain = (  # fits 80 columns
                f"forces {r.forces_mae_mev_per_angstrom:.2f} (best {self.best:.2f}) meV/Å  energy {r.energy_mae_mev_per_atom:.3f} meV/atom"
                f"  loss {r.train_loss:.3g} / {r.validation_loss:.3g}"
            )
        else:
            self.console.print(
                f"{r.epoch:6d} {r.step:8d} {r.train_loss:11.4g} {r.validation_loss:11.4g} {r.forces_mae_mev_per_angstrom:9.3f} "
                f"{r.energy_mae_mev_per_atom:10.4f} {r.learning_rate:9.2e} {r.seconds:9.1f}",
                highlight=False,
            )

    def stop(self) -> None:
        if self.live is not None:
            self.live.refresh()
            self.live.stop()
            self.live = None

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.stop()

    def on_exception(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException) -> None:
        self.stop()
