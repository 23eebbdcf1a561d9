import csv
import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import ase
import ase.build
import ase.io
import numpy as np
import pytest
import torch
import yaml
from ase.calculators.singlepoint import SinglePointCalculator
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner

from spinconv.potential.gradients import energy_and_forces
from spinconv.potential.graph import build_graph
from spinconv.potential.training import module
from spinconv.potential.training.checkpoint import load_checkpoint, read_checkpoint, write_checkpoint
from spinconv.potential.training.cli import train as train_command
from spinconv.potential.training.config import ConfigError, read_config
from spinconv.potential.training.frames import DataError
from spinconv.potential.training.lock import locked
from spinconv.potential.training.module import TrainingError, rate_fraction, timed_rate_fraction
from spinconv.potential.training.resume import has_ended
from spinconv.potential.training.splits import Source
from spinconv.potential.training.trainer import fit

from .conftest import emt_frames, labelled

SETTINGS = {
    "data": {"train": "train.xyz", "validation": 4},
    "model": {"cutoff": 4.0, "channels": 8, "group": 4, "lmax": 2, "n_blocks": 2, "n_radial": 8},
    "loss": {"type": "mse"},
    "optimizer": {"learning_rate": 0.01},
    "schedule": {"type": "cosine", "warmup_steps": 0, "final_fraction": 0.01},
    "batch_size": 4,
    "max_epochs": 4,
    "ema_decay": 0.9,
    "dtype": "float64",
    "accelerator": "cpu",
    "threads": 1,
}


def run(
    folder: Path, output: str, resume: bool = False, now: Callable[[], float] = time.monotonic, terminal: bool = False, **changes
) -> str:
    """Trains on folder/train.xyz with SETTINGS and changes into folder/output; gives back what was printed."""
    (folder / "tiny.yaml").write_text(yaml.safe_dump({**SETTINGS, **changes}))
    printed = Console(file=io.StringIO(), width=200, force_terminal=terminal, soft_wrap=True)
    fit(read_config(folder / "tiny.yaml"), Source("tiny.yaml", folder), folder / output, resume, printed, now)
    return printed.file.getvalue()


def records(folder: Path) -> list[dict[str, str]]:
    """log.csv without the seconds."""
    with (folder / "log.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def same(a: object, b: object) -> bool:
    """Whether two checkpoints' contents are equal to the last bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.fixture
def now(monkeypatch) -> Callable[[], float]:
    """A clock on which every step of a training takes a second, and nothing else any time."""
    seconds = 0.0

    def ticking(*arguments):
        nonlocal seconds
        seconds += 1.0
        return original(*arguments)

    original = module.Training.training_step
    monkeypatch.setattr(module.Training, "training_step", ticking)
    return lambda: seconds


@contextmanager
def power_cut(after: int, monkeypatch) -> Iterator[None]:
    """What trains within breaks off in the middle of an epoch, at a step's loss."""
    calls = 0

    def breaking(*arguments):
        nonlocal calls
        calls += torch.is_grad_enabled() and arguments[0].energies.requires_grad
        if calls > after:
            raise RuntimeError("power cut")
        return original(*arguments)

    original = module.loss
    with monkeypatch.context() as patch:
        patch.setattr(module, "loss", breaking)
        with pytest.raises(RuntimeError, match=r"power cut"):
            yield


def interrupted(folder: Path, output: str, after: int, monkeypatch, **changes) -> None:
    """A training that breaks off."""
    with power_cut(after, monkeypatch):
        run(folder, output, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": {"type": "cosine", "warmup_steps": 7}},
        {"schedule": {"type": "cosine", "warmup_steps": 7}, "optimizer": {"type": "soap", "refresh_steps": 4}, "dtype": "float32"},
        {"schedule": {"type": "cosine", "warmup_steps": 7}, "optimizer": {"type": "adamw", "learning_rate": 0.01}},
        {"schedule": {"type": "exponential", "factor": 0.8, "warmup_steps": 7}},
        {"schedule": {"type": "plateau", "patience": 1}, "optimizer": {"learning_rate": 0.3, "type": "adam"}},
        {"epoch_steps": 3, "ema_decay": 0.0, "early_stopping": 10},
        {"max_epochs": None, "max_time": 17.0, "schedule": {"type": "cosine", "warmup_steps": 7}},
    ],
    ids=["cosine", "single precision", "adamw", "exponential", "plateau", "short epochs", "time"],
)
def test_an_interrupted_and_resumed_training_equals_an_uninterrupted_one(tmp_path, train_file, monkeypatch, now, changes):
    """The same to the last bit; where time is the budget, if the steps took the same time."""
    changes = {**changes, "now": now}
    run(tmp_path, "whole", **changes)
    # 5 training and 1 validation evaluations an epoch (4 with short epochs): breaks off within the third epoch
    interrupted(tmp_path, "parts", 14 if "epoch_steps" not in changes else 9, monkeypatch, **changes)
    assert len(records(tmp_path / "parts")) == 2
    run(tmp_path, "parts", resume=True, **changes)
    whole, parts = (read_checkpoint(tmp_path / name / "last.ckpt") for name in ("whole", "parts"))
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "average_steps", "plateau", "random_state", "global_step"):
        assert same(whole[key], parts[key]), key
    assert same(whole["spinconv"]["weights"], parts["spinconv"]["weights"])
    best = [read_checkpoint(tmp_path / name / "best.ckpt")["spinconv"] for name in ("whole", "parts")]
    assert same(best[0]["weights"], best[1]["weights"])
    assert records(tmp_path / "whole") == records(tmp_path / "parts")
    seconds = [content["callbacks"]["Clock"]["seconds"] for content in (whole, parts)]
    assert seconds == [whole["global_step"]] * 2  # those of the epoch that was lost do not count


