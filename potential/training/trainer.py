"""From a config to a trained model: frames, statistics, model, Lightning's loop, test."""

from __future__ import annotations

import gc
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import Callback, EarlyStopping
from rich.console import Console
from torch.utils.data import DataLoader

from spinconv.potential.config import KindConfig
from spinconv.potential.coverage import Coverage, coverage_of
from spinconv.potential.kinds import kind_of, make_model
from spinconv.potential.memory import keep_freed_memory
from spinconv.potential.model import PotentialModel
from spinconv.potential.safe_write import write_file
from spinconv.potential.training.callbacks import BestAndLast, Display, HistoryLog
from spinconv.potential.training.checkpoint import load_checkpoint
from spinconv.potential.training.checkpoint_io import SealedCheckpoints
from spinconv.potential.training.clock import Clock
from spinconv.potential.training.config import Config, ConfigError, model_config
from spinconv.potential.training.data import Batch, BatchStream, GraphDataset, Once, check_memory, loader
from spinconv.potential.training.doubts import judged_half_way, say_doubt, undetermined_references
from spinconv.potential.training.engine import training_step
from spinconv.potential.training.frames import DataError, check_elements, elements_of
from spinconv.potential.training.lock import locked
from spinconv.potential.training.module import Training
from spinconv.potential.training.references import beside_network, energies_alone, kept
from spinconv.potential.training.report import headline, say_end, say_plan
from spinconv.potential.training.resume import RESULT, about, check_same_training, write_result
from spinconv.potential.training.splits import Source, Splits, read_splits
from spinconv.potential.training.statistics import (
    Statistics,
    check_references,
    statistics,
)

DTYPES = {"float32": torch.float32, "float64": torch.float64}


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
    with locked(output):
        return fit_alone(config, source, output, resume, console or Console(), now, splits)


