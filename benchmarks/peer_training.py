"""Errors after equal processor time: a training by spinconv beside one by NequIP, on the same frames.

    python benchmarks/peer_training.py train.xyz test.xyz --python PYTHON --minutes 5,15

PYTHON is that of an environment with nequip (docs/training.md says how to make one). Fifty frames of train.xyz are set aside, for both the
same, to choose the best weights by. Ours is trained by what `spinconv new` writes, with the minutes as `max_time`; NequIP (3 layers, l up
to 1, 32 channels, the cutoff of ours) by nequip-train: Adam at 0.01, batches of 5, running average 0.999, squared errors of the energy per
atom and of the forces with equal weights. The rate of each falls as a cosine that ends with the time. One thread, float32; the time is that
of the process's own processor from the first step on, validation included. Trainings that have ended are not repeated.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import ase
import ase.io
import matplotlib as mpl
import numpy as np
import typer
from learning_curves import COMMAND, label  # beside this file, like the next
from peers import check_python, environment, last_line, processor
from peers_models import nequip_config
from rich.console import Console
from rich.table import Table

mpl.use("Agg")  # a file is all that is asked for
import matplotlib.pyplot as plt

HERE = Path(__file__).resolve().parent
WORKER = HERE / "peer_training_worker.py"
VALIDATION = 50
CUTOFF = 5.0  # Å
FREE = 20  # steps before the clock of a compiled training starts
console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 120)


class Trained(NamedTuple):
    """A training that has ended, and its errors on the test frames."""

    kind: str
    minutes: float
    """Of the processor, as asked for."""
    seconds: float
    """Of the processor, as they were."""
    steps: int
    forces: float
    """MAE (meV/Å)."""
    forces_rmse: float
    """meV/Å."""
    energy: float
    """MAE (meV) of a frame."""


def split(train: Path, folder: Path) -> None:
    """Writes folder/train.xyz and folder/validation.xyz, once."""
    if (folder / "validation.xyz").exists():
        return
    frames = ase.io.read(train, ":")
    if len(frames) <= VALIDATION:
        raise typer.BadParameter(f"`TRAIN` must have more than {VALIDATION} frames, {train} has {len(frames)}")
    order = np.random.default_rng(0).permutation(len(frames))
    ase.io.write(folder / "train.xyz", [frames[i] for i in sorted(order[VALIDATION:])])
    ase.io.write(folder / "validation.xyz", [frames[i] for i in sorted(order[:VALIDATION])])


def spinconv_config(folder: Path) -> Path:
    """What `spinconv new` writes, with the validation frames of both."""
    path = folder / "spinconv.yaml"
    if not path.exists():
        call([*COMMAND, "new", str(folder / "train.xyz"), "-o", str(path), "--cutoff", str(CUTOFF)], folder / "new.log")
        lines = path.read_text().splitlines()
        path.write_text("\n".join("  validation: validation.xyz" if line.startswith("  validation:") else line for line in lines) + "\n")
    return path


def peer_config(folder: Path, output: Path, seconds: float, compiled: bool) -> Path:
    """What nequip-train reads, with the recipe of its manual."""
    frames = ase.io.read(folder / "train.xyz", ":")
    symbols = sorted({symbol for atoms in frames for symbol in atoms.get_chemical_symbols()})
    config: dict[str, Any] = nequip_config(frames[0], CUTOFF, folder)
    data, trainer, module = config["data"], config["trainer"], config["training_module"]
    loader = {"_target_": "torch.utils.data.DataLoader"}
    data |= {
        "val_file_path": str(folder / "validation.xyz"),
        "train_dataloader": loader | {"batch_size": 5, "shuffle": True},
        "val_dataloader": loader | {"batch_size": 10},
        "stats_manager": {
            "_target_": "nequip.data.CommonDataStatisticsManager",
            "dataloader_kwargs": {"batch_size": 10},
            "type_names": symbols,
        },
    }
    data["transforms"][0]["model_type_names"] = symbols
    clock = {"_target_": "peer_training_worker.ByProcessor", "seconds": seconds, "free": FREE if compiled else 0, "folder": str(output)}
    best = {
        "_target_": "lightning.pytorch.callbacks.ModelCheckpoint",
        "dirpath": str(output),
        "filename": "best",
        "monitor": "val0_epoch/weighted_sum",
    }
    trainer |= {"max_epochs": -1, "enable_progress_bar": False, "callbacks": [clock, best]}
    module |= {
        "_target_": "nequip.train.EMALightningModule",
        "ema_decay": 0.999,
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.01},
    }
    module["model"] |= {
        "compile_mode": "compile" if compiled else "eager",
        "type_names": symbols,
        "avg_num_neighbors": "${training_data_stats:num_neighbors_mean}",
        "per_type_energy_shifts": "${training_data_stats:per_atom_energy_mean}",
        "per_type_energy_scales": "${training_data_stats:forces_rms}",
    }
    path = output / "config.yaml"
    path.write_text(json.dumps(config, indent=2))
    return path


def trained(kind: str, python: str, minutes: float, folder: Path, test: Path, compiled: bool = False) -> Trained:
    """A training and its errors, or those of an earlier run."""
    output = folder / f"{kind}{'-compiled' if compiled else ''}-{minutes:g}min"
    output.mkdir(exist_ok=True)
    if not (output / "training.json").exists():
        run = output / "run" if kind == "nequip" else output  # nequip-train keeps its own files there
        config = spinconv_config(folder) if kind == "spinconv" else peer_config(folder, output, 60 * minutes, compiled)
        call([python, str(WORKER), kind, "train", str(config), str(60 * minutes), str(run)], output / "train.log")
    if not (output / "predicted.npz").exists():
        call(
            [python, str(WORKER), kind, "predict", str(output / "best.ckpt"), str(test), str(output / "predicted.npz")],
            output / "predict.log",
        )
    about = json.loads((output / "training.json").read_text())
    name = f"{kind}, compiled" if compiled else kind
    return Trained(name, minutes, about["seconds"], about["steps"], *errors(ase.io.read(test, ":"), output / "predicted.npz"))


def errors(frames: list[ase.Atoms], predicted: Path) -> tuple[float, float, float]:
    """MAE and RMSE of force components (meV/Å) and MAE of energies (meV), the same for all."""
    with np.load(predicted) as found:
        forces = found["forces"] - np.concatenate([atoms.get_forces() for atoms in frames])
        energies = found["energies"] - [atoms.get_potential_energy() for atoms in frames]
    return 1e3 * np.abs(forces).mean(), 1e3 * np.sqrt((forces**2).mean()), 1e3 * np.abs(energies).mean()


def call(command: list[str], log: Path) -> None:
    """A command of one thread, with the benchmarks on its path; what it printed is in the log."""
    with log.open("w") as output:
        settings = {**environment(log.parent), "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
        done = subprocess.run(command, env=settings, stdout=output, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise SystemExit(f"ERROR: a training or its test failed: {last_line(log.read_text())} ({log} has it all)")


def table_of(rows: list[Trained]) -> Table:
    """Side by side."""
    table = Table(title="errors of the test frames after equal processor time, one thread, float32")
    for column in ("minutes", "", "steps", "ms a step", "forces MAE", "RMSE (meV/Å)", "energy MAE (meV)"):
        table.add_column(column, justify="left" if not column else "right")
    for row in rows:
        figures = [f"{figure:.3g}" for figure in (row.forces, row.forces_rmse, row.energy)]
        table.add_row(f"{row.minutes:g}", row.kind, f"{row.steps:,}", f"{1e3 * row.seconds / row.steps:.1f}", *figures)
    return table


def draw(rows: list[Trained], path: Path) -> None:
    """Errors against minutes, logarithmic."""
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.2), layout="constrained")
    for axes, field, name in zip(panels, ("forces", "energy"), ("force MAE (meV/Å)", "energy MAE (meV)"), strict=True):
        for kind in dict.fromkeys(row.kind for row in rows):
            own = sorted((row.minutes, getattr(row, field)) for row in rows if row.kind == kind)
            axes.loglog(*zip(*own, strict=True), "o-", label=kind)
        axes.set(xlabel="minutes of the processor", ylabel=name)
        label(axes, (row.minutes for row in rows))
    panels[0].legend()
    figure.savefig(path, dpi=130)


def main(
    train: Annotated[Path, typer.Argument(help="Frames to train on.")],
    test: Annotated[Path, typer.Argument(help="Frames to test on.")],
    python: Annotated[str, typer.Option(help="The Python of the environment that has nequip.")],
    minutes: Annotated[str, typer.Option(help="Processor time of each training.")] = "5,15",
    compiled: Annotated[bool, typer.Option(help="NequIP with train-time compilation, whose minutes are not counted.")] = False,
    folder: Annotated[Path, typer.Option(help="Where trainings and the plot are.")] = Path("output/peer_training"),
) -> None:
    """Train both for so long, print a table and draw a plot."""
    check_python("nequip", python)
    folder, test = folder.resolve(), test.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    split(train, folder)
    rows = []
    for each in (float(number) for number in minutes.split(",")):
        for kind, its_python in (("spinconv", sys.executable), ("nequip", python)):
            with console.status(f"{kind}: {each:g} minutes"):
                rows.append(trained(kind, its_python, each, folder, test, compiled and kind == "nequip"))
            console.print(f"{kind}, {each:g} minutes: {rows[-1].forces:.3g} meV/Å, {rows[-1].energy:.3g} meV", highlight=False)
    console.print(table_of(rows))
    draw(rows, folder / "peer_training.png")
    console.print(f"{processor()}; {folder / 'peer_training.png'} has the curves", highlight=False)


if __name__ == "__main__":
    typer.run(main)
