"""The frames of a training: for learning, for validation, and for the test at its end."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from spinconv.potential.stress import has_stress
from spinconv.potential.training.config import Config, ConfigError, Data
from spinconv.potential.training.doubts import doubts, say_doubt
from spinconv.potential.training.frames import DataError, Frame, Keys, Needs, held, of_all_atoms, split
from spinconv.potential.training.readers import FrameFile, read_frames


class Source(NamedTuple):
    """Where a config came from: its name in errors, and the folder its paths start from."""

    name: str
    folder: Path


class Splits(NamedTuple):
    train: list[Frame]
    validation: list[Frame]
    test: list[Frame]
    extra: list[Frame]
    """More frames to train on."""

    @property
    def learned(self) -> list[Frame]:
        """All frames that are trained on."""
        return [*self.train, *self.extra]

    @property
    def held_out(self) -> tuple[list[Frame], str]:
        """The frames that models are judged on, and what these are: test frames, or those of the validation where there are none."""
        return (self.test, "test") if self.test else (self.validation, "validation")


def read_splits(config: Config, source: Source, console: Console) -> Splits:
    """Training, validation and test frames."""
    d = config.data
    frames = read(config, source, d.train, console)
    if d.max_frames is not None:
        _, frames = split(frames, min(d.max_frames, len(frames)), d.split_seed)
    if config.loss.stress_weight > 0 and all(frame.stress is None for frame in frames):
        why = f"has a stress (`{d.virial_key or d.stress_key or 'stress'}`)"
        if not any(has_stress(frame.atoms) for frame in frames):
            why = "is periodic, in a cell with three vectors, so none has a stress"
        raise DataError(f"{source.name}: no frame of `data.train` {why}, which `loss.stress_weight` asks for")
    if isinstance(d.validation, str | list):
        train, validation = frames, read(config, source, d.validation, console)
    else:
        n = d.validation if isinstance(d.validation, int) else max(1, round(d.validation * len(frames)))
        if n >= len(frames):
            raise ConfigError(f"{source.name}: `data.validation` must leave frames to train on: {n} of {len(frames)} are asked for")
        train, validation = split(frames, n, d.split_seed)
    test = read(config, source, d.test, console) if d.test is not None else []
    say_held(console, [*train, *validation, *test], d)
    plain = Data(train=d.extra or d.train)  # made by our own command, in eV and Å, whatever the other files are in
    extra = read(config.model_copy(update={"data": plain}), source, d.extra, console) if d.extra is not None else []
    train = train if d.train_on_free_atoms else of_all_atoms(train)
    validation, test = (part if d.eval_on_free_atoms else of_all_atoms(part) for part in (validation, test))
    return Splits(train, validation, test, extra)


def say_held(console: Console, frames: list[Frame], d: Data) -> None:
    """What becomes of the forces of atoms that are held in place, if there are any."""
    if (words := held(frames)) is not None:
        learned = "not learned" if d.train_on_free_atoms else "learned"
        judged = "not in the errors" if d.eval_on_free_atoms else "in the errors"
        keys = f"`data.train_on_free_atoms: {d.train_on_free_atoms}`, `data.eval_on_free_atoms: {d.eval_on_free_atoms}`".lower()
        console.print(f"{words}; their forces are {learned}, and {judged} ({keys})", highlight=False, markup=False)


def read(config: Config, source: Source, paths: str | list[str], console: Console) -> list[Frame]:
    """The frames of one file or of several, with what is to be said of them."""
    frames: list[Frame] = []
    for path in [paths] if isinstance(paths, str) else paths:
        found = read_file(config, source, path)
        for sentence in (found.units, *found.notes):
            console.print(sentence, highlight=False, markup=False)
        for doubt in doubts(found):
            say_doubt(console, doubt)
        frames += found.frames
    return frames


def read_file(config: Config, source: Source, path: str, needs: Needs | None = None) -> FrameFile:
    """The frames of a file, in the units and under the names of the config; `needs` are those of its loss if not given."""
    d, w = config.data, config.loss
    return read_frames(
        source.folder / Path(path).expanduser(),
        d.units.energy if d.units else None,
        d.units.length if d.units else None,
        Keys(d.energy_key, d.forces_key, d.stress_key, d.virial_key, ref_energy=d.ref_energy),
        needs or Needs(w.energy_weight > 0, w.forces_weight > 0, w.stress_weight > 0),
    )
