"""Which frames is a model wrong about? Its errors, the median frame, the worst five, and what is unusual in them.

    python benchmarks/frame_errors.py models/ethanol/model.pt test.xyz --train train.xyz

A bond is a pair of atoms closer than 1.3 times the sum of their covalent radii. Of every frame shown the table has the bond farthest
from the training frames' mean of its kind, in their standard deviations, and says where it is outside of all of them.
"""

from collections import defaultdict
from pathlib import Path
from typing import Annotated, NamedTuple

import ase
import numpy as np
import torch
import typer
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from rich.console import Console
from rich.table import Table

from spinconv.export.console import errors_in_words
from spinconv.export.loading import load
from spinconv.potential.training.evaluation import EvaluationResult, FrameError, error_table, evaluate_frames, frame_errors
from spinconv.potential.training.readers import read_frames

BONDED = 1.3
"""Times the sum of two covalent radii."""
console = Console(soft_wrap=True)


class Bond(NamedTuple):
    """Two atoms of a frame."""

    kind: str
    """As C-H."""
    atoms: tuple[int, int]
    length: float
    """Å."""


class Lengths(NamedTuple):
    """Of one kind of bond in the training frames, Å."""

    mean: float
    deviation: float
    shortest: float
    longest: float

    def unusual(self, bond: Bond) -> float:
        """In standard deviations."""
        return abs(bond.length - self.mean) / max(self.deviation, 1e-3)

    def outside(self, bond: Bond) -> bool:
        return not self.shortest <= bond.length <= self.longest


def bonds_of(atoms: ase.Atoms) -> list[Bond]:
    """Every bond once."""
    i, j, lengths = neighbor_list("ijd", atoms, BONDED * covalent_radii[atoms.numbers])
    names = np.array(atoms.get_chemical_symbols())
    return [
        Bond("-".join(sorted((names[a], names[b]))), (int(a), int(b)), float(length))
        for a, b, length in zip(i, j, lengths, strict=True)
        if a <= b
    ]


def lengths_of(frames: list[ase.Atoms]) -> dict[str, Lengths]:
    """What the bonds of every kind are like in the training frames."""
    found: dict[str, list[float]] = defaultdict(list)
    for atoms in frames:
        for bond in bonds_of(atoms):
            found[bond.kind].append(bond.length)
    return {kind: Lengths(float(np.mean(d)), float(np.std(d)), min(d), max(d)) for kind, d in found.items()}


def special(atoms: ase.Atoms, training: dict[str, Lengths]) -> str:
    """The most unusual bond of a frame in words."""
    bonds = [bond for bond in bonds_of(atoms) if bond.kind in training]
    if not bonds:
        return "no bond as in training"
    bond = max(bonds, key=lambda bond: training[bond.kind].unusual(bond))
    known = training[bond.kind]
    words = f"{bond.kind} {bond.length:.3f} Å ({bond.atoms[0]}, {bond.atoms[1]}), {known.unusual(bond):.1f} standard deviations"
    outside = sum(training[b.kind].outside(b) for b in bonds)
    return words + (f"; {outside} outside of training" if outside else "")


def frame_table(rows: list[tuple[str, FrameError]], result: EvaluationResult, training: dict[str, Lengths]) -> Table:
    """A row a frame, with what is unusual in it where the training frames are known."""
    table = Table(title="frames by the rms of their force errors", caption="meV/atom and meV/Å; frames and atoms count from 0")
    for name in ("", "frame", "energy", "forces RMSE", "largest", "at atom", *(["the most unusual bond"] if training else [])):
        table.add_column(name, justify="left" if name in ("", "the most unusual bond") else "right")
    for place, error in rows:
        atoms = result.frames[error.frame].atoms
        at = "-" if error.worst_atom is None else f"{error.worst_atom} ({atoms.symbols[error.worst_atom]})"
        figures = (f"{error.energy:+.3g}", f"{error.forces_rmse or 0.0:.4g}", f"{error.forces_max or 0.0:.4g}", at)
        table.add_row(place, f"{error.frame}", *figures, *([special(atoms, training)] if training else []))
    return table


def main(
    model: Annotated[Path, typer.Argument(help="A model file or a checkpoint.")],
    data: Annotated[Path, typer.Argument(help="Frames with forces.")],
    train: Annotated[Path | None, typer.Option(help="The training frames: their errors too, and how long their bonds are.")] = None,
    worst: Annotated[int, typer.Option(min=1, help="So many frames.")] = 5,
) -> None:
    """Errors of the frames, of the training frames beside them, the median and the worst frames."""
    torch.set_num_threads(1)
    with errors_in_words():
        loaded = load(model, None)
        architecture = {"elements": loaded.elements, "cutoff": loaded.cutoff}
        sets = [read_frames(path).frames for path in (data, train) if path is not None]
        result, *others = (evaluate_frames(loaded.module, architecture, frames) for frames in sets)
    console.print(error_table(result.figures, f"{model} on {data.name}"))
    training = {}
    for other in others:
        console.print(error_table(other.figures, f"{model} on {train.name if train else ''}, which it was trained on"))
        training = lengths_of([frame.atoms for frame in other.frames])
    errors = frame_errors(result)
    middle = errors[len(errors) // 2]
    console.print(frame_table([("median", middle), *(("worst", error) for error in errors[:worst])], result, training))
    squares = np.array([error.forces_rmse or 0.0 for error in errors]) ** 2
    twentieth = max(1, round(len(errors) / 20))
    console.print(
        f"the worst twentieth ({twentieth} frames) has {squares[:twentieth].sum() / squares.sum():.0%} of the squared force error"
    )


if __name__ == "__main__":
    typer.run(main)
