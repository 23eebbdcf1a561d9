"""spinconv info prints one screen of a model file or a checkpoint, everything with --full."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from models import ELEMENTS, random_model
from spinconv.export.bind import bind_model
from spinconv.export.card import About, card, rows
from spinconv.export.cli import app
from spinconv.potential import ModelConfig
from spinconv.potential.training.checkpoint import KEY, keep_test_errors, model_state, write_checkpoint
from spinconv.potential.training.metrics import ErrorFigure

CONFIG = ModelConfig(elements=ELEMENTS, channels=16, n_blocks=1)
TRAINING = {
    "data": {"train_file": "train.xyz", "n_train": 950, "n_validation": 50},
    "date": "2026-11-23",
    "torch": "2.13.0",
    "epoch": 588,
    "step": 111720,
    "validation": {
        "train_loss": 1e-5,
        "energy": 1.3566,
        "energy per atom": 0.15074,
        "forces": 8.504,
        "forces on H": 6.53,
        "stress": float("nan"),
    },
}
COVERAGE = {
    "shortest_distances": {f"{a}-{b}": 1.0 + n / 100 for n, (a, b) in enumerate((a, b) for i, a in enumerate("HCO") for b in "HCO"[i:])},
    "neighbors": {"H": [8, 8], "C": [5, 9], "O": [8, 8], "Cu": [0, 0]},
}  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = random_model(n_blocks=1)
    state = {**model_state(model, CONFIG, model.state_dict()), "training": TRAINING, "coverage": COVERAGE}
    path = tmp_path_factory.mktemp("ethanol") / "best.ckpt"
    write_checkpoint(path, {KEY: state})
    keep_test_errors(path, [ErrorFigure("energy", "meV", 1.53, 2.17, 500), ErrorFigure("forces", "meV/Å", 8.65, 12.86, 13500)], 500)
    return path


@pytest.fixture(scope="module")
def file(checkpoint: Path) -> Path:
    path = checkpoint.parent / "model.pt"
    assert CliRunner().invoke(app, ["export", str(checkpoint), "-o", str(path), "--licence", "CC0-1.0"]).exit_code == 0
    return path


@pytest.fixture
def info(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command, without colour at 80 columns."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr("spinconv.export.console.console.width", 80)
        return CliRunner().invoke(app, ["info", *map(str, arguments)])

    return run


def words(done: Result) -> str:
    return " ".join(done.output.split())


def test_a_card_is_a_screen_of_80_columns_and_24_lines(info: Any, file: Path) -> None:
    done = info(file)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "…" not in done.output


def test_the_card_of_a_model_file_says_what_it_is(info: Any, file: Path) -> None:
    said = words(info(file))
    n_parameters = sum(parameter.numel() for parameter in random_model(n_blocks=1).parameters())
    for part in (
        "conservative: forces are minus the gradient of the energy",
        "H, C, O, Cu; cutoff 5 Å",
        f"{n_parameters:,} parameters: 1 blocks, 16 channels, lmax 3",
        "float32, unless told otherwise",
        "950 frames of train.xyz, 50 more for validation",
        "epoch 588, step 111,720, 2026-11-23",
        "licence CC0-1.0",
        "arXiv:2106.09575",
        "format 2, weights ",
    ):
        assert part in said, part


@pytest.mark.parametrize("which", ["file", "checkpoint"])
def test_validation_and_test_errors_have_units(info: Any, which: str, request: pytest.FixtureRequest) -> None:
    lines = [line.split() for line in info(request.getfixturevalue(which)).output.splitlines()]
    start = next(n for n, line in enumerate(lines) if line[:1] == ["errors"])
    assert lines[start][2:] == ["energy", "per", "atom", "forces", "on", "H"]
    assert lines[start + 1] == ["meV", "meV/atom", "meV/Å", "meV/Å"]  # no column for a stress that is not a number
    assert lines[start + 2] == ["validation", "1.36", "0.151", "8.50", "6.53"]
    assert lines[start + 3] == ["test", "(500)", "1.53", "-", "8.65", "-"]


def test_the_card_of_a_checkpoint_has_the_lines_of_its_file(info: Any, checkpoint: Path, file: Path) -> None:
    own = ("model", "checkpoint", "precision", "training range", "licence", "cite", "versions", " " * 14)
    of_checkpoint, of_file = ([line.rstrip() for line in info(path).output.splitlines()] for path in (checkpoint, file))
    shared = [line for line in of_checkpoint if not line.startswith(own)]
    assert len(shared) > 8
    assert set(shared) <= set(of_file)


def test_coverage_is_told_shortest_distance_first(checkpoint: Path) -> None:
    metadata = {"shortest_distances": {"H-O": 0.95, "H-H": 1.5, "C-H": 1.02}, "neighbors": {"C": [8, 8], "H": [4, 8]}}
    said = dict(rows(about_with(coverage=metadata), checkpoint))
    assert said["training range"] == "shortest (Å): H-O 0.95, C-H 1.02, H-H 1.50"
    assert said[""] == "neighbours: C 8, H 4 to 8"
    assert "not known" in dict(rows(about_with(coverage=None), checkpoint))["training range"]


def about_with(**changes: Any) -> About:
    metadata = {
        "name": "it", "kind": "harmonic", "conservative": True, "elements": ["H", "C"], "cutoff": 5.0, "dtype": "float32",
        "model": {"n_blocks": 2, "channels": 32, "lmax": 3}, "reference_energies": {"H": -13.0}, "versions": {},
    }  # fmt: skip
    return About({**metadata, **changes}, 1000, True)


def test_a_model_that_is_not_conservative_says_so(checkpoint: Path) -> None:
    assert dict(rows(about_with(conservative=False), checkpoint))["forces"].startswith("NOT conservative")


def test_many_elements_do_not_fill_the_screen(checkpoint: Path) -> None:
    from ase.data import chemical_symbols
    from rich.console import Console

    symbols = chemical_symbols[1:90]
    everything = about_with(
        elements=symbols,
        reference_energies=dict.fromkeys(symbols, -1000.0),
        coverage={"shortest_distances": {f"{a}-{b}": 1.0 for a in symbols for b in symbols}, "neighbors": {a: [1, 60] for a in symbols}},
        training={**TRAINING, "validation": {"forces": 1.0, **{f"forces on {a}": 1.0 for a in symbols}}},
    )
    console = Console(width=80)
    with console.capture() as capture:
        console.print(card(everything, checkpoint))
    assert len(capture.get().splitlines()) <= 24
    assert "and 83 more (--full)" in capture.get()


def test_full_is_everything_as_yaml_and_json_as_it_stands(info: Any, file: Path, checkpoint: Path) -> None:
    metadata = json.loads(info(file, "--json").output)
    assert metadata["training"]["test"]["errors"][0]["rmse"] == 2.17
    assert yaml.safe_load(info(file, "--full").output).keys() == metadata.keys()
    assert json.loads(info(checkpoint, "--json").output)["model"] == metadata["model"]


def test_a_bound_file_says_to_what(info: Any, file: Path, tmp_path: Path) -> None:
    bind_model(file, tmp_path / "bound.pt", [6, 1, 1, 1, 1], n_particles=5, periodic=True)
    assert "5 atoms, periodic, for TorchForce" in words(info(tmp_path / "bound.pt"))


def test_another_program_s_file_is_refused_in_a_sentence(info: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    done = info(tmp_path / "notes.txt")
    assert done.exit_code == 1
    assert "must be a checkpoint of `spinconv train`" in words(done)
