"""Do molecules stay whole? Hot trajectories of the shipped models in real LAMMPS, events counted.

    python benchmarks/stability.py                                 every case below: hours on one core
    python benchmarks/stability.py --case "ethanol 1000 K"         one of them; --case may be repeated
    python benchmarks/stability.py --case "ethanol 500 K" --picoseconds 300 --model my.pt

All copies of a molecule move in one box, so far apart that they are not neighbours, with a Langevin thermostat (0.1 ps, 0.5 fs a step,
float32) that draws its own random forces for every atom. Bonds are the pairs of the first frame within 1.25 times the sum of their covalent
radii. Every 10 fs a copy is looked at: it is no longer whole when a bond is longer than 2 Å (and 1.4 times its first length, which
counts for silicon), or two of its atoms are closer than 0.6 Å. A copy that is not whole is not counted again. A proton that has passed from
one oxygen or nitrogen to another, as in acetylacetone, has broken nothing: from then on its bond is the new one.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import ase
import ase.io
import numpy as np
import typer
from ase.build import bulk, molecule
from ase.data import covalent_radii
from ase.geometry import find_mic
from ase.io.lammpsdata import write_lammps_data
from nve import MODELS, ROOT, SYSTEMS, numbers_of, said_by_lammps
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from spinconv.potential.training.displaced import bonds_of

APART = 100.0  # Å between copies of a molecule: they diffuse some 20 Å in 100 ps
CLOSEST, LONGEST, STRETCHED = 0.6, 2.0, 1.4  # Å, Å, of a bond's first length
ACCEPTORS, BONDED = (7, 8), 1.25  # atomic numbers that pass protons on; sums of covalent radii
TIMESTEP, EVERY = 0.5, 20  # fs, steps between two looks
console = Console()


class Case(NamedTuple):
    """Copies of a system at a temperature."""

    model: str
    structure: Callable[[], ase.Atoms]
    temperature: float
    picoseconds: float
    copies: int = 5


def acetylacetone() -> ase.Atoms:
    return ase.io.read(ROOT / "examples" / "openmm" / "molecule_in_water" / "acetylacetone.xyz")


def aspirin() -> ase.Atoms:
    return ase.io.read(MODELS / "aspirin" / "aspirin.xyz")


CASES = {
    "ethanol 500 K": Case("ethanol", lambda: molecule("CH3CH2OH"), 500.0, 100.0),
    "ethanol 1000 K": Case("ethanol", lambda: molecule("CH3CH2OH"), 1000.0, 20.0),
    "acetylacetone 300 K": Case("acetylacetone", acetylacetone, 300.0, 100.0),
    "acetylacetone 600 K": Case("acetylacetone", acetylacetone, 600.0, 20.0),
    "aspirin 500 K": Case("aspirin", aspirin, 500.0, 20.0),
    "water 330 K": Case("water", lambda: SYSTEMS["water"].atoms(), 330.0, 20.0, 1),
    "silicon 1200 K": Case("silicon", lambda: bulk("Si", cubic=True).repeat(2), 1200.0, 20.0, 1),
}

INPUT = """
units metal
boundary {boundary}
atom_modify map array
read_data data.start
pair_style spinconv {model}
pair_coeff * * {elements}
neighbor 1.0 bin
velocity all create {temperature} {seed} mom no rot no
fix nve all nve
fix bath all langevin {temperature} {temperature} 0.1 {seed}
timestep {timestep}
dump 1 all custom {every} dump.all id xu yu zu
dump_modify 1 sort id format float %.5f
thermo_style custom step time temp pe
thermo 200
run {steps}
"""


class Result(NamedTuple):
    """What became of the copies."""

    picoseconds: float
    """That were run; less than asked for where LAMMPS gave up."""
    events: list[tuple[int, float, str]]
    """Copy, time (ps), what happened."""
    temperature: float
    """Mean over all but the first picosecond, K."""
    longest: float
    """Longest bond of whole copies, in lengths of the first frame."""
    closest: float
    """Shortest distance in whole copies, Å."""
    milliseconds: float
    """Wall time of a step."""
    error: str
    """LAMMPS' own words, where it gave up."""


def run(case: Case, model: Path, seed: int, advance: Callable[[float], None]) -> Result:
    """All copies of a case in one LAMMPS, and what is seen in the trajectory."""
    one = case.structure()
    steps = round(1000 * case.picoseconds / TIMESTEP)
    periodic = bool(one.pbc.any())
    together = one.copy()
    for copy in range(1, case.copies):
        moved = one.copy()
        moved.positions[:, 0] += copy * APART
        together += moved
    if not periodic:
        together.center(vacuum=APART)
    elements = sorted(set(one.get_chemical_symbols()))
    began, error, temperatures = time.perf_counter(), "", []
    with tempfile.TemporaryDirectory() as folder:
        write_lammps_data(Path(folder, "data.start"), together, specorder=elements, masses=True, atom_style="atomic")
        text = INPUT.format(
            boundary="p p p" if periodic else "f f f", model=model.resolve(), elements=" ".join(elements), temperature=case.temperature,
            seed=4928459 + seed, timestep=TIMESTEP / 1000, every=EVERY, steps=steps,
        )  # fmt: skip
        Path(folder, "in.nve").write_text(text)
        try:
            for line in said_by_lammps(folder):
                row = numbers_of(line)
                if len(row) == 4:
                    advance(row[0] / steps)
                    temperatures += [row[2]] if row[1] > 1.0 else []
        except ValueError as problem:
            error = str(problem)
        seconds = time.perf_counter() - began
        seen = look(one, case.copies, frames_of(Path(folder, "dump.all"), case.copies, len(one)))
    ended, events, longest, closest = seen
    mean = float(np.mean(temperatures)) if temperatures else np.nan
    return Result(ended, events, mean, longest, closest, 1000 * seconds / max(1.0, 1000 * ended / TIMESTEP), error)


