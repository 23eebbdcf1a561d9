"""How fast are grid models, and how much memory do they take, beside the same arithmetic done the published code's way?

    python benchmarks/grid.py                     energy and forces of the OC20 configuration on a slab of 78 atoms
    python benchmarks/grid.py --case direct       one of the cases: published, intact, direct
    python benchmarks/grid.py --sizes 1,2,4       78, 156 and 312 atoms: time and memory of an edge

"In turns" are both in one process, which keeps freed memory (potential/memory.py): medians of processor time on one thread. "Alone" is each
in a process of its own: ours as calculators run it, the other with memory as glibc has it by default; and the most memory that an
evaluation takes beyond what was there before. published_way.py says how the published code's way is done. Weights are random: no time
depends on them.
"""

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import ase
import ase.build
import published_way  # beside this file
import torch
import typer
from rich.console import Console
from rich.table import Table

from spinconv.potential import Graph, GridConfig, GridSpinConv, build_graph, energy_and_forces
from spinconv.potential.grid.projection import kept_edges
from spinconv.potential.memory import keep_freed_memory

console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 120)
PUBLISHED = {"gradient": "published", "envelope": False, "max_neighbors": 40, "frame_offset": 1e-4}
CASES: dict[str, dict[str, Any]] = {
    "published": PUBLISHED,
    "intact": {},
    "direct": {**PUBLISHED, "forces": "random", "n_rotations": 5},
}
"""Energy-centric as published; energy-centric with the whole gradient, an envelope and all neighbours; force-centric as published."""
OC20 = {"cutoff": 6.0, "n_blocks": 3, "channels": 32, "hidden_channels": 256, "n_radial": 512, "n_latitude": 16, "n_longitude": 12}
TINY = {"cutoff": 3.0, "n_blocks": 2, "channels": 16, "hidden_channels": 32, "n_radial": 32, "n_latitude": 6, "n_longitude": 4}
WAYS = ("ours", "published way")


def slab(n: int) -> ase.Atoms:
    """n times 75 Cu atoms in three layers and a water molecule on them, a little displaced."""
    atoms = ase.build.fcc111("Cu", (5, 5, 3), vacuum=10.0)
    ase.build.add_adsorbate(atoms, ase.build.molecule("H2O"), 2.2, "ontop")
    atoms.pbc = True
    atoms = atoms.repeat((n, 1, 1))
    atoms.rattle(0.05, seed=0)
    return atoms


def evaluation(case: str, way: str, n: int, dtype: str, tiny: bool) -> tuple[Callable[[], Any], Graph, int]:
    """What evaluates, a graph, and how many of its edges the model keeps."""
    torch.manual_seed(0)
    config = GridConfig(elements=(1, 8, 29), **{**(TINY if tiny else OC20), **CASES[case]})
    model = GridSpinConv(config, [0.0] * 3, 1.0, 21.0).to(getattr(torch, dtype)).eval().requires_grad_(False)
    graph = build_graph(slab(n), config.cutoff, getattr(torch, dtype))
    edges = kept_edges(model.settings(), graph.edge_index, graph.vectors, len(graph.numbers))[0].shape[1]
    if way == "ours":
        return (lambda: energy_and_forces(model, graph)), graph, edges
    return (lambda: published_way.evaluate(model, *graph[:3])), graph, edges


def in_turns(case: str, dtype: str, rounds: int, tiny: bool) -> dict[str, Any]:
    """Milliseconds of both ways in this process, and how often the one is the other's time."""
    keep_freed_memory()
    steps = {way: evaluation(case, way, 1, dtype, tiny)[0] for way in WAYS}
    forces = [steps["ours"]().forces, steps["published way"]()[1]]
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            began = time.process_time()
            steps[way]()
            times[way].append(1e3 * (time.process_time() - began))
    ratios = [theirs / ours for ours, theirs in zip(*times.values(), strict=True)]
    figures: dict[str, Any] = {way: statistics.median(values) for way, values in times.items()}
    difference = float((forces[0] - forces[1]).abs().max() / forces[1].abs().max())
    return {**figures, "ratio": statistics.median(ratios), "difference": difference}


