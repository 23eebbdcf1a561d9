"""What a GPU gives, in one table and a plot: the prepared quarter of an hour of scripts/gpu.sh. Rehearse it on a CPU with --device opencl.

    python benchmarks/gpu.py                            # kernels on cuda
    python benchmarks/gpu.py --device opencl --minutes 3 --most-atoms 1600

Parts: `digits`, against the CPU in float64; `speed`, ms an evaluation and µs an atom from a molecule to a million atoms; `nve`, energy
drift of ethanol and water in LAMMPS and OpenMM; `lammps`, ms a step of LAMMPS by one rank and by two that share the device; `openmm`, ms a
step by kernels in the arrays of a Context; `torch`, the same evaluations by torch where it can use the device. Each runs in a process of
its own: one that fails, or finds no time left, is told at the end and the others go on.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import ase
import ase.io
import numpy as np
import typer
from gpu_engines import Rows, lammps, openmm, sizes  # beside this file
from nve import SYSTEMS
from rich.console import Console
from rich.table import Table

from spinconv.export.evaluators import OpenModel, open_model
from spinconv.export.native_library import NativeModel
from spinconv.potential.edges import Edges, edges_of
from spinconv.potential.words import in_one_line

HERE = Path(__file__).resolve().parent
console = Console(highlight=False, soft_wrap=True)


def edges_for(atoms: ase.Atoms, cutoff: float) -> Edges:
    return edges_of(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, cutoff)


def step_of(model: OpenModel, atoms: ase.Atoms) -> Callable[[int], object]:
    """What a step asks for: kernels find the neighbours themselves; torch is given edges of the same length, a little changed."""
    if isinstance(model, NativeModel) and model.finds_neighbors:
        numbers, positions, cell, pbc = atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc
        return lambda n: model.evaluate_atoms(numbers, positions + 1e-3 * (n % 3), cell, pbc)
    edges = edges_for(atoms, model.metadata["cutoff"])
    return lambda n: model.evaluate(edges._replace(vectors=edges.vectors * (1.0 + 1e-4 * (n % 3))))


def used_memory() -> float | None:
    """MiB on the first NVIDIA GPU, None where nobody can tell."""
    if shutil.which("nvidia-smi") is None:
        return None
    said = subprocess.run(
        ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"], capture_output=True, text=True, check=False
    )
    return float(said.stdout.split()[0]) if said.returncode == 0 else None


# ---- the parts; each gives rows for the table


def digits(device: str, deadline: float, most_atoms: int) -> Rows:
    rows: Rows = []
    for name, system in SYSTEMS.items():
        atoms = system.atoms()
        truth = open_model(system.model, "float64", "cpu", "native")
        edges = edges_for(atoms, truth.metadata["cutoff"])
        expected = truth.evaluate(edges)
        for dtype in ("float64", "float32"):
            model = NativeModel(system.model, dtype, device)
            found, again = model.evaluate(edges), NativeModel(system.model, dtype, device).evaluate(edges)
            there, _ = model.evaluate_atoms(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
            rows.append({
                "what": f"{name}, {dtype}",
                "energy (eV/atom)": abs(found.energies.sum() - expected.energies.sum()) / len(atoms),
                "forces (eV/Å)": float(np.abs(found.forces - expected.forces).max()),
                "neighbours found there (eV/Å)": float(np.abs(there.forces - expected.forces).max()),
                "the same bits again": bool((found.forces == again.forces).all()),
            })  # fmt: skip
    return rows


def nve(device: str, deadline: float, most_atoms: int) -> Rows:
    rows: Rows = []
    for name, picoseconds in (("ethanol", 5.0), ("water", 2.0)) if device.startswith("cuda") else (("ethanol", 0.5),):
        with tempfile.TemporaryDirectory() as folder:
            words = ["--system", name, "--quick", "--picoseconds", str(picoseconds), "--device", device, "--output", folder]
            subprocess.run(
                [sys.executable, str(HERE / "conservation.py"), *words], check=False, capture_output=True, timeout=deadline - time.time()
            )
            for run in json.loads(Path(folder, "conservation.json").read_text()):
                what = f"{name}, {run['engine']}, {picoseconds:g} ps"
                drift, rms = run["drift_meV_per_atom_per_ps"], run["fluctuation_meV_per_atom"]
                rows.append({"what": what, "drift (meV/atom/ps)": drift, "rms (meV/atom)": rms})
    return rows


def timed(evaluate: Callable[[int], object], budget: float) -> float:
    """ms: the median of what fits into some seconds, three at least, after one that warms up."""
    evaluate(0)
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < 3 or (len(times) < 200 and time.perf_counter() - began < budget):
        start = time.perf_counter()
        evaluate(len(times) + 1)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def evaluations(device: str, evaluator: str, deadline: float, most_atoms: int) -> Rows:
    rows: Rows = []
    models = {name: open_model(SYSTEMS[name].model, "float32", device, evaluator) for name in SYSTEMS}
    for name, atoms in sizes(most_atoms):
        if time.time() > deadline - 20:
            break
        ms = timed(step_of(models["ethanol" if name == "ethanol" else "water"], atoms), 3.0)
        row = {"what": f"{name}, {evaluator}", "atoms": len(atoms), "ms": ms, "µs an atom": 1e3 * ms / len(atoms)}
        memory = used_memory()
        rows.append(row if memory is None else row | {"GPU memory (MiB)": memory})
        print(json.dumps(row), file=sys.stderr, flush=True)
    return rows


def speed(device: str, deadline: float, most_atoms: int) -> Rows:
    return evaluations(device, "native", deadline, most_atoms)


def torch(device: str, deadline: float, most_atoms: int) -> Rows:
    return evaluations(device, "torch", deadline, most_atoms)


PARTS: dict[str, Callable[[str, float, int], Rows]] = {
    "digits": digits,
    "speed": speed,
    "nve": nve,
    "lammps": lammps,
    "openmm": openmm,
    "torch": torch,
}


def show(part: str, rows: Rows) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(*columns, title=part)
    for row in rows:
        table.add_row(*(f"{row[key]:.3g}" if isinstance(row.get(key), float) else str(row.get(key, "")) for key in columns))
    console.print(table)


def draw(found: dict[str, Rows], path: Path, title: str) -> None:
    """µs an atom against atoms, of what was timed."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    curves: dict[str, list[tuple[float, float]]] = {}
    for part in ("speed", "lammps", "openmm", "torch"):
        for row in found.get(part, []):
            curves.setdefault(f"{part}, {row['what'].rpartition(', ')[2]}", []).append((row["atoms"], row["µs an atom"]))
    for label, points in curves.items():
        axes.loglog(*zip(*points, strict=True), "o-", label=label)
    axes.set(xlabel="atoms", ylabel="µs an atom", title=title)
    axes.grid(alpha=0.3)
    if curves:
        axes.legend()
    figure.savefig(path, dpi=130)