TIMED = {"max_epochs": None, "max_time": 13.0}


def test_time_alone_is_the_length_of_a_training_and_of_its_schedule(tmp_path, train_file, now):
    printed = run(tmp_path, "out", now=now, **TIMED)
    found = records(tmp_path / "out")
    assert [(r["epoch"], r["step"]) for r in found] == [("1", "5"), ("2", "10"), ("3", "13")]  # it ends within its third epoch
    cosine = [0.01 * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * seconds / 13))) for seconds in (5, 10, 13)]
    np.testing.assert_allclose([float(r["learning_rate"]) for r in found], cosine, rtol=1e-5)
    np.testing.assert_allclose(cosine[-1], 0.01 * 0.01)
    assert "13 s in epochs of 5 steps" in printed
    assert re.search(r"1e\+03 ms a step, [1-9]\d+ edges a second, validation included: ends at .*, in 8 s", printed)
    assert "after about 3 epochs, 13 steps" in printed
    assert read_checkpoint(tmp_path / "out" / "last.ckpt")["global_step"] == 13


def test_an_epoch_longer_than_the_time_is_cut_and_validated(tmp_path, train_file, now):
    run(tmp_path, "out", now=now, max_epochs=None, max_time=3.0)
    whole = run(tmp_path, "whole", now=now, max_epochs=None, max_time=3.0, epoch_steps=3)
    assert "3 s in epochs of 3 steps" in whole
    assert records(tmp_path / "out") == records(tmp_path / "whole")  # the mean loss of the steps that were made included
    assert (tmp_path / "out" / "best.ckpt").is_file()


def test_a_training_whose_time_is_over_goes_on_with_more_of_it(tmp_path, train_file, now):
    run(tmp_path, "out", now=now, **TIMED)
    before = read_checkpoint(tmp_path / "out" / "last.ckpt")
    printed = run(tmp_path, "out", resume=True, now=now, **TIMED)
    assert "The 13 s of this training are over; a longer `max_time` goes on." in printed
    assert same(before["state_dict"], read_checkpoint(tmp_path / "out" / "last.ckpt")["state_dict"])
    printed = run(tmp_path, "out", resume=True, now=now, **{**TIMED, "max_time": 20.0})
    assert "The length of the training has changed" in printed
    assert [(r["epoch"], r["step"]) for r in records(tmp_path / "out")][2:] == [("3", "13"), ("4", "18"), ("5", "20")]


def test_time_beside_epochs_ends_a_run_and_changes_no_learning_rate(tmp_path, train_file, now):
    run(tmp_path, "whole")
    printed = run(tmp_path, "out", now=now, max_time=7.0)
    assert records(tmp_path / "out") == records(tmp_path / "whole")[:2]  # at the end of the second epoch of 5 steps
    assert "after about 2 epochs, 7 steps" in printed
    assert "`max_time` ends it at 35% of its steps, long before the cosine schedule does" in printed
    run(tmp_path, "out", resume=True, now=now, max_time=7.0)  # another 7 s, which take it to its end
    assert records(tmp_path / "out") == records(tmp_path / "whole")


