"""Plots temperature and lattice constant against time from what in.silicon writes, and prints their means."""

from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import numpy as np
import typer

mpl.use("Agg")  # a file is all that is asked for
import matplotlib.pyplot as plt


def main(
    means: Annotated[Path, typer.Argument(help="What in.silicon wrote.")] = Path("npt.txt"),
    timestep: Annotated[float, typer.Option(help="ps")] = 0.001,
    output: Annotated[Path, typer.Option()] = Path("npt.png"),
) -> None:
    """Means over the run, and the plot."""
    step, temperature, pressure, lattice = np.loadtxt(means, ndmin=2).T
    time = step * timestep
    typer.echo(f"temperature {temperature.mean():.1f} K, pressure {pressure.mean():.0f} bar, lattice constant {lattice.mean():.4f} Å")
    figure, axes = plt.subplots(2, 1, sharex=True, figsize=(6, 4), layout="constrained")
    axes[0].plot(time, temperature)
    axes[0].set(ylabel="temperature (K)")
    axes[1].plot(time, lattice)
    axes[1].set(ylabel="lattice constant (Å)", xlabel="time (ps)")
    figure.savefig(output, dpi=150)
    typer.echo(f"plot: {output}")


if __name__ == "__main__":
    typer.run(main)
