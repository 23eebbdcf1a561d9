"""Is energy conserved? NVE with the shipped models in real LAMMPS and real OpenMM: drift, fluctuation, a table and a plot.

    python benchmarks/conservation.py                    ethanol: LAMMPS and SpinConvForce, float32 and float64, 0.5 and 0.25 fs
    python benchmarks/conservation.py --quick            0.5 fs in float32 only (what the README's first command runs)
    python benchmarks/conservation.py --system water --engine openmm --engine torchforce --picoseconds 2 --timestep 0.5

TorchForce runs in the Python that SPINCONV_TORCHFORCE_PYTHON names (scripts/other_torch.sh makes one).

The drift is the least-squares slope of the total energy, the fluctuation its rms about that line. Velocity Verlet conserves a
quantity that differs from the energy by a term in dt^2: with half the time step the fluctuation must be a quarter (compared over the
first picosecond: later the two trajectories have gone different ways). What a potential adds that is not conservative (or not smooth)
does not get smaller with the step.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from nve import ENGINES, SYSTEMS, Plan, Run, with_velocities  # beside this file
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from spinconv.export.console import errors_in_words
from spinconv.export.container import read_container
from spinconv.export.engines import EngineUnavailable
from spinconv.export.metadata import PRECISIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CONSERVED = 0.05
"""meV/atom/ps: less is no drift."""
LONG_ENOUGH = 5.0
"""ps: over less, the fluctuation itself has a slope."""
PUBLISHED_DRIFT, PUBLISHED_LENGTH = 64.0, 0.8
"""meV/atom/ps of the published SpinConv, measured over so many ps of 8 atoms with its original implementation."""

console = Console(highlight=False)  # 80 columns where there is no terminal


def run_all(plans: list[Plan], engines: list[str]) -> Iterator[Run]:
    """Every plan in every engine, with a live bar in a terminal and a line each elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        for engine in engines:
            for plan in plans:
                name = f"{engine}, {plan.dtype}, {plan.timestep:g} fs, {plan.picoseconds:g} ps"
                task = progress.add_task(name, total=1.0)
                began = time.perf_counter()
                try:
                    run = ENGINES[engine](plan, lambda part, task=task: progress.update(task, completed=part))
                except EngineUnavailable as reason:
                    raise ValueError(f"`--engine {engine}`: {reason}") from reason
                if not console.is_terminal:
                    console.print(f"{name}: done in {time.perf_counter() - began:.0f} s", soft_wrap=True)
                yield run


def table_of(runs: list[Run], title: str) -> Table:
    """A row a trajectory; the ratio of fluctuations only where there is one."""
    ratios = [fluctuation_ratio(run, runs) for run in runs]
    table = Table(title=title)
    for column in ("engine", "precision", "step\n(fs)", "mean\nT (K)", "drift (meV\n/atom/ps)", "rms (meV\n/atom)"):
        table.add_column(column, justify="left" if column in ("engine", "precision") else "right")
    if any(ratios):
        table.add_column("rms /\nat dt/2", justify="right")
    for run, ratio in zip(runs, ratios, strict=True):
        cells = [run.engine, run.dtype, f"{run.timestep:g}", f"{run.temperature:.0f}", f"{run.drift:+.4f}", f"{run.fluctuation:.3f}"]
        table.add_row(*cells, *([ratio or "-"] if any(ratios) else []))
    return table


def fluctuation_ratio(run: Run, runs: list[Run]) -> str:
    """To the same with half the step, over the first picosecond: 4 is the integrator's own; empty where that was not run."""
    half = [r for r in runs if r[:2] == run[:2] and r.timestep == run.timestep / 2]
    return f"{run.early_fluctuation / half[0].early_fluctuation:.2f}" if half else ""


def start_in_words(runs: list[Run], temperature: float) -> str:
    """Why trajectories from one start have different mean temperatures."""
    words = f"All start from the same atoms and velocities ({temperature:g} K)"
    first, *others = [run for run in runs if (run.dtype, run.timestep) == (runs[0].dtype, runs[0].timestep)]
    partings = [apart for other in others if (apart := parting(first, other)) is not None]
    if not partings:
        return f"{words}."
    apart = f"rounding alone makes chaotic trajectories part, here after {min(partings):.1f} ps"
    return f"{words}; {apart}, and from then on each has a temperature of its own."