def main(
    device: Annotated[str, typer.Option(help="cuda or opencl, perhaps with an index.")] = "cuda",
    minutes: Annotated[float, typer.Option(help="It stops by itself after so many.")] = 10.0,
    most_atoms: Annotated[int, typer.Option(help="Of the largest box.")] = 1_000_000,
    parts: Annotated[str | None, typer.Option(help=f"Which, in this order (default: {','.join(PARTS)}; on OpenCL without torch).")] = None,
    output: Annotated[Path, typer.Option(help="Folder for gpu.json and gpu.png.")] = Path("output"),
    only: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Run all parts within the time; exit 1 where one failed."""
    deadline = time.time() + 60 * minutes
    if only:
        try:
            print(json.dumps(PARTS[only](device, deadline, most_atoms)))
        except Exception as error:  # whatever it is, in one line for who started this process
            raise SystemExit(f"{type(error).__name__}: {in_one_line(error)}") from None
        return
    chosen = parts.split(",") if parts else [part for part in PARTS if part != "torch" or device.startswith("cuda")]
    if unknown := [part for part in chosen if part not in PARTS]:
        raise SystemExit(f"ERROR: `--parts` must be of {', '.join(PARTS)}, got {', '.join(unknown)}")
    output.mkdir(parents=True, exist_ok=True)
    found: dict[str, Rows] = {}
    failed: dict[str, str] = {}
    for n, part in enumerate(chosen):
        left = deadline - time.time() - 5
        share = left / (len(chosen) - n) * 1.5 if n + 1 < len(chosen) else left  # what others leave is used
        console.print(f"{part}: at most {min(share, left):.0f} s")
        command = [
            sys.executable,
            "-W",
            "ignore",
            __file__,
            "--only",
            part,
            "--device",
            device,
            "--minutes",
            str(min(share, left) / 60),
            "--most-atoms",
            str(most_atoms),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=max(1.0, min(share, left)))
        except subprocess.TimeoutExpired as late:
            lines = [line for line in (late.stderr or b"").decode().splitlines() if line.startswith("{")]
            found[part], failed[part] = [json.loads(line) for line in lines], "it found no time to end"
        else:
            if done.returncode == 0:
                found[part] = json.loads(done.stdout.splitlines()[-1])
            else:
                failed[part] = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        if found.get(part):
            show(part, found[part])
        (output / "gpu.json").write_text(json.dumps({"device": device, "found": found, "failed": failed}, indent=2))
    draw(found, output / "gpu.png", device)
    console.print(f"{output / 'gpu.json'} has the figures, {output / 'gpu.png'} the plot")
    for part, why in failed.items():
        console.print(f"FAILED {part}: {why}")
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
