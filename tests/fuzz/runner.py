"""The runner: mutates a file, opens a door with it, and accepts the same number or one sentence."""

from __future__ import annotations

import math
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from spinconv.potential.sealed import open_sealed

from .doors import DOORS, import_all, write_whole_files
from .mutations import MUTATIONS, Mutated
from .worker import Outcome, run

LONGEST = 2000
"""Characters of a sentence, which has a single line beside what a command says before it."""


class Case(NamedTuple):
    """One try, the same whenever it is made again from a seed and a number."""

    number: int
    door: str
    file: str
    mutated: Mutated


class Failure(NamedTuple):
    """What is neither the same number nor a sentence."""

    case: Case
    outcome: Outcome
    why: str


class Report(NamedTuple):
    """What came of all tries."""

    tries: Counter[tuple[str, str]]
    """By door, and "same", "another number" (where it may be) or "sentence"."""
    left_out: dict[str, str]
    """Doors that could not be tried, and why."""
    failures: list[Failure]


class Runner:
    """Tries doors with files made in `folder`; failing inputs are kept there."""

    def __init__(self, folder: Path, seed: int = 0, doors: Sequence[str] = ()) -> None:
        self.folder, self.seed = folder, seed
        self.whole = folder / "whole"
        self.whole.mkdir(parents=True)
        write_whole_files(self.whole)
        import_all()
        self.answers: dict[str, Any] = {}
        self.left_out: dict[str, str] = {}
        for name in doors or DOORS:
            self.try_whole(name)
        self.order = [name for name in self.answers for _ in range(DOORS[name].weight)]
        random.Random(0).shuffle(self.order)

    def try_whole(self, name: str) -> None:
        """The answer of a door to whole files; a door that has none is left out."""
        outcome = self.open(name, "whole", None)
        if outcome.kind == "answer":
            self.answers[name] = outcome.value
        else:
            self.left_out[name] = str(outcome.value).strip().splitlines()[-1]

    def case(self, number: int) -> Case:
        """The try of a number."""
        chance = random.Random(f"{self.seed} {number}")
        door = self.order[number % len(self.order)]
        file = chance.choice(DOORS[door].inputs)
        data = (self.whole / file).read_bytes()
        mutated = MUTATIONS[Path(file).suffix](data, chance)
        return Case(number, door, file, mutated)

    def open(self, door: str, name: str, case: Case | None) -> Outcome:
        """Opens a door with the whole files, but one if there is a case; the folder has one name, as answers may say it."""
        folder = self.folder / (name if case else "work") / "files"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.whole, folder)
        if case is not None:
            (folder / case.file).write_bytes(case.mutated.data)
        return run(DOORS[door].open, folder)

    def judge(self, case: Case, outcome: Outcome) -> str | None:
        """What is wrong with an outcome, if anything."""
        if outcome.kind == "sentence":
            return not_a_sentence(outcome.value)
        if outcome.kind != "answer":
            return outcome.kind
        if case.mutated.exact and not same(outcome.value, self.answers[case.door]):
            return "another number"
        if not case.mutated.exact and not all(map(math.isfinite, numbers(outcome.value))):
            return "no finite number"
        return None

    def cases(self, seconds: float, most: int) -> Iterator[Case]:
        """Cases until the time is over; files that have no seal are not tried where a seal is what has to notice."""
        end = time.monotonic() + seconds
        number = 0
        while self.order and number < most and time.monotonic() < end:
            if is_sealed(self.whole, self.case_file(number)):
                yield self.case(number)
            number += 1

    def case_file(self, number: int) -> str:
        """Which file a case changes."""
        return random.Random(f"{self.seed} {number}").choice(DOORS[self.order[number % len(self.order)]].inputs)

    def try_one(self, case: Case, tries: Counter[tuple[str, str]]) -> Failure | None:
        """Makes a try; its folder stays where it failed."""
        name = f"case-{self.seed}-{case.number}"
        outcome = self.open(case.door, name, case)
        why = self.judge(case, outcome)
        if why is not None:
            (self.folder / name / "outcome.txt").write_text(f"{case.door}, {case.file}, {case.mutated.what}\n{why}\n{outcome.value}\n")
            return Failure(case, outcome, why)
        shutil.rmtree(self.folder / name)
        kind = outcome.kind if outcome.kind == "sentence" else "same" if same(outcome.value, self.answers[case.door]) else "another number"
        tries[case.door, kind] += 1
        return None

    def fuzz(self, seconds: float, most: int = 10**9) -> Report:
        """Tries until the time is over, or so many cases were made."""
        tries: Counter[tuple[str, str]] = Counter()
        failures = [failure for case in self.cases(seconds, most) if (failure := self.try_one(case, tries))]
        return Report(tries, self.left_out, failures)


def is_sealed(folder: Path, file: str) -> bool:
    """Whether a file that should have a seal has one; a force's XML has what its model has."""
    sealed = {"force.xml": "model.pt"}.get(file, file)
    if Path(sealed).suffix not in (".pt", ".ckpt"):
        return True
    try:
        open_sealed((folder / sealed).read_bytes(), sealed)
    except ValueError:
        return False
    return True


def not_a_sentence(text: str) -> str | None:
    """Why words are no sentence for a user, if they are not."""
    errors = [line for line in text.splitlines() if "ERROR" in line] or text.splitlines()
    if "Traceback" in text:
        return "a traceback"
    if "allocate memory" in text or "bad_alloc" in text:
        return "memory"
    if len(errors) != 1 or not errors[0].strip():
        return "no sentence"
    if len(text) > LONGEST:
        return "a sentence without end"
    if not any(word in text for word in ("`", "ERROR", "must", "SpinConvForce")):
        return "a sentence that names nothing"
    return None


def numbers(value: Any) -> Iterator[float]:
    """The numbers in an answer."""
    if isinstance(value, float | int):
        yield float(value)
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from numbers(inner)


def same(a: Any, b: Any) -> bool:
    """Whether two answers are equal, numbers to rounding."""
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def in_words(report: Report, seed: int, folder: Path) -> str:
    """The report as lines."""
    lines = [f"{'door':16} {'tries':>6} {'same':>6} {'other':>6} {'sentence':>9} {'failed':>7}   seed {seed}"]
    failed = Counter(failure.case.door for failure in report.failures)
    for door in sorted({name for name, _ in report.tries} | set(failed)):
        counts = [report.tries[door, kind] for kind in ("same", "another number", "sentence")]
        lines.append(f"{door:16} {sum(counts) + failed[door]:6} {counts[0]:6} {counts[1]:6} {counts[2]:9} {failed[door]:7}")
    lines += [f"left out: {door}: {why}" for door, why in report.left_out.items()]
    for case, outcome, why in report.failures:
        last = str(outcome.value).strip().splitlines()[-1:] or [""]
        lines.append(f"FAILED case {case.number}, {case.door}, {case.file} ({case.mutated.what}): {why}: {last[0][:200]}")
        lines.append(
            f"    again: python -m tests.fuzz --seed {seed} --case {case.number}      kept: {folder / f'case-{seed}-{case.number}'}"
        )
    return "\n".join(lines)
