"""What happens around the steps: checkpoints, the log and the display."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, cast

import lightning
from lightning.pytorch.callbacks import Callback, Checkpoint
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from spinconv.potential.training.clock import Clock, clock_time, duration
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
            energy_mae_mev=found.get("energy", math.nan),
            energy_mae_mev_per_atom=found.get("energy per atom", math.nan),
            forces_mae_mev_per_angstrom=found.get("forces", math.nan),
            stress_mae_mev_per_cubic_angstrom=found.get("stress", math.nan),
            learning_rate=trainer.optimizers[0].param_groups[0]["lr"],
            seconds=self.clock.seconds,
        )

    def draw(self) -> None:
        draw_history(self.png, self.records, self.title)
        self.drawn = time.monotonic()

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.is_global_zero and self.records:
            self.draw()


class Display(Callback):
    """Two live lines in a terminal; elsewhere a line of text per epoch. Both say when the training will end."""

    REDRAW = 0.2  # seconds
    FIRST_WORD = 60.0  # seconds after which the end is foretold where the first epoch has not ended before

    def __init__(self, console: Console, history: HistoryLog) -> None:
        self.console, self.history, self.clock = console, history, history.clock
        self.best = math.inf
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(None),
            TimeElapsedColumn(),
            TextColumn("{task.fields[end]}"),
            expand=True,
        )
        self.figures = Text("errors follow after the first epoch")
        self.live: Live | None = None
        self.drawn = 0.0
        self.foretold = False

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.best = min((r.forces_mae_mev_per_angstrom for r in self.history.records), default=math.inf)
        if not trainer.is_global_zero:
            return
        if trainer.should_stop:
            self.console.print(f"The {duration(self.clock.max_time or 0)} of this training are over; a longer `max_time` goes on.")
        elif self.console.is_terminal:
            total = self.clock.max_time if self.clock.alone else self.clock.total_steps
            self.progress.add_task("", total=total, epoch="", end="")
            self.live = Live(Group(self.progress, self.figures), console=self.console, auto_refresh=False)
            self.live.start()
        else:
            names = f"{'epoch':>6} {'step':>8} {'train loss':>11} {'val. loss':>11} {'forces':>9} {'energy':>10}"
            names += f" {'rate':>9} {'ms/step':>8} {'seconds':>9}"
            self.console.print(f"{names}\n{'':>39} {'meV/Å':>9} {'meV/atom':>10}", highlight=False)

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any) -> None:
        if self.live is not None and time.monotonic() - self.drawn > self.REDRAW:
            self.redraw(trainer, pl_module)
        if trainer.is_global_zero and not self.foretold and self.clock.session > self.FIRST_WORD:
            self.foretell(trainer, pl_module)

    def redraw(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """The line of the progress, with the speed of the last epoch and the end."""
        self.drawn = time.monotonic()
        seconds, steps = self.clock.forecast(trainer.global_step)
        last = -(-steps // cast(Training, pl_module).steps)
        milliseconds = self.clock.step_milliseconds
        speed = "" if math.isnan(milliseconds) else f"{milliseconds:.3g} ms/step "
        self.progress.update(
            self.progress.task_ids[0],
            completed=self.clock.seconds if self.clock.alone else trainer.global_step,
            epoch=f"{trainer.current_epoch + 1}/{'~' if self.clock.max_time else ''}{last}",
            end=f"{speed}left {duration(seconds)}, ends {clock_time(seconds)}",
        )
        cast(Live, self.live).refresh()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        r = self.history.records[-1]  # HistoryLog stands before us in the list of callbacks
        self.best = min(self.best, r.forces_mae_mev_per_angstrom)
        if self.live is not None:
            forces = f"forces {r.forces_mae_mev_per_angstrom:.2f} (best {self.best:.2f}) meV/Å  "
            self.figures.plain = (  # fits 80 columns
                f"{forces if self.best < math.inf else ''}energy {r.energy_mae_mev_per_atom:.3f} meV/atom"
                f"  loss {r.train_loss:.3g} / {r.validation_loss:.3g}"
            )
            self.redraw(trainer, pl_module)
        else:
            forces = "-" if math.isnan(r.forces_mae_mev_per_angstrom) else f"{r.forces_mae_mev_per_angstrom:.3f}"
            self.console.print(
                f"{r.epoch:6d} {r.step:8d} {r.train_loss:11.4g} {r.validation_loss:11.4g} {forces:>9} "
                f"{r.energy_mae_mev_per_atom:10.4f} {r.learning_rate:9.2e} {self.clock.step_milliseconds:8.3g} {r.seconds:9.1f}",
                highlight=False,
            )
        first = r.step - self.clock.first_step <= cast(Training, pl_module).steps
        if first and not trainer.should_stop:
            self.foretell(trainer, pl_module)

    def foretell(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """A line on when the training will end, above the live lines if there are any, and a warning where its schedule will not."""
        self.foretold = True
        module, step = cast(Training, pl_module), trainer.global_step
        seconds, steps = self.clock.forecast(step)
        if seconds == 0:
            return
        a_step = 1000 * self.clock.session / (step - self.clock.first_step)
        edges = trainer.world_size * self.clock.edges / self.clock.session
        self.console.print(
            f"{a_step:.3g} ms a step, {edges:,.0f} edges a second, validation included: "
            f"ends {clock_time(seconds)}, in {duration(seconds)}, "
            f"after {'about ' if self.clock.max_time else ''}{-(-steps // module.steps)} epochs, {steps:,} steps",
            highlight=False,
        )
        if steps < 0.95 * self.clock.total_steps and module.config.schedule.type == "cosine":
            self.console.print(
                f"`max_time` ends it at {steps / self.clock.total_steps:.0%} of its steps, long before the cosine schedule does; "
                "in a training begun with the option --max-time the time is the whole budget, schedule included",
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
