"""What does OpenMM add to the model, and what does each door cost? The shipped models in real OpenMM.

    python benchmarks/in_openmm.py overhead      192-atom water, SpinConvForce every platform: what is outside the model
    python benchmarks/in_openmm.py energy        an energy alone against energy and forces
    python benchmarks/in_openmm.py doors         a step of ethanol and of water by SpinConvForce, PythonForce and a real TorchForce
    python benchmarks/in_openmm.py neighbors     100, 1,000 and 10,000 atoms of water: the neighbour list inside the file against vesin's

One thread. Times are medians over steps; what is compared runs in turn in one process (TorchForce has a process of its own).
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import ase
import openmm
import torch
import typer
import vesin
from nve import SYSTEMS, openmm_velocities, with_velocities  # beside this file
from rich.console import Console
from rich.table import Table

from spinconv.export.bind import bind_model
from spinconv.export.engines import EngineUnavailable
from spinconv.openmm_plugin import force
from spinconv.openmm_plugin.engine import system_of
from spinconv.openmm_plugin.forces import model_seconds
from spinconv.openmm_plugin.python_force import python_force
from spinconv.openmm_plugin.torchforce import host_of, python_with_torchforce, request_of

WATER_MODEL = SYSTEMS["water"].model
app = typer.Typer(help=__doc__, no_args_is_help=True)
console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 120)


def langevin() -> openmm.Integrator:
    """At 300 K."""
    return openmm.LangevinMiddleIntegrator(300, 1, 0.0005)


def context_of(
    atoms: ase.Atoms, spinconv: openmm.Force, platform: str = "Reference", integrator: openmm.Integrator | None = None
) -> openmm.Context:
    """At 300 K; leapfrog unless an integrator is given."""
    context = openmm.Context(
        system_of(atoms, spinconv), integrator or openmm.VerletIntegrator(0.0005), openmm.Platform.getPlatformByName(platform)
    )
    context.setPositions(atoms.positions / 10)
    context.setVelocitiesToTemperature(300, 1)
    return context


def median_ms(action: Callable[[], Any], times: int, warm_up: int = 5) -> float:
    """Of so many calls."""
    taken = []
    for n in range(warm_up + times):
        begin = time.perf_counter()
        action()
        if n >= warm_up:
            taken.append(time.perf_counter() - begin)
    return 1000 * statistics.median(taken)


@app.command()
def overhead(steps: Annotated[int, typer.Option(help="Steps to time.")] = 60) -> None:
    """192-atom water: what is outside the model, on every platform of this OpenMM."""
    table = Table(title="a step of 192-atom water, float32 (ms, medians)")
    for column in ("platform", "step", "model", "outside the model"):
        table.add_column(column, justify="right")
    for index in range(openmm.Platform.getNumPlatforms()):
        platform = openmm.Platform.getPlatform(index).getName()
        atoms = SYSTEMS["water"].atoms()
        context = context_of(atoms, force(WATER_MODEL, atoms.numbers, periodic=True, threads=1), platform)
        inside, outside = [], []
        for _ in range(5 + steps):
            before, begin = model_seconds(context), time.perf_counter()
            context.getIntegrator().step(1)
            context.getState()  # a GPU platform has then done what it was told
            step = time.perf_counter() - begin
            inside.append(1000 * (model_seconds(context) - before))
            outside.append(1000 * step - inside[-1])
        model, rest = statistics.median(inside[5:]), statistics.median(outside[5:])
        table.add_row(platform, f"{model + rest:.2f}", f"{model:.2f}", f"{rest:.2f}  ({100 * rest / model:.2f} % of the model)")
    console.print(table)


@app.command()
def energy(times: Annotated[int, typer.Option(help="Evaluations to time.")] = 30) -> None:
    """192-atom water: what a barostat's trial costs against a step."""
    atoms = SYSTEMS["water"].atoms()
    # a leapfrog integrator would want forces for every energy
    context = context_of(atoms, force(WATER_MODEL, atoms.numbers, periodic=True, threads=1), integrator=langevin())
    both = median_ms(lambda: context.getState(energy=True, forces=True), times)
    alone = median_ms(lambda: context.getState(energy=True), times)
    console.print(f"energy and forces {both:.1f} ms, energy alone {alone:.1f} ms: {100 * alone / both:.0f} %", highlight=False)