def frames_of(path: Path, copies: int, n_atoms: int) -> Iterator[tuple[float, np.ndarray]]:
    """Time (ps) and positions (Å) [copies, n_atoms, 3] of every frame of a dump that was written whole; none where LAMMPS did not begin."""
    if not path.exists():
        return
    with path.open() as lines:
        while lines.readline():
            step = int(lines.readline())
            for _ in range(7):
                lines.readline()
            rows = [lines.readline().split() for _ in range(copies * n_atoms)]
            if len(rows[-1]) < 4:
                return
            yield step * TIMESTEP / 1000, np.array(rows, dtype=float)[:, 1:].reshape(copies, n_atoms, 3)


def look(
    atoms: ase.Atoms, copies: int, frames: Iterator[tuple[float, np.ndarray]]
) -> tuple[float, list[tuple[int, float, str]], float, float]:
    """The time of the last frame, events, the longest bond (in first lengths) and the shortest distance of whole copies."""
    first_bonds = bonds_of(atoms)
    bonds_now = [first_bonds.copy() for _ in range(copies)]
    symbols = atoms.get_chemical_symbols()
    first = np.array([atoms.get_distance(a, b, mic=True) for a, b in first_bonds])
    most = np.maximum(LONGEST, STRETCHED * first)
    i, j = np.triu_indices(len(atoms), 1)
    events: list[tuple[int, float, str]] = []
    now, longest, closest = 0.0, 0.0, np.inf
    whole = set(range(copies))
    for now, positions in frames:
        for copy in sorted(whole):
            x, bonds = positions[copy], bonds_now[copy]
            pass_protons_on(atoms, x, bonds)
            lengths = distances(x[bonds[:, 0]] - x[bonds[:, 1]], atoms)
            shortest = distances(x[i] - x[j], atoms).min()
            if (lengths > most).any():
                a, b = bonds[int(np.argmax(lengths / most))]
                events.append((copy, now, f"{symbols[a]}-{symbols[b]} {lengths.max():.2f} Å"))
                whole.remove(copy)
            elif shortest < CLOSEST:
                events.append((copy, now, f"two atoms at {shortest:.2f} Å"))
                whole.remove(copy)
            else:
                longest, closest = max(longest, float((lengths / first).max())), min(closest, float(shortest))
    return now, events, longest, closest


def pass_protons_on(atoms: ase.Atoms, positions: np.ndarray, bonds: np.ndarray) -> None:
    """Of the bonds of one copy [n, 2], those of hydrogen to oxygen or nitrogen become ones to the nearest such atom, where it is bonded."""
    numbers = atoms.numbers
    others = np.flatnonzero(np.isin(numbers, ACCEPTORS))
    for bond in bonds:
        if set(numbers[bond]) & set(ACCEPTORS) and 1 in numbers[bond]:
            proton, heavy = sorted(bond, key=lambda atom: numbers[atom])
            apart = distances(positions[others] - positions[proton], atoms)
            nearest = int(others[apart.argmin()])
            if nearest != heavy and apart.min() < BONDED * (covalent_radii[1] + covalent_radii[numbers[nearest]]):
                bond[:] = sorted((proton, nearest))


def distances(vectors: np.ndarray, atoms: ase.Atoms) -> np.ndarray:
    """Their lengths, to the nearest image where the cell is periodic."""
    return find_mic(vectors, atoms.cell, atoms.pbc)[1] if atoms.pbc.any() else np.linalg.norm(vectors, axis=1)


def main(
    names: Annotated[list[str] | None, typer.Option("--case", help=f"One of: {', '.join(CASES)}.")] = None,
    picoseconds: Annotated[float | None, typer.Option(min=0.1, help="In place of the case's own.")] = None,
    copies: Annotated[int | None, typer.Option(min=1, help="In place of the case's own; of molecules only.")] = None,
    model: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="In place of the shipped one.")] = None,
    seed: Annotated[int, typer.Option(help="Of first velocities and of the thermostat.")] = 0,
) -> None:
    """Count what falls apart."""
    table = Table(*("case", "ps", "whole", "events", "mean K", "longest bond / first", "shortest Å", "ms a step"))
    with Progress(console=console, transient=True) as progress:
        for name in names or list(CASES):
            if name not in CASES:
                raise typer.BadParameter(f"`--case` must be one of {', '.join(CASES)}; got {name}")
            case = CASES[name]
            case = case._replace(picoseconds=picoseconds or case.picoseconds, copies=copies if copies and case.copies > 1 else case.copies)
            task = progress.add_task(name, total=1.0)
            path = model or MODELS / case.model / "model.pt"
            result = run(case, path, seed, lambda done, task=task: progress.update(task, completed=done))
            whole = case.copies - len(result.events)
            events = "; ".join(f"copy {copy} at {at:.2f} ps: {what}" for copy, at, what in result.events) or "none"
            table.add_row(
                name, f"{result.picoseconds:.1f}", f"{whole} of {case.copies}", events + (f"; {result.error}" if result.error else ""),
                f"{result.temperature:.0f}", f"{result.longest:.2f}", f"{result.closest:.2f}", f"{result.milliseconds:.1f}",
            )  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
