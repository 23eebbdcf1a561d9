"""One potential's part of benchmarks/peer_training.py, which says in which environment it runs.

    python peer_training_worker.py spinconv train CONFIG.yaml SECONDS FOLDER       FOLDER/best.ckpt and FOLDER/training.json
    python peer_training_worker.py spinconv predict FOLDER/best.ckpt FRAMES.xyz FILE.npz

and the same with nequip, whose CONFIG.yaml (it ends by itself) names `ByProcessor` of this file. Times are those of the processor.
"""

import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
from lightning import Callback
from peers_worker import CALCULATORS, version  # beside this file


class ByProcessor(Callback):
    """Ends a training of Lightning when the process has used `seconds` of the processor; the rate falls as a cosine to nothing until then.

    The clock starts after `free` steps, in which a compiler may be at work. `folder`/training.json has the steps and seconds at the end.
    """

    def __init__(self, seconds: float, free: int, folder: str) -> None:
        self.seconds, self.free, self.folder = seconds, free, Path(folder)
        self.begin, self.process_began = math.nan, time.process_time()

    @property
    def done(self) -> float:
        """The part of the time that is over."""
        return 0.0 if math.isnan(self.begin) else min(1.0, (time.process_time() - self.begin) / self.seconds)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        if self.free == 0:
            self.begin = time.process_time()

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.free > 0:
            self.begin = time.process_time()
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                highest = group.setdefault("highest", group["lr"])
                group["lr"] = highest * (1 + math.cos(math.pi * self.done)) / 2

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.done == 1.0:
            trainer.should_stop = True

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        before = self.begin - self.process_began
        write_training(self.folder, trainer.global_step, time.process_time() - self.begin, before, ("nequip", "torch"))


def write_training(folder: Path, steps: int, seconds: float, before: float, packages: tuple[str, ...]) -> None:
    """What is known at the end of a training."""
    versions = [version(package) for package in packages]
    (folder / "training.json").write_text(json.dumps({"steps": steps, "seconds": seconds, "before": before, "versions": versions}))


def train_spinconv(config: str, seconds: str, folder: str) -> None:
    """As `spinconv train` does, with the processor's clock."""
    from spinconv.potential.training.config import read_config
    from spinconv.potential.training.splits import Source
    from spinconv.potential.training.trainer import fit

    path = Path(config)
    fit(read_config(path, [f"max_time={seconds}s", "threads=1"]), Source(path.name, path.parent), Path(folder), now=time.process_time)
    result = json.loads((Path(folder) / "result.json").read_text())
    write_training(Path(folder), result["steps"], result["seconds"], 0.0, ("spinconv", "torch"))


def train_nequip(config: str, seconds: str, folder: str) -> None:
    """By nequip-train, with one thread and this folder on its path."""
    from nequip.scripts.train import main as nequip_train

    torch.set_num_threads(1)
    path = Path(config)
    sys.argv = ["nequip-train", "-cp", str(path.parent), "-cn", path.stem, f"hydra.run.dir={folder}"]
    nequip_train()


def spinconv_calculator(checkpoint: str) -> Any:
    """Ours of best.ckpt, exported beside it."""
    model = Path(checkpoint).with_suffix(".pt")
    command = (sys.executable, "-W", "ignore", "-c", "from spinconv.export.cli import app; app()")
    subprocess.run([*command, "export", checkpoint, "-o", str(model)], check=True)
    return CALCULATORS["spinconv"](str(model))[0]


def nequip_calculator(checkpoint: str) -> Any:
    """NequIP's of a checkpoint: with the averaged weights, not compiled."""
    from nequip.integrations.ase import NequIPCalculator

    return NequIPCalculator._from_saved_model(checkpoint, device="cpu")


def predict(calculator: Any, frames: str, file: str) -> None:
    """Energies (eV) and forces (eV/Å) of all frames."""
    energies, forces = [], []
    for atoms in ase.io.iread(frames, ":"):
        atoms.calc = calculator
        energies.append(float(atoms.get_potential_energy()))
        forces.append(atoms.get_forces())
    np.savez(file, energies=energies, forces=np.concatenate(forces))


def main(kind: str, verb: str, *arguments: str) -> None:
    """See above."""
    if verb == "train":
        {"spinconv": train_spinconv, "nequip": train_nequip}[kind](*arguments)
    else:
        checkpoint, frames, file = arguments
        predict({"spinconv": spinconv_calculator, "nequip": nequip_calculator}[kind](checkpoint), frames, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
