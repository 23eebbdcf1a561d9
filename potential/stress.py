"""Where a stress is defined: along the periodic directions of a cell with a volume."""

import ase
import numpy as np

NOTHING = 1e-12  # of a projection of a unit vector, which rounding leaves


def has_stress(atoms: ase.Atoms) -> bool:
    """Whether a direction is periodic and the cell has a volume: a crystal, a slab or a wire in a cell with three vectors."""
    return bool(atoms.pbc.any()) and atoms.cell.rank == 3


def periodic_directions(atoms: ase.Atoms) -> np.ndarray:
    """What projects on the space of the periodic lattice vectors, [3, 3]: across it nothing is strained, and nothing stressed."""
    if atoms.pbc.all():
        return np.eye(3)
    orthonormal = np.linalg.qr(atoms.cell.array[atoms.pbc].T)[0]  # columns
    return orthonormal @ orthonormal.T


def stressed_components(atoms: ase.Atoms) -> np.ndarray:
    """Which components of a stress may differ from zero, bool [3, 3]: of a slab in the xy plane xx, yy, xy and yx."""
    along = periodic_directions(atoms).diagonal() > NOTHING
    return np.outer(along, along)


def along_periodic(stress: np.ndarray, atoms: ase.Atoms) -> np.ndarray:
    """The part of a stress or virial along the periodic directions, [3, 3]; zero across, whatever is said there."""
    within = periodic_directions(atoms)
    return within @ np.where(stressed_components(atoms), stress, 0.0) @ within
