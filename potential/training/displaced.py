"""Structures of molecules where those of a training do not reach: rattled, stretched, bent, or a little later in a hot trajectory."""

from __future__ import annotations

from collections.abc import Iterator

import ase
import numpy as np
from ase import units
from ase.calculators.calculator import Calculator
from ase.data import covalent_radii
from ase.md.verlet import VelocityVerlet

DISPLACED = 0.12  # Å: the largest standard deviation of a frame's displacements
STRETCHED = (0.75, 1.7)  # of a bond's length
BENT = 0.6  # radians
TIMESTEP, BEGINNING, BETWEEN, SEEN = 1.0, 10, 5, 5  # fs; steps before the first structure of a trajectory and between two; structures


def moved(atoms: ase.Atoms, rng: np.random.Generator) -> ase.Atoms:
    """A displaced copy; in half of the cases a bond is squeezed or stretched, by an end of it or by all that hangs on that end, and in
    half of them what hangs on the end of a bond is turned about its other end."""
    new = ase.Atoms(atoms.numbers, atoms.positions)
    new.positions += rng.normal(0.0, rng.uniform(0.0, DISPLACED), new.positions.shape)
    bonds = bonds_of(atoms)
    if rng.random() < 0.5 and len(bonds):
        fixed, end = rng.permutation(bonds[rng.integers(len(bonds))])
        group = [int(end)] if rng.random() < 0.5 else hanging_on(len(atoms), bonds, int(fixed), int(end))
        new.positions[group] += (rng.uniform(*STRETCHED) - 1.0) * (new.positions[end] - new.positions[fixed])
    if rng.random() < 0.5 and len(bonds):
        fixed, end = rng.permutation(bonds[rng.integers(len(bonds))])
        group = hanging_on(len(atoms), bonds, int(fixed), int(end))
        arms = new.positions[group] - new.positions[fixed]
        new.positions[group] = new.positions[fixed] + turned(arms, rng.normal(size=3), rng.uniform(0.0, BENT))
    return new


def turned(vectors: np.ndarray, axis: np.ndarray, angle: float) -> np.ndarray:
    """Vectors [n, 3] turned about an axis by an angle (radians): Rodrigues' formula."""
    axis = axis / np.linalg.norm(axis)
    along = np.outer(vectors @ axis, axis)
    turned: np.ndarray = along + (vectors - along) * np.cos(angle) + np.cross(axis, vectors) * np.sin(angle)
    return turned


def trajectory(atoms: ase.Atoms, calculator: Calculator, temperature: float, rng: np.random.Generator) -> Iterator[ase.Atoms]:
    """Structures at 10, 15, ... 30 fs of a trajectory from `atoms`, with momenta drawn at `temperature` (K); the calculator has the
    results of each when it is given."""
    moving = ase.Atoms(atoms.numbers, atoms.positions, calculator=calculator)
    moving.set_momenta(rng.normal(size=moving.positions.shape) * np.sqrt(moving.get_masses()[:, None] * units.kB * temperature))
    dynamics = VelocityVerlet(moving, TIMESTEP * units.fs)
    for steps in (BEGINNING, *[BETWEEN] * (SEEN - 1)):
        dynamics.run(steps)
        yield ase.Atoms(moving.numbers, moving.positions)


def bonds_of(atoms: ase.Atoms) -> np.ndarray:
    """Pairs of atoms closer than 1.25 times the sum of their covalent radii, to the nearest image in a cell, int [n, 2]."""
    radii = covalent_radii[atoms.numbers]
    return np.argwhere(np.triu(atoms.get_all_distances(mic=True) < 1.25 * (radii[:, None] + radii), 1))


def hanging_on(n: int, bonds: np.ndarray, fixed: int, end: int) -> list[int]:
    """The atoms that `end` takes along when its bond to `fixed` breaks; in a ring `end` alone."""
    bonded = np.eye(n, dtype=bool)
    bonded[bonds[:, 0], bonds[:, 1]] = bonded[bonds[:, 1], bonds[:, 0]] = True
    bonded[fixed, end] = bonded[end, fixed] = False
    group = bonded[end]
    while (wider := bonded[group].any(axis=0)).sum() > group.sum():
        group = wider
    return [end] if group[fixed] else np.flatnonzero(group).tolist()
