"""Is there a wall where atoms come too close, and no abyss beyond the training frames? Bonds of ethanol from 0.3 to 3 Å.

    python benchmarks/bond_scan.py --train train.xyz -o bonds.png

The molecule is relaxed; then one end of a bond is moved along it, with all that hangs on it. What the training frames (`--train`) had of
this bond is shaded: elsewhere the model guesses, and below it the screened repulsion of the nuclei (docs/conventions.md) must be felt.
"""

import warnings
from pathlib import Path
from typing import Annotated, NamedTuple

import ase
import ase.io
import matplotlib as mpl
import numpy as np
import typer
from ase.build import molecule
from ase.optimize import BFGS

from spinconv import SpinConvCalculator
from spinconv.export import ExtrapolationWarning

mpl.use("Agg")  # a file is all that is asked for
import matplotlib.pyplot as plt

SHORTEST, LONGEST = 0.3, 3.0
"""Å."""


class Scan(NamedTuple):
    """A bond of ase.build.molecule("CH3CH2OH"), whose atoms are C C O H H H H H H: the first on the oxygen."""

    name: str
    fixed: int
    moved: int
    along: tuple[int, ...]
    """What moves with `moved`, itself among it."""


SCANS = (
    Scan("O-H", 2, 3, (3,)),
    Scan("C-H", 0, 6, (6,)),
    Scan("C-C", 1, 0, (0, 6, 7, 8)),
)


def relaxed(model: Path) -> ase.Atoms:
    """Ethanol at the model's minimum."""
    atoms = molecule("CH3CH2OH")
    atoms.calc = SpinConvCalculator(model, dtype="float64")
    BFGS(atoms, logfile=None).run(fmax=1e-3, steps=500)
    return atoms


def energies(atoms: ase.Atoms, scan: Scan, lengths: np.ndarray) -> np.ndarray:
    """eV above the relaxed molecule."""
    lowest = atoms.get_potential_energy()
    bond = atoms.positions[scan.moved] - atoms.positions[scan.fixed]
    found = []
    for length in lengths:
        moved = atoms.copy()
        moved.positions[list(scan.along)] += (length / np.linalg.norm(bond) - 1) * bond
        moved.calc = atoms.calc
        found.append(moved.get_potential_energy() - lowest)
    return np.array(found)


def trained_range(frames: list[ase.Atoms], scan: Scan, atoms: ase.Atoms) -> tuple[float, float]:
    """The shortest and the longest bond of this kind in frames of ethanol, Å: distances that are bonds in the relaxed molecule's sense."""
    bonded = 1.35 * atoms.get_distance(scan.fixed, scan.moved)
    symbols = {atoms.symbols[scan.fixed], atoms.symbols[scan.moved]}
    lengths = []
    for frame in frames:
        distances = frame.get_all_distances()
        names = np.array(frame.get_chemical_symbols())
        i, j = np.nonzero(np.triu(distances < bonded, 1))
        lengths += [distances[a, b] for a, b in zip(i, j, strict=True) if {names[a], names[b]} == symbols]
    return min(lengths), max(lengths)


def inwards(lengths: np.ndarray, energy: np.ndarray, equilibrium: float) -> str:
    """Whether the energy rises from the minimum inwards to the end, in words: where it first turns, and how low it gets after that."""
    inner = lengths < equilibrium
    d, e = lengths[inner][::-1], energy[inner][::-1]  # outermost first
    falls = np.flatnonzero(np.diff(e) < 0)
    if not len(falls):
        return "rises all the way inwards"
    top = int(falls[0])
    return f"first turns inwards at {d[top]:.2f} Å ({e[top]:.2f} eV), and has {e[top:].min():.2f} eV at its lowest below that"


def main(
    model: Annotated[Path, typer.Argument(help="A model of H, C and O.")] = Path("models/ethanol/model.pt"),
    train: Annotated[Path | None, typer.Option(help="Its training frames.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The plot.")] = Path("bonds.png"),
    points: Annotated[int, typer.Option(min=2)] = 136,
) -> None:
    """Draw the energy along bonds, and print where it turns the wrong way."""
    warnings.simplefilter("ignore", ExtrapolationWarning)  # that is what is looked at
    atoms = relaxed(model)
    frames: list[ase.Atoms] = [] if train is None else ase.io.read(train, ":")
    lengths = np.linspace(SHORTEST, LONGEST, points)
    figure, panels = plt.subplots(1, len(SCANS), figsize=(11, 3.4), sharey=True, layout="constrained")
    for axes, scan in zip(panels, SCANS, strict=True):
        energy = energies(atoms, scan, lengths)
        equilibrium = float(atoms.get_distance(scan.fixed, scan.moved))
        words = f"{scan.name}: {equilibrium:.3f} Å relaxed, {energy[0]:.0f} eV at {SHORTEST:g} Å, {energy[-1]:.2f} eV at {LONGEST:g} Å"
        typer.echo(f"{words}; {inwards(lengths, energy, equilibrium)}")
        axes.plot(lengths, energy)
        if frames:
            shortest, longest = trained_range(frames, scan, atoms)
            typer.echo(f"{scan.name}: {shortest:.3f} to {longest:.3f} Å in the training frames")
            axes.axvspan(shortest, longest, color="C2", alpha=0.25, label="training frames")
            axes.legend(loc="upper right", fontsize="small")
        axes.set(title=f"{scan.name} in ethanol", xlabel="distance (Å)")
        axes.axhline(0, color="black", linewidth=0.5)
        axes.set_yscale("symlog", linthresh=2)
    panels[0].set_ylabel("energy (eV), logarithmic above 2")
    figure.savefig(output, dpi=130)
    typer.echo(f"plot: {output}")


if __name__ == "__main__":
    typer.run(main)
