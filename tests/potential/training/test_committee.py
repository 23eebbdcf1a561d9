import io
import json

import ase
import ase.io
import numpy as np
import pytest
import torch
import yaml
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner

from spinconv.potential.training.checkpoint import load_checkpoint
from spinconv.potential.training.cli import train
from spinconv.potential.training.committee import committee_table
from spinconv.potential.training.config import read_config
from spinconv.potential.training.evaluation import EvaluationResult, Prediction, figures, pairs
from spinconv.potential.training.frames import Frame
from spinconv.potential.training.splits import Source
from spinconv.potential.training.trainer import fit

from .test_training import SETTINGS


def command(folder, *arguments: str):
    """`spinconv train` on folder/tiny.yaml into folder/out."""
    app = Typer()
    app.command()(train)
    (folder / "tiny.yaml").write_text(yaml.safe_dump({**SETTINGS, "data": {"train": "train.xyz", "validation": 4, "test": "test.xyz"}}))
    return CliRunner().invoke(app, [str(folder / "tiny.yaml"), "-o", str(folder / "out"), "--set", "max_epochs=2", *arguments])


@pytest.fixture
def test_file(tmp_path, train_file, clusters):
    ase.io.write(tmp_path / "test.xyz", clusters[:5])


def test_a_committee_is_the_trainings_of_its_seeds(tmp_path, test_file):
    result = command(tmp_path, "--seeds", "2", "--set", "seed=3")
    assert result.exit_code == 0, result.output
    config = read_config(tmp_path / "tiny.yaml", ["max_epochs=2", "seed=4"])
    alone = fit(config, Source("tiny.yaml", tmp_path), tmp_path / "alone", console=Console(file=io.StringIO()))
    third, fourth, single = (load_checkpoint(path) for path in (tmp_path / "out/seed3/best.ckpt", tmp_path / "out/seed4/best.ckpt", alone))
    for a, b in zip(fourth.model.parameters(), single.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(next(third.model.parameters()), next(single.model.parameters()))
    assert third.metadata["training"]["data"] == single.metadata["training"]["data"]  # the same split


def test_a_committee_ends_with_its_errors_and_how_to_use_it(tmp_path, test_file):
    output = command(tmp_path, "--seeds", "2").output
    assert output.count("train.xyz: 24 frames") == 1  # read once
    assert "5 test frames" in output
    rows = {
        line.split("│")[1].strip(): line.split("│")[2:-1] for line in output.splitlines() if line.startswith("│ seed") or "mean" in line
    }
    assert list(rows) == ["seed0", "seed1", "their mean"]
    figures = json.loads((tmp_path / "out" / "seed1" / "test.json").read_text())
    assert float(rows["seed1"][2]) == pytest.approx(next(f["mae"] for f in figures if f["quantity"] == "forces"), rel=1e-3)
    out = tmp_path / "out"
    assert f"spinconv export {out} -o {out}/committee\n" in output
    assert f"pair_style spinconv {out}/committee/seed0.pt {out}/committee/seed1.pt\n" in output


def test_the_error_of_the_mean_is_that_of_the_mean_prediction():
    frame = Frame(ase.Atoms("H"), 0.0, np.zeros((1, 3)), None, "t.xyz, frame 0")

    def member(*forces: float) -> EvaluationResult:
        predictions = [Prediction(0.0, np.array([forces]), None)]
        return EvaluationResult(figures(pairs([frame], predictions)), [frame], predictions)

    printed = Console(file=io.StringIO(), width=80)
    printed.print(committee_table({"a": member(0.001, 0.003, 0.002), "b": member(-0.003, 0.003, 0.0)}, "two"))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.file.getvalue().splitlines() if line.startswith("│")]
    assert rows == [["a", "0", "0", "2", "2.16"], ["b", "0", "0", "2", "2.449"], ["their mean", "0", "0", "1.667", "1.915"]]


def test_a_committee_goes_on_where_it_was_left(tmp_path, test_file):
    command(tmp_path, "--seeds", "1")
    before = (tmp_path / "out" / "seed0" / "best.ckpt").read_bytes()
    result = command(tmp_path, "--seeds", "2")
    assert result.exit_code == 1
    assert "seed0: holds a training already; continue with --resume or choose another --output" in result.output
    result = command(tmp_path, "--seeds", "2", "--resume")
    assert result.exit_code == 0, result.output
    assert f"member 1 of 2: {tmp_path}/out/seed0 has ended already" in result.output
    assert (tmp_path / "out" / "seed0" / "best.ckpt").read_bytes() == before
    assert (tmp_path / "out" / "seed1" / "result.json").is_file()


def test_an_unfinished_member_is_continued(tmp_path, test_file):
    command(tmp_path, "--seeds", "1", "--set", "max_epochs=1")
    result = command(tmp_path, "--seeds", "1", "--resume")  # of 2 epochs
    assert result.exit_code == 0, result.output
    assert "has ended already" not in result.output
    assert json.loads((tmp_path / "out" / "seed0" / "result.json").read_text())["steps"] == 10


def test_a_committee_of_other_settings_is_not_continued(tmp_path, test_file):
    command(tmp_path, "--seeds", "1")
    result = command(tmp_path, "--seeds", "1", "--resume", "--set", "optimizer.learning_rate=0.02")
    assert result.exit_code == 1
    assert "seed0/last.ckpt: `optimizer.learning_rate` was another one when this training began" in result.output
    result = command(tmp_path, "--seeds", "1", "--resume", "-o", str(tmp_path / "new"))
    assert "new: has no seed*/last.ckpt to resume from; start without --resume" in result.output
    result = command(tmp_path, "--seeds", "2", "--set", "devices=2", "-o", str(tmp_path / "new"))
    assert "tiny.yaml: `--seeds` trains with `devices: 1`, got 2" in result.output
