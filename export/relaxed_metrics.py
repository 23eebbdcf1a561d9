"""OC20's figures of relaxed structures: how far they are from those of the reference method, and how near to rest by it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import ase
import numpy as np
from ase.geometry import find_mic

from spinconv.potential.training.labels import held_in_place

DISTANCES = np.arange(0.01, 0.5, 0.001)  # Å, thresholds of ADwT
FORCES = np.arange(0.01, 0.4, 0.001)  # eV/Å, thresholds of AFbT
ENERGY_WITHIN = 0.02  # eV, of EwT
SAME = 1e-3  # Å; single points farther from the relaxed structures are of others


class Figure(NamedTuple):
    """A figure, or why there is none."""

    quantity: str
    unit: str
    value: float | None
    what: str
    """What it is of, or why it is not computed."""


def figures(
    starts: Sequence[ase.Atoms | None],
    relaxed: Sequence[ase.Atoms | None],
    references: Sequence[ase.Atoms] | None,
    single_points: Sequence[ase.Atoms] | None,
) -> list[Figure]:
    """ADwT and energies beside references, AFbT by forces of the reference method at our structures. A structure that failed is outside of
    every threshold."""
    return [*beside(starts, relaxed, references), by_forces(relaxed, single_points)]


def beside(starts: Sequence[ase.Atoms | None], relaxed: Sequence[ase.Atoms | None], references: Sequence[ase.Atoms] | None) -> list[Figure]:
    """Of positions and energies, both of the relaxed structures of the reference method."""
    if references is None:
        return [Figure("ADwT", "%", None, "needs the relaxed structures of the reference method (--reference)")]
    ours, before = (100 * within([distance(*pair) for pair in zip(found, references, strict=True)]) for found in (relaxed, starts))
    known = [(o, energy_of(r)) for o, r in zip(relaxed, references, strict=True) if o is not None and energy_of(r) is not None]
    rows = [
        Figure("ADwT", "%", ours, "relaxed structures within 0.01 to 0.5 Å of the references, free atoms"),
        Figure("ADwT, not relaxed", "%", before, "the same of the structures as they were given"),
    ]
    if not known:
        return [*rows, Figure("energy MAE", "eV", None, "needs references with energies")]
    errors = np.abs([o.get_potential_energy() - energy for o, energy in known])
    n = f"{len(known)} of {len(relaxed)} structures"
    return [
        *rows,
        Figure(
            "energy MAE", "eV", float(errors.mean()), f"of {n}, as the labels are: of adsorption energies where the model learned those"
        ),
        Figure("EwT", "%", 100 * float((errors < ENERGY_WITHIN).sum()) / len(relaxed), f"energies within {ENERGY_WITHIN} eV"),
    ]


def by_forces(relaxed: Sequence[ase.Atoms | None], single_points: Sequence[ase.Atoms] | None) -> Figure:
    """AFbT: the part of the thresholds below which the reference method's largest force on a free atom is."""
    if single_points is None:
        return Figure("AFbT", "%", None, "needs forces of the reference method at the relaxed structures (--single-points)")
    largest = [np.inf if ours is None else force_at(ours, theirs) for ours, theirs in zip(relaxed, single_points, strict=True)]
    value = 100 * float(np.mean(np.array(largest)[:, None] < FORCES))
    return Figure("AFbT", "%", value, "largest forces of the reference method below 0.01 to 0.4 eV/Å, free atoms")


def within(distances: Sequence[float]) -> float:
    """The mean over structures and thresholds of whether the distance is below."""
    return float(np.mean(np.array(distances)[:, None] < DISTANCES))


def distance(atoms: ase.Atoms | None, reference: ase.Atoms) -> float:
    """The mean distance (Å) of the free atoms from their places in the reference, by the nearest image; infinite where there is none."""
    if atoms is None:
        return np.inf
    free = free_of(atoms)
    vectors, _ = find_mic((atoms.positions - reference.positions)[free], atoms.cell, atoms.pbc)
    return float(np.linalg.norm(vectors, axis=1).mean()) if free.any() else 0.0


def free_of(atoms: ase.Atoms) -> np.ndarray:
    """The atoms that no constraint holds, bool (n_atoms,)."""
    fixed = held_in_place(atoms)
    return np.ones(len(atoms), dtype=bool) if fixed is None else ~fixed


def label(atoms: ase.Atoms, name: str) -> Any:
    """What a file says that the reference method has for a structure; None where it says nothing."""
    return atoms.calc.results.get(name) if atoms.calc is not None else atoms.info.get(name)


def energy_of(atoms: ase.Atoms) -> float | None:
    """The energy (eV) of a reference; None where it has none."""
    found = label(atoms, "energy")
    return None if found is None or not np.isfinite(found) else float(found)


def force_at(ours: ase.Atoms, theirs: ase.Atoms) -> float:
    """The largest force (eV/Å) on a free atom that the reference method has at our structure."""
    vectors, _ = find_mic(theirs.positions - ours.positions, ours.cell, ours.pbc)
    if np.abs(vectors).max() > SAME:
        raise ValueError(f"`--single-points` must be of the relaxed structures, one is {np.abs(vectors).max():.3g} Å from its own")
    found = label(theirs, "forces")
    if found is None:
        raise ValueError("`--single-points` must have forces, one has none")
    return float(np.linalg.norm(np.asarray(found)[free_of(ours)], axis=1).max(initial=0.0))


def check_match(starts: Sequence[ase.Atoms | None], others: Sequence[ase.Atoms], option: str) -> None:
    """Refuse references that are of other structures, before anything is relaxed."""
    if len(others) != len(starts):
        raise ValueError(f"`{option}` must have a structure for each that is relaxed, {len(starts)}, got {len(others)}")
    for k, (start, other) in enumerate(zip(starts, others, strict=True)):
        if start is not None and start.numbers.tolist() != other.numbers.tolist():
            raise ValueError(
                f"`{option}` must have the same atoms in the same order, its structure {k} is {other.symbols}, not {start.symbols}"
            )
