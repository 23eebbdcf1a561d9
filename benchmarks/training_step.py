"""How long is a step of training, and what takes it? Two engines, two optimizers, or two versions of spinconv, in turns.

    python benchmarks/training_step.py                         ethanol, batch of 5: the native engine beside torch
    python benchmarks/training_step.py --system water
    python benchmarks/training_step.py --frames train.xyz      the first five frames of a file
    python benchmarks/training_step.py --compare optimizers    SOAP beside Adam
    python benchmarks/training_step.py --other FOLDER          this version beside the one whose package lies in FOLDER/spinconv

Times are medians of rounds that take turns, of the processor's own time where there is one thread, so that a busy machine changes little; a
ratio is the median of the rounds' ratios. The optimizer's time is a mean over 40 steps, in which a basis is turned four times. Weights and
labels are random: no time depends on them.
"""

import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TextIO

import ase
import ase.build
import ase.io
import torch
import typer
from rich.console import Console
from rich.table import Table
from speed import water  # beside this file

STEPS = 40  # in a round: a multiple of SOAP's turns
STAGES = ("energy and forces", "gradient of the loss", "clip", "optimizer", "average")
console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 120)


def now() -> float:
    """Seconds: the processor's of one thread, the wall's of several."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


SYSTEMS: dict[str, tuple[Callable[[], ase.Atoms], int]] = {
    "ethanol": (lambda: ase.build.molecule("CH3CH2OH"), 5),
    "water": (lambda: water(4), 1),
    "small water": (lambda: water(2), 1),
    "silicon": (lambda: ase.build.bulk("Si", cubic=True) * (2, 2, 2), 5),
}
COMPARED = {"engines": (("native", "soap"), ("torch", "soap")), "optimizers": (("auto", "soap"), ("auto", "adam"))}
BATCH = 5  # frames of a file


def optimizer(model: torch.nn.Module, kind: str) -> torch.optim.Optimizer:
    """The default recipe of `optimizer.type: kind`; Adam in a version that knows no other."""
    try:
        module = importlib.import_module("spinconv.potential.training.optimizer")
    except ImportError:
        return torch.optim.Adam(model.parameters(), 5e-3, amsgrad=True, fused=True)
    from spinconv.potential.training.config import Optimizer

    made: torch.optim.Optimizer = module.optimizer_of(model, Optimizer(type=kind))  # type: ignore[arg-type]
    return made


class Trainee:
    """A model in training on one system."""

    def __init__(self, system: str, engine: str, kind: str) -> None:
        from spinconv.potential import HarmonicSpinConv, ModelConfig, build_graph
        from spinconv.potential.graph import batch_graphs
        from spinconv.potential.training.average import WeightAverage

        torch.manual_seed(0)
        frames = frames_of(system)
        elements = sorted({int(z) for atoms in frames for z in atoms.numbers})
        config = ModelConfig(elements=tuple(elements), n_blocks=2)
        self.model = HarmonicSpinConv(config, [0.0] * len(elements), 1.0, 10.0).to(torch.float32)
        self.graph = batch_graphs([build_graph(atoms, config.cutoff, torch.float32) for atoms in frames])
        self.forces = torch.randn(len(self.graph.numbers), 3)
        self.native = native_step(self.model) if engine != "torch" else None
        self.optimizer = optimizer(self.model, kind)
        self.average = WeightAverage(self.model.parameters(), 0.999)
        self.parameters = list(self.model.parameters())

    def round(self) -> dict[str, float]:
        """Milliseconds of each stage: medians over the steps, the optimizer's mean."""
        times: dict[str, list[float]] = {stage: [] for stage in STAGES}
        for _ in range(STEPS):
            for stage, milliseconds in self.step().items():
                times[stage].append(milliseconds)
        return {stage: (statistics.mean if stage == "optimizer" else statistics.median)(times[stage]) for stage in STAGES}

    def step(self) -> dict[str, float]:
        """A step, as `Training` does it, with a clock between its stages."""
        from spinconv.potential import energy_and_forces

        clock = [now()]
        self.optimizer.zero_grad()
        found = self.native(self.graph) if self.native else energy_and_forces(self.model, self.graph, create_graph=True)
        clock.append(now())
        (found.energies.square().mean() + (found.forces - self.forces).square().mean()).backward()
        clock.append(now())
        torch.nn.utils.clip_grad_norm_(self.parameters, 10.0)
        clock.append(now())
        self.optimizer.step()
        clock.append(now())
        self.average.update()
        clock.append(now())
        return {stage: 1e3 * (after - before) for stage, before, after in zip(STAGES, clock, clock[1:], strict=False)}


def frames_of(system: str) -> list[ase.Atoms]:
    """A batch: of a system by its name, or the first frames of a file."""
    if system not in SYSTEMS:
        return list(ase.io.iread(system, f":{BATCH}"))
    make, size = SYSTEMS[system]
    frames = [make() for _ in range(size)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=seed)
    return frames


