"""Checkpoints: what is damaged is refused in a sentence, and what is there is never lost."""

import io
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from disks import as_somebody, files_of_at_most, folder_for_all, small_disk
from rich.console import Console

from models import random_model
from spinconv.potential import ModelConfig
from spinconv.potential.safe_write import WriteError
from spinconv.potential.sealed import seal
from spinconv.potential.training.checkpoint import (
    KEY,
    NOTE,
    load_checkpoint,
    model_state,
    read_checkpoint,
    write_checkpoint,
)
from spinconv.potential.training.config import ConfigError, read_config
from spinconv.potential.training.splits import Source
from spinconv.potential.training.trainer import fit

TRAINING = {"data": {}, "settings": {}, "epoch": 1, "validation": {}}
SETTINGS = {
    "data": {"train": "train.xyz", "validation": 4},
    "model": {"cutoff": 4.0, "channels": 8, "group": 4, "lmax": 2, "n_blocks": 2},
    "max_epochs": 2,
    "accelerator": "cpu",
    "threads": 1,
}


def content(**changes: object) -> dict:
    """A checkpoint's content, changed in what it says of the model."""
    config = ModelConfig(elements=(1, 8), channels=8, n_blocks=1)
    model = random_model((1, 8), channels=8, n_blocks=1, dtype=torch.float32)
    return {KEY: {**model_state(model, config, model.state_dict()), "training": TRAINING, **changes}}


def config(**changes: object) -> dict:
    return {"config": {**ModelConfig(elements=(1, 8), channels=8, n_blocks=1).to_dict(), **changes}}


def saved(value: object) -> bytes:
    archive = io.BytesIO()
    torch.save(value, archive)
    return archive.getvalue()


def train(folder: Path, output: Path, resume: bool = False, **changes: object) -> str:
    """Trains on folder/train.xyz; gives back what was printed."""
    (folder / "c.yaml").unlink(missing_ok=True)
    (folder / "c.yaml").write_text(yaml.safe_dump({**SETTINGS, **changes}))
    console = Console(file=io.StringIO(), width=200)
    fit(read_config(folder / "c.yaml"), Source("c.yaml", folder), output, resume, console)
    return console.file.getvalue()


def test_what_is_written_is_read_and_by_torch_too(tmp_path):
    write_checkpoint(tmp_path / "a.ckpt", content())
    model = load_checkpoint(tmp_path / "a.ckpt").model
    weights = torch.load(tmp_path / "a.ckpt", weights_only=True)[KEY]["weights"]
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_what_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "text.ckpt").write_text("weights")
    (tmp_path / "empty.ckpt").touch()
    (tmp_path / "old.ckpt").write_bytes(saved(content()))
    (tmp_path / "model.pt").write_bytes(seal(saved({}), "model"))
    write_checkpoint(tmp_path / "other.ckpt", {"state_dict": {}})
    write_checkpoint(tmp_path / "new.ckpt", content(format=99))
    os.mkfifo(tmp_path / "pipe.ckpt")
    with pytest.raises(FileNotFoundError, match=r"nothing.ckpt`: there is no such checkpoint"):
        load_checkpoint(tmp_path / "nothing.ckpt")
    for name, sentence in (
        ("text.ckpt", "must be a checkpoint of `spinconv train`, is of another kind"),
        ("empty.ckpt", "must be a checkpoint, is empty"),
        ("old.ckpt", "has no seal of spinconv: it was written by another program or an older spinconv"),
        ("model.pt", "must be a checkpoint of `spinconv train`, is another file of spinconv"),
        ("other.ckpt", "must be a checkpoint of `spinconv train`, is another program's"),
        ("new.ckpt", "was written for format 99 of another spinconv, whose network is another; this one reads format 2: train again"),
        ("pipe.ckpt", "must be a checkpoint, is a pipe or a device"),
        (".", "must be a checkpoint, is a folder"),
    ):
        with pytest.raises(ValueError, match=f"^`{re.escape(str(tmp_path / name))}` {sentence}"):
            load_checkpoint(tmp_path / name)