def parting(one: Run, other: Run) -> float | None:
    """Since when (ps) two trajectories with the same time step are apart: their temperatures by a twentieth of the mean."""
    apart = np.abs(one.temperatures - other.temperatures) > one.temperature / 20
    return float(one.times[apart.argmax()]) if apart.any() else None


def verdict(runs: list[Run]) -> tuple[bool, str]:
    """Whether no drift is as large as CONSERVED, or was not long enough to tell, and the sentence that says so."""
    engines = list(dict.fromkeys(run.engine for run in runs))
    worst = [max((run for run in runs if run.engine == engine), key=lambda run: abs(run.drift)) for engine in engines]
    drifts = " and ".join(f"{run.drift:+.4f} ({run.engine})" for run in worst)
    what = "drift" if len(runs) == len(engines) else "largest drift"
    length = min(run.times[-1] for run in runs)
    found = f"{what} {drifts} meV/atom/ps over {length:.3g} ps; the published SpinConv drifts by {PUBLISHED_DRIFT:.0f}."
    if length < LONG_ENOUGH - 0.01:
        return True, f"Too short for a verdict, which takes {LONG_ENOUGH:g} ps: {found}"
    if all(abs(run.drift) < CONSERVED for run in runs):  # NaN is not
        return True, f"Energy is conserved: {found}"
    return False, f"ERROR: energy is not conserved to {CONSERVED:g} meV/atom/ps: {found}"