@app.command()
def doors(steps: Annotated[int, typer.Option(help="Steps to time.")] = 60) -> None:
    """A step of dynamics by each door."""
    table = Table(title="a step, float32, Reference platform (ms, medians)")
    for column in ("system", "SpinConvForce", "PythonForce", "TorchForce"):
        table.add_column(column, justify="right")
    for name, system in (("ethanol, 9 atoms", "ethanol"), ("water, 192 atoms", "water")):
        model, atoms = SYSTEMS[system].model, SYSTEMS[system].atoms()
        periodic = bool(atoms.pbc.all())
        contexts = [
            context_of(atoms, force(model, atoms.numbers, periodic=periodic, threads=1)),
            context_of(atoms, python_force(model, atoms.numbers, periodic=periodic)),
        ]
        torch.set_num_threads(1)
        figures = [f"{median_ms(lambda c=context: c.getIntegrator().step(1), steps):.2f}" for context in contexts]
        table.add_row(name, *figures, torch_force_step(model, atoms, steps))
    console.print(table)


def torch_force_step(model: Path, atoms: ase.Atoms, steps: int) -> str:
    """In ms, or why there is none."""
    try:
        host = host_of(python_with_torchforce())
    except EngineUnavailable as reason:
        return str(reason)
    with tempfile.TemporaryDirectory() as folder:
        bind_model(model, Path(folder, "bound.pt"), atoms.numbers, periodic=bool(atoms.pbc.all()))
        run = {
            "file": str(Path(folder, "bound.pt")),
            **request_of(atoms),
            "timestep": 0.0005, "steps": 10, "every": 10,
            "velocities": openmm_velocities(with_velocities(atoms, 300)).tolist(),
        }  # fmt: skip
        # ten steps at a time, 11 evaluations: between two requests the energy was asked for, and forces are computed anew
        taken = [host.ask(**run, start=n == 0)["seconds"] / 11 for n in range(1 + max(1, steps // 10))]
    return f"{1000 * statistics.median(taken[1:]):.2f}"


@app.command()
def neighbors(times: Annotated[int, typer.Option(help="Evaluations to time.")] = 7) -> None:
    """The neighbour list inside the file: its time, vesin's, and its share of an evaluation by the file's forward pass."""
    torch.set_num_threads(1)
    table = Table(title="water, float32 (ms, medians)")
    for column in ("atoms", "list in the file", "vesin", "energy and forces", "share of the list", "vesin would have"):
        table.add_column(column, justify="right")
    for n_atoms, repeat in ((99, 1), (999, 2), (9999, 4)):
        atoms = cut(SYSTEMS["water"].atoms().repeat(repeat), n_atoms)
        module = torch.jit.load(WATER_MODEL).to(torch.float32)
        module.numbers = torch.tensor(atoms.numbers)
        positions, box = torch.tensor(atoms.positions / 10), torch.tensor(atoms.cell.array / 10)
        found = vesin.NeighborList(cutoff=module.cutoff, full_list=True, sorted=True)
        in_file = median_ms(lambda m=module, x=positions, b=box: m.hosted_graph(x, b), times)
        by_vesin = median_ms(lambda f=found, a=atoms: f.compute(a.positions, a.cell.array, True, quantities="ijD"), times)
        whole = median_ms(lambda m=module, x=positions, b=box: m.energy_and_forces(x, b), times, warm_up=3)
        shares = (f"{100 * in_file / whole:.1f} %", f"{100 * by_vesin / (whole - in_file + by_vesin):.1f} %")
        table.add_row(f"{n_atoms}", f"{in_file:.2f}", f"{by_vesin:.2f}", f"{whole:.1f}", *shares)
    console.print(table)


def cut(atoms: ase.Atoms, n_atoms: int) -> ase.Atoms:
    """The first atoms in a cube of the same density; distances are nothing physical, their number is."""
    edge = (atoms.get_volume() * n_atoms / len(atoms)) ** (1 / 3)
    part = atoms[:n_atoms]
    scale = edge / atoms.cell.lengths()[0]
    part.set_cell([edge] * 3)
    part.set_positions(atoms.positions[torch.randperm(len(atoms), generator=torch.Generator().manual_seed(0))[:n_atoms]] * scale)
    return part


if __name__ == "__main__":
    app()
