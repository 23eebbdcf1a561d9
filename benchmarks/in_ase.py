"""One model in three doors: a step of LAMMPS, a step of OpenMM and an evaluation of ASE, in turns in one process.

    python benchmarks/in_ase.py              # --evaluator torch for the other one in OpenMM and ASE

One thread; processor time, medians; the shipped models in float32. ASE's is energy, forces and, in a box, stress at new positions, without
an integrator; its share beyond LAMMPS is the search for neighbours and what Python does around it.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Annotated

import ase
import openmm
import typer
from in_lammps import INPUT, WATER, WATER_MODEL, ethanol_input  # beside this file
from nve import SYSTEMS
from peers_worker import evaluation
from rich.console import Console
from rich.table import Table

from spinconv import SpinConvCalculator
from spinconv.lammps_plugin.engine import open_lammps
from spinconv.openmm_plugin import force
from spinconv.openmm_plugin.engine import system_of

console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 120)
Step = Callable[[], object]


def lammps_step(text: str, replicate: str) -> Step:
    """A step of a run that has begun."""
    engine = open_lammps()
    for line in text.format(replicate=replicate, words="threads 1").strip().splitlines():
        engine.command(line)
    engine.command("run 5 post no")
    return lambda: engine.command("run 1 pre no post no")


def openmm_step(model: str, atoms: ase.Atoms, evaluator: str | None) -> Step:
    """A step of leapfrog on the Reference platform."""
    spinconv = force(model, atoms.numbers, periodic=bool(atoms.pbc.all()), threads=1, evaluator=evaluator)
    context = openmm.Context(system_of(atoms, spinconv), openmm.VerletIntegrator(0.0005), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(atoms.positions / 10)
    context.setVelocitiesToTemperature(300, 1)
    return lambda: context.getIntegrator().step(1)


def ase_evaluation(model: str, atoms: ase.Atoms, evaluator: str | None) -> Step:
    """At one of two positions after the other."""
    return evaluation(atoms, SpinConvCalculator(model, threads=1, evaluator=evaluator))


def doors(
    times: Annotated[int, typer.Option(help="Evaluations each.")] = 60,
    evaluator: Annotated[str | None, typer.Option(help="native or torch, of OpenMM and ASE.")] = None,
) -> None:
    """The three doors, in turns."""
    table = Table(title="ms, processor time")
    for column in ("system", "LAMMPS", "OpenMM", "ASE", "ASE / LAMMPS"):
        table.add_column(column, justify="left" if column == "system" else "right")
    water, water_model = SYSTEMS["water"].atoms(), str(SYSTEMS["water"].model)
    in_water = INPUT.replace("{data}", str(WATER)).replace("{model}", str(WATER_MODEL))
    ethanol, ethanol_model = SYSTEMS["ethanol"].atoms(), str(SYSTEMS["ethanol"].model)
    for name, text, replicate, atoms, model in (
        ("ethanol, 9 atoms", ethanol_input(), "1 1 1", ethanol, ethanol_model),
        ("water, 192 atoms", in_water, "1 1 1", water, water_model),
        ("water, 1,536 atoms", in_water, "2 2 2", water.repeat(2), water_model),
    ):
        steps = [lammps_step(text, replicate), openmm_step(model, atoms, evaluator), ase_evaluation(model, atoms, evaluator)]
        taken: list[list[float]] = [[], [], []]
        warm_up = min(5, times)
        for n in range(warm_up + max(1, times * 192 // max(192, len(atoms)))):
            for step, seconds in zip(steps, taken, strict=True):
                begin = time.process_time()
                step()
                if n >= warm_up:
                    seconds.append(1e3 * (time.process_time() - begin))
        medians = [statistics.median(seconds) for seconds in taken]
        table.add_row(name, *(f"{median:.2f}" for median in medians), f"{medians[2] / medians[0]:.2f}")
    console.print(table)


if __name__ == "__main__":
    typer.run(doors)
