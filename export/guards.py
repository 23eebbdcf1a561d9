"""What goes into a model and comes out of it, checked."""

from collections.abc import Sequence

import ase
import numpy as np
from ase.data import chemical_symbols

from spinconv.potential.words import element_name


def check_elements(atoms: ase.Atoms, elements: Sequence[int]) -> None:
    """ValueError where an atom is of none of the model's `elements` (atomic numbers)."""
    unknown = sorted(set(atoms.numbers.tolist()) - set(elements))
    if unknown:
        known = ", ".join(chemical_symbols[z] for z in elements)
        raise ValueError(f"`atoms` must consist of the model's elements {known}, got {element_name(unknown[0])}")


def check_finite(energy: float, forces: np.ndarray) -> None:
    """ValueError where a number is none."""
    if not np.isfinite(energy) or not np.isfinite(forces).all():
        raise ValueError(f"energy and forces must be finite, got {energy} eV: look for atoms on top of each other")
