"""What do more frames buy? One training for each number of frames, all of the same number of steps, and a plot of their test errors.

    python benchmarks/learning_curves.py ethanol train.xyz test.xyz --frames 50,100,200,500,950
    python benchmarks/learning_curves.py acetylacetone train_300K.xyz test_300K.xyz --frames 50,100,200,450

The recipe is what `spinconv new` writes (--preset), frames are drawn from the training file by the config's `split_seed`, and 50 more are
set aside to choose the best weights by. Trainings that have ended are not repeated. Of every molecule in the folder there is a curve.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import typer
from rich.console import Console
from rich.table import Table

mpl.use("Agg")  # a file is all that is asked for
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

COMMAND = (sys.executable, "-W", "ignore", "-c", "from spinconv.export.cli import app; app()")
VALIDATION = 50
console = Console(soft_wrap=True)
Curve = dict[int, dict[str, float]]
"""By the number of frames: `forces` (MAE, meV/Å), `forces_rmse` and `energy` (MAE, meV) of the test frames, `minutes` of training."""


def run(*words: str) -> None:
    """A command of spinconv; what it prints is shown if it fails."""
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"ERROR: spinconv {' '.join(words)} failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")


def trained(config: Path, test: Path, n_frames: int, steps: int, output: Path) -> dict[str, float]:
    """Errors on the test frames after a training with so many frames."""
    if not (output / "test.json").exists():
        settings = {
            "data.max_frames": n_frames + VALIDATION, "data.validation": VALIDATION, "data.test": test.resolve(),
            "max_time": "null", "max_steps": steps, "epoch_steps": max(1, steps // 10), "threads": 1,
        }  # fmt: skip
        run(
            "train",
            str(config),
            "--output",
            str(output),
            *(word for key, value in settings.items() for word in ("--set", f"{key}={value}")),
        )
    rows = {row["quantity"]: row for row in json.loads((output / "test.json").read_text())}
    seconds = json.loads((output / "result.json").read_text())["seconds"]
    forces, energy = rows["forces"], rows["energy"]
    return {"forces": forces["mae"], "forces_rmse": forces["rmse"], "energy": energy["mae"], "minutes": seconds / 60}


def label(axes: Axes, numbers: Iterable[float]) -> None:
    """Marks the numbers of a logarithmic axis below, those that are not too close, and 1, 2, 5, 10 ... on its side."""
    apart: list[float] = []
    for number in sorted(set(numbers)):
        if not apart or number > 1.2 * apart[-1]:
            apart.append(number)
    axes.set_xticks(apart, [f"{number:g}" for number in apart], rotation=45)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)


def draw(curves: dict[str, Curve], path: Path) -> None:
    """Errors against frames, logarithmic."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.2), layout="constrained")
    for name, curve in curves.items():
        numbers = sorted(curve)
        left.loglog(numbers, [curve[n]["forces"] for n in numbers], "o-", label=name)
        right.loglog(numbers, [curve[n]["energy"] for n in numbers], "o-", label=name)
    left.set(xlabel="training frames", ylabel="force MAE (meV/Å)")
    right.set(xlabel="training frames", ylabel="energy MAE (meV)")
    for axes in (left, right):
        label(axes, (n for curve in curves.values() for n in curve))
    left.legend()
    figure.savefig(path, dpi=130)


def main(
    name: Annotated[str, typer.Argument(help="Of the curve.")],
    train: Annotated[Path, typer.Argument(help="Frames to train on.")],
    test: Annotated[Path, typer.Argument(help="Frames to test on.")],
    frames: Annotated[str, typer.Option(help="Numbers of training frames.")] = "50,100,200,500,950",
    steps: Annotated[int, typer.Option(help="Of every training.")] = 6000,
    preset: Annotated[str, typer.Option(help="fast or accurate.")] = "fast",
    folder: Annotated[Path, typer.Option(help="Where trainings, numbers and the plot are.")] = Path("output/learning_curves"),
) -> None:
    """Train, print a table, and draw all curves of the folder."""
    here = folder / name
    here.mkdir(parents=True, exist_ok=True)
    config = here / "config.yaml"
    if not config.exists():
        run("new", str(train.resolve()), "-o", str(config), "--preset", preset)
    curve: Curve = {}
    for n in (int(number) for number in frames.split(",")):
        with console.status(f"{name}: {n} frames, {steps} steps"):
            curve[n] = trained(config, test, n, steps, here / str(n))
        console.print(f"{n} frames: {curve[n]['forces']:.3g} meV/Å, {curve[n]['energy']:.3g} meV", highlight=False)
    (folder / f"{name}.json").write_text(json.dumps(curve, indent=2))
    table = Table("frames", "forces MAE", "RMSE (meV/Å)", "energy MAE (meV)", "minutes", title=f"{name}, {steps:,} steps")
    for n, row in curve.items():
        table.add_row(str(n), f"{row['forces']:.3g}", f"{row['forces_rmse']:.3g}", f"{row['energy']:.3g}", f"{row['minutes']:.1f}")
    console.print(table)
    found = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    draw({name: {int(n): row for n, row in one.items()} for name, one in found.items()}, folder / "learning_curves.png")
    console.print(f"{folder / 'learning_curves.png'} has the curves")


if __name__ == "__main__":
    typer.run(main)
