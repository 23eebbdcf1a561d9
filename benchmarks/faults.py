"""Measurements of what an energy and its forces should be, and a published SpinConv's are not: of a model and frames, in float64."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import ase
import numpy as np
import torch
from ase import units
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary

from spinconv.potential import batch_graphs, build_graph, energy_and_forces
from spinconv.potential.grid import equations
from spinconv.potential.grid.projection import kept_edges
from spinconv.potential.kinds import make_model
from spinconv.potential.model import PotentialModel

MEV = 1000.0
HAIR = 1e-7
"""Å, to either side of a place where something may jump."""
AT_ONCE = 16
"""Structures in an evaluation."""
Frames = Sequence[ase.Atoms]


def evaluate(model: PotentialModel, structures: Frames) -> tuple[np.ndarray, list[np.ndarray]]:
    """Energies (eV, [n]) and forces (eV/Å, one array a structure)."""
    energies, forces = [], []
    for first in range(0, len(structures), AT_ONCE):
        some = structures[first : first + AT_ONCE]
        found = energy_and_forces(model, batch_graphs([build_graph(atoms, model.cutoff, torch.float64) for atoms in some]))
        energies.append(found.energies.detach().numpy())
        forces += np.split(found.forces.detach().numpy(), np.cumsum([len(atoms) for atoms in some])[:-1])
    return np.concatenate(energies), forces


def energies(model: PotentialModel, structures: Frames) -> np.ndarray:
    """eV, [n]."""
    return evaluate(model, structures)[0]


def moved(atoms: ase.Atoms, displacement: np.ndarray | float) -> ase.Atoms:
    """The same atoms elsewhere."""
    return ase.Atoms(atoms.numbers, atoms.positions + displacement)


def changed(model: PotentialModel, **fields: Any) -> PotentialModel:
    """The same weights with another config."""
    other = make_model(replace(model.config, **fields), model.reference_energies, model.scale, model.average_neighbors).to(torch.float64)
    other.load_state_dict(model.state_dict())
    return other.eval()


def cut(model: PotentialModel, frames: Frames) -> str:
    """Rms of what was cut out of the gradient, in parts of the rms of F."""
    forces, whole = (np.concatenate(evaluate(of, frames)[1]) for of in (model, changed(model, gradient="intact")))
    return f"{rms(forces - whole) / rms(whole):.1%}"


def finite_differences(model: PotentialModel, frames: Frames, step: float = 1e-4) -> str:
    """Rms of F + dE/dx along random directions, in parts of the rms of F."""
    rng = np.random.default_rng(0)
    directions = [rng.normal(size=atoms.positions.shape) for atoms in frames]
    directions = [direction / np.linalg.norm(direction) for direction in directions]
    along = [np.vdot(forces, direction) for forces, direction in zip(evaluate(model, frames)[1], directions, strict=True)]
    ends = (energies(model, [moved(*pair) for pair in zip(frames, sign * step * np.array(directions), strict=True)]) for sign in (1, -1))
    wrong = rms(along + (next(ends) - next(ends)) / (2 * step)) / rms(along)
    return f"{wrong:.0%}" if wrong > 0.01 else f"{wrong:.0e}"


def loop(model: PotentialModel, frames: Frames, radius: float = 0.1, steps: int = 80) -> str:
    """Rms of the work (meV) on an atom that goes around a circle; nothing for a force that is a gradient."""
    angles = 2 * np.pi * np.arange(steps) / steps
    works = []
    for n, atoms in enumerate(frames):
        u, v = radius * np.linalg.qr(np.random.default_rng(n).normal(size=(3, 2)))[0].T
        path = [moved(atoms, of_first(atoms, u * np.cos(angle) + v * np.sin(angle) - u)) for angle in angles]
        tangents = np.outer(np.cos(angles), v) - np.outer(np.sin(angles), u)
        works.append(np.vdot([forces[0] for forces in evaluate(model, path)[1]], tangents) * (2 * np.pi / steps))
    return f"{digits(rms(works) * MEV)} meV"


def jitter(model: PotentialModel, frames: Frames) -> str:
    """Rms of the changes of E (meV) when atoms move by 1e-7 Å."""
    rng = np.random.default_rng(0)
    other = [moved(atoms, rng.normal(scale=HAIR, size=atoms.positions.shape)) for atoms in frames for _ in range(5)]
    return f"{rms(energies(model, other) - energies(model, frames).repeat(5)) * MEV:.1g} meV"


def cutoff_jumps(model: PotentialModel, frames: Frames) -> str:
    """What E jumps by where one pair crosses the cutoff: mean, largest (meV)."""
    ends: dict[int, list[ase.Atoms]] = {-1: [], 1: []}
    for atoms in frames:
        distances = atoms.get_all_distances()
        a, b = divmod(int(np.abs(distances - model.cutoff).argmin()), len(atoms))
        along = np.zeros((len(atoms), 3))
        along[a] = (atoms.positions[a] - atoms.positions[b]) / distances[a, b]
        for sign, found in ends.items():
            found.append(moved(atoms, (model.cutoff - distances[a, b] + sign * HAIR) * along))
    return jumps_in_words(energies(model, ends[1]) - energies(model, ends[-1]), "meV")


def cap_jumps(model: PotentialModel, frames: Frames, cap: int) -> str:
    """What E jumps by where a pair enters or leaves the nearest `cap` neighbours: mean, largest (meV)."""
    capped, jumps = changed(model, max_neighbors=cap), []
    for n, atoms in enumerate(frames):
        line = Line(atoms, n)

        def kept(x: float, line: Line = line) -> list[list[int]]:
            graph = build_graph(line.at(x), model.cutoff, torch.float64)
            return sorted(kept_edges(capped.settings(), graph.edge_index, graph.vectors, len(graph.numbers))[0].T.tolist())

        for ends in crossings(kept, length=0.5):
            jumps.append(np.ptp(energies(capped, [line.at(x) for x in ends])))
    return jumps_in_words(jumps, "meV")


def kinks(model: PotentialModel, frames: Frames) -> str:
    """What the force on an atom jumps by where a neighbour changes its cell: mean, largest (meV/Å)."""
    jumps = []
    for n, atoms in enumerate(frames):
        line = Line(atoms, n)

        def cells(x: float, line: Line = line) -> list[tuple[int, int]]:
            graph = build_graph(line.at(x), model.cutoff, torch.float64)
            cell, weight, edge = equations.see(model.settings(), graph.edge_index, graph.vectors, len(graph.numbers))
            seen = weight > 1e-12
            return sorted(zip(cell[seen].tolist(), edge[seen].tolist(), strict=True))

        for ends in list(crossings(cells, length=0.05))[:5]:
            before, after = evaluate(model, [line.at(x) for x in ends])[1]
            jumps.append(np.linalg.norm(after - before, axis=1).max())
    return jumps_in_words(jumps, "meV/Å")


class Line:
    """The first atom on a way in a random direction."""

    def __init__(self, atoms: ase.Atoms, seed: int) -> None:
        direction = np.random.default_rng(seed).normal(size=3)
        self.atoms, self.direction = atoms, of_first(atoms, direction / np.linalg.norm(direction))

    def at(self, x: float) -> ase.Atoms:
        """x Å on."""
        return moved(self.atoms, x * self.direction)


def crossings(signature: Callable[[float], Any], length: float, n: int = 30) -> Iterator[tuple[float, float]]:
    """Places on a line, a hair to either side, where a signature changes."""
    grid = np.linspace(0, length, n)
    signatures = [signature(x) for x in grid]
    for k in range(n - 1):
        if signatures[k] != signatures[k + 1]:
            low, high = grid[k], grid[k + 1]
            while high - low > HAIR:
                middle = (low + high) / 2
                low, high = (middle, high) if signature(middle) == signatures[k] else (low, middle)
            yield low, high


def turns(model: PotentialModel, frames: Frames) -> str:
    """Rms of what E changes by when all atoms are rotated (meV)."""
    rng, other = np.random.default_rng(0), []
    for atoms in frames:
        for _ in range(5):
            other.append(moved(atoms, 0.0))
            other[-1].rotate(rng.uniform(0, 360), rng.normal(size=3))
    return f"{rms(energies(model, other) - energies(model, frames).repeat(5)) * MEV:.1g} meV"


def mirrors(model: PotentialModel, frames: Frames) -> str:
    """Rms of the difference in E between a structure and its mirror image (meV)."""
    images = [ase.Atoms(atoms.numbers, -atoms.positions) for atoms in frames]
    return f"{rms(energies(model, images) - energies(model, frames)) * MEV:.1g} meV"


def draws(model: PotentialModel, frames: Frames) -> str:
    """Standard deviation of a force component between calls, for a head that draws rotations anew (meV/Å)."""
    drawn = changed(model, seed=-1) if getattr(model.config, "forces", "") == "random" else model
    calls = np.array([np.concatenate(evaluate(drawn, frames)[1]) for _ in range(10)])
    spread = rms(calls.std(axis=0)) * MEV
    return f"{digits(spread)} meV/Å" if spread > 1e-6 else "none"


def net(model: PotentialModel, frames: Frames) -> str:
    """Rms of the length of the sum of all forces (meV/Å)."""
    return f"{digits(rms([np.linalg.norm(forces.sum(0)) for forces in evaluate(model, frames)[1]]) * MEV)} meV/Å"


def errors(model: PotentialModel, frames: Frames) -> str:
    """Mean absolute error of force components (meV/Å)."""
    references = np.concatenate([atoms.get_forces() for atoms in frames])
    return f"{np.abs(np.concatenate(evaluate(model, frames)[1]) - references).mean() * MEV:.0f} meV/Å"


def drift(model: PotentialModel, frames: Frames, picoseconds: float) -> str:
    """Rms over three trajectories of the slope of the total energy (meV/atom/ps), and of what is left about it (meV/atom): velocity Verlet
    in steps of 2 fs, from 400 K."""
    atoms = [moved(frame, 0.0) for frame in frames[:3]]
    for n, one in enumerate(atoms):
        MaxwellBoltzmannDistribution(one, temperature_K=400, rng=np.random.default_rng(n))
        Stationary(one)
    step, steps = 2 * units.fs, round(500 * picoseconds)
    positions, velocities, masses = (
        np.array([get(one) for one in atoms]) for get in (ase.Atoms.get_positions, ase.Atoms.get_velocities, column)
    )
    potential, forces = evaluate(model, atoms)
    totals = []
    for _ in range(steps + 1):
        totals.append(potential + 0.5 * (masses * velocities**2).sum((1, 2)))
        velocities += 0.5 * step * np.array(forces) / masses
        positions += step * velocities
        potential, forces = evaluate(model, [ase.Atoms(one.numbers, place) for one, place in zip(atoms, positions, strict=True)])
        velocities += 0.5 * step * np.array(forces) / masses
    lines = np.array(totals) / len(atoms[0]) * MEV
    times = 0.002 * np.arange(steps + 1)
    slopes = np.polyfit(times, lines, 1)
    return f"{digits(rms(slopes[0]))}; {digits(rms(lines - np.outer(times, slopes[0]) - slopes[1]))}"


def column(atoms: ase.Atoms) -> np.ndarray:
    """Masses, [n, 1]."""
    return atoms.get_masses()[:, None]


def of_first(atoms: ase.Atoms, displacement: np.ndarray) -> np.ndarray:
    """A displacement of the first atom."""
    return np.concatenate([displacement[None], np.zeros((len(atoms) - 1, 3))])


def jumps_in_words(jumps: Any, unit: str) -> str:
    """Mean and largest."""
    sizes = np.abs(np.asarray(jumps)) * MEV
    if len(sizes) == 0 or sizes.max() < 1e-3:
        return "none"
    return f"{digits(sizes.mean())}, {digits(sizes.max())} {unit}"


def digits(value: float) -> str:
    """A number that may be small or large, with two digits or in full.

    >>> digits(0.0162), digits(81.7), digits(138.2)
    ('0.016', '82', '138')
    """
    return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"


def rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
