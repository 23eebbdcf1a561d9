"""Our native evaluator beside another potential's fastest way on a CPU: two processes with their ASE calculators, a round each in turn.

    python benchmarks/peers.py nequip --python PYTHON        NequIP, compiled ahead of time: 3 layers, l up to 1, 32 channels
    python benchmarks/peers.py symmetrix --python PYTHON     MACE without torch: 2 layers, 64x0e + 64x1o, l up to 3, correlation 3
    python benchmarks/peers.py spinconv --python PYTHON      another installation of ours

PYTHON is that of an environment with the peer (docs/performance.md says how to make one). A peer's models are made there, with random
weights and the cutoffs of ours, in --folder, where the next run finds them: minutes, most of which compilers take. Ours are the shipped
model of water, and random weights for ethanol and copper: 2 blocks, 32 channels, lmax 3. One thread, float32, the processor's own time,
medians of all rounds: energy, forces and, in a box, stress, with the search for neighbors that each calculator does.
"""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import ase
import ase.io
import typer
from ase.neighborlist import neighbor_list
from native import systems  # beside this file
from rich.console import Console
from rich.table import Table
from speed import water

from spinconv.export import read_model

HERE = Path(__file__).resolve().parent
VACUUM = 8.0  # Å around a molecule, for peers that ask for a cell
console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 120)


class Peer(NamedTuple):
    """Another potential."""

    imports: str
    """What shows that it is installed."""
    file: str | None
    """What peers_models.py makes; None for ours."""


PEERS = {
    "nequip": Peer("import nequip.ase", "model.nequip.pt2"),
    "symmetrix": Peer("import symmetrix, mace", "model.json"),
    "spinconv": Peer("from spinconv import SpinConvCalculator", None),
}


class Timing(NamedTuple):
    """One system."""

    system: str
    atoms: int
    edges: int
    """Within the cutoff, which is the same for both."""
    ours: float
    """ms, like the next: the median of an evaluation."""
    theirs: float