def test_early_stopping_is_doubted_where_it_judges_half_way(tmp_path, train_file):
    sentence = "WARNING: `early_stopping: 3` judges averaged weights half-way through the cosine"
    assert sentence in run(tmp_path, "soap", max_epochs=1, early_stopping=3)
    assert "WARNING" not in run(tmp_path, "none", max_epochs=1)
    assert "WARNING" not in run(tmp_path, "adam", max_epochs=1, early_stopping=3, optimizer={"type": "adam"})


@pytest.mark.parametrize("terminal", [True, False])
def test_the_end_is_foretold_once_and_where_it_cuts_the_schedule_with_a_warning(tmp_path, train_file, now, terminal):
    printed = run(tmp_path, "out", now=now, terminal=terminal, max_time=7.0)
    assert printed.count("edges a second, validation included: ends at") == 1
    assert printed.count("`max_time` ends it at 35% of its steps, long before the cosine schedule does") == 1


def command(folder: Path, *arguments: str):
    """`spinconv train` on folder/train.xyz with SETTINGS into folder/out."""
    app = Typer()
    app.command()(train_command)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(SETTINGS))
    return CliRunner().invoke(app, [str(folder / "tiny.yaml"), "-o", str(folder / "out"), *arguments])


def test_the_option_of_time_is_the_whole_budget(tmp_path, train_file):
    """Of a config that has `max_epochs` too: the cosine ends when the time does."""
    result = command(tmp_path, "--max-time", "1s")
    assert result.exit_code == 0, result.output
    assert "--max-time 1s is the whole budget, schedule included, in place of `max_epochs: 4`" in result.output
    assert "1 s in epochs of 5 steps" in result.output
    learning_rate = float(records(tmp_path / "out")[-1]["learning_rate"])
    assert learning_rate == pytest.approx(0.01 * 0.01, rel=0.2)  # of the last step, which a busy machine may begin a little early
    assert "The 1 s of this training are over" in command(tmp_path, "--max-time", "1s", "--resume").output


def test_the_option_of_time_does_not_turn_a_training_of_epochs_into_another(tmp_path, train_file):
    run(tmp_path, "out", max_epochs=4)
    before = (tmp_path / "out" / "last.ckpt").read_bytes()
    result = command(tmp_path, "--max-time", "1s", "--resume")
    assert result.exit_code == 1
    assert "last.ckpt: began with `max_epochs: 4`, `--max-time` would be another budget and schedule; --set max_time=1s" in result.output
    assert (tmp_path / "out" / "last.ckpt").read_bytes() == before
    assert command(tmp_path, "--set", "max_time=1s", "--resume").exit_code == 0


def test_steps_alone_tell_exactly_how_many_there_are(tmp_path, train_file, now):
    printed = run(tmp_path, "out", now=now)
    assert "1e+03 ms a step" in printed
    assert "in 15 s, after 4 epochs, 20 steps" in printed
    assert "cosine schedule" not in printed


def test_a_training_that_has_ended_says_so_in_a_file(tmp_path, train_file, monkeypatch):
    interrupted(tmp_path, "out", 14, monkeypatch)
    assert not (tmp_path / "out" / "result.json").exists()
    run(tmp_path, "out", resume=True)
    config = read_config(tmp_path / "tiny.yaml")
    assert has_ended(tmp_path / "out", config)
    assert not has_ended(tmp_path / "out", config.model_copy(update={"max_epochs": 5}))
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (result["steps"], result["budget"]["max_epochs"]) == (20, 4)
    best = min(float(r["validation_loss"]) for r in records(tmp_path / "out"))
    assert result["validation"]["validation_loss"] == pytest.approx(best, rel=1e-5)


def test_training_learns_forces_and_energies(tmp_path):
    ase.io.write(tmp_path / "train.xyz", emt_frames(40))
    run(tmp_path, "out", max_epochs=40, dtype="float32", optimizer={"learning_rate": 0.02})
    first, *_, last = records(tmp_path / "out")
    assert float(last["forces_mae_mev_per_angstrom"]) < 0.4 * float(first["forces_mae_mev_per_angstrom"])
    assert float(last["energy_mae_mev_per_atom"]) < 0.4 * float(first["energy_mae_mev_per_atom"])


