"""Several trainings on the same frames, one after the other, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from spinconv.potential.training.config import Config, ConfigError
from spinconv.potential.training.pretrain import fit_in_turn, has_begun
from spinconv.potential.training.resume import about, check_same_training, has_ended
from spinconv.potential.training.splits import Source, Splits


def check_one_device(config: Config, name: str, who: str) -> None:
    """Refuse several devices, whose processes would each do everything."""
    if config.devices > 1:
        raise ConfigError(f"{name}: {who} trains with `devices: 1`, got {config.devices}; train one by one, --set seed=1")


def check_folders(folders: Mapping[Path, Config], output: Path, resume: bool) -> list[Path]:
    """The folders in which a training has begun; refuse to begin where there is one, and to resume where there is none."""
    begun = [folder for folder in folders if has_begun(folder)]
    if begun and not resume:
        raise ConfigError(f"{begun[0]}: holds a training already; continue with --resume or choose another --output")
    if resume and not begun:
        wanted = next(iter(folders)).relative_to(output).with_name("seed*") / "last.ckpt"
        raise ConfigError(f"{output}: has no {wanted} to resume from; start without --resume")
    return begun


def fit_each(folders: Mapping[Path, Config], what: str, source: Source, resume: bool, console: Console, splits: Splits) -> None:
    """Trains every config in its folder, where it has not ended yet; `what` is what the log calls one of them."""
    for k, (folder, config) in enumerate(folders.items(), start=1):
        if resume and has_ended(folder, config):
            check_same_training(folder / "last.ckpt", about(config, splits), console)
            console.print(f"\n{what} {k} of {len(folders)}: {folder} has ended already", highlight=False)
        else:
            console.print(f"\n{what} {k} of {len(folders)}: {folder}", highlight=False)
            fit_in_turn(config, source, folder, resume and has_begun(folder), console, splits=splits)
