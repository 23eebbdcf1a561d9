"""What a model is told about its training frames before it learns: reference energies, a scale, a number of neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from ase.data import chemical_symbols

from spinconv.potential.training.data import GraphDataset, graph_of_frame
from spinconv.potential.training.frames import DataError, Frame

SAME = 1e-3  # eV; energies of an isolated atom that differ by more are of two states or two methods
FAR = 50.0  # eV per atom: no bond is so strong, so energies that differ by more are not in the same units or of the same method


class Statistics(NamedTuple):
    reference_energies: list[float]  # eV, one per element
    scale: float  # eV
    average_neighbors: float


def statistics(frames: Sequence[Frame], graphs: GraphDataset, elements: Sequence[int], alone: Mapping[int, float], fit: bool) -> Statistics:
    """Statistics of the training frames.

    alone: energies of isolated atoms in eV (may be empty with `fit`); fit: shift them to the frames by least squares.
    """
    energies = np.array([alone.get(z, 0.0) for z in elements])
    if fit:
        energies = energies + shift(frames, elements, energies)
    return Statistics(energies.tolist(), scale(frames, elements, energies), average_neighbors(graphs))


def composition(frames: Sequence[Frame], elements: Sequence[int]) -> np.ndarray:
    """Number of atoms of each element in each frame, (n_frames, n_elements)."""
    return np.array([[np.count_nonzero(frame.atoms.numbers == z) for z in elements] for frame in frames], dtype=float)


def one_composition(counts: np.ndarray) -> bool:
    """Whether all frames are of one substance, however many molecules they have; counts as of `composition`."""
    shares = counts / counts.sum(axis=1, keepdims=True)  # (n_frames, n_elements)
    return bool(np.ptp(shares, axis=0).max() < 1e-6)


def shift(frames: Sequence[Frame], elements: Sequence[int], energies: np.ndarray) -> np.ndarray:
    """Least-squares change of the reference energies, each frame weighed by 1/n_atoms; eV per element.

    First one value for all atoms, then the smallest per-element change that fits the rest: where the frames leave a choice
    (one molecule only, say), every element shares the binding energy alike.
    """
    frames = [frame for frame in frames if np.isfinite(frame.energy)]
    if not frames:
        return np.zeros(len(elements))
    counts = composition(frames, elements)
    n_atoms = counts.sum(axis=1)
    rest = (np.array([frame.energy for frame in frames]) - counts @ energies) / n_atoms  # eV per atom
    mean = rest.mean()
    own = np.linalg.lstsq(counts / n_atoms[:, None], rest - mean, rcond=1e-6)[0]
    return mean + own


def scale(frames: Sequence[Frame], elements: Sequence[int], energies: np.ndarray) -> float:
    """What makes the network's outputs of order one: the rms of the force components (eV/Å), read as eV per Å of path.

    Where there are no forces, or only zeros, the rms of what the reference energies leave of the energy per atom, or 1 eV.
    """
    known = [frame for frame in frames if np.isfinite(frame.energy)]
    rest = [(frame.energy - counts @ energies) / counts.sum() for frame, counts in zip(known, composition(known, elements), strict=True)]
    return force_rms(frames) or (float(np.sqrt(np.mean(np.square(rest)))) if rest else 0.0) or 1.0


def force_rms(frames: Sequence[Frame]) -> float:
    """Root mean square of the force components that are labels (eV/Å), 0 where there are none."""
    forces = [frame.forces[frame.counted].ravel() for frame in frames if frame.forces is not None]
    return float(np.sqrt(np.mean(np.concatenate(forces) ** 2))) if sum(map(len, forces)) else 0.0


def has_forces(frames: Sequence[Frame]) -> bool:
    """Whether any atom of the frames feels a force."""
    return any(frame.forces is not None and np.any(frame.forces) for frame in frames)


def average_neighbors(graphs: GraphDataset) -> float:
    """Edges per atom over all frames; at least one, so that nothing is divided by zero."""
    n_edges = sum(batch.graph.vectors.shape[0] for batch in graphs.graphs)
    n_atoms = sum(batch.graph.numbers.shape[0] for batch in graphs.graphs)
    return max(1.0, n_edges / n_atoms)


def isolated_atoms(frames: Sequence[Frame], elements: Sequence[int], path: str, cutoff: float) -> dict[int, float]:
    """Energy (eV) of every element from frames of an isolated atom; DataError if one is missing, or they differ."""
    found = isolated_frames(frames, cutoff)
    for z, alone in found.items():
        least, most = (choose(alone, key=lambda frame: frame.energy) for choose in (min, max))
        if not agree(alone):
            raise DataError(
                f"{path}: has isolated atoms of {chemical_symbols[z]} with energies from {least.energy:.4f} eV ({least.name}) "
                f"to {most.energy:.4f} eV ({most.name}); leave the right one, or give `reference_energies: {{{chemical_symbols[z]}: ...}}`"
            )
    energies = {z: alone[0].energy for z, alone in found.items()}
    return complete(energies, elements, f"{path}: has no frame of an isolated", f" (no other within the cutoff, {cutoff:g} Å)")


def isolated_frames(frames: Sequence[Frame], cutoff: float) -> dict[int, list[Frame]]:
    """Frames of one atom without an image of itself within the cutoff, by element; where the file calls some of them isolated, those."""
    found: dict[int, list[Frame]] = {}
    for frame in frames:
        if len(frame.atoms) == 1 and (frame.called_isolated or graph_of_frame(frame, cutoff, torch.float64).edge_index.shape[1] == 0):
            found.setdefault(int(frame.atoms.numbers[0]), []).append(frame)
    return {z: [frame for frame in alone if frame.called_isolated] or alone for z, alone in found.items()}


def agree(alone: Sequence[Frame]) -> bool:
    """Whether frames of an isolated atom have one energy, but for rounding."""
    return bool(np.ptp([frame.energy for frame in alone]) <= SAME)


def given_energies(values: Mapping[int, float], elements: Sequence[int], name: str) -> dict[int, float]:
    """Energy (eV) of every element as given; DataError if one is missing."""
    return complete(values, elements, f"{name}: `reference_energies` lacks")


def complete(found: Mapping[int, float], elements: Sequence[int], complaint: str, which: str = "") -> dict[int, float]:
    if missing := [z for z in elements if z not in found]:
        raise DataError(f"{complaint} {chemical_symbols[missing[0]]} atom{which}, an element of the training frames")
    return {z: float(found[z]) for z in elements}


def check_references(frames: Sequence[Frame], elements: Sequence[int], energies: Sequence[float]) -> None:
    """Refuse frames whose energy is absurdly far from that of their atoms: other units or another method."""
    energy_of = dict(zip(elements, energies, strict=True))
    for frame in frames:
        per_atom = (frame.energy - sum(energy_of[z] for z in frame.atoms.numbers.tolist())) / len(frame.atoms)
        if abs(per_atom) > FAR:
            raise DataError(
                f"{frame.name}: its energy is {per_atom:.4g} eV per atom away from the reference energies; "
                "are both in the same units and of the same method (`data.units`, `reference_energies`)?"
            )