def test_a_step_takes_the_whole_gradient_of_its_loss_by_the_weights(tmp_path, train_file, monkeypatch):
    """Backward goes to the weights alone and not to the positions: that leaves nothing out."""
    compared = []

    def comparing(training, loss, *arguments, **options):
        whole = torch.autograd.grad(loss, list(training.model.parameters()), retain_graph=True)
        original(training, loss, *arguments, **options)
        compared.append([torch.equal(parameter.grad, part) for parameter, part in zip(training.model.parameters(), whole, strict=True)])

    original = module.Training.backward
    monkeypatch.setattr(module.Training, "backward", comparing)
    run(tmp_path, "out", max_epochs=1)
    assert compared
    assert all(map(all, compared))


@pytest.mark.parametrize("pbc", [True, (True, True, False)])
def test_stress_is_learned_where_asked_for(tmp_path, pbc):
    frames = []
    for seed in range(16):
        atoms = ase.build.bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell * (0.96 + 0.005 * seed), scale_atoms=True)
        atoms.rattle(0.05, seed=seed)
        atoms.pbc = pbc
        frames.append(labelled(atoms))
    ase.io.write(tmp_path / "train.xyz", frames)
    loss = {"type": "mse", "energy_weight": 1.0, "forces_weight": 10.0, "stress_weight": 100.0}
    run(tmp_path, "out", max_epochs=25, optimizer={"type": "adam", "learning_rate": 0.01}, loss=loss)
    stress = [float(record["stress_mae_mev_per_cubic_angstrom"]) for record in records(tmp_path / "out")]
    assert stress[-1] < 0.7 * stress[0]  # the same training with weight 0 leaves it at 1.1


