"""Where a structure leaves what a model was trained on; include/spinconv/extrapolation.h does the same for the engines."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from ase.data import atomic_numbers

from spinconv.potential.coverage import Coverage
from spinconv.potential.edges import Edges


class ExtrapolationWarning(UserWarning):
    """A structure holds pairs of atoms closer, or numbers of neighbours other, than all frames that the model was trained on."""


@contextmanager
def allow_extrapolation() -> Iterator[None]:
    """For structures that are meant to be odd: no ExtrapolationWarning within."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        yield


class Outside(NamedTuple):
    """The atoms of a structure that have surroundings unlike those of training."""

    atoms: np.ndarray
    """Whether an atom is one of them, bool [n_atoms]."""
    worst: str
    """The case farthest outside, in words; empty without any."""
    severity: float
    """How far outside that case is: 0 without any, up to 1 for numbers of neighbours, above it for distances; as in the engines."""


class Watch:
    """Compares structures with what a model file says of its training frames."""

    def __init__(self, metadata: dict[str, Any]) -> None:
        coverage = coverage_of_file(metadata)
        self.knows = coverage is not None
        """False for files that say nothing, as those written before they could."""
        if coverage is None:
            return
        self._cutoff: float = metadata["cutoff"]
        self._symbols: list[str] = metadata["elements"]
        self._place = np.zeros(119, dtype=np.int64)
        self._place[[atomic_numbers[symbol] for symbol in self._symbols]] = np.arange(len(self._symbols))
        self._shortest = np.array(coverage.shortest)  # (n_elements, n_elements), Å
        self._reach = min(self._cutoff, self._shortest.max())  # Å; farther apart no pair is too close
        self._range = np.array(coverage.neighbors)  # (n_elements, 2)

    def look(self, edges: Edges, name: Callable[[int], Any] = int) -> Outside:
        """The atoms of `edges`, which must have all edges within the model's cutoff, called by `name` of their index.

        Outside is who has a neighbour closer than any pair of these elements was in training, or fewer or more neighbours than any
        atom of this element.
        """
        elements = self._place[edges.numbers]  # (n_atoms,)
        j, i = edges.edge_index
        squared = np.einsum("ek,ek->e", edges.vectors, edges.vectors)  # (n_edges,)
        counts = np.bincount(i[squared < self._cutoff**2], minlength=len(elements))  # (n_atoms,)
        least, most = self._range[elements].T
        atoms = (counts < least) | (counts > most)
        near = np.flatnonzero(squared < self._reach**2)
        j, i, distances = j[near], i[near], np.sqrt(squared[near])
        shortest = self._shortest[elements[i], elements[j]]
        is_close = distances < shortest
        if is_close.any():
            # a pair never seen is farther outside than one seen at a longer distance
            far = np.where(np.isinf(shortest), 3 - distances / self._cutoff, 2 - distances / shortest)
            edge = int(np.argmax(np.where(is_close, far, 0)))
            atoms[i[is_close]] = True
            return Outside(atoms, self._pair(name, elements, (i[edge], j[edge]), distances[edge], shortest[edge]), float(far[edge]))
        if not atoms.any():
            return Outside(atoms, "", 0.0)
        far = np.maximum((least - counts) / np.maximum(least, 1), (counts - most) / np.maximum(counts, 1))
        atom = int(np.argmax(far))
        return Outside(atoms, self._neighbors(name, elements, atom, counts[atom], least[atom], most[atom]), float(far[atom]))

    def _pair(self, name: Callable[[int], Any], elements: np.ndarray, atoms: tuple[int, int], distance: float, shortest: float) -> str:
        one, other = (self._symbols[elements[atom]] for atom in atoms)
        seen = (
            f"training had no {one} and {other} within {self._cutoff:g} Å"
            if np.isinf(shortest)
            else f"the closest {one} and {other} of training were {shortest:.3f} Å apart"
        )
        return f"atoms {name(atoms[0])} ({one}) and {name(atoms[1])} ({other}) are {distance:.3f} Å apart, {seen}"

    def _neighbors(self, name: Callable[[int], Any], elements: np.ndarray, atom: int, count: int, least: int, most: int) -> str:
        symbol = self._symbols[elements[atom]]
        seen = f"{symbol} of training had {least}" + (f" to {most}" if most != least else "")
        return f"atom {name(atom)} ({symbol}) has {count} neighbours within {self._cutoff:g} Å, {seen}"


def coverage_of_file(metadata: dict[str, Any]) -> Coverage | None:
    """What the training frames looked like around an atom; None where the file does not say."""
    values = metadata.get("coverage")
    return None if values is None else Coverage.from_dict(values, [atomic_numbers[symbol] for symbol in metadata["elements"]])


class Alarm:
    """Warns at the first structure outside what any of several models was trained on, and never again."""

    def __init__(self, metadata: Sequence[dict[str, Any]]) -> None:
        self._watches = [watch for watch in map(Watch, metadata) if watch.knows]
        self._is_silent = False

    def look(self, edges: Edges, name: Callable[[int], Any] = int) -> np.ndarray | None:
        """Whether an atom is outside, bool [n_atoms]; None where no file says what it was trained on."""
        found = [watch.look(edges, name) for watch in self._watches]
        if not found:
            return None
        atoms: np.ndarray = np.logical_or.reduce([outside.atoms for outside in found])
        self._warn(atoms, lambda: found)
        return atoms

    def hear(self, atoms: np.ndarray, edges: Callable[[], Edges]) -> np.ndarray | None:
        """The same of atoms that others have marked as outside; their edges are asked for where there is something to say."""
        if not self._watches:
            return None
        self._warn(atoms, lambda: [watch.look(edges()) for watch in self._watches])
        return atoms

    def _warn(self, atoms: np.ndarray, found: Callable[[], list[Outside]]) -> None:
        if self._is_silent or not atoms.any():
            return
        self._is_silent = True
        worst = max(found(), key=lambda outside: outside.severity).worst
        words = f"the model extrapolates for {np.count_nonzero(atoms)} of {len(atoms)} atoms, which is said once: {worst}"
        warnings.warn(words, ExtrapolationWarning, stacklevel=3)