class Worker:
    """A process of peers_worker.py."""

    def __init__(self, python: str, kind: str, model: Path, structure: Path, seconds: float, folder: Path) -> None:
        self.log = folder / f"{kind}.log"
        command = [python, "-W", "ignore", str(HERE / "peers_worker.py"), kind, str(model), str(structure), str(seconds)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, env=environment(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.versions: list[str] = self.answer()

    def round(self) -> list[float]:
        """Milliseconds of its evaluations."""
        assert self.process.stdin is not None
        print("go", file=self.process.stdin, flush=True)
        times: list[float] = self.answer()
        return times

    def answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"ERROR: a worker ended: {last_line(self.log.read_text())} ({self.log} has it all)")
        return json.loads(line)

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def environment(folder: Path) -> dict[str, str]:
    """One thread, wherever a number of threads is asked for, and what symmetrix compiles in the folder."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "SYMMETRIX_JIT_CACHE": str(folder / "jit")}


def last_line(text: str) -> str:
    """What a program that failed says."""
    return (text.strip() or "nothing was said").splitlines()[-1]


def check_python(name: str, python: str) -> None:
    """That the environment has the peer."""
    try:
        done = subprocess.run([python, "-W", "ignore", "-c", PEERS[name].imports], capture_output=True, text=True, check=False)
        said = last_line(done.stderr) if done.returncode else ""
    except OSError as error:
        said = str(error)
    if said:
        must = f"`--python` must be the Python of an environment with {name} (docs/performance.md says how to make one)"
        raise typer.BadParameter(f"{must}, {python!r} is not: {said}")


def peer_model(name: str, python: str, ours: Path, folder: Path) -> Path:
    """The peer's model with the cutoff of ours, made if it is not there yet."""
    file = PEERS[name].file
    if file is None:
        return ours
    cutoff = read_model(ours).metadata["cutoff"]
    place = folder / f"{name}-{cutoff:g}"
    if (place / file).exists():
        return place / file
    place.mkdir(parents=True, exist_ok=True)
    ase.io.write(place / "frame.xyz", water(2))
    log = place / "made.log"
    command = [python, str(HERE / "peers_models.py"), name, str(place / "frame.xyz"), str(cutoff), str(place)]
    with console.status(f"making the model of {name} with a cutoff of {cutoff:g} Å: minutes ({log})"), log.open("w") as output:
        done = subprocess.run(command, env=environment(folder), stdout=output, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise SystemExit(f"ERROR: no model of {name} was made: {last_line(log.read_text())} ({log} has it all)")
    return place / file


def timed(workers: tuple[Worker, Worker], rounds: int) -> tuple[float, float]:
    """Medians of ours and theirs (ms), over rounds that take turns."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for worker, times in zip(workers, found, strict=True):
            times += worker.round()
    for worker in workers:
        worker.stop()
    return statistics.median(found[0]), statistics.median(found[1])


def processor() -> str:
    """Its name."""
    found = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def table_of(name: str, timings: list[Timing]) -> Table:
    """How many times as fast ours is."""
    table = Table(title="energy, forces and stress by ASE, one thread, float32, processor time")
    for column in ("system", "atoms", "edges", "ours, ms", "µs an edge", f"{name}, ms", "µs an edge", "ratio"):
        table.add_column(column, justify="left" if column == "system" else "right")
    for t in timings:
        row = [f"{figure:.{digits}f}" for ms in (t.ours, t.theirs) for figure, digits in ((ms, 2), (1e3 * ms / t.edges, 2))]
        table.add_row(t.system, f"{t.atoms:,}", f"{t.edges:,}", *row, f"{t.theirs / t.ours:.2f}")
    return table


def main(
    peer: Annotated[str, typer.Argument(help=f"One of {', '.join(PEERS)}.")],
    python: Annotated[str, typer.Option(help="The Python of the environment that has the peer.")],
    folder: Annotated[Path, typer.Option(help="For models and what is compiled; made once.")] = Path("output/peers"),
    system: Annotated[list[str] | None, typer.Option(help="ethanol, water, copper or 'water, 8 boxes' (default: all).")] = None,
    rounds: Annotated[int, typer.Option(help="Turns of each.")] = 10,
    seconds: Annotated[float, typer.Option(help="Processor time of a round; three evaluations at least.")] = 0.3,
) -> None:
    """Time ours and a peer on ethanol, 192 and 1,536 atoms of water and 256 of copper, in turns."""
    if peer not in PEERS:
        raise typer.BadParameter(f"`PEER` must be one of {', '.join(PEERS)}, got {peer!r}")
    check_python(peer, python)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    timings, versions = [], [[""], [""]]
    with tempfile.TemporaryDirectory() as scratch:
        every = systems(Path(scratch))
        for name in system or every:
            if name not in every:
                raise typer.BadParameter(f"`--system` must be one of {', '.join(repr(known) for known in every)}, got {name!r}")
            atoms, ours = every[name]
            if not atoms.pbc.any():
                atoms.center(vacuum=VACUUM)
            structure = Path(scratch) / "atoms.xyz"
            ase.io.write(structure, atoms)
            theirs = peer_model(peer, python, ours, folder)
            with console.status(f"{name}: {rounds} rounds; a calculator may compile for minutes before the first"):
                workers = (
                    Worker(sys.executable, "spinconv", ours, structure, seconds, Path(scratch)),
                    Worker(python, peer, theirs, structure, seconds, folder),
                )
                versions = [worker.versions for worker in workers]
                n_edges = len(neighbor_list("i", atoms, read_model(ours).metadata["cutoff"]))
                timings.append(Timing(name, len(atoms), n_edges, *timed(workers, rounds)))
            console.print(f"{name}: {timings[-1].ours:.2f} and {timings[-1].theirs:.2f} ms", highlight=False)
    console.print(table_of(peer, timings))
    console.print(f"ours: {', '.join(versions[0])}\n{peer}: {', '.join(versions[1])}\n{processor()}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