def native_step(model: Any) -> Callable[[Any], Any] | None:
    """Energies and forces by the native engine; None in a version that has none."""
    try:
        from spinconv.potential.gradients import energy_and_forces_by
        from spinconv.potential.kinds import kind_of
    except ImportError:
        return None
    step = kind_of(model.config).training_step(model, torch.get_num_threads())
    return lambda graph: energy_and_forces_by(step, graph)


class Worker:
    """A process that trains with the package in a folder, one round at a time."""

    def __init__(self, folder: Path | None, system: str, engine: str, kind: str, threads: int) -> None:
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        if folder is not None:
            environment["PYTHONPATH"] = str(folder)
        command = [sys.executable, "-W", "ignore", __file__, "--work", f"{engine},{kind},{threads},{system}"]
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.n_edges = int(self.answer())

    def round(self) -> dict[str, float]:
        print("go", file=stream(self.process.stdin), flush=True)
        figures: dict[str, float] = json.loads(self.answer())
        return figures

    def answer(self) -> str:
        line = stream(self.process.stdout).readline()
        if not line:
            raise typer.Exit(1)  # it has said why
        return line

    def stop(self) -> None:
        stream(self.process.stdin).close()
        self.process.wait()


def stream(pipe: Any) -> TextIO:
    assert pipe is not None
    return pipe  # type: ignore[no-any-return]


def work(system: str, engine: str, kind: str, threads: int) -> None:
    """What a worker does: says how many edges there are, then makes a round for every line that comes in."""
    torch.set_num_threads(threads)
    trainee = Trainee(system, engine, kind)
    trainee.round()  # first calls are slow
    print(trainee.graph.edge_index.shape[1], flush=True)
    for _ in sys.stdin:
        print(json.dumps(trainee.round()), flush=True)


def report(rounds: dict[str, list[dict[str, float]]], system: str, n_edges: int) -> dict[str, Any]:
    """The table of stages, and the ratio of the first to the second."""
    (first, ours), (second, theirs) = rounds.items()
    table = Table(title=f"a training step of {system}, {n_edges:,} edges (ms)")
    for column in ("stage", first, second):
        table.add_column(column, justify="left" if column == "stage" else "right")
    figures: dict[str, Any] = {name: {} for name in rounds}
    for stage in (*STAGES, "step"):
        for name, its in rounds.items():
            figures[name][stage] = statistics.median(sum(r.values()) if stage == "step" else r[stage] for r in its)
        table.add_row(stage, *(f"{figures[name][stage]:.2f}" for name in rounds), end_section=stage == STAGES[-1])
    console.print(table)
    figures["ratio"] = statistics.median(sum(a.values()) / sum(b.values()) for a, b in zip(ours, theirs, strict=True))
    shares = ", ".join(f"{100 * figures[name]['optimizer'] / figures[name]['step']:.1f} % of {name}" for name in rounds)
    per_edge = ", ".join(f"{1e3 * figures[name]['step'] / n_edges:.1f}" for name in rounds)
    console.print(f"{first} / {second}: {figures['ratio']:.3f}; µs an edge {per_edge}; the optimizer is {shares}", highlight=False)
    return figures


def main(
    system: Annotated[str, typer.Option(help=f"One of {', '.join(SYSTEMS)}.")] = "ethanol",
    frames: Annotated[Path | None, typer.Option(help="A file whose first frames are taken instead.", exists=True, dir_okay=False)] = None,
    compare: Annotated[str, typer.Option(help=f"One of {', '.join(COMPARED)}.")] = "engines",
    other: Annotated[Path | None, typer.Option(help="A folder with another version's package, `spinconv`.")] = None,
    optimizer_type: Annotated[str, typer.Option("--optimizer", help="With --other: soap, adam or adamw, in both.")] = "soap",
    rounds: Annotated[int, typer.Option(help="Turns of 40 steps each.")] = 10,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
    output: Annotated[Path | None, typer.Option(help="A file for the figures, .json.")] = None,
    task: Annotated[str | None, typer.Option("--work", hidden=True)] = None,
) -> None:
    """Time the stages of a training step, two ways in turns."""
    if task is not None:
        engine, kind, its_threads, system = task.split(",", maxsplit=3)
        return work(system, engine, kind, int(its_threads))
    if system not in SYSTEMS:
        raise typer.BadParameter(f"`--system` must be one of {', '.join(SYSTEMS)}, got {system!r}")
    if compare not in COMPARED:
        raise typer.BadParameter(f"`--compare` must be one of {', '.join(COMPARED)}, got {compare!r}")
    batch = system if frames is None else str(frames)
    if other is None:
        column = 0 if compare == "engines" else 1
        workers = {pair[column]: Worker(None, batch, *pair, threads) for pair in COMPARED[compare]}
    else:
        folders = {"this": None, "other": other}
        workers = {name: Worker(folder, batch, "auto", optimizer_type, threads) for name, folder in folders.items()}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            found[name].append(worker.round())
    for worker in workers.values():
        worker.stop()
    figures = report(found, batch, next(iter(workers.values())).n_edges)
    if output is not None:
        output.write_text(json.dumps(figures, indent=2) + "\n")
    return None


if __name__ == "__main__":
    typer.run(main)
