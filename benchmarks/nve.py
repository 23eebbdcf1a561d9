"""A trajectory at constant energy in real LAMMPS, real OpenMM or a real TorchForce: same atoms, same first velocities, same integrator."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import ase
import ase.io
import numpy as np
from ase import units
from ase.data import atomic_numbers

from spinconv.export.engines import EngineUnavailable
from spinconv.export.units import KJ_PER_MOL_PER_EV

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples" / "lammps"
MODELS = ROOT / "models"
SAMPLES_PER_PS = 200

Advance = Callable[[float], None]
"""Told how much of a trajectory is done, 0 to 1."""


class Molecules(NamedTuple):
    """What is simulated."""

    model: Path
    data: Path
    """In LAMMPS' format."""
    elements: tuple[str, ...]
    """Of LAMMPS' atom types."""
    boundary: str
    temperature: float
    """Of the first velocities, K, unless another is asked for."""

    def atoms(self) -> ase.Atoms:
        """In the order of their ids."""
        numbers = {kind: atomic_numbers[symbol] for kind, symbol in enumerate(self.elements, 1)}
        atoms = ase.io.read(self.data, format="lammps-data", Z_of_type=numbers, atom_style="atomic")
        atoms.pbc = self.boundary == "p p p"
        return atoms


SYSTEMS = {
    # started close to its minimum: about half of the temperature stays, the bonds take the rest
    "ethanol": Molecules(MODELS / "ethanol" / "model.pt", EXAMPLES / "ethanol_nve" / "data.ethanol", ("H", "C", "O"), "f f f", 600.0),
    "water": Molecules(MODELS / "water" / "model.pt", EXAMPLES / "water_nvt" / "data.water", ("H", "O"), "p p p", 330.0),
}


class Plan(NamedTuple):
    """One trajectory to be run."""

    system: Molecules
    model: Path
    dtype: str
    timestep: float
    """fs."""
    picoseconds: float
    atoms: ase.Atoms
    """With the velocities it starts from."""
    device: str = "cpu"
    """Where the model is evaluated, by code of our own: cpu, cuda or opencl."""

    @property
    def steps(self) -> int:
        """A whole number of samples."""
        return round(self.picoseconds * SAMPLES_PER_PS) * self.every

    @property
    def every(self) -> int:
        """Steps from one sample to the next."""
        return round(1000 / SAMPLES_PER_PS / self.timestep)


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
    temperatures: np.ndarray
    """Of the atoms' motion at those times, K."""
    n_atoms: int
    seconds: float
    """Wall time."""

    @property
    def temperature(self) -> float:
        """Mean, K."""
        return float(self.temperatures.mean())

    @property
    def line(self) -> tuple[float, float]:
        """Slope and level of the total energy per atom (meV/ps, meV)."""
        slope, level = np.polyfit(self.times, (self.energies - self.energies[0]) / self.n_atoms * 1e3, 1)
        return float(slope), float(level)

    @property
    def drift(self) -> float:
        """meV/atom/ps."""
        return self.line[0]

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


def with_velocities(atoms: ase.Atoms, temperature: float, seed: int = 1) -> ase.Atoms:
    """A copy with velocities drawn once for all engines: of just this temperature (K), at rest as a whole."""
    atoms = atoms.copy()
    masses = atoms.get_masses()[:, None]
    velocities = np.random.default_rng(seed).normal(size=(len(atoms), 3)) / np.sqrt(masses)
    atoms.set_velocities(velocities - (masses * velocities).sum(axis=0) / masses.sum())
    drawn = temperature_of(atoms.get_kinetic_energy(), len(atoms))
    atoms.set_velocities(atoms.get_velocities() * np.sqrt(temperature / drawn))
    return atoms


def temperature_of(kinetic: np.ndarray | float, n_atoms: int) -> np.ndarray | float:
    """K, from eV; of atoms whose centre of mass rests."""
    return 2 * kinetic / ((3 * n_atoms - 3) * units.kB)


LAMMPS_INPUT = """
units metal
boundary {boundary}
atom_modify map array
read_data data.start
pair_style spinconv {model} precision {dtype} device {device} evaluator native
pair_coeff * * {elements}
neighbor 1.0 bin
fix nve all nve
timestep {timestep}
thermo_style custom step time temp ke pe etotal
thermo_modify format float %20.12g
thermo {every}
run {steps}
"""


def lammps_nve(plan: Plan, advance: Advance) -> Run:
    """The `lmp` of the environment. Raises ValueError with LAMMPS' own words where it refuses."""
    text = LAMMPS_INPUT.format(
        boundary=plan.system.boundary, model=plan.model.resolve(), dtype=plan.dtype, elements=" ".join(plan.system.elements),
        timestep=plan.timestep / 1000, every=plan.every, steps=plan.steps, device=plan.device,
    )  # fmt: skip
    began = time.perf_counter()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "in.nve").write_text(text)
        Path(folder, "data.start").write_text(plan.system.data.read_text() + velocities_section(plan.atoms))
        for line in said_by_lammps(folder):
            numbers = numbers_of(line)
            if len(numbers) == 6:  # step time temp ke pe etotal
                rows.append(numbers)
                advance(numbers[0] / plan.steps)
    table = np.array(rows)
    seconds = time.perf_counter() - began
    return Run("LAMMPS", plan.dtype, plan.timestep, table[:, 1], table[:, 5], table[:, 2], len(plan.atoms), seconds)


