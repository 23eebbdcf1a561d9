"""Times one calculator on one structure, a round for every line that comes in. Run by benchmarks/peers.py, which says in which environment.

    python peers_worker.py spinconv MODEL ATOMS.xyz SECONDS       or nequip, symmetrix

It needs numpy, ASE and that calculator, and answers in lines of JSON: first the versions, then milliseconds of the processor for each
evaluation of a round, which lasts SECONDS of the processor and three evaluations at least.
"""

import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import ase
import ase.io
import numpy as np


def spinconv(model: str) -> tuple[Any, list[str]]:
    """Ours, by the native evaluator."""
    from spinconv import SpinConvCalculator

    calculator = SpinConvCalculator(model, dtype="float32", threads=1, evaluator="native")
    return calculator, [version("spinconv"), calculator.model.evaluator]


def nequip(model: str) -> tuple[Any, list[str]]:
    """What nequip-compile made."""
    import torch
    from nequip.ase import NequIPCalculator

    torch.set_num_threads(1)
    words = [version("nequip"), version("torch"), torch.backends.cpu.get_cpu_capability()]
    return NequIPCalculator.from_compiled_model(model, device="cpu"), words


def symmetrix(model: str) -> tuple[Any, list[str]]:
    """What symmetrix_extract_mace wrote; the calculator compiles the rest, or finds it where it did so before."""
    from symmetrix import Symmetrix, backend_loader

    calculator = Symmetrix(model, dtype="float32")
    backend = backend_loader.select_backend(importlib.metadata.version("symmetrix-xl"))
    return calculator, [version("symmetrix-xl"), backend.architecture]


CALCULATORS: dict[str, Callable[[str], tuple[Any, list[str]]]] = {"spinconv": spinconv, "nequip": nequip, "symmetrix": symmetrix}


def version(package: str) -> str:
    """Its name and version, as installed."""
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:  # run from a folder
        return package


def evaluation(atoms: ase.Atoms, calculator: Any) -> Callable[[], object]:
    """Energy, forces and, in a box, stress, at one of two positions after the other, so that no result is there already."""
    atoms.calc = calculator
    places = [atoms.positions + np.random.default_rng(seed).normal(scale=0.005, size=(len(atoms), 3)) for seed in range(2)]

    def evaluate() -> object:
        places.reverse()
        atoms.positions = places[0]
        return atoms.get_forces(), atoms.get_stress() if atoms.pbc.all() else None

    return evaluate


def round_of(evaluate: Callable[[], object], seconds: float) -> list[float]:
    """Milliseconds of each."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < 1e3 * seconds:
        begin = time.process_time()
        evaluate()
        times.append(1e3 * (time.process_time() - begin))
    return times


def main(kind: str, model: str, structure: str, seconds: str) -> None:
    """See above."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a package prints is no answer
    calculator, versions = CALCULATORS[kind](model)
    evaluate = evaluation(ase.io.read(structure), calculator)
    round_of(evaluate, float(seconds))  # first calls are slow
    print(json.dumps([*versions, version("ase")]), file=answers, flush=True)
    for _ in sys.stdin:
        print(json.dumps(round_of(evaluate, float(seconds))), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
