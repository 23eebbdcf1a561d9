"""From a config to a trained model: frames, statistics, model, Lightning's loop, test."""

from __future__ import annotations

import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import torch
import yaml
from ase.data import atomic_numbers, chemical_symbols
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import Callback, EarlyStopping
from rich.console import Console
from rich.markup import escape

from spinconv.potential.config import ModelConfig
from spinconv.potential.coverage import Coverage, coverage_of
from spinconv.potential.harmonic import HarmonicSpinConv, count_parameters
from spinconv.potential.training.callbacks import BestAndLast, Display, HistoryLog, duration
from spinconv.potential.training.checkpoint import KEY, keep_test_errors, load_checkpoint, read_checkpoint
from spinconv.potential.training.clock import Clock
from spinconv.potential.training.config import Config, ConfigError, model_config
from spinconv.potential.training.data import BatchStream, GraphDataset, Once, check_memory, loader
from spinconv.potential.training.doubts import implausible_forces, undetermined_references
from spinconv.potential.training.evaluation import error_table, evaluate_frames
from spinconv.potential.training.frames import DataError, Frame, Keys, check_elements, elements_of, fingerprint, read_frames, split
from spinconv.potential.training.module import Training
from spinconv.potential.training.statistics import Statistics, check_references, given_energies, isolated_atoms, statistics

DTYPES = {"float32": torch.float32, "float64": torch.float64}
FREE_TO_CHANGE = {"max_epochs", "max_steps", "max_time", "early_stopping", "accelerator", "devices", "threads", "output", "start_from"}
RESULT = "result.json"  # written when a training has ended


class Source(NamedTuple):
    """Where a config came from: its name in errors, and the folder its paths start from."""

    name: str
    folder: Path


class Splits(NamedTuple):
    train: list[Frame]
    validation: list[Frame]
    test: list[Frame]


