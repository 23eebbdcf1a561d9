"""The frames of a training: for learning, for validation, and for the test at its end."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from spinconv.potential.training.config import Config, ConfigError
from spinconv.potential.training.doubts import implausible_forces, say_doubt
from spinconv.potential.training.frames import Frame, Keys, read_frames, split


class Source(NamedTuple):
    """Where a config came from: its name in errors, and the folder its paths start from."""

    name: str
    folder: Path


class Splits(NamedTuple):
    train: list[Frame]
    validation: list[Frame]
    test: list[Frame]


def read_splits(config: Config, source: Source, console: Console) -> Splits:
    """Training, validation and test frames."""
    d = config.data
    frames = read(config, source, d.train, console)
    if d.max_frames is not None:
        _, frames = split(frames, min(d.max_frames, len(frames)), d.split_seed)
    if isinstance(d.validation, str):
        train, validation = frames, read(config, source, d.validation, console)
    else:
        n = d.validation if isinstance(d.validation, int) else max(1, round(d.validation * len(frames)))
        if n >= len(frames):
            raise ConfigError(f"{source.name}: `data.validation` must leave frames to train on: {n} of {len(frames)} are asked for")
        train, validation = split(frames, n, d.split_seed)
    test = read(config, source, d.test, console) if d.test is not None else []
    return Splits(train, validation, test)


def read(config: Config, source: Source, path: str, console: Console) -> list[Frame]:
    d = config.data
    found = read_frames(
        source.folder / Path(path).expanduser(),
        d.units.energy if d.units else None,
        d.units.length if d.units else None,
        Keys(d.energy_key, d.forces_key, d.stress_key),
        forces_needed=config.loss.forces_weight > 0,
        stress_needed=config.loss.stress_weight > 0,
    )
    console.print(found.units, highlight=False)
    say_doubt(console, implausible_forces(found))
    return found.frames