def velocities_section(atoms: ase.Atoms) -> str:
    """The section of a data file of LAMMPS, in units of `metal`: Å/ps."""
    velocities = atoms.get_velocities() * (1000 * units.fs)
    rows = (f"{n} " + " ".join(f"{component:.15g}" for component in row) for n, row in enumerate(velocities, 1))
    return "\n\nVelocities\n\n" + "\n".join(rows) + "\n"


def said_by_lammps(folder: str) -> Iterator[str]:
    """The lines of `lmp` with the input `in.nve` of a folder, as they come; ValueError with its own words where it ends badly."""
    lmp = shutil.which("lmp") or shutil.which("lmp", path=str(Path(sys.executable).parent))
    if lmp is None:
        raise ValueError("`lmp` must be on the PATH or beside this Python, there is none; scripts/setup.sh installs it")
    command = [lmp, "-nocite", "-in", "in.nve"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        yield line
    if process.wait():
        errors = [line for line in said if "ERROR" in line]
        raise ValueError(f"LAMMPS ended with code {process.returncode}: {''.join(errors[:1] or said[-5:]).strip()}")


def numbers_of(line: str) -> list[float]:
    try:
        return [float(word) for word in line.split()]
    except ValueError:
        return []


def openmm_nve(plan: Plan, advance: Advance, platform: str = "Reference", properties: dict[str, str] | None = None) -> Run:
    """SpinConvForce with a velocity Verlet integrator; the Reference platform is in double precision around the model.

    Raises EngineUnavailable where OpenMM, the plugin or the platform is missing.
    """
    from spinconv.openmm_plugin import force
    from spinconv.openmm_plugin.engine import system_of
    from spinconv.openmm_plugin.torchforce_host import velocity_verlet

    atoms = plan.atoms
    spinconv = force(
        plan.model, atoms.numbers, periodic=bool(atoms.pbc.all()), precision=plan.dtype, device=plan.device, evaluator="native"
    )
    import openmm

    platforms = [openmm.Platform.getPlatform(n).getName() for n in range(openmm.Platform.getNumPlatforms())]
    if platform not in platforms:
        raise EngineUnavailable(f"OpenMM has no platform {platform} here, only {', '.join(platforms)}")
    system = system_of(atoms, spinconv)
    integrator = velocity_verlet(plan.timestep / 1000)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(platform), properties or {})
    context.setPositions(atoms.positions / 10)
    context.setVelocities(openmm_velocities(atoms))
    began = time.perf_counter()
    total, kinetic = [], []
    for step in range(0, plan.steps + 1, plan.every):
        integrator.step(plan.every if step else 0)
        state = context.getState(energy=True)
        kinetic.append(state.getKineticEnergy()._value)
        total.append(state.getPotentialEnergy()._value + kinetic[-1])
        advance(step / plan.steps)
    name = "OpenMM" if platform == "Reference" else f"OpenMM {platform}"
    return _openmm_run(name, plan, total, kinetic, time.perf_counter() - began)


def openmm_velocities(atoms: ase.Atoms) -> np.ndarray:
    """nm/ps."""
    return atoms.get_velocities() * (100 * units.fs)


def torchforce_nve(plan: Plan, advance: Advance) -> Run:
    """A real TorchForce on the Reference platform with a bound file, in its own environment."""
    from spinconv.export.bind import bind_model
    from spinconv.openmm_plugin.torchforce import host_of, python_with_torchforce, request_of

    atoms = plan.atoms
    total, kinetic, seconds = [], [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        bind_model(plan.model, Path(folder, "bound.pt"), atoms.numbers, periodic=bool(atoms.pbc.all()), dtype=plan.dtype)
        part = max(1, plan.steps // (20 * plan.every)) * plan.every
        for done in range(0, plan.steps, part):
            answer = host_of(python_with_torchforce()).ask(
                file=str(Path(folder, "bound.pt")), **request_of(atoms), start=done == 0, timestep=plan.timestep / 1000,
                steps=min(part, plan.steps - done), every=plan.every, velocities=openmm_velocities(atoms).tolist(),
            )  # fmt: skip
            total += answer["total"]
            kinetic += answer["kinetic"]
            seconds += answer["seconds"]
            advance(min(1.0, (done + part) / plan.steps))
    return _openmm_run("TorchForce", plan, total, kinetic, seconds)


def _openmm_run(engine: str, plan: Plan, total: list[float], kinetic: list[float], seconds: float) -> Run:
    times = np.arange(len(total)) * plan.every * plan.timestep / 1000
    temperatures = temperature_of(np.array(kinetic) / KJ_PER_MOL_PER_EV, len(plan.atoms))
    energies = np.array(total) / KJ_PER_MOL_PER_EV
    return Run(engine, plan.dtype, plan.timestep, times, energies, np.asarray(temperatures), len(plan.atoms), seconds)


ENGINES: dict[str, Callable[[Plan, Advance], Run]] = {
    "lammps": lammps_nve,
    "openmm": openmm_nve,
    "opencl-mixed": partial(openmm_nve, platform="OpenCL", properties={"Precision": "mixed"}),
    "torchforce": torchforce_nve,
}
