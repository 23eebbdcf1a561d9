"""Damaged files and odd numbers at every door, for two minutes; `python -m tests.fuzz --seconds 3600 --seed 1` goes on."""

import random
import time
from pathlib import Path

import pytest

from .mutations import MUTATIONS
from .runner import Runner, in_words, not_a_sentence
from .worker import RefusedError, run


def crash(folder: Path) -> None:
    import ctypes

    ctypes.string_at(0)


def refuse(folder: Path) -> None:
    raise RefusedError("ERROR: `a` must be b")


def wait(folder: Path) -> None:
    time.sleep(60)


def compute(folder: Path) -> None:
    while True:
        pass


def fill(folder: Path) -> None:
    list(range(10**10))


@pytest.mark.parametrize(
    ("door", "kind", "value"),
    [
        (lambda folder: 1.5, "answer", 1.5),
        (refuse, "sentence", "ERROR: `a` must be b"),
        (crash, "signal", "SIGSEGV"),
        (wait, "hang", "more than 0.5 s"),
        (compute, "hang", "more than 1 s of a processor"),
        (fill, "traceback", "MemoryError"),
        (lambda folder: 1 / 0, "traceback", "ZeroDivisionError"),
    ],
)
def test_whatever_a_door_does_the_runner_sees_it(tmp_path, monkeypatch, door, kind, value):
    monkeypatch.setattr("tests.fuzz.worker.MEMORY", 10**8)
    monkeypatch.setattr("tests.fuzz.worker.SECONDS", 1 if door is compute else 20)
    monkeypatch.setattr("tests.fuzz.worker.WAIT", 0.5 if door is wait else 60)
    outcome = run(door, tmp_path)
    assert outcome.kind == kind
    assert value in outcome.value if isinstance(value, str) else outcome.value == value


@pytest.mark.parametrize("text", ["", "two\nlines", "Traceback (most", "x" * 3000, "something went wrong", "ERROR: can't allocate memory"])
def test_what_is_no_sentence_is_not_taken_for_one(text):
    assert not_a_sentence(text)


def test_a_seed_and_a_number_make_the_same_case_again():
    data = b'{"a": [1, 2, {"b": "text"}]}'
    for mutation in (MUTATIONS[".json"], MUTATIONS[".xyz"], MUTATIONS[".npz"]):
        assert mutation(data, random.Random(5)) == mutation(data, random.Random(5))


@pytest.mark.slow
def test_every_door_gives_the_same_number_or_one_sentence(tmp_path):
    runner = Runner(tmp_path / "fuzz", seed=0)
    assert len(runner.answers) > 10, runner.left_out
    report = runner.fuzz(seconds=60, most=300)  # the same ones on a fast machine, so that what it finds is found again
    assert not report.failures, in_words(report, 0, tmp_path)
    assert sum(report.tries.values()) > 15