def fit_alone(
    config: Config, source: Source, output: Path, resume: bool, console: Console, now: Callable[[], float], splits: Splits | None
) -> Path:
    """`fit`, when nobody else trains in the folder."""
    check_folder(output, resume)
    check_devices(config, source.name)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    keep_freed_memory()

    # what is learned from
    splits = splits or read_splits(config, source, console)
    architecture, training_graphs, numbers, coverage = prepare(config, source, splits)
    stream, training, validation = loaders(config, splits, training_graphs, architecture.cutoff)
    epochs = config.max_epochs or (-1 if config.max_steps is None else -(-config.max_steps // stream.steps))

    # what learns
    if config.reference_energies.least_squares and not kept(config):
        say_doubt(console, undetermined_references(splits.train, architecture.elements))
    model = build_model(config, architecture, numbers, coverage, source)
    say_doubt(console, judged_half_way(config))
    step = training_step(config, model, source.name)
    clock = Clock(config.max_time, epochs * stream.steps if epochs > 0 else -1, now)
    seen_in_training = coverage.to_dict(architecture.elements)
    module = Training(model, architecture, config, stream.steps, clock, about(config, splits), seen_in_training, step)
    say_plan(console, config, model, numbers, splits, stream.steps, epochs, step)
    if resume:
        stream.set_epoch(check_same_training(output / "last.ckpt", module.about, console))
    open_folder(output, config)

    # the training
    history = HistoryLog(output, clock, headline(source, config, model, splits))
    arguments: dict[str, Any] = {"ckpt_path": output / "last.ckpt", "weights_only": True} if resume else {}
    with quiet_lightning(), without_looking_for_garbage():
        trainer = lightning_trainer(config, epochs, [clock, history, Display(console, history), BestAndLast(output)])
        trainer.fit(module, training, validation, **arguments)
        seconds = clock.seconds
    best = output / "best.ckpt"
    if trainer.is_global_zero:
        say_end(console, best, splits.test, output)
        write_result(output, config, trainer.global_step, seconds)
    return best


def check_folder(output: Path, resume: bool) -> None:
    """Refuse to begin where there is a training already, and to resume where there is none."""
    there = (output / "last.ckpt").exists()
    if there and not resume:
        raise ConfigError(f"{output}: holds a training already; continue it with --resume or choose another --output")
    if resume and not there:
        raise ConfigError(f"{output}: has no last.ckpt to resume from; start without --resume")


def open_folder(output: Path, config: Config) -> None:
    """The folder of a training that begins or goes on: with its config, and no result of an earlier end."""
    output.mkdir(parents=True, exist_ok=True)
    write_file(output / "config.yaml", yaml.safe_dump(config.model_dump(), sort_keys=False))
    (output / RESULT).unlink(missing_ok=True)


def loaders(
    config: Config, splits: Splits, training_graphs: GraphDataset, cutoff: float
) -> tuple[BatchStream, DataLoader[Batch], DataLoader[Batch]]:
    """The order of the training batches, and loaders of training and validation batches; each of several ranks gets its share."""
    rank, world = int(os.environ.get("LOCAL_RANK", 0)), config.devices
    validation_graphs = GraphDataset(splits.validation, cutoff, DTYPES[config.dtype])
    share = config.data.extra_share
    stream = BatchStream(len(splits.train), config.batch_size, config.seed, config.epoch_steps, rank, world, len(splits.extra), share)
    once = Once(len(splits.validation), max(10, config.batch_size), rank, world)
    return stream, loader(training_graphs, stream), loader(validation_graphs, once)


def lightning_trainer(config: Config, epochs: int, callbacks: list[Callback]) -> lightning.Trainer:
    """Lightning's loop, which does what we say and says nothing itself."""
    if config.early_stopping is not None:
        callbacks.append(EarlyStopping("validation_loss", patience=config.early_stopping, check_on_train_epoch_end=True, verbose=False))
    return lightning.Trainer(
        accelerator=config.accelerator,
        devices=config.devices,
        strategy="ddp" if config.devices > 1 else "auto",
        max_epochs=epochs,
        gradient_clip_val=config.gradient_clip,
        callbacks=callbacks,
        plugins=[SealedCheckpoints()],
        logger=False,
        enable_checkpointing=True,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        inference_mode=False,  # forces are a gradient in validation too
    )


def check_devices(config: Config, name: str) -> None:
    """Refuse more devices of a kind than this machine has, or such as cannot share a batch evenly."""
    if config.batch_size % config.devices:
        raise ConfigError(f"{name}: `batch_size` must be a multiple of `devices` ({config.devices}), got {config.batch_size}")
    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    n = max(there.values()) if config.accelerator == "gpu" else there.get(config.accelerator)
    if n is not None and n < config.devices:
        wanted = f"`accelerator: {config.accelerator}` with `devices: {config.devices}`"
        raise ConfigError(
            f"{name}: {wanted} needs as many of them in this machine, torch finds {n}; `accelerator: auto` takes what is there"
        )


def prepare(config: Config, source: Source, splits: Splits) -> tuple[KindConfig, GraphDataset, Statistics, Coverage]:
    """Architecture, training graphs, statistics and coverage, all from the training frames (or from the checkpoint of `start_from`)."""
    start = None if config.start_from is None else load_checkpoint(source.folder / Path(config.start_from).expanduser())
    elements = start.metadata["config"]["elements"] if start else elements_of(splits.train)
    architecture = model_config(config, elements, source.name)
    if start:
        check_same_architecture(architecture, start.model.config, source.name)
    whose = "`model.elements`" if config.model.get("elements") else "the training set"
    for frames in splits:
        check_elements(frames, architecture.elements, whose)
    check_memory([*splits.learned, *splits.validation], architecture.cutoff, DTYPES[config.dtype])
    graphs = GraphDataset(splits.learned, architecture.cutoff, DTYPES[config.dtype])
    alone = {} if kept(config) else energies_alone(config, source, architecture)
    if start:
        numbers = Statistics(start.model.reference_energies, start.model.scale, start.model.average_neighbors)
        if not kept(config):
            energies = beside_network(start, splits.train, alone, config.reference_energies.least_squares)
            numbers = numbers._replace(reference_energies=energies)
    else:
        numbers = statistics(splits.train, graphs, architecture.elements, alone, config.reference_energies.least_squares)
    for frames in splits:
        check_references(frames, architecture.elements, numbers.reference_energies)
    before = start.metadata["coverage"] if start and config.pretrain is None else None  # what was pretrained is soon forgotten
    return architecture, graphs, numbers, seen(graphs, architecture.elements, before)


def check_same_architecture(ours: KindConfig, theirs: KindConfig, name: str) -> None:
    """Raises ConfigError where a model is not to be made of what that of `start_from` is made of."""
    sides = [{"sphere": kind_of(config).name, **config.to_dict()} for config in (ours, theirs)]
    for key in sides[0]:
        wanted, got = (side.get(key) for side in reversed(sides))
        if wanted != got:
            raise ConfigError(f"{name}: `model.{key}` must be that of `start_from`, {wanted}, got {got}")


def seen(graphs: GraphDataset, elements: Sequence[int], before: dict[str, Any] | None) -> Coverage:
    """The coverage of the training frames, and of those that the model of `start_from` was trained on, if it tells."""
    coverage = coverage_of((batch.graph for batch in graphs.graphs), elements)
    if before is not None:
        coverage = coverage.union(Coverage.from_dict(before, elements))
    return coverage


def build_model(config: Config, architecture: KindConfig, numbers: Statistics, coverage: Coverage, source: Source) -> PotentialModel:
    torch.manual_seed(config.seed)
    model = make_model(architecture, *numbers).to(DTYPES[config.dtype])
    if config.start_from is not None:
        model.load_state_dict(load_checkpoint(source.folder / Path(config.start_from).expanduser()).model.state_dict())
    kind_of(architecture).hold(model, coverage)
    return model


@contextmanager
def without_looking_for_garbage() -> Iterator[None]:
    """What is there stays as long: that the collector looks through it again and again takes a tenth of a step."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


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