def fit(
    config: Config,
    source: Source,
    output: Path,
    resume: bool = False,
    console: Console | None = None,
    now: Callable[[], float] = time.monotonic,
    splits: Splits | None = None,
) -> Path:
    """Trains as the config says and gives back the best checkpoint; `now` is the clock of `max_time` (s), `splits` are read if not given.

    Results in `output`: best.ckpt, last.ckpt, log.csv, learning_curve.png, config.yaml, result.json once it has ended, and test.json if
    there are test frames.
    """
    console = console or Console()
    last = output / "last.ckpt"
    if last.exists() and not resume:
        raise ConfigError(f"{output}: holds a training already; continue it with --resume or choose another --output")
    if resume and not last.exists():
        raise ConfigError(f"{output}: has no last.ckpt to resume from; start without --resume")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if config.batch_size % config.devices:
        raise ConfigError(f"{source.name}: `batch_size` must be a multiple of `devices` ({config.devices}), got {config.batch_size}")

    check_devices(config, source.name)
    splits = splits or read_splits(config, source, console)
    rank, world = int(os.environ.get("LOCAL_RANK", 0)), config.devices
    architecture, training_graphs, numbers, coverage = prepare(config, source, splits)
    validation_graphs = GraphDataset(splits.validation, architecture.cutoff, DTYPES[config.dtype])
    stream = BatchStream(len(splits.train), config.batch_size, config.seed, config.epoch_steps, rank, world)
    epochs = config.max_epochs or (-1 if config.max_steps is None else -(-config.max_steps // stream.steps))

    if config.reference_energies.least_squares and config.start_from is None:
        say_doubt(console, undetermined_references(splits.train, architecture.elements))
    model = build_model(config, architecture, numbers, source)
    clock = Clock(config.max_time, epochs * stream.steps if epochs > 0 else -1, now)
    module = Training(model, architecture, config, stream.steps, clock, about(config, splits), coverage)
    say_plan(console, config, model, numbers, splits, stream.steps, epochs)
    if resume:
        stream.set_epoch(check_same_training(last, module.about, console))
    output.mkdir(parents=True, exist_ok=True)
    (output / "config.yaml").write_text(yaml.safe_dump(config.model_dump(), sort_keys=False))
    (output / RESULT).unlink(missing_ok=True)

    history = HistoryLog(output, clock, headline(source, config, model, splits))
    callbacks: list[Callback] = [clock, history, Display(console, history), BestAndLast(output)]
    if config.early_stopping is not None:
        callbacks.append(EarlyStopping("validation_loss", patience=config.early_stopping, check_on_train_epoch_end=True, verbose=False))
    with quiet_lightning():
        trainer = lightning.Trainer(
            accelerator=config.accelerator,
            devices=config.devices,
            strategy="ddp" if config.devices > 1 else "auto",
            max_epochs=epochs,
            gradient_clip_val=config.gradient_clip,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=True,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            inference_mode=False,  # forces are a gradient in validation too
        )
        validation = loader(validation_graphs, Once(len(splits.validation), max(10, config.batch_size), rank, world))
        arguments: dict[str, Any] = {"ckpt_path": last, "weights_only": True} if resume else {}
        trainer.fit(module, loader(training_graphs, stream), validation, **arguments)
        seconds = clock.seconds
    best = output / "best.ckpt"
    if trainer.is_global_zero:
        say_end(console, best, splits.test, output)
        write_result(output, config, trainer.global_step, seconds)
    return best


def check_devices(config: Config, name: str) -> None:
    """Refuse more devices of a kind than this machine has."""
    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    n = max(there.values()) if config.accelerator == "gpu" else there.get(config.accelerator)
    if n is not None and n < config.devices:
        wanted = f"`accelerator: {config.accelerator}` with `devices: {config.devices}`"
        raise ConfigError(
            f"{name}: {wanted} needs as many of them in this machine, torch finds {n}; `accelerator: auto` takes what is there"
        )


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


def prepare(config: Config, source: Source, splits: Splits) -> tuple[ModelConfig, GraphDataset, Statistics, dict[str, Any]]:
    """Architecture, training graphs, statistics and coverage, all from the training frames (or from the checkpoint of `start_from`)."""
    start = None if config.start_from is None else load_checkpoint(source.folder / Path(config.start_from).expanduser())
    elements = start.metadata["config"]["elements"] if start else elements_of(splits.train)
    architecture = model_config(config, elements, source.name)
    if start and architecture.to_dict() != start.metadata["config"]:
        ours, theirs = architecture.to_dict(), start.metadata["config"]
        key = next(key for key in ours if ours[key] != theirs[key])
        raise ConfigError(f"{source.name}: `model.{key}` must be that of `start_from`, {theirs[key]}, got {ours[key]}")
    whose = "`model.elements`" if config.model.get("elements") else "the training set"
    for frames in splits:
        check_elements(frames, architecture.elements, whose)
    check_memory([*splits.train, *splits.validation], architecture.cutoff, DTYPES[config.dtype])
    graphs = GraphDataset(splits.train, architecture.cutoff, DTYPES[config.dtype])
    if start:
        numbers = Statistics(start.model.reference_energies, start.model.scale, start.model.average_neighbors)
    else:
        alone = energies_alone(config, source, architecture.elements)
        numbers = statistics(splits.train, graphs, architecture.elements, alone, config.reference_energies.least_squares)
    for frames in splits:
        check_references(frames, architecture.elements, numbers.reference_energies)
    return architecture, graphs, numbers, seen(graphs, architecture.elements, start.metadata["coverage"] if start else None)


def seen(graphs: GraphDataset, elements: Sequence[int], before: dict[str, Any] | None) -> dict[str, Any]:
    """The coverage of the training frames, and of those that the model of `start_from` was trained on, if it tells."""
    coverage = coverage_of((batch.graph for batch in graphs.graphs), elements)
    if before is not None:
        coverage = coverage.union(Coverage.from_dict(before, elements))
    return coverage.to_dict(elements)


def energies_alone(config: Config, source: Source, elements: Sequence[int]) -> dict[int, float]:
    """Energies (eV) of isolated atoms that the config gives, none if it gives none."""
    r = config.reference_energies
    if r.values is not None:
        for symbol in r.values:
            if symbol not in atomic_numbers:
                raise ConfigError(f"{source.name}: `reference_energies.values` must have chemical symbols as keys, got {symbol!r}")
        return given_energies({atomic_numbers[symbol]: energy for symbol, energy in r.values.items()}, elements, source.name)
    if r.isolated_atoms is not None:
        d = config.data
        path = source.folder / Path(r.isolated_atoms).expanduser()
        energy, length = (d.units.energy, d.units.length) if d.units else (None, None)
        return isolated_atoms(read_frames(path, energy, length, Keys(d.energy_key), forces_needed=False).frames, elements, r.isolated_atoms)
    return {}


def build_model(config: Config, architecture: ModelConfig, numbers: Statistics, source: Source) -> HarmonicSpinConv:
    torch.manual_seed(config.seed)
    model = HarmonicSpinConv(architecture, *numbers).to(DTYPES[config.dtype])
    if config.start_from is not None:
        model.load_state_dict(load_checkpoint(source.folder / Path(config.start_from).expanduser()).model.state_dict())
    return model


def about(config: Config, splits: Splits) -> dict[str, Any]:
    """What checkpoints say of the training: file names without folders, settings, and a hash of the data."""
    settings = config.model_dump()
    for section, key in (("data", "train"), ("data", "validation"), ("data", "test"), ("reference_energies", "isolated_atoms")):
        if isinstance(settings[section][key], str):
            settings[section][key] = Path(settings[section][key]).name
    settings = {key: value for key, value in settings.items() if key != "output"}
    if config.start_from is not None:
        settings["start_from"] = Path(config.start_from).name
    data = {
        "train_file": Path(config.data.train).name,
        "n_train": len(splits.train),
        "n_validation": len(splits.validation),
        "train_sha256": fingerprint(splits.train),
        "validation_sha256": fingerprint(splits.validation),
    }
    return {"data": data, "settings": settings, "torch": str(torch.__version__), "date": time.strftime("%Y-%m-%d")}


def check_same_training(last: Path, current: dict[str, Any], console: Console) -> int:
    """Refuse to resume a training with other data or settings; gives back the number of epochs done."""
    content = read_checkpoint(last)
    before = content[KEY]["training"]
    if before["data"] != current["data"]:
        raise ConfigError(f"{last}: was trained on other frames than these; start a new training in another --output")
    for key in current["settings"]:
        old, new = before["settings"].get(key), current["settings"][key]
        if key not in FREE_TO_CHANGE and old != new:
            inner = next((f"{key}.{k}" for k in {**old, **new} if old.get(k) != new.get(k)), key) if isinstance(old, dict) else key
            raise ConfigError(
                f"{last}: `{inner}` was another one when this training began; put it back, or start a new training in another --output"
            )
    if current["settings"]["schedule"]["type"] == "cosine" and schedule_length(before["settings"]) != schedule_length(current["settings"]):
        console.print("The length of the training has changed, and with it the learning rates of the cosine schedule.")
    return int(content[KEY]["training"]["epoch"])


def say_doubt(console: Console, doubt: str | None) -> None:
    """What may be wrong with the frames, if anything is."""
    if doubt is not None:
        console.print(f"[yellow]WARNING[/]: {escape(doubt)}", highlight=False)


def schedule_length(settings: dict[str, Any]) -> tuple[Any, ...]:
    """What the schedule takes as the length of the training: time only where there is nothing else."""
    steps = settings["max_epochs"], settings["max_steps"]
    return steps if any(steps) else (settings["max_time"],)


def headline(source: Source, config: Config, model: HarmonicSpinConv, splits: Splits) -> str:
    """What a picture of this training has above it."""
    return (
        f"{Path(source.name).stem} ({' '.join(symbols(model))}), {len(splits.train):,} + {len(splits.validation):,} frames, "
        f"{count_parameters(model):,} parameters, seed {config.seed}"
    )


def symbols(model: HarmonicSpinConv) -> list[str]:
    """Chemical symbols of the model's elements, in its order."""
    return [chemical_symbols[z] for z in torch.argsort(model._index_of_number)[-model.n_elements :].tolist()]


def say_plan(
    console: Console, config: Config, model: HarmonicSpinConv, numbers: Statistics, splits: Splits, steps: int, epochs: int
) -> None:
    """What is going to happen, before it does."""
    references = ", ".join(f"{symbol} {energy:.4f}" for symbol, energy in zip(symbols(model), numbers.reference_energies, strict=True))
    length = f"{epochs} epochs of {steps} steps" if epochs > 0 else f"{duration(config.max_time or 0)} in epochs of {steps} steps"
    for line in (
        f"{len(splits.train)} training, {len(splits.validation)} validation, {len(splits.test)} test frames",
        f"reference energies {references} eV; force rms {numbers.scale:.4f} eV/Å; {numbers.average_neighbors:.2f} neighbours",
        f"{count_parameters(model):,} parameters, {config.dtype}, {length}, {config.batch_size} frames a step",
    ):
        console.print(line, highlight=False)


def say_end(console: Console, best: Path, test: list[Frame], output: Path) -> None:
    """Where the result is, and its errors on the test frames."""
    model, metadata = load_checkpoint(best)
    console.print(f"best epoch {metadata['training']['epoch']}: {best}", highlight=False)
    if test:
        result = evaluate_frames(model, metadata["config"], test)
        (output / "test.json").write_text(json.dumps([figure._asdict() for figure in result.figures], indent=2))
        keep_test_errors(best, result.figures, len(test))
        console.print(error_table(result.figures, f"{len(test)} test frames"))


def write_result(output: Path, config: Config, steps: int, seconds: float) -> None:
    """result.json: the training has ended, with which budget, after how much, and with which validation errors."""
    training = load_checkpoint(output / "best.ckpt").metadata["training"]
    content = {"budget": budget(config), "steps": steps, "seconds": seconds, "best_epoch": training["epoch"]}
    (output / RESULT).write_text(json.dumps({**content, "validation": training["validation"]}, indent=2))


def budget(config: Config) -> dict[str, Any]:
    """What ends a training."""
    return {key: getattr(config, key) for key in ("max_epochs", "max_steps", "max_time", "early_stopping")}


def has_ended(output: Path, config: Config) -> bool:
    """Whether the training in a folder has ended with the budget of this config."""
    path = output / RESULT
    return path.is_file() and json.loads(path.read_text())["budget"] == budget(config)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Lightning's advice about loaders, devices and loggers is not for our user: what he has to know we say."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PossibleUserWarning)
        warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated", FutureWarning)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


__all__ = ["DataError", "Source", "fit"]