def test_the_results_are_complete(tmp_path, train_file, clusters):
    ase.io.write(tmp_path / "test.xyz", clusters[:5])
    printed = run(tmp_path, "out", data={"train": "train.xyz", "validation": 4, "test": "test.xyz"})
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == {"best.ckpt", "last.ckpt", "log.csv", "learning_curve.png", "config.yaml", "result.json", "test.json"}
    assert (tmp_path / "out" / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert "20 training, 4 validation, 5 test frames" in printed
    assert "train.xyz: 24 frames in eV and Angstrom" in printed
    assert len(re.findall(r"^ +\d+ +\d+ ", printed, re.MULTILINE)) == 4  # a line per epoch where there is no terminal
    assert "5 test frames" in printed
    test = load_checkpoint(tmp_path / "out" / "best.ckpt").metadata["training"]["test"]  # where `spinconv export` finds them
    assert test == {"n_frames": 5, "errors": json.loads((tmp_path / "out" / "test.json").read_text())}


def test_checkpoints_hold_plain_data_and_no_path(tmp_path, train_file):
    run(tmp_path, "out")
    for name in ("best.ckpt", "last.ckpt"):
        torch.load(tmp_path / "out" / name, weights_only=True)
        assert str(tmp_path).encode() not in (tmp_path / "out" / name).read_bytes()
    model, metadata = load_checkpoint(tmp_path / "out" / "best.ckpt")
    assert metadata["config"]["elements"] == [13, 29]
    assert metadata["training"]["data"]["n_train"] == 20
    assert metadata["training"]["validation"].keys() >= {"energy per atom", "forces", "validation_loss"}
    assert next(model.parameters()).dtype == torch.float64


def test_the_best_checkpoint_has_the_errors_that_its_training_logged(tmp_path, train_file, clusters):
    run(tmp_path, "out", data={"train": "train.xyz", "validation": "validation.xyz"}, **_validation(tmp_path, clusters[:6]))
    model, metadata = load_checkpoint(tmp_path / "out" / "best.ckpt")
    forces = [energy_and_forces(model, build_graph(atoms, 4.0, torch.float64)).forces.detach().numpy() for atoms in clusters[:6]]
    error = 1000 * np.abs(np.array(forces) - [atoms.get_forces() for atoms in clusters[:6]]).mean()
    assert metadata["training"]["validation"]["forces"] == pytest.approx(error, rel=1e-5)  # logged in float32


def _validation(folder: Path, frames: list[ase.Atoms]) -> dict[str, object]:
    ase.io.write(folder / "validation.xyz", frames)
    return {}


def test_checkpoints_remember_what_the_training_frames_covered_and_no_other_frame(tmp_path):
    def trimers(distance: float, n: int) -> list[ase.Atoms]:
        return [labelled(ase.Atoms("CuAl2", [(0, 0, 0), (distance, 0, 0), (0, distance + 0.1 * k / n, 0)])) for k in range(n)]

    ase.io.write(tmp_path / "train.xyz", trimers(2.52, 8))  # Al-Al at 3.56 Å: within the cutoff of 4 Å
    ase.io.write(tmp_path / "validation.xyz", trimers(2.0, 2))
    data = {"train": "train.xyz", "validation": "validation.xyz", "test": "validation.xyz"}
    run(tmp_path, "out", data=data, max_epochs=1)
    distances, counts = {"Al-Al": 3.563, "Al-Cu": 2.519}, {"Al": [2, 2], "Cu": [2, 2]}
    for name in ("best.ckpt", "last.ckpt"):
        coverage = load_checkpoint(tmp_path / "out" / name).metadata["coverage"]
        assert coverage == {"shortest_distances": distances, "neighbors": counts}

    ase.io.write(tmp_path / "train.xyz", trimers(3.0, 8))  # Al-Al at 4.2 Å
    run(tmp_path, "more", data=data, start_from="out/best.ckpt", max_epochs=1)
    coverage = load_checkpoint(tmp_path / "more" / "best.ckpt").metadata["coverage"]
    assert coverage == {"shortest_distances": distances, "neighbors": {"Al": [1, 2], "Cu": [2, 2]}}


def test_a_checkpoint_from_before_the_coverage_was_kept_can_be_used_and_started_from(tmp_path, train_file):
    run(tmp_path, "first", max_epochs=1)
    content = read_checkpoint(tmp_path / "first" / "best.ckpt")
    coverage = content["spinconv"].pop("coverage")
    write_checkpoint(tmp_path / "old.ckpt", content)
    assert load_checkpoint(tmp_path / "old.ckpt").metadata["coverage"] is None
    run(tmp_path, "second", start_from="old.ckpt", max_epochs=1)
    assert load_checkpoint(tmp_path / "second" / "best.ckpt").metadata["coverage"] == coverage


def test_doubts_about_the_frames_are_told_before_the_training(tmp_path, clusters):
    ase.io.write(tmp_path / "train.xyz", clusters[::2])
    frames = [atoms.copy() for atoms in clusters[:6]]
    for atoms, source in zip(frames, clusters, strict=False):
        atoms.calc = SinglePointCalculator(atoms, energy=source.get_potential_energy(), forces=96.485 * source.get_forces())
    ase.io.write(tmp_path / "kilojoules.xyz", frames)
    printed = run(tmp_path, "out", data={"train": "train.xyz", "validation": "kilojoules.xyz"}, max_epochs=1)
    assert "WARNING: all frames have the composition Al2Cu2: least squares cannot tell" in printed
    assert "WARNING: kilojoules.xyz: read in eV and Angstrom, the forces have an rms of" in printed
    printed = run(
        tmp_path, "given", data={"train": "train.xyz", "validation": 4}, reference_energies={"Al": -0.1, "Cu": -0.1}, max_epochs=1
    )
    assert "WARNING" not in printed


def test_an_atom_alone_has_the_reference_energy_given(tmp_path, train_file):
    ase.io.write(tmp_path / "alone.xyz", [labelled(ase.Atoms("Cu")), labelled(ase.Atoms("Al"))])
    run(tmp_path, "out", reference_energies="alone.xyz", max_epochs=1)
    model, _ = load_checkpoint(tmp_path / "out" / "best.ckpt")
    energy = energy_and_forces(model, build_graph(ase.Atoms("Cu"), 4.0, torch.float64)).energies.item()
    assert energy == pytest.approx(labelled(ase.Atoms("Cu")).get_potential_energy(), abs=1e-8)  # extxyz keeps eight decimals or more


def test_a_training_can_start_from_another_ones_weights(tmp_path, train_file):
    run(tmp_path, "first")
    run(tmp_path, "second", start_from="first/best.ckpt", optimizer={"learning_rate": 1e-12}, max_epochs=1)
    before, after = (load_checkpoint(tmp_path / name / "best.ckpt").model for name in ("first", "second"))
    for a, b in zip(before.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9)
    assert before.reference_energies == after.reference_energies
    with pytest.raises(ConfigError, match=r"tiny.yaml: `model.lmax` must be that of `start_from`, 2, got 1"):
        run(tmp_path, "third", start_from="first/best.ckpt", model={**SETTINGS["model"], "lmax": 1})


def test_reference_energies_that_are_given_replace_those_of_the_start(tmp_path, train_file):
    def references(name, **changes):
        run(tmp_path, name, optimizer={"learning_rate": 1e-12}, max_epochs=1, **changes)
        return load_checkpoint(tmp_path / name / "best.ckpt").model.reference_energies

    before = references("first", reference_energies={"Al": 1.0, "Cu": 2.0})
    assert references("same", start_from="first/best.ckpt") == before == [1.0, 2.0]
    assert references("given", start_from="first/best.ckpt", reference_energies={"Al": 5.0, "Cu": -3.0}) == [5.0, -3.0]
    fitted = references("fitted", start_from="first/best.ckpt", reference_energies="least_squares")
    model = load_checkpoint(tmp_path / "first" / "best.ckpt").model
    left, counts = [], []
    for atoms in ase.io.read(train_file, ":"):
        counts.append([np.sum(atoms.numbers == z) for z in (13, 29)])
        bound = energy_and_forces(model, build_graph(atoms, 4.0, torch.float64)).energies.item() - counts[-1] @ np.array(before)
        left.append(atoms.get_potential_energy() - bound)
    assert np.mean(left - np.array(counts) @ fitted) == pytest.approx(0.0, abs=0.2)  # of a part of these frames


def test_frames_of_several_files_are_trained_on_together(tmp_path, train_file, clusters):
    ase.io.write(tmp_path / "more.xyz", emt_frames(6, seed=1))
    printed = run(tmp_path, "out", data={"train": ["train.xyz", "more.xyz"], "validation": 4}, max_epochs=1)
    assert "26 training, 4 validation" in printed
    assert "more.xyz: 6 frames in eV" in printed
    assert load_checkpoint(tmp_path / "out" / "best.ckpt").metadata["training"]["data"]["train_file"] == "train.xyz, more.xyz"


def test_frames_without_a_stress_are_trained_on_and_counted(tmp_path, clusters):
    crystals = [labelled(ase.build.bulk("Cu", cubic=True)) for _ in range(3)]
    ase.io.write(tmp_path / "train.xyz", [*clusters[:9], *crystals])
    printed = run(tmp_path, "out", max_epochs=1, loss={"stress_weight": 1.0})
    assert "train.xyz: 9 of 12 frames have no stress, and are left out of its error" in printed


@pytest.mark.parametrize(
    ("pbc", "why"),
    [
        (True, r"has a stress \(`stress`\)"),
        (False, "is periodic, in a cell with three vectors, so none has a stress"),
        ((True, True, False), r"has a stress \(`stress`\)"),
    ],
)
def test_missing_stress_is_refused_when_asked_for(tmp_path, clusters, pbc, why):
    frames = []
    for cluster in clusters:
        atoms = ase.Atoms(cluster.symbols, cluster.positions, cell=[9, 9, 9], pbc=pbc)
        stress = {} if pbc is not False else {"stress": np.zeros(6)}  # one that the file should not have
        atoms.calc = SinglePointCalculator(atoms, energy=cluster.get_potential_energy(), forces=cluster.get_forces(), **stress)
        frames.append(atoms)
    ase.io.write(tmp_path / "train.xyz", frames)
    with pytest.raises(DataError, match=f"no frame of `data.train` {why}, which `loss.stress_weight` asks for"):
        run(tmp_path, "none", loss={"stress_weight": 1.0})
    assert not (tmp_path / "none").exists()


def test_the_force_rms_is_named_where_there_are_forces(tmp_path, clusters):
    ase.io.write(tmp_path / "train.xyz", clusters)
    assert "; force rms " in run(tmp_path, "forces", max_epochs=1)
    for atoms in (frames := [atoms.copy() for atoms in clusters]):
        atoms.info["energy"] = -1.0
    ase.io.write(tmp_path / "train.xyz", frames, format="extxyz")
    printed = run(tmp_path, "energies", max_epochs=1, loss={"forces_weight": 0.0})
    assert "force rms" not in printed
    assert "; scale " in printed


def test_two_trainings_in_one_folder_are_refused(tmp_path, train_file):
    with locked(tmp_path / "out"), pytest.raises(ConfigError, match=r"out: another training is at work there"):
        run(tmp_path, "out")


def test_a_training_never_overwrites_another(tmp_path, train_file):
    run(tmp_path, "out", max_epochs=1)
    with pytest.raises(ConfigError, match=r"out: holds a training already; continue it with --resume or choose another --output"):
        run(tmp_path, "out")
    with pytest.raises(ConfigError, match=r"new: has no last.ckpt to resume from; start without --resume"):
        run(tmp_path, "new", resume=True)


def test_resuming_with_other_settings_or_data_is_refused(tmp_path, train_file, clusters):
    run(tmp_path, "out", max_epochs=1)
    with pytest.raises(ConfigError, match=r"last.ckpt: `optimizer.learning_rate` was another one when this training began"):
        run(tmp_path, "out", resume=True, optimizer={"learning_rate": 0.02})
    ase.io.write(train_file, clusters[1:])
    with pytest.raises(ConfigError, match=r"last.ckpt: was trained on other frames than these"):
        run(tmp_path, "out", resume=True)


def test_a_longer_training_can_follow(tmp_path, train_file):
    run(tmp_path, "out", max_epochs=2, schedule={"type": "constant"})
    run(tmp_path, "out", resume=True, max_epochs=4, schedule={"type": "constant"})
    assert [record["epoch"] for record in records(tmp_path / "out")] == ["1", "2", "3", "4"]


def test_time_and_patience_end_a_training(tmp_path, train_file):
    run(tmp_path, "short", max_time=0.001)
    assert len(records(tmp_path / "short")) == 1
    run(tmp_path, "patient", max_epochs=30, optimizer={"learning_rate": 1e-30}, early_stopping=2)
    assert len(records(tmp_path / "patient")) == 3


def test_max_steps_is_rounded_up_to_epochs(tmp_path, train_file):
    run(tmp_path, "out", max_epochs=None, max_steps=7)
    assert [record["step"] for record in records(tmp_path / "out")] == ["5", "10"]


def test_a_loss_that_is_no_number_ends_the_training_in_words(tmp_path, train_file):
    with pytest.raises(TrainingError, match=r"the loss became (nan|inf) before step 5: lower `optimizer.learning_rate`"):
        run(tmp_path, "out", optimizer={"learning_rate": 1e200}, gradient_clip=None, schedule={"type": "constant"})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data": {"train": "train.xyz", "validation": 24}}, "`data.validation` must leave frames to train on: 24 of 24 are asked for"),
        ({"model": {"elements": ["Cu"]}}, "train.xyz, frame 0: has the element Al, `model.elements` knows Cu"),
        ({"data": {"train": "train.xyz", "test": "other.xyz"}}, "other.xyz, frame 0: has the element O, the training set knows Al Cu"),
        ({"reference_energies": {"Cu": -1.0}}, "tiny.yaml: `reference_energies` lacks Al atom, an element of the training frames"),
        ({"reference_energies": {"Cu": -1.0, "Xy": 2.0}}, "`reference_energies.Xy` is not a known key"),
        ({"reference_energies": {"Cu": -1000.0, "Al": 0.0}}, "eV per atom away from the reference energies"),
        ({"data": {"train": "nothing.xyz"}}, "nothing.xyz: there is no such file"),
        ({"batch_size": 3, "devices": 2}, "`batch_size` must be a multiple of `devices`"),
        (
            {"accelerator": "cuda", "devices": 99, "batch_size": 99},
            "`accelerator: cuda` with `devices: 99` needs as many of them in this machine",
        ),
        ({"start_from": "nothing.ckpt"}, "nothing.ckpt`: there is no such checkpoint"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path, train_file, changes, sentence):
    ase.io.write(tmp_path / "other.xyz", labelled(ase.Atoms("CuO", [(0, 0, 0), (1.8, 0, 0)])))
    with pytest.raises((ConfigError, DataError, FileNotFoundError)) as error:
        run(tmp_path, "out", **changes)
    assert sentence in str(error.value)


def test_the_command_trains_and_speaks_of_errors(tmp_path, train_file):
    app = Typer()
    app.command()(train_command)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(SETTINGS))
    arguments = [str(tmp_path / "tiny.yaml"), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--set", "max_epochs=1"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "best.ckpt").is_file()
    result = CliRunner().invoke(app, [*arguments, "--set", "model.lmax=three", "--resume"])
    assert result.exit_code == 1
    assert "ERROR: tiny.yaml: `model.lmax` must be a whole number, got 'three'" in result.output
    (tmp_path / "file").write_text("no folder")
    result = CliRunner().invoke(app, [str(tmp_path / "tiny.yaml"), "-o", str(tmp_path / "file" / "out")])
    assert result.exit_code == 1
    assert re.search(r"ERROR: .*could not be written: not a directory", result.output)


def test_without_lightning_the_command_says_what_to_install(tmp_path):
    program = "import sys; sys.modules['lightning'] = None; from spinconv.export.cli import app; app()"
    command = [sys.executable, "-c", program, "train", tmp_path / "tiny.yaml"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert said.returncode == 1
    assert said.stdout + said.stderr == 'spinconv train needs lightning: pip install "lightning>=2.4"\n'


@pytest.mark.slow
def test_two_devices_train_as_one(tmp_path, train_file):
    """Each takes half of every batch; the mean of two halves' losses is the loss, up to rounding."""
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(SETTINGS))
    (tmp_path / "train.py").write_text("import typer\nfrom spinconv.potential.training.cli import train\ntyper.run(train)\n")
    for output, devices in (("one", 1), ("two", 2)):
        command = [sys.executable, "train.py", "tiny.yaml", "-o", output, "--set", f"devices={devices}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("training, 4 validation") == 1  # one of them speaks
    one, two = (load_checkpoint(tmp_path / output / "best.ckpt").model for output in ("one", "two"))
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-8)


def test_learning_rates_follow_their_schedules(tmp_path):
    def rates(**schedule):
        settings = read_config(_written(tmp_path, {**SETTINGS, "schedule": schedule})).schedule
        assert rate_fraction(0, settings.model_copy(update={"warmup_steps": 50}), 100, 10) == 1 / 11  # at most a tenth of the training
        return [rate_fraction(step, settings, total_steps=100, steps_per_epoch=10) for step in (0, 10, 55, 100, 200)]

    assert rates(type="constant", warmup_steps=0) == [1.0] * 5
    np.testing.assert_allclose(rates(type="cosine", warmup_steps=10, final_fraction=0.2), [1 / 11, 1.0, 0.6, 0.2, 0.2])
    np.testing.assert_allclose(rates(type="exponential", warmup_steps=0, factor=0.5, final_fraction=0.01), [1.0, 0.5, 0.5**5, 0.01, 0.01])


def test_learning_rates_follow_the_time_where_it_is_the_budget(tmp_path):
    def rates(done, step=1000, **schedule):
        settings = read_config(_written(tmp_path, {**SETTINGS, "schedule": schedule})).schedule
        return [timed_rate_fraction(step, settings, part, steps_per_epoch=500) for part in done]

    np.testing.assert_allclose(rates((0.0, 0.5, 1.0), type="cosine", warmup_steps=10, final_fraction=0.2), [1.0, 0.6, 0.2])
    np.testing.assert_allclose(rates((0.0, 0.5), type="exponential", warmup_steps=0, factor=0.5), [0.25, 0.25])
    # the rise: by steps, but over after a tenth of the time
    np.testing.assert_allclose(rates((0.0, 0.01, 0.05, 0.1, 1.0), step=2, type="constant", warmup_steps=99), [0.03, 0.1, 0.5, 1.0, 1.0])


def _written(folder: Path, settings: dict) -> Path:
    (folder / "s.yaml").write_text(yaml.safe_dump(settings))
    return folder / "s.yaml"


DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.mark.skipif(not DATA.is_dir(), reason="the reference data are not there")
def test_a_few_ethanol_frames_are_learned_from_the_example_config(tmp_path):
    example = Path(__file__).resolve().parents[3] / "examples" / "training" / "ethanol.yaml"
    ase.io.write(tmp_path / "train.xyz", ase.io.read(DATA / "rmd17_ethanol" / "train.xyz", ":30"))
    ase.io.write(tmp_path / "test.xyz", ase.io.read(DATA / "rmd17_ethanol" / "test.xyz", ":5"))
    ase.io.write(tmp_path / "isolated_atoms.xyz", ase.io.read(DATA / "rmd17_ethanol" / "isolated_atoms.xyz", ":"))
    (tmp_path / "ethanol.yaml").write_text(example.read_text())
    budget = ["data.extra=null", "data.validation=5", "max_time=null", "max_epochs=30", "epoch_steps=null", "schedule.warmup_steps=0"]
    changes = [*budget, "loss.type=mse", "model.channels=8", "model.lmax=2", "ema_decay=0.9", "accelerator=cpu"]
    config = read_config(tmp_path / "ethanol.yaml", changes)
    fit(config, Source("ethanol.yaml", tmp_path), tmp_path / "out", console=Console(file=io.StringIO()))
    forces = [float(record["forces_mae_mev_per_angstrom"]) for record in records(tmp_path / "out")]
    assert forces[-1] < 0.9 * forces[0]
