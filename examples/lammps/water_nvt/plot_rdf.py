"""Plots the radial distribution function that in.water writes, beside that of training frames and of an experiment."""

from pathlib import Path
from typing import Annotated

import ase
import ase.io
import matplotlib as mpl
import numpy as np
import typer
from ase.neighborlist import neighbor_list

mpl.use("Agg")  # a file is all that is asked for
import matplotlib.pyplot as plt

Curve = tuple[np.ndarray, np.ndarray]


def of_lammps(path: Path) -> Curve:
    """r (Å) and g(r), the last average of `fix ave/time ... mode vector` over `compute rdf`."""
    lines = path.read_text().splitlines()
    last = max(n for n, line in enumerate(lines) if len(line.split()) == 2)  # "step number-of-rows" begins an average
    rows = np.array([line.split() for line in lines[last + 1 :]], dtype=float)
    return rows[:, 1], rows[:, 2]


def of_frames(path: Path, symbol: str = "O", cutoff: float = 6.2, n_bins: int = 124) -> Curve:
    """The same of the frames of a file, all atoms of one element."""
    histogram, density = np.zeros(n_bins), 0.0
    for frame in ase.io.iread(str(path)):
        atoms = frame[frame.numbers == ase.data.atomic_numbers[symbol]]
        histogram += np.histogram(neighbor_list("d", atoms, cutoff), bins=n_bins, range=(0, cutoff))[0]
        density += len(atoms) ** 2 / atoms.get_volume()
    edges = np.linspace(0, cutoff, n_bins + 1)
    return (edges[1:] + edges[:-1]) / 2, histogram / (density * 4 / 3 * np.pi * np.diff(edges**3))


def of_experiment(path: Path) -> Curve:
    """The first two columns of a table with any heading."""
    rows = [line.split() for line in path.read_text(errors="replace").splitlines()]
    numbers = [row[:2] for row in rows if len(row) >= 2 and all(_is_number(word) for word in row[:2])]
    return tuple(np.array(numbers, dtype=float).T)  # type: ignore[return-value]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def main(
    rdf: Annotated[Path, typer.Argument(help="What in.water wrote.")] = Path("rdf.txt"),
    train: Annotated[Path | None, typer.Option(help="Training frames.")] = None,
    experiment: Annotated[Path | None, typer.Option(help="A table of r (Å) and g(r).")] = None,
    output: Annotated[Path, typer.Option()] = Path("rdf.png"),
) -> None:
    """Peak height and position of every curve, and the plot."""
    curves = {"SpinConv, 330 K": of_lammps(rdf)}
    if train is not None:
        curves["training frames"] = of_frames(train)
    if experiment is not None:
        curves["experiment, 295 K"] = of_experiment(experiment)
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, (r, g) in curves.items():
        top = np.argmax(g)
        typer.echo(f"{name}: peak {g[top]:.2f} at {r[top]:.2f} Å")
        axes.plot(r, g, label=f"{name}: {g[top]:.2f} at {r[top]:.2f} Å")
    axes.set(xlabel="r (Å)", ylabel="g$_{OO}$", xlim=(2, 6.2), ylim=(0, 3.5))
    axes.legend()
    figure.savefig(output, dpi=150)
    typer.echo(f"plot: {output}")


if __name__ == "__main__":
    typer.run(main)
