"""What is outside of what was trained on, by ASE's neighbour lists and loops: the reference for all engines."""

import math
from collections.abc import Sequence

import ase
import numpy as np
from ase.neighborlist import neighbor_list

CUTOFF = 5.0


def pairs_of(atoms: ase.Atoms, cutoff: float) -> list[tuple[int, int, float]]:
    """Every atom with each of its neighbours, and their distance."""
    i, j, d = neighbor_list("ijd", atoms, cutoff)
    return list(zip(i.tolist(), j.tolist(), d.tolist(), strict=True))


def name(one: str, other: str, elements: Sequence[str]) -> str:
    """The pair as the file calls it: in the order of the model's elements."""
    return "-".join(sorted((one, other), key=list(elements).index))


def covered_by(frames: Sequence[ase.Atoms], elements: Sequence[str], cutoff: float = CUTOFF) -> dict:
    """What a model trained on `frames` would say of them in its file."""
    shortest: dict[str, float] = {}
    counts: dict[str, list[int]] = {symbol: [] for symbol in elements}
    for atoms in frames:
        symbols, pairs = atoms.get_chemical_symbols(), pairs_of(atoms, cutoff)
        for i, j, distance in pairs:
            pair = name(symbols[i], symbols[j], elements)
            shortest[pair] = min(shortest.get(pair, math.inf), math.floor(distance * 1000) / 1000)
        of_atoms = np.bincount([i for i, _, _ in pairs], minlength=len(atoms))
        for symbol, count in zip(symbols, of_atoms.tolist(), strict=True):
            counts[symbol].append(count)
    ranges = {symbol: [min(seen), max(seen)] if seen else [0, 0] for symbol, seen in counts.items()}
    return {"shortest_distances": shortest, "neighbors": ranges}


def outside(atoms: ase.Atoms, coverage: dict, elements: Sequence[str], cutoff: float = CUTOFF) -> np.ndarray:
    """Whether an atom has a pair closer, or another number of neighbours, than the coverage says, bool [n_atoms]."""
    symbols, pairs = atoms.get_chemical_symbols(), pairs_of(atoms, cutoff)
    found = np.zeros(len(atoms), dtype=bool)
    for i, j, distance in pairs:
        found[i] |= distance < coverage["shortest_distances"].get(name(symbols[i], symbols[j], elements), math.inf)
    for i, symbol in enumerate(symbols):
        least, most = coverage["neighbors"][symbol]
        found[i] |= not least <= sum(pair[0] == i for pair in pairs) <= most
    return found
