"""The benchmark beside NequIP counts time, errors and frames as it says; it needs no peer, and how good one is no test asks."""

import importlib
import json
import math
import re
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import ase
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from rich.console import Console

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def peer_training(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("peer_training")


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("lightning")
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("peer_training_worker")


def frames(number: int) -> list[ase.Atoms]:
    made = []
    for n in range(number):
        atoms = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.7 + 0.001 * n]])
        atoms.calc = SinglePointCalculator(atoms, energy=float(n), forces=np.zeros((2, 3)))
        made.append(atoms)
    return made


def test_a_frame_is_trained_on_or_set_aside(peer_training: ModuleType, tmp_path: Path) -> None:
    ase.io.write(tmp_path / "all.xyz", frames(60))
    peer_training.split(tmp_path / "all.xyz", tmp_path)
    parts = [[atoms.get_potential_energy() for atoms in ase.io.read(tmp_path / name, ":")] for name in ("train.xyz", "validation.xyz")]
    assert [len(part) for part in parts] == [10, 50]
    assert sorted(parts[0] + parts[1]) == list(range(60))


def test_too_few_frames_are_a_sentence(peer_training: ModuleType, tmp_path: Path) -> None:
    ase.io.write(tmp_path / "all.xyz", frames(50))
    with pytest.raises(peer_training.typer.BadParameter, match=r"`TRAIN` must have more than 50 frames, .* has 50"):
        peer_training.split(tmp_path / "all.xyz", tmp_path)


def test_both_learn_from_the_same_frames(peer_training: ModuleType, tmp_path: Path) -> None:
    ase.io.write(tmp_path / "train.xyz", frames(3))
    config = json.loads(peer_training.peer_config(tmp_path, tmp_path, 300.0, compiled=False).read_text())
    assert config["data"]["train_file_path"] == str(tmp_path / "train.xyz")
    assert config["data"]["val_file_path"] == str(tmp_path / "validation.xyz")
    assert config["training_module"]["model"]["type_names"] == config["data"]["transforms"][0]["model_type_names"] == ["H"]
    assert config["training_module"]["model"]["r_max"] == peer_training.CUTOFF


def test_errors_are_those_of_components_and_frames(peer_training: ModuleType, tmp_path: Path) -> None:
    np.savez(tmp_path / "predicted.npz", energies=[0.002, 1.0], forces=np.full((4, 3), [0.003, 0.0, 0.0]))
    assert peer_training.errors(frames(2), tmp_path / "predicted.npz") == pytest.approx((1.0, math.sqrt(3.0), 1.0))


def test_the_table_has_the_time_of_a_step(peer_training: ModuleType, tmp_path: Path) -> None:
    rows = [
        peer_training.Trained("spinconv", 5.0, 300.0, 40000, 7.0, 12.0, 1.25),
        peer_training.Trained("nequip", 5.0, 300.0, 6000, 30.0, 41.0, 6.0),
    ]
    console = Console(width=120, record=True)
    console.print(peer_training.table_of(rows))
    row = next(line for line in console.export_text().splitlines() if "spinconv" in line)
    assert re.findall(r"[\d.,]+", row) == ["5", "40,000", "7.5", "7", "12", "1.25"]
    peer_training.draw(rows, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 0


def test_the_clock_ends_a_training_and_its_rate(worker: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "process_time", lambda: now[0])
    group = {"lr": 0.01}
    trainer = SimpleNamespace(global_step=0, should_stop=False, optimizers=[SimpleNamespace(param_groups=[group])])
    clock = worker.ByProcessor(seconds=10.0, free=2, folder=str(tmp_path))
    clock.on_train_start(trainer, None)
    rates = []
    for step in range(8):
        trainer.global_step = step
        clock.on_train_batch_start(trainer, None, None, step)
        rates.append(group["lr"])
        now[0] += 50.0 if step < 2 else 2.0  # a compiler's time is free
        clock.on_train_batch_end(trainer, None, None, None, step)
        assert trainer.should_stop == (step >= 6)
    assert rates == pytest.approx([0.01 * (1 + math.cos(math.pi * part)) / 2 for part in (0, 0, 0, 0.2, 0.4, 0.6, 0.8, 1)])
    trainer.global_step = 7
    clock.on_train_end(trainer, None)
    assert json.loads((tmp_path / "training.json").read_text())["before"] == 100.0


def test_an_environment_without_the_peer_is_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "peer_training.py"), "a.xyz", "b.xyz", "--python", str(tmp_path / "python")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 2
    said = " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.stderr).split())  # typer's box
    assert "`--python` must be the Python of an environment with nequip" in said
