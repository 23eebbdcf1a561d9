"""What a folder knows of the training in it: whether it is the same one, and whether it has ended."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from spinconv.potential.safe_write import write_file
from spinconv.potential.training.checkpoint import KEY, load_checkpoint, read_checkpoint
from spinconv.potential.training.config import Config, ConfigError
from spinconv.potential.training.frames import fingerprint
from spinconv.potential.training.selection import short_name
from spinconv.potential.training.splits import Splits

FREE_TO_CHANGE = {
    *("max_epochs", "max_steps", "max_time", "early_stopping"),
    *("accelerator", "engine", "devices", "threads", "output", "start_from"),
}
FILES = (
    *(("data", key) for key in ("train", "extra", "validation", "test")),
    ("reference_energies", "isolated_atoms"),
    ("pretrain", "train"),
)
RESULT = "result.json"  # written when a training has ended


def about(config: Config, splits: Splits) -> dict[str, Any]:
    """What checkpoints say of the training: file names without folders, settings, and a hash of the data."""
    settings = config.model_dump()
    for section, key in FILES:
        if settings[section] is not None:
            settings[section][key] = without_folders(settings[section][key])
    settings = {key: value for key, value in settings.items() if key != "output"}
    if config.start_from is not None:
        settings["start_from"] = Path(config.start_from).name
    train = without_folders(config.data.train)
    data = {
        "train_file": train if isinstance(train, str) else ", ".join(train),
        "n_train": len(splits.train),
        "n_validation": len(splits.validation),
        "train_sha256": fingerprint(splits.train),
        "validation_sha256": fingerprint(splits.validation),
    }
    if config.data.extra is not None:
        data |= {"n_extra": len(splits.extra), "extra_sha256": fingerprint(splits.extra)}
    return {"data": data, "settings": settings, "torch": str(torch.__version__), "date": time.strftime("%Y-%m-%d")}


def without_folders(value: Any) -> Any:
    """The name of a file, or the names of several; anything else as it is."""
    if isinstance(value, list):
        return [short_name(path) for path in value]
    return short_name(value) if isinstance(value, str) else value


def read_last(last: Path) -> dict[str, Any]:
    """What last.ckpt holds; where it cannot be read, ConfigError says what there is to go on with."""
    try:
        return read_checkpoint(last)
    except ValueError as error:
        raise ConfigError(f"{error}; {left(last.with_name('best.ckpt'))}") from error


def left(best: Path) -> str:
    """What can be done without last.ckpt: a new training from best.ckpt, if that is whole."""
    try:
        epoch = load_checkpoint(best).metadata["training"]["epoch"]
    except (ValueError, OSError):
        return "start the training again in another --output"
    return f"{best} (epoch {epoch}) is whole: use it, or begin another --output with --set start_from={best.absolute()}"


def check_same_training(last: Path, current: dict[str, Any], console: Console) -> int:
    """Refuse to resume a training with other data or settings; gives back the number of epochs done."""
    content = read_last(last)
    before = content[KEY]["training"]
    if before["data"] != current["data"]:
        raise ConfigError(f"{last}: was trained on other frames than these; start a new training in another --output")
    for key in current["settings"]:
        old, new = before["settings"].get(key), current["settings"][key]
        if key not in FREE_TO_CHANGE and (other := changed(key, old, new)):
            raise ConfigError(
                f"{last}: `{other[0]}` was another one when this training began; put it back, or start a new training in another --output"
            )
    if current["settings"]["schedule"]["type"] == "cosine" and schedule_length(before["settings"]) != schedule_length(current["settings"]):
        console.print("The length of the training has changed, and with it the learning rates of the cosine schedule.")
    return int(content[KEY]["training"]["epoch"])


def changed(key: str, old: Any, new: Any) -> list[str]:
    """The names of a setting, or of those in a section, that are other ones; one that an earlier version did not have was None there."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [f"{key}.{inner}" for inner in {**old, **new} if old.get(inner) != new.get(inner)]
    return [] if old == new else [key]


def check_budget(output: Path, max_time: str) -> None:
    """Refuse `--max-time`, a whole budget, for what is in a folder if that (or a member of a committee) began with epochs or steps."""
    for last in (output / "last.ckpt", *sorted(output.glob("seed*/last.ckpt"))):
        settings = read_last(last)[KEY]["training"]["settings"] if last.exists() else {}
        for key in ("max_epochs", "max_steps"):
            if settings.get(key) is not None:
                raise ConfigError(
                    f"{last}: began with `{key}: {settings[key]}`, `--max-time` would be another budget and schedule; "
                    f"--set max_time={max_time} ends this run after so long and changes neither"
                )


def schedule_length(settings: dict[str, Any]) -> tuple[Any, ...]:
    """What the schedule takes as the length of the training: time only where there is nothing else."""
    steps = settings["max_epochs"], settings["max_steps"]
    return steps if any(steps) else (settings["max_time"],)


def write_result(output: Path, config: Config, steps: int, seconds: float) -> None:
    """result.json: the training has ended, with which budget, after how much, and with which validation errors."""
    training = load_checkpoint(output / "best.ckpt").metadata["training"]
    content = {"budget": budget(config), "steps": steps, "seconds": seconds, "best_epoch": training["epoch"]}
    write_file(output / RESULT, json.dumps({**content, "validation": training["validation"]}, indent=2))


def budget(config: Config) -> dict[str, Any]:
    """What ends a training."""
    return {key: getattr(config, key) for key in ("max_epochs", "max_steps", "max_time", "early_stopping")}


def has_ended(output: Path, config: Config) -> bool:
    """Whether the training in a folder has ended with the budget of this config."""
    try:
        return bool(json.loads((output / RESULT).read_text())["budget"] == budget(config))
    except (OSError, ValueError, LookupError, TypeError):  # none, or a damaged one: resuming a training that has ended costs nothing
        return False