def test_whatever_byte_is_changed_or_cut_the_file_is_refused(tmp_path):
    write_checkpoint(tmp_path / "a.ckpt", content())
    whole = (tmp_path / "a.ckpt").read_bytes()
    chance = random.Random(0)
    places = [*range(0, 60), *chance.choices(range(len(whole)), k=100), *range(len(whole) - 150, len(whole))]
    damaged = [whole[:k] + bytes([whole[k] ^ (1 << chance.randrange(8))]) + whole[k + 1 :] for k in places]
    damaged += [whole[:k] for k in chance.choices(range(1, len(whole)), k=30)]
    for data in damaged:
        (tmp_path / "b.ckpt").write_bytes(data)
        with pytest.raises(ValueError, match=r"b\.ckpt` (is damaged|must be a checkpoint of `spinconv train`)[^\n]*$"):
            load_checkpoint(tmp_path / "b.ckpt")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (config(channels=1024, n_blocks=16), "a model of its `config` has at least 16777216 weights, it has "),
        (config(cutoff=-1.0), "`cutoff` must be positive"),
        (config(elements=[8, 400]), "`elements` must be atomic numbers from 1 to 118"),
        (config(lmax=2), "its weights are not those of its `config`"),
        (config(elements=[1, 6, 8]), "`reference_energies` must have one value"),
        (config(elephants=1), "`elephants` is no field of the model"),
        ({"config": {}}, "`elements` is missing"),
        ({"config": None}, "its section `config` is missing or of another type"),
        ({"training": {"data": 1}}, "its section `training.data` is missing or of another type"),
        ({"scale": float("nan")}, "must be finite numbers"),
        ({"reference_energies": ["a", "b"]}, "must be finite numbers"),
        ({"kind": "cube"}, "holds a model of kind 'cube', this spinconv knows harmonic"),
        ({"weights": {}}, "its `weights` must all be float32 or all float64"),
        ({"weights": {"a": 1.0}}, "its `weights` must be tensors by name"),
        ({"weights": {"a": torch.zeros(1).expand(10**12)}}, "its `weights` must be tensors by name"),
        ({"weights": {"a": torch.zeros(3, dtype=torch.int8)}}, "its `weights` must all be float32 or all float64"),
        ({"coverage": {"shortest_distances": {"H-Xx": 1.0}}}, "its `coverage` is not of its elements"),
    ],
)
def test_what_a_checkpoint_says_is_checked_before_anything_is_made_of_it(tmp_path, changes, sentence):
    write_checkpoint(tmp_path / "a.ckpt", content(**changes))
    with pytest.raises(ValueError, match=f"^`[^`]*a.ckpt` [^\n]*{sentence}[^\n]*$"):
        load_checkpoint(tmp_path / "a.ckpt")


def test_an_archive_that_is_packed_is_not_unpacked(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(content()))) as plain, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in plain.namelist():
            archive.writestr(name, plain.read(name))
    (tmp_path / "a.ckpt").write_bytes(seal(packed.getvalue(), NOTE))
    with pytest.raises(ValueError, match=r"a.ckpt` has packed members"):
        load_checkpoint(tmp_path / "a.ckpt")


class Marker:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_in_a_checkpoint_is_run(tmp_path):
    marker = Marker(tmp_path / "marker")
    for data in (
        saved(marker),
        seal(saved(marker), NOTE),
        seal(saved({KEY: {"format": 1, "training": marker}}), NOTE),
        pickle.dumps(marker),
    ):
        (tmp_path / "a.ckpt").write_bytes(data)
        with pytest.raises(ValueError, match=r"a.ckpt`"):
            load_checkpoint(tmp_path / "a.ckpt")
    assert not (tmp_path / "marker").exists()


