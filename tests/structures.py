"""Structures by name. All are made here; nothing is fetched."""

from collections.abc import Callable

import ase
import ase.build
import numpy as np
from ase.calculators.calculator import Calculator


def ethanol(seed: int = 0) -> ase.Atoms:
    """A distorted ethanol molecule, free."""
    atoms = ase.build.molecule("CH3CH2OH")
    atoms.rattle(0.08, seed=seed)
    return atoms


def water_box(n_side: int = 2, seed: int = 0) -> ase.Atoms:
    """n_side^3 rotated water molecules on a lattice at liquid density, periodic; two a side makes a cell (6.2 Å) below two cutoffs."""
    rng = np.random.default_rng(seed)
    spacing = 3.1
    box = ase.Atoms(cell=[n_side * spacing] * 3, pbc=True)
    for corner in np.ndindex(n_side, n_side, n_side):
        molecule = ase.build.molecule("H2O")
        molecule.rotate(rng.uniform(0, 360), rng.normal(size=3))
        molecule.translate(np.array(corner) * spacing + rng.normal(scale=0.1, size=3))
        box += molecule
    return box


def triclinic(seed: int = 0) -> ase.Atoms:
    """Water in a skewed cell smaller than two cutoffs, all atoms moved out of it by a few lattice vectors."""
    atoms = water_box(2, seed)
    atoms.set_cell([[6.2, 0, 0], [1.9, 6.0, 0], [-1.1, 1.4, 6.4]], scale_atoms=True)
    atoms.positions += np.random.default_rng(seed).integers(-2, 3, size=(len(atoms), 3)) @ atoms.cell.array
    return atoms


def slab_with_adsorbate() -> ase.Atoms:
    """CO on Cu(111), periodic in two directions."""
    slab = ase.build.fcc111("Cu", (2, 2, 3), vacuum=None)
    ase.build.add_adsorbate(slab, ase.build.molecule("CO"), 1.9, "ontop")
    slab.pbc = (True, True, False)
    return slab


def fcc() -> ase.Atoms:
    """A perfect copper crystal of four atoms: every force vanishes by symmetry."""
    return ase.build.bulk("Cu", cubic=True)


def rattled_fcc(seed: int = 0) -> ase.Atoms:
    """A copper crystal away from its perfect positions."""
    atoms = fcc()
    atoms.rattle(0.1, seed=seed)
    return atoms


def tiny_cell() -> ase.Atoms:
    """One copper atom in its primitive cell, smaller than the cutoff: all its neighbours are itself."""
    return ase.build.bulk("Cu")


def on_axes() -> ase.Atoms:
    """Six atoms exactly on the coordinate axes around a seventh."""
    axes = np.concatenate([np.eye(3), -np.eye(3)]) * 1.4
    return ase.Atoms("CH4OH", [*axes, (0, 0, 0)])


def collinear() -> ase.Atoms:
    """Carbon dioxide, exactly linear, along no axis."""
    direction = np.array([1.0, 2.0, 3.0]) / 14**0.5
    return ase.Atoms("OCO", [-1.16 * direction, 0 * direction, 1.2 * direction])


def dimer(distance: float) -> ase.Atoms:
    """C and O at a distance (Å)."""
    return ase.Atoms("CO", [(0, 0, 0), (0, 0, distance)])


def cluster(n_atoms: int = 100, seed: int = 0) -> ase.Atoms:
    """A compact free cluster of H, C and O, no two atoms closer than 1.2 Å."""
    rng = np.random.default_rng(seed)
    sites = np.array(list(np.ndindex(6, 6, 6))) * 1.7
    chosen = sites[rng.permutation(len(sites))[:n_atoms]] + rng.uniform(-0.25, 0.25, size=(n_atoms, 3))
    return ase.Atoms(numbers=rng.choice([1, 6, 8], size=n_atoms), positions=chosen)


STRUCTURES = {
    "ethanol": ethanol,
    "water box": water_box,
    "triclinic": triclinic,
    "slab with adsorbate": slab_with_adsorbate,
    "fcc": fcc,
    "rattled fcc": rattled_fcc,
    "tiny cell": tiny_cell,
    "on axes": on_axes,
    "collinear": collinear,
    "cluster": lambda: cluster(30),
}


def periodic_along(*axes: int) -> Callable[[], ase.Atoms]:
    """A skewed cell that is periodic in some directions only."""

    def structure() -> ase.Atoms:
        atoms = ethanol()
        atoms.set_cell([[5, 0.3, 0.2], [1, 6, -2], [3, 2, 7]])
        atoms.pbc = [axis in axes for axis in range(3)]
        return atoms

    structure.__name__ = f"periodic along {axes}"
    return structure


def left_handed() -> ase.Atoms:
    atoms = triclinic()
    atoms.set_cell(atoms.cell.array[[1, 0, 2]])
    return atoms


def skewed() -> ase.Atoms:
    """Two copper atoms in a cell that leans over by several times its width."""
    atoms = ase.Atoms("Cu", cell=[[2.5, 0, 0], [12, 2.6, 0], [-20, 9, 2.4]], pbc=True).repeat((1, 1, 2))
    atoms.rattle(0.2, seed=0)
    return atoms


def slab_without_a_third_vector() -> ase.Atoms:
    atoms = STRUCTURES["slab with adsorbate"]()
    atoms.rattle(0.1, seed=0)
    atoms.cell[2] = 0
    return atoms


CELLS: dict[str, Callable[[], ase.Atoms]] = {
    **STRUCTURES,
    **{case.__name__: case for case in (left_handed, skewed, slab_without_a_third_vector)},
    **{case.__name__: case for case in (periodic_along(*axes) for axes in [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])},
}
"""The structures, and every kind of cell that LAMMPS has to turn."""


def moved(atoms: ase.Atoms, displacement: np.ndarray) -> ase.Atoms:
    """A displaced copy."""
    atoms = atoms.copy()
    atoms.positions += displacement
    return atoms


def with_calculator(atoms: ase.Atoms, calculator: Calculator) -> ase.Atoms:
    """A copy of `atoms` that uses `calculator`."""
    copy = atoms.copy()
    copy.calc = calculator
    return copy
