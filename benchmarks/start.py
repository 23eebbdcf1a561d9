"""What a program pays before its first step: processor time, wall time and memory of new processes.

    python benchmarks/start.py                       # --evaluator torch for the other one, --python PYTHON for another installation

Medians of so many processes each, of the shipped ethanol model. Rows that say "alone" have nothing of SpinConv.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "models" / "ethanol" / "model.pt"
EXAMPLE = ROOT / "examples" / "lammps" / "ethanol_nve"
INPUT = """units metal
boundary f f f
read_data {data}
{style}
mass * 1.0
velocity all set 0 0 0
run 0
"""
ALONE = "pair_style zero 5.0\npair_coeff * *"
OPENMM = "import openmm; system = openmm.System(); [system.addParticle(1.0) for _ in range(9)]\n"
CONTEXT = "openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName('Reference'))"
console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 120)


class Cost(NamedTuple):
    """Of a process."""

    cpu: float  # s
    wall: float  # s
    memory: float  # MB, at most


def cost_of(command: list[str], text: str) -> Cost:
    """Runs it with `text` as its input."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(text.encode())
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    if status != 0:
        assert process.stderr is not None
        raise RuntimeError(f"{command} ended with {status}: {process.stderr.read().decode()}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def programs(python: str, evaluator: str | None) -> dict[str, tuple[list[str], str]]:
    """Commands and their inputs, by what they do."""
    lmp = [str(Path(python).with_name("lmp")), "-log", "none", "-screen", "none"]
    style = f"pair_style spinconv {MODEL}{f' evaluator {evaluator}' if evaluator else ''}\npair_coeff * * H C O"
    word = f", evaluator={evaluator!r}" if evaluator else ""
    force = f"from spinconv.openmm_plugin import force\nsystem.addForce(force({str(MODEL)!r}, [6, 6, 8, 1, 1, 1, 1, 1, 1]{word}))\n"
    data = EXAMPLE / "data.ethanol"
    return {
        "Python with ASE alone": ([python, "-"], "import ase.calculators.calculator"),
        "import spinconv": ([python, "-"], "import spinconv"),
        "SpinConvCalculator, imported": ([python, "-"], "from spinconv import SpinConvCalculator"),
        "SpinConvCalculator, made": ([python, "-"], f"from spinconv import SpinConvCalculator\nSpinConvCalculator({str(MODEL)!r}{word})"),
        "lmp alone": (lmp, INPUT.format(data=data, style=ALONE)),
        "lmp with the model": (lmp, INPUT.format(data=data, style=style)),
        "OpenMM alone": ([python, "-"], OPENMM + CONTEXT),
        "OpenMM with the model": ([python, "-"], OPENMM + force + CONTEXT),
    }


def start(
    times: Annotated[int, typer.Option(help="Processes each.")] = 7,
    evaluator: Annotated[str | None, typer.Option(help="native or torch (default: that of the installation).")] = None,
    python: Annotated[str, typer.Option(help="The Python of the installation.")] = sys.executable,
) -> None:
    """Processor time, wall time and memory of a start."""
    table = Table(title=f"a start, medians of {times} processes")
    for column in ("what", "processor (s)", "wall (s)", "memory (MB)"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for what, (command, text) in programs(python, evaluator).items():
        cost_of(command, text)  # files come into the cache
        costs = [cost_of(command, text) for _ in range(times)]
        cpu, wall, memory = (statistics.median(figures) for figures in zip(*costs, strict=True))
        table.add_row(what, f"{cpu:.2f}", f"{wall:.2f}", f"{memory:.0f}")
    console.print(table)


if __name__ == "__main__":
    typer.run(start)