def test_a_damaged_last_checkpoint_cannot_be_resumed_and_the_sentence_says_what_is_left(tmp_path, train_file):
    train(tmp_path, tmp_path / "out")
    last, best = tmp_path / "out" / "last.ckpt", tmp_path / "out" / "best.ckpt"
    last.write_bytes(last.read_bytes()[:-1000])
    with pytest.raises(
        ConfigError, match=r"last.ckpt` is damaged: .*; \S*best.ckpt \(epoch \d\) is whole: use it, or begin another --output"
    ):
        train(tmp_path, tmp_path / "out", resume=True)
    train(tmp_path, tmp_path / "other", start_from=str(best))
    best.unlink()
    with pytest.raises(ConfigError, match=r"last.ckpt` is damaged: .*; start the training again in another --output$"):
        train(tmp_path, tmp_path / "out", resume=True)


def test_a_training_on_a_full_disk_ends_in_a_sentence_and_goes_on_when_there_is_room(tmp_path, train_file):
    out = tmp_path / "out"
    train(tmp_path, out)
    before = {name: (out / name).read_bytes() for name in ("best.ckpt", "last.ckpt")}
    best, last = map(len, before.values())
    with (
        files_of_at_most((best + last) // 2),
        pytest.raises(WriteError, match=r"^`\S*last.ckpt` could not be written: file too large; the file that was there is as it was$"),
    ):
        train(tmp_path, out, resume=True, max_epochs=4)
    assert (out / "last.ckpt").read_bytes() == before["last.ckpt"]
    assert not list(out.glob("*.part")) + list(out.glob(".*.part"))
    load_checkpoint(out / "best.ckpt")
    train(tmp_path, out, resume=True, max_epochs=4)
    assert read_checkpoint(out / "last.ckpt")["epoch"] == 3


def test_a_training_on_a_disk_without_room_for_its_first_checkpoint_leaves_no_part(tmp_path, train_file):
    with small_disk(tmp_path / "disk", 100_000) as disk:
        with pytest.raises(WriteError, match=r"ckpt` could not be written: no space left on device$"):
            train(tmp_path, disk / "out")
        assert {path.name for path in (disk / "out").iterdir()} <= {"config.yaml", "log.csv", "learning_curve.png", "best.ckpt"}


def test_a_training_in_a_folder_that_may_not_be_written_to_is_not_resumed(train_file):
    refused = r"^`\S*training.lock` could not be written: permission denied$"
    with folder_for_all() as folder:
        shutil.copy(train_file, folder / "train.xyz")
        train(folder, folder / "out")
        (folder / "out").chmod(0o555)
        with as_somebody(), pytest.raises(WriteError, match=refused):
            train(folder, folder / "out", resume=True)
        (folder / "closed").mkdir(mode=0o555)
        with as_somebody(), pytest.raises(WriteError, match=refused):
            train(folder, folder / "closed" / "out")


@pytest.mark.slow
def test_a_training_that_is_killed_leaves_whole_checkpoints(tmp_path, train_file):
    """With temporary files on another disk, where Lightning's own checkpoints are written in place."""
    if Path("/dev/shm").stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm is no disk of its own")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({**SETTINGS, "max_epochs": 100_000}))
    command = [
        sys.executable,
        "-c",
        "from spinconv.export.cli import app; app()",
        "train",
        str(tmp_path / "c.yaml"),
        "-o",
        str(tmp_path / "out"),
    ]
    chance = random.Random(0)
    epoch = 0
    for _ in range(8):
        there = (tmp_path / "out" / "last.ckpt").exists()
        process = subprocess.Popen(
            command + ["--resume"] * there,
            env={**os.environ, "TMPDIR": "/dev/shm"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while not re.match(r" +\d+ +\d+ ", line := process.stdout.readline()):
            assert line, "the training has ended"
        time.sleep(chance.uniform(0, 1))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        load_checkpoint(tmp_path / "out" / "best.ckpt")
        done = read_checkpoint(tmp_path / "out" / "last.ckpt")[KEY]["training"]["epoch"]
        assert done > epoch
        epoch = done