def alone(case: str, way: str, n: int, dtype: str, tiny: bool) -> dict[str, Any]:
    """The figures of `work` in a process of its own."""
    task = ",".join(map(str, (case, way, n, dtype, int(tiny))))
    command = [sys.executable, "-W", "ignore", __file__, "--work", task]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def work(task: str) -> None:
    """Prints what one way takes: atoms, edges, MiB of a first evaluation, milliseconds of a second."""
    case, way, n, dtype, tiny = task.split(",")
    torch.set_num_threads(1)
    if way == "ours":
        keep_freed_memory()
    step, graph, edges = evaluation(case, way, int(n), dtype, tiny == "1")
    before = memory("VmRSS")
    step()
    peak = memory("VmHWM") - before
    began = time.process_time()
    step()
    print(json.dumps({"atoms": len(graph.numbers), "edges": edges, "ms": 1e3 * (time.process_time() - began), "mib": peak}))


def memory(name: str) -> float:
    """MiB of this process as the kernel has it (Linux)."""
    found = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def report(found: dict[str, Any], dtype: str) -> None:
    """Two tables."""
    table = Table(title=f"energy and forces in turns, {dtype}, one thread")
    for column in ("case", "ours (ms)", "published way (ms)", "times", "forces differ by"):
        table.add_column(column, justify="left" if column == "case" else "right")
    for case, row in found["in turns"].items():
        table.add_row(case, *(f"{row[way]:.0f}" for way in WAYS), f"{row['ratio']:.2f}", f"{row['difference']:.1e}")
    console.print(table)
    table = Table(title=f"alone, {dtype}, one thread")
    for column in ("case", "way", "atoms", "edges", "ms", "µs/edge", "MiB", "KiB/edge"):
        table.add_column(column, justify="left" if column in ("case", "way") else "right")
    for row in found["alone"]:
        figures = (
            f"{row['ms']:.0f}",
            f"{1e3 * row['ms'] / row['edges']:.0f}",
            f"{row['mib']:.0f}",
            f"{1024 * row['mib'] / row['edges']:.0f}",
        )
        table.add_row(row["case"], row["way"], str(row["atoms"]), str(row["edges"]), *figures)
    console.print(table)


def main(
    case: Annotated[list[str] | None, typer.Option(help=f"Any of {', '.join(CASES)} (default: all).")] = None,
    sizes: Annotated[str, typer.Option(help="Slabs of so many times 78 atoms, alone.")] = "1",
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    rounds: Annotated[int, typer.Option(help="Turns.")] = 7,
    tiny: Annotated[bool, typer.Option("--tiny", help="A tiny network, to try this script.")] = False,
    output: Annotated[Path | None, typer.Option(help="A file for the figures, .json.")] = None,
    task: Annotated[str | None, typer.Option("--work", hidden=True)] = None,
) -> None:
    """Time grid models two ways."""
    if task is not None:
        return work(task)
    cases = case or list(CASES)
    if unknown := [name for name in cases if name not in CASES]:
        raise typer.BadParameter(f"`--case` must be one of {', '.join(CASES)}, got {unknown[0]!r}")
    torch.set_num_threads(1)
    found: dict[str, Any] = {"dtype": dtype, "in turns": {}, "alone": []}
    for name in cases:
        found["in turns"][name] = in_turns(name, dtype, rounds, tiny)
        for n in map(int, sizes.split(",")):
            for way in WAYS:
                found["alone"].append({"case": name, "way": way, **alone(name, way, n, dtype, tiny)})
    report(found, dtype)
    if output is not None:
        output.write_text(json.dumps(found, indent=2) + "\n")
    return None


if __name__ == "__main__":
    typer.run(main)
