"""Does a committee know where it is wrong? Deviation of its members against the error of their mean, frame by frame, with a plot.

    python benchmarks/committee_errors.py test.xyz models/ethanol/model.pt seed1.pt seed2.pt -o committee.png

The deviation of a frame is that of its worst atom, as the engines print it (`force_deviation`, `max_devi_f`); so is the error, of the
members' mean and of the first member. Printed are the rank correlation of both, and how many of the worst twentieth of the frames are
among the tenth with the largest deviation: what a run that stops at a threshold would have caught.
"""

from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import numpy as np
import typer
from rich.console import Console
from scipy.stats import spearmanr

from spinconv import SpinConvCalculator
from spinconv.export.console import errors_in_words
from spinconv.potential.training.frames import DataError, Frame
from spinconv.potential.training.readers import read_frames

mpl.use("Agg")  # a file is all that is asked for
import matplotlib.pyplot as plt

FLAGGED, WORST = 0.1, 0.05
console = Console(soft_wrap=True)


def largest(vectors: np.ndarray) -> float:
    """The longest of [n, 3]."""
    return float(np.linalg.norm(vectors, axis=1).max())


def deviations_and_errors(models: list[Path], frames: list[Frame]) -> np.ndarray:
    """Largest deviation, largest error of the mean and of the first member, of every frame with forces, meV/Å [n, 3]."""
    together, first = SpinConvCalculator([str(path) for path in models]), SpinConvCalculator(models[0])
    found = []
    for frame in frames:
        if frame.forces is None:
            continue
        atoms = frame.atoms.copy()
        atoms.calc = together
        mean, deviation = atoms.get_forces(), float(together.results["force_deviation"].max())
        atoms.calc = first
        found.append((deviation, largest(mean - frame.forces), largest(atoms.get_forces() - frame.forces)))
    if len(found) < 2:
        raise DataError("a committee is judged by two frames with forces or more")
    return 1000 * np.array(found)


def caught(deviations: np.ndarray, errors: np.ndarray) -> tuple[int, int]:
    """Of the worst frames, how many are among those with the largest deviations; and how many there are."""
    n_worst, n_flagged = (max(1, round(part * len(errors))) for part in (WORST, FLAGGED))
    worst = set(np.argsort(errors)[-n_worst:].tolist())
    return len(worst & set(np.argsort(deviations)[-n_flagged:].tolist())), n_worst


def draw(found: np.ndarray, path: Path) -> None:
    """Error against deviation, logarithmic, with the line of equal size."""
    figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    axes.loglog(found[:, 0], found[:, 2], ".", markersize=4, label="first member", color="C1", alpha=0.6)
    axes.loglog(found[:, 0], found[:, 1], ".", markersize=4, label="mean of the members", color="C0", alpha=0.8)
    ends = [found[:, 0].min(), found[:, 0].max()]
    axes.loglog(ends, ends, color="black", linewidth=0.8, label="error = deviation")
    axes.axvline(np.quantile(found[:, 0], 1 - FLAGGED), color="black", linestyle=":", linewidth=0.8, label="tenth of largest deviation")
    axes.set(xlabel="largest force deviation in the frame (meV/Å)", ylabel="largest force error in the frame (meV/Å)")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=130)


def main(
    data: Annotated[Path, typer.Argument(help="Frames with forces, that nobody was trained on.")],
    models: Annotated[list[Path], typer.Argument(help="Two or more model files of the same elements.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The plot.")] = Path("committee.png"),
) -> None:
    """Draw errors against deviations, and print how well the one tells of the other."""
    if len(models) < 2:
        raise typer.BadParameter("a committee has two members or more")
    with errors_in_words():
        found = deviations_and_errors(models, list(read_frames(data).frames))
    for name, column in (("their mean", 1), ("the first", 2)):
        hits, n_worst = caught(found[:, 0], found[:, column])
        rank = float(spearmanr(found[:, 0], found[:, column]).statistic)
        console.print(
            f"{name}: rank correlation of error and deviation {rank:.2f}; {hits} of the {n_worst} worst of {len(found)} frames are among "
            f"the tenth with the largest deviation",
            highlight=False,
        )
    draw(found, output)
    console.print(f"plot: {output}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
