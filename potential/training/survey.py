"""What a file of reference frames holds: what its labels are called, which atoms, how many neighbours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ase
import numpy as np

from spinconv.potential.training.data import mean_neighbors
from spinconv.potential.training.frames import DataError, Frame, Keys, Needs, elements_of
from spinconv.potential.training.labels import everything, has
from spinconv.potential.training.readers import FrameFile, first_atoms, read_frames
from spinconv.potential.training.selection import chosen
from spinconv.potential.training.statistics import agree, isolated_frames

LOOKED_AT = 20  # frames whose labels are looked at for their names
ENERGIES = ("e", "u0", "etot", "e_tot", "toten")  # energies that are not called so


class Labels(NamedTuple):
    """The names of energy, forces and stress (or virial) in a file, best first; none where the file has none."""

    energies: list[str]
    forces: list[str]
    stresses: list[str]

    @property
    def keys(self) -> Keys:
        """The best names."""
        best = self.stresses[0] if self.stresses else None
        stress, virial = (None, best) if best is not None and "virial" in best.lower() else (best, None)
        return Keys(self.energies[0], self.forces[0] if self.forces else "forces", stress, virial)


class Survey(NamedTuple):
    """What `spinconv new` builds a config on."""

    file: FrameFile
    labels: Labels
    elements: list[int]
    neighbors: float  # of an atom within the cutoff, mean
    cutoff: float  # Å
    alone: list[int]  # elements of which the file has a single, isolated atom

    @property
    def frames(self) -> list[Frame]:
        return self.file.frames

    @property
    def atoms_per_frame(self) -> float:
        return float(np.mean([len(frame.atoms) for frame in self.frames]))

    @property
    def n_stresses(self) -> int:
        return sum(frame.stress is not None for frame in self.frames)


def survey(path: Path, cutoff: float) -> Survey:
    """Reads a file under the names that its labels have; DataError in words where it cannot be trained on."""
    labels = find_labels(path)
    file = read_frames(path, keys=labels.keys, needs=Needs(forces=bool(labels.forces)))
    alone = sorted(z for z, frames in isolated_frames(file.frames, cutoff).items() if agree(frames))
    return Survey(file, labels, elements_of(file.frames), mean_neighbors(file.frames, cutoff), cutoff, alone)


def find_labels(path: Path) -> Labels:
    """The names of the labels, from the first frames; npz files have them by their layout."""
    file, _ = chosen(path)
    if not file.exists():
        raise DataError(f"{path}: there is no such file")
    if file.suffix == ".npz":
        return Labels(["energy"], ["forces"], [])
    atoms = first_atoms(path, LOOKED_AT)
    found = [everything(a) for a in atoms]
    energies = names(found, atoms, lambda name, value, a: ("energy" in name or name in ENERGIES) and np.size(value) == 1)
    forces = names(found, atoms, lambda name, value, a: "force" in name and np.shape(value) == (len(a), 3))
    stresses = names(found, atoms, lambda name, value, a: ("stress" in name or "virial" in name) and np.size(value) in (6, 9))
    if not energies:
        raise DataError(f"{path}: has no energies: no number in its frames is called so{has(found[0]) if atoms else ''}")
    forces.sort(key=lambda name: kin(name) != kin(energies[0]))
    stresses.sort(key=lambda name: kin(name) != kin(energies[0]))
    return Labels(energies, forces, stresses)


def names(found: Sequence[Mapping[str, Any]], atoms: Sequence[ase.Atoms], fits: Callable[[str, Any, ase.Atoms], bool]) -> list[str]:
    """Names under which numbers stand that fit: first those that most frames have, of these the most explicit."""
    count: Counter[str] = Counter()
    for frame, a in zip(found, atoms, strict=True):
        count.update(name for name, value in frame.items() if name[0] != "_" and is_numbers(value) and fits(name.lower(), value, a))
    return sorted(count, key=lambda name: (-count[name], explicitness(name), name))


def is_numbers(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "fi"


def explicitness(name: str) -> int:
    """REF_energy says that it is the reference; energy may be any calculator's; free_energy and the like are something else."""
    beside = kin(name)
    return 0 if beside in ("ref", "reference", "dft", "qm", "target") else 1 if not beside else 2


def kin(name: str) -> str:
    """What a name says beside the quantity: ref of REF_energy, dft of dft_forces, nothing of energy."""
    rest = name.lower()
    for quantity in ("energy", "forces", "force", "stress", "virials", "virial"):
        rest = rest.replace(quantity, "")
    return rest.strip("_-. ")
