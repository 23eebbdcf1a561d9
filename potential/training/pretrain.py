"""Two trainings in one folder: on many frames of a cheap method first, then, from its weights, on those of the config."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from spinconv.potential.training.config import RECIPES, Config, ConfigError, Data, Pretrain, ReferenceEnergies
from spinconv.potential.training.resume import has_ended
from spinconv.potential.training.splits import Source, Splits
from spinconv.potential.training.trainer import check_folder, fit

FOLDER = "pretrain"
"""In the folder of a training."""


def fit_in_turn(
    config: Config, source: Source, output: Path, resume: bool = False, console: Console | None = None, splits: Splits | None = None
) -> Path:
    """`fit`, after the pretraining that the config asks for; resumed, whichever of the two was stopped goes on."""
    if config.pretrain is None:
        return fit(config, source, output, resume, console, splits=splits)
    if config.devices > 1:
        raise ConfigError(
            f"{source.name}: `pretrain` trains with `devices: 1`, got {config.devices}; pretrain alone, then --set start_from=its best.ckpt"
        )
    if resume and not has_begun(output):
        check_folder(output, resume)
    console = console or Console()
    first, folder = pretraining(config, config.pretrain), output / FOLDER
    begun = {path: (path / "last.ckpt").exists() for path in (folder, output)}
    if not begun[output] and not (resume and has_ended(folder, first)):
        console.print(f"\npretraining: {folder}", highlight=False)
        fit(first, source, folder, resume and begun[folder], console)
        console.print(f"\ntraining: {output}", highlight=False)
    start = {"start_from": str((folder / "best.ckpt").absolute()), "reference_energies": config.reference_energies}
    return fit(config.model_copy(update=start), source, output, resume and begun[output], console, splits=splits)


def has_begun(output: Path) -> bool:
    """Whether there is something to resume in the folder of a training."""
    return any((folder / "last.ckpt").exists() for folder in (output, output / FOLDER))


def pretraining(config: Config, wanted: Pretrain) -> Config:
    """The config of the first training, at the learning rate of its optimizer's recipe: `optimizer.learning_rate` is for the second, which
    shall not forget. Its energies are of another method, of which no isolated atoms are known."""
    changes = {
        "data": Data(train=wanted.train, validation=wanted.validation),
        "reference_energies": ReferenceEnergies(least_squares=True),
        "loss": config.loss.model_copy(update={"stress_weight": 0.0}),
        "optimizer": config.optimizer.model_copy(update={"learning_rate": RECIPES[config.optimizer.type]["learning_rate"]}),
        "max_epochs": None,
        "max_steps": wanted.max_steps,
        "max_time": wanted.max_time,
        "epoch_steps": None,
        "early_stopping": None,
        "pretrain": None,
        "output": None,
    }
    return config.model_copy(update=changes)
