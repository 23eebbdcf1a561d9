"""How long a step of training and an evaluation take, for models that take turns, so that a busy machine is as busy for all of them."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from spinconv.potential.gradients import energy_and_forces
from spinconv.potential.memory import keep_freed_memory
from spinconv.potential.model import PotentialModel
from spinconv.potential.training.clock import Clock
from spinconv.potential.training.config import Config
from spinconv.potential.training.data import Batch, join, labelled_graph
from spinconv.potential.training.engine import training_step
from spinconv.potential.training.frames import Frame
from spinconv.potential.training.module import Training
from spinconv.potential.training.optimizer import optimizer_of

ROUNDS = 5
LONG, MOST = 0.3, 10  # a round is as many calls as take so many seconds, but no more than these: SOAP turns its basis every tenth step


class Times(NamedTuple):
    """Milliseconds, medians of the rounds; of the processor's own time where there is one thread."""

    step: float
    """Of a training step: loss, gradient, clipping, optimizer, average."""
    evaluation: float
    """Of energy and forces of one frame."""


def times_of(trained: Sequence[tuple[PotentialModel, Config]], learned: Sequence[Frame], held_out: Frame) -> list[Times]:
    """The times of models on the CPU, each with batches of its config's size; the models stay as they are."""
    keep_freed_memory()
    calls: list[Callable[[], object]] = []
    for model, config in trained:
        cutoff, dtype = model.config.cutoff, next(model.parameters()).dtype
        calls.append(step_of(model, config, join([labelled_graph(frame, cutoff, dtype) for frame in learned[: config.batch_size]])))
        calls.append(evaluation_of(model, labelled_graph(held_out, cutoff, dtype)))
    medians = in_turns(calls)
    return [Times(*pair) for pair in zip(medians[::2], medians[1::2], strict=True)]


def step_of(model: PotentialModel, config: Config, batch: Batch) -> Callable[[], object]:
    """What makes a training step of a copy of the model, as the trainer does."""
    pupil = copy.deepcopy(model)
    engine = training_step(config, pupil, "the config")
    module = Training(pupil, model.config, config, steps=1, clock=Clock(None, 1), about={}, coverage={}, step=engine)
    optimizer = optimizer_of(pupil, config.optimizer)

    def step() -> None:
        optimizer.zero_grad()
        module.backward(module.training_step(batch, 0))
        module.configure_gradient_clipping(optimizer, config.gradient_clip)
        optimizer.step()
        module.on_train_batch_end(None, batch, 0)

    return step


def evaluation_of(model: PotentialModel, batch: Batch) -> Callable[[], object]:
    return lambda: energy_and_forces(model, batch.graph)


def in_turns(calls: Sequence[Callable[[], object]]) -> list[float]:
    """Milliseconds of each call: the medians over rounds, in each of which every one has its turn."""
    numbers = [max(1, min(MOST, int(LONG / seconds_of(call)))) for call in calls]
    rounds = [[seconds_of(call, n) for call, n in zip(calls, numbers, strict=True)] for _ in range(ROUNDS)]
    return [1000 * statistics.median(column) for column in zip(*rounds, strict=True)]


def seconds_of(call: Callable[[], object], n: int = 1) -> float:
    """Of one of n calls."""
    now = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = now()
    for _ in range(n):
        call()
    return (now() - start) / n