def draw(runs: list[Run], title: str, path: Path) -> None:
    """The published model's drift to scale on top, below it what is left of each engine's energy, enlarged."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    engines = list(dict.fromkeys(run.engine for run in runs))
    figure = Figure(figsize=(8, 2.4 * (len(engines) + 1)), layout="constrained")
    FigureCanvasAgg(figure)
    scale, *panels = figure.subplots(len(engines) + 1, 1, sharex=True)
    draw_published(scale, runs)
    for panel, engine in zip(panels, engines, strict=True):
        panel.sharey(panels[0])
        for run in (run for run in runs if run.engine == engine):
            label = f"{run.dtype}, {run.timestep:g} fs: drift {run.drift:+.4f} meV/atom/ps"
            panel.plot(run.times, (run.energies - run.energies.mean()) / run.n_atoms * 1e3, linewidth=0.7, label=label)
        panel.margins(y=0.25)  # room for the legend
        panel.set_ylabel("total energy - mean\n(meV/atom)")
        panel.set_title(f"{engine}, enlarged", fontsize="medium")
        panel.legend(fontsize="small", loc="upper right")
    panels[-1].set_xlabel("time (ps)")
    figure.suptitle(title)
    figure.savefig(path, dpi=150)


def draw_published(axes: "Axes", runs: list[Run]) -> None:
    """Its slope, solid as far as it was measured, and all runs beside it."""
    end = max(run.times[-1] for run in runs)
    measured = min(PUBLISHED_LENGTH, end)
    label = f"published SpinConv: {PUBLISHED_DRIFT:.0f} meV/atom/ps\n(8 atoms over {PUBLISHED_LENGTH:g} ps; dotted: extrapolated)"
    axes.plot([0, measured], [0, PUBLISHED_DRIFT * measured], color="black", label=label)
    axes.plot([measured, end], [PUBLISHED_DRIFT * measured, PUBLISHED_DRIFT * end], ":", color="black")
    for n, run in enumerate(runs):
        energies = (run.energies - run.energies[0]) / run.n_atoms * 1e3
        axes.plot(
            run.times, energies, color="C3", label=None if n else f"this model in {' and '.join(dict.fromkeys(r.engine for r in runs))}"
        )
    axes.set_ylabel("total energy - start\n(meV/atom)")
    axes.set_title("beside the published model", fontsize="medium")
    axes.legend(fontsize="small", loc="upper left")


def write_figures(runs: list[Run], path: Path) -> None:
    """All that the table shows and the wall times, as JSON."""
    figures = [
        {"engine": run.engine, "dtype": run.dtype, "timestep_fs": run.timestep, "picoseconds": float(run.times[-1]),
         "temperature": run.temperature, "drift_meV_per_atom_per_ps": run.drift, "fluctuation_meV_per_atom": run.fluctuation,
         "seconds": run.seconds}
        for run in runs
    ]  # fmt: skip
    path.write_text(json.dumps(figures, indent=2) + "\n")


def check_choices(option: str, given: list[str], known: list[str]) -> None:
    """Raises ValueError for a word that is not known."""
    for word in given:
        if word not in known:
            raise ValueError(f"`{option}` must be one of {', '.join(known)}, got {word!r}")


def main(
    system: Annotated[str, typer.Option(help="ethanol (9 atoms) or water (192).")] = "ethanol",
    model: Annotated[Path | None, typer.Option(help="Model file that knows its elements (default: the shipped one).")] = None,
    engine: Annotated[
        list[str] | None, typer.Option(help="lammps, openmm, opencl-mixed, torchforce; several times (default: lammps, openmm).")
    ] = None,
    quick: Annotated[bool, typer.Option(help="0.5 fs and float32 only.")] = False,
    precision: Annotated[list[str] | None, typer.Option(help="float32, float64 (default: both).")] = None,
    timestep: Annotated[list[float] | None, typer.Option(help="fs (default: 0.5 and 0.25).")] = None,
    picoseconds: Annotated[float, typer.Option(help="Length of each trajectory.")] = 10.0,
    temperature: Annotated[float | None, typer.Option(help="Of the first velocities, K (default: 600 for ethanol, 330 for water).")] = None,
    device: Annotated[str, typer.Option(help="Where the model is evaluated: cpu, or by kernels on cuda or opencl.")] = "cpu",
    output: Annotated[Path, typer.Option(help="Folder for conservation.png and conservation.json.")] = Path("output"),
) -> None:
    """Run at constant energy; exit 1 if the drift over 5 ps or more is 0.05 meV/atom/ps or more."""
    engines = engine or ["lammps", "openmm"]
    dtypes = ["float32"] if quick else precision or ["float32", "float64"]
    timesteps = [0.5] if quick else timestep or [0.5, 0.25]
    with errors_in_words():
        check_choices("--system", [system], list(SYSTEMS))
        check_choices("--engine", engines, list(ENGINES))
        check_choices("--precision", dtypes, list(PRECISIONS))
        for option, values in (("--timestep", timesteps), ("--picoseconds", [picoseconds]), ("--temperature", [temperature or 1.0])):
            if min(values) <= 0:
                raise ValueError(f"`{option}` must be positive, got {min(values):g}")
        molecules = SYSTEMS[system]
        model, temperature = model or molecules.model, temperature or molecules.temperature
        name = read_container(model).metadata.name
        atoms = with_velocities(molecules.atoms(), temperature)
        plans = [Plan(molecules, model, dtype, step, picoseconds, atoms, device) for dtype in dtypes for step in timesteps]
        runs = list(run_all(plans, engines))
    what = f"{system} ({len(atoms)} atoms) at constant energy for {picoseconds:g} ps"
    mean = np.mean([run.temperature for run in runs])
    output.mkdir(parents=True, exist_ok=True)
    draw(runs, f"{what}, {mean:.0f} K\nmodel: {name}", output / "conservation.png")
    write_figures(runs, output / "conservation.json")
    console.print(table_of(runs, f"{what}\nmodel: {escape(name)}"))
    console.print(start_in_words(runs, temperature))
    seconds = ", ".join(f"{run.engine} {run.seconds:.0f} s" for run in runs)
    console.print(f"Wall time on this machine, busy or not: {seconds}.")
    console.print(f"plot: {output / 'conservation.png'}", soft_wrap=True)
    conserved, sentence = verdict(runs)
    console.print(sentence)
    if not conserved:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
