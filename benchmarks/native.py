"""How fast is the native evaluator by itself, and what memory does it take? Without engines, on every instruction set of this processor.

    python benchmarks/native.py build/ci          a build folder of CMake with -DSPINCONV_TESTS=ON; --threads 2, --seconds 5

The shipped model of water, and models of random weights for ethanol and copper: 2 blocks, 32 channels, lmax 3, float32; then the other
shipped models as they are. Processor time, medians. Memory of an edge is the peak of 1,536 atoms of water less that of 192, all edges at
once.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, NamedTuple

import ase
import ase.build
import ase.io
import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from speed import SYSTEMS, water

from spinconv.export import export_model, read_model
from spinconv.potential import HarmonicSpinConv, ModelConfig, build_graph

MODELS = Path(__file__).resolve().parent.parent / "models"
LEVELS = ("x86-64-v4", "x86-64-v3", "armv8-a")
console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 120)


class Timing(NamedTuple):
    """Medians over repeats of one evaluation, and the peak memory of the process."""

    processor_ms: float
    wall_ms: float
    peak_kib: int


def write_graph(atoms: ase.Atoms, cutoff: float, path: Path) -> int:
    """What benchmarks/native.cpp reads; gives back the number of edges."""
    graph = build_graph(atoms, cutoff, torch.float64)
    source, target = graph.edge_index.numpy()
    sizes = np.array([len(atoms), len(source)])
    arrays = (sizes, np.asarray(atoms.numbers), source, target)
    path.write_bytes(b"".join(array.astype(np.int64).tobytes() for array in arrays) + graph.vectors.numpy().tobytes())
    return len(source)


def systems(folder: Path) -> dict[str, tuple[ase.Atoms, Path]]:
    """Structures and their models, those of random weights written into the folder."""
    torch.manual_seed(0)
    for system, elements, neighbors in (("ethanol", (1, 6, 8), 8.0), ("copper", (29,), 43.0)):
        config = ModelConfig(elements=elements, n_blocks=2, channels=32)
        export_model(HarmonicSpinConv(config, [0.0] * len(elements), 1.0, neighbors), folder / f"{system}.pt")
    return {
        "ethanol": (SYSTEMS["ethanol"](), folder / "ethanol.pt"),
        "water": (water(4), MODELS / "water" / "model.pt"),
        "water, 8 boxes": (water(4).repeat(2), MODELS / "water" / "model.pt"),
        "copper": (SYSTEMS["copper"](), folder / "copper.pt"),
    }


def shipped() -> dict[str, tuple[ase.Atoms, Path]]:
    """The other models that are shipped, whose sizes are not those of `systems`."""
    molecule = ase.io.read(MODELS.parent / "examples" / "openmm" / "molecule_in_water" / "acetylacetone.xyz")
    return {
        "ethanol as shipped": (SYSTEMS["ethanol"](), MODELS / "ethanol" / "model.pt"),
        "acetylacetone as shipped": (molecule, MODELS / "acetylacetone" / "model.pt"),
        "silicon as shipped": (ase.build.bulk("Si", cubic=True).repeat(3), MODELS / "silicon" / "model.pt"),
    }


def timing(program: Path, model: Path, graph: Path, level: str, threads: int, seconds: float) -> Timing | None:
    """None where the processor does not have the level."""
    command = [str(program), str(model), str(graph), level, str(threads), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    processor, wall, peak = done.stdout.split()
    return Timing(float(processor), float(wall), int(peak))


def main(
    build: Annotated[Path, typer.Argument(help="The build folder.")],
    seconds: Annotated[float, typer.Option(help="Time for each measurement.")] = 3.0,
    threads: Annotated[int, typer.Option(help="Also this many threads on the large box.")] = 2,
) -> None:
    """Time ethanol, 192 and 1,536 atoms of water, 256 of copper, and the shipped models."""
    programs = [path for path in build.rglob("time_native") if path.is_file()]
    if not programs:
        raise typer.BadParameter(f"`build` must have time_native in it, {build} has not: cmake -DSPINCONV_TESTS=ON, cmake --build {build}")
    table = Table("system", "edges", "level", "ms", "µs an edge", "atom-steps a second")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        every = systems(folder)
        found: dict[tuple[str, str], Timing] = {}
        n_edges = {}
        for system, (atoms, model) in {**every, **shipped()}.items():
            n_edges[system] = write_graph(atoms, read_model(model).metadata["cutoff"], folder / "graph")
            for level in LEVELS:
                one = timing(programs[0], model, folder / "graph", level, 1, seconds)
                if one is None:
                    continue
                found[system, level] = one
                ms = one.processor_ms
                table.add_row(
                    f"{system}, {len(atoms)} atoms", f"{n_edges[system]:,}", level, f"{ms:.3f}", f"{ms * 1e3 / n_edges[system]:.2f}",
                    f"{len(atoms) / ms * 1e3:,.0f}",
                )  # fmt: skip
        console.print(table)
        level = next(level for _, level in found)
        small, large = found["water", level], found["water, 8 boxes", level]
        more = n_edges["water, 8 boxes"] - n_edges["water"]
        console.print(f"memory: {(large.peak_kib - small.peak_kib) / more:.2f} KiB an edge")
        write_graph(every["water, 8 boxes"][0], read_model(every["water"][1]).metadata["cutoff"], folder / "graph")
        times = [timing(programs[0], every["water"][1], folder / "graph", level, n, 2 * seconds) for n in (1, threads)]
        if times[0] and times[1]:
            console.print(
                f"{threads} threads, 1,536 atoms: wall {times[0].wall_ms / times[1].wall_ms:.2f} times as fast as one; "
                f"processor time {times[1].processor_ms / times[0].processor_ms:.2f} times that of one"
            )


if __name__ == "__main__":
    typer.run(main)
