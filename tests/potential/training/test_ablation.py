import csv
import io
import json
import math
import re
import shutil
import struct
import time
from pathlib import Path

import ase.io
import pytest
import torch
import yaml
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner

from spinconv.potential.training import callbacks, timing
from spinconv.potential.training.ablate import ablate
from spinconv.potential.training.ablation import COLUMNS, Run, ablation_table, fit_ablation
from spinconv.potential.training.axes import AXES, KEPT, variants
from spinconv.potential.training.checkpoint import load_checkpoint, read_checkpoint
from spinconv.potential.training.config import ConfigError, check_config
from spinconv.potential.training.evaluation import evaluate_frames
from spinconv.potential.training.oc20 import figures_of
from spinconv.potential.training.readers import read_frames
from spinconv.potential.training.splits import Source
from spinconv.potential.training.timing import in_turns, times_of
from spinconv.potential.training.trade_off import draw_trade_off

from .test_training import SETTINGS, power_cut, same

ROOT = Path(__file__).resolve().parents[3]
GRID = {"sphere": "grid", "cutoff": 4.0, "channels": 8, "hidden_channels": 8, "n_radial": 8, "n_latitude": 4, "n_longitude": 4}
BASE = {**SETTINGS, "data": {"train": "train.xyz", "validation": 4, "test": "test.xyz"}, "model": GRID, "max_epochs": 2}


def config_of(**changes):
    return check_config({**BASE, **changes}, "tiny.yaml")


def command(folder: Path, *arguments: str):
    """`spinconv ablate` on folder/tiny.yaml into folder/out."""
    app = Typer()
    app.command()(ablate)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(BASE))
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(folder / "tiny.yaml"), "-o", str(folder / "out"), *arguments])


def lines(folder: Path) -> list[dict[str, str]]:
    with (folder / "out" / "ablation.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No learning curves, which take most of the time of such trainings, and short times."""
    monkeypatch.setattr(callbacks, "draw_history", lambda *arguments: None)
    monkeypatch.setattr(timing, "LONG", 0.01)
    monkeypatch.setattr(timing, "ROUNDS", 2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, clusters) -> Path:
    """A folder with data, tiny.yaml and an ablation in `out`: the base and one block, two epochs each."""
    folder = tmp_path_factory.mktemp("ablation")
    ase.io.write(folder / "train.xyz", clusters)
    ase.io.write(folder / "test.xyz", clusters[:5])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks, "draw_history", lambda *arguments: None)
        result = command(folder, "--axis", "blocks=1")
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def copied(finished, tmp_path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


# The variants


@pytest.mark.parametrize("axis", AXES)
def test_a_variant_differs_in_its_axis_alone(axis):
    base = config_of()
    first, *others = variants(base, "tiny.yaml", [axis])
    assert (first.name, first.config) == ("base", base)
    assert others
    for other in others:
        plain, changed = base.model_dump(), other.config.model_dump()
        before, after = plain.pop("model"), changed.pop("model")
        assert plain == changed
        assert other.name == f"{axis}-{other.value}"
        differing = {key for key in {**before, **after} if before.get(key) != after.get(key)}
        assert set(AXES[axis].fields) >= differing - set(AXES[axis].beside) - (set(GRID) - set(KEPT) if axis == "sphere" else set())
        assert differing & set(AXES[axis].fields)


def test_another_kind_keeps_what_means_the_same():
    _, other = variants(config_of(model={**GRID, "n_blocks": 3, "lmax": 2, "convolution": "harmonics"}), "tiny.yaml", ["sphere"])
    assert other.config.model == {"sphere": "harmonic", "cutoff": 4.0, "channels": 8, "n_blocks": 3}


@pytest.mark.parametrize(
    ("model", "wanted", "names"),
    [
        (GRID, ["blocks,envelope"], ["blocks-1", "blocks-3", "envelope-false"]),
        (GRID, ["blocks=1,2,4", "forces=fixed"], ["blocks-1", "blocks-4", "forces-fixed"]),
        ({**GRID, "n_blocks": 4}, ["blocks"], ["blocks-1", "blocks-2", "blocks-3"]),
        (GRID, ["grid=4x4,8x4"], ["grid-8x4"]),
        (GRID, ["lmax=2"], ["lmax-2"]),
        (SETTINGS["model"], [], ["sphere-grid", "blocks-1", "blocks-3", "lmax-1", "lmax-3"]),
        ({**GRID, "forces": "fixed"}, [], None),
    ],
)
def test_axes_are_those_that_are_named_or_all_of_the_kind(model, wanted, names):
    found = [variant.name for variant in variants(config_of(model=model), "tiny.yaml", wanted)[1:]]
    if names is not None:
        assert found == names
    else:  # direct forces are no gradient, whichever
        assert {name.split("-")[0] for name in found} == set(AXES) - {"gradient"}


@pytest.mark.parametrize(
    ("model", "wanted", "words"),
    [
        (GRID, "depth", "`--axis` must be of sphere, forces, gradient, envelope, blocks, lmax, grid, got 'depth'"),
        (GRID, "", "`--axis` must be of sphere, .*, got ''"),
        (GRID, "blocks,lmax=2", "a name and its values, blocks=1,2,4; got 'blocks,lmax=2'"),
        (GRID, "blocks=", "a name and its values, blocks=1,2,4; got 'blocks='"),
        (GRID, "blocks=2", "tiny.yaml: `--axis blocks=2` is what the config has; name other values"),
        (GRID, "blocks=many", "tiny.yaml, blocks-many: `model.n_blocks` must be a whole number, got 'many'"),
        (GRID, "blocks=99", "tiny.yaml, blocks-99: section `model`: `n_blocks` must be a whole number from 1 to 16, got 99"),
        (GRID, "forces=up", "tiny.yaml, forces-up: `model.forces` must be one of gradient, random or fixed, got 'up'"),
        (GRID, "sphere=cube", "tiny.yaml, sphere-cube: `model.sphere` must be one of harmonic, grid"),
        (GRID, "grid=8", "tiny.yaml: `--axis grid` takes values such as 8x6, got '8'"),
        (GRID, "blocks=[", r"tiny.yaml: `--axis blocks` takes values such as 1, got '\['"),
        (
            SETTINGS["model"],
            "forces",
            "tiny.yaml: `--axis forces` means nothing for `model.sphere: harmonic`, which has no `forces`; "
            "of this config are sphere, blocks, lmax",
        ),
        ({**GRID, "forces": "fixed"}, "gradient", "tiny.yaml: `--axis gradient` means nothing for `model.forces: fixed`; of this config"),
    ],
)
def test_what_cannot_be_varied_is_refused(model, wanted, words):
    with pytest.raises(ConfigError, match=words):
        variants(config_of(model=model), "tiny.yaml", [wanted])


# The command


def test_an_ablation_judges_every_variant_on_the_held_out_frames(tmp_path, finished):
    for name in ("train.xyz", "test.xyz"):
        shutil.copy(finished / name, tmp_path)
    result = command(tmp_path, "--axis", "forces", "--seeds", "2", "--set", "seed=3", "--set", "max_epochs=1")
    assert result.exit_code == 0, result.output
    assert result.output.count("train.xyz: 24 frames") == 1  # read once
    rows = lines(tmp_path)
    assert list(rows[0]) == list(Run._fields)
    assert [(row["variant"], row["seed"]) for row in rows] == [(name, seed) for name in ("base", "forces-random") for seed in "34"]
    assert [row["conservative"] for row in rows] == ["yes", "yes", "no", "no"]
    frames = read_frames(tmp_path / "test.xyz").frames
    for row in rows:
        folder = tmp_path / "out" / row["variant"] / f"seed{row['seed']}"
        model, metadata = load_checkpoint(folder / "best.ckpt")
        expected = {figure.quantity: figure.value for figure in figures_of(evaluate_frames(model, metadata["config"], frames))}
        assert float(row["energy_mae"]) == pytest.approx(1000 * expected["energy MAE"], rel=1e-5)
        assert float(row["forces_mae"]) == pytest.approx(1000 * expected["force MAE"], rel=1e-5)
        assert float(row["force_cosine"]) == pytest.approx(expected["force cosine"], rel=1e-5)
        assert float(row["forces_rmse"]) == pytest.approx(rmse_of(folder), rel=1e-5)
        assert int(row["parameters"]) == sum(parameter.numel() for parameter in model.parameters())
        assert (int(row["steps"]), float(row["step_ms"]) > float(row["evaluation_ms"]) > 0) == (5, True)
    shown = [line.split("│")[1:-1] for line in result.output.splitlines() if re.match("│ (base|forces-)", line)]
    assert [cells[0].strip() for cells in shown] == ["base", "forces-random"]
    assert "±" in shown[0][1 + list(COLUMNS).index("forces_mae")]
    assert "ablation.csv" in result.output
    width, height = struct.unpack(">II", (tmp_path / "out" / "ablation.png").read_bytes()[16:24])
    assert width > 2 * height


def rmse_of(folder: Path) -> float:
    return next(figure["rmse"] for figure in json.loads((folder / "test.json").read_text()) if figure["quantity"] == "forces")


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.glob("*/seed*/*.ckpt")}


def test_a_resumed_ablation_does_not_train_again(copied):
    before = contents(copied / "out")
    assert len(before) == 2 * 2
    result = command(copied, "--axis", "blocks=1")
    assert result.exit_code == 1
    assert "base/seed0: holds a training already; continue with --resume or choose another --output" in result.output
    result = command(copied, "--axis", "blocks=1,3", "--resume")  # one more
    assert result.exit_code == 0, result.output
    assert result.output.count("has ended already") == 2
    assert [row["variant"] for row in lines(copied)] == ["base", "blocks-1", "blocks-3"]
    after = contents(copied / "out")
    assert {path: after[path] for path in before} == before
    assert len(after) == 3 * 2


def test_an_interrupted_ablation_goes_on_from_its_checkpoint(finished, tmp_path, monkeypatch):
    arguments = config_of(), Source("tiny.yaml", finished), tmp_path / "parts", ["blocks=1"]
    with power_cut(10 + 2 + 7, monkeypatch):  # 5 steps and a validation an epoch: in the second epoch of the second training
        fit_ablation(*arguments, console=Console(file=io.StringIO()))
    assert not (tmp_path / "parts" / "blocks-1" / "seed0" / "result.json").exists()
    printed = Console(file=io.StringIO(), width=1000)
    runs = fit_ablation(*arguments, resume=True, console=printed)
    assert "base/seed0 has ended already" in printed.file.getvalue()
    assert [run.steps for run in runs] == [10, 10]
    for name in ("base", "blocks-1"):
        whole, parts = (read_checkpoint(folder / name / "seed0" / "last.ckpt") for folder in (finished / "out", tmp_path / "parts"))
        assert same(whole["spinconv"]["weights"], parts["spinconv"]["weights"])


@pytest.mark.parametrize(
    ("change", "key"), [("model.channels=16", "model.channels"), ("max_epochs=3", "max_epochs"), ("loss.energy_weight=1.0", "loss.energy")]
)
def test_an_ablation_of_another_config_is_not_continued(copied, change, key):
    result = command(copied, "--axis", "blocks=1", "--set", change, "--resume")
    assert result.exit_code == 1
    assert f"base/seed0/config.yaml: `{key}" in result.output
    assert "was another one when this ablation began; put it back, or choose another --output" in result.output


def test_an_ablation_on_other_frames_is_not_continued(copied, clusters):
    ase.io.write(copied / "train.xyz", clusters[:20])
    result = command(copied, "--axis", "blocks=1", "--resume")
    assert result.exit_code == 1
    assert "base/seed0/last.ckpt: was trained on other frames than these" in result.output


def test_what_no_ablation_can_be_made_of_is_refused(tmp_path):
    for arguments, words in (
        (["--resume"], "out: has no base/seed*/last.ckpt to resume from; start without --resume"),
        (["--set", "devices=2"], "tiny.yaml: `spinconv ablate` trains with `devices: 1`, got 2"),
        (["--axis", "depth"], "`--axis` must be of sphere, "),
    ):
        result = command(tmp_path, *arguments)
        assert result.exit_code == 1
        assert words in result.output
    assert not (tmp_path / "out").exists()
    app = Typer()
    app.command()(ablate)
    result = CliRunner().invoke(app, [str(tmp_path / "none.yaml")])
    assert result.exit_code == 1
    assert "none.yaml: there is no such file" in result.output


def test_commands_of_the_docs_run_with_trainings_of_one_step(tmp_path, monkeypatch):
    commands = re.findall(r"^    spinconv ablate (.*?)(?:  +#.*)?$", (ROOT / "docs" / "ablation.md").read_text(), re.MULTILINE)
    assert len(commands) > 2
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    app = Typer()
    app.command()(ablate)
    small = [f"model.{key}={value}" for key, value in GRID.items() if key != "sphere"]
    for words in commands:
        quick = [part for change in ("max_steps=1", "epoch_steps=1", *small) for part in ("--set", change)]
        fewer = words.replace("--seeds 2", "--seeds 1").replace(",gradient,envelope,blocks", "") + (
            "" if "--axis" in words else " --axis envelope"
        )
        result = CliRunner().invoke(app, [*fewer.split(), *quick])
        assert result.exit_code == 0, result.output
    assert (tmp_path / "runs" / "ablation-ablation" / "ablation.png").exists()


def test_the_docs_list_every_axis_with_its_values():
    text = (ROOT / "docs" / "ablation.md").read_text()
    for axis, row in AXES.items():
        assert f"| `{axis}` | {', '.join(row.values)} |" in text


# Times, table, picture


def test_a_call_that_takes_longer_has_the_longer_time(monkeypatch):
    monkeypatch.setattr(timing, "ROUNDS", 5)

    def spin(seconds: float):
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass

    short, long = in_turns([lambda: spin(0.002), lambda: spin(0.02)])
    assert short == pytest.approx(2, rel=0.5)
    assert long == pytest.approx(20, rel=0.2)


def test_a_timed_step_moves_a_copy_of_the_model(finished):
    frames = read_frames(finished / "test.xyz").frames
    model = load_checkpoint(finished / "out" / "base" / "seed0" / "best.ckpt").model
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    (times,) = times_of([(model, config_of())], frames, frames[0])
    assert times.step > times.evaluation
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def run_of(variant: str, seed: int = 0, **changes) -> Run:
    axis, _, value = variant.partition("-")
    plain = Run(variant, axis, value, seed, 1234, "yes", 10.0, 100.0, 140.0, 0.9, 50, 7.0, 30.0, 4.0)
    return plain._replace(**changes)


def test_a_table_has_the_means_over_seeds_and_half_of_their_range():
    runs = [run_of("base"), run_of("base", 1, forces_mae=110.0), run_of("blocks-1", conservative="no"), run_of("blocks-1", 1)]
    printed = Console(file=io.StringIO(), width=200)
    printed.print(ablation_table([run._replace(energy_mae=math.nan) for run in runs], "two"))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.file.getvalue().splitlines() if line.startswith("│")]
    assert rows[0] == ["base", "-", "105 ± 5", "140", "0.900", "1,234", "30.0", "4.00", "yes"]
    assert rows[1] == ["blocks-1", "-", "100", "140", "0.900", "1,234", "30.0", "4.00", "no"]
    assert "means of 2 seeds ± half of their range" in printed.file.getvalue()


@pytest.mark.parametrize("changes", [{}, {"forces_mae": math.nan, "forces_rmse": math.nan, "force_cosine": math.nan}])
def test_a_picture_can_be_drawn_with_forces_and_without(tmp_path, changes):
    runs = [run_of("base", **changes), *(run_of(f"blocks-{k}", step_ms=10.0 * k, energy_mae=9.0 * k, **changes) for k in range(1, 15))]
    draw_trade_off(tmp_path / "a.png", runs, "a title")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_frames_without_forces_are_judged_by_their_energies(tmp_path, clusters):
    for name, frames in (("train.xyz", clusters), ("test.xyz", clusters[:5])):
        plain = [ase.Atoms(atoms.symbols, atoms.positions, info={"energy": atoms.get_potential_energy()}) for atoms in frames]
        ase.io.write(tmp_path / name, plain)
    config = config_of(loss={"forces_weight": 0.0}, max_epochs=1)
    printed = Console(file=io.StringIO(), width=200)
    base, other = fit_ablation(config, Source("tiny.yaml", tmp_path), tmp_path / "out", ["sphere"], console=printed)
    assert math.isnan(base.forces_mae)
    assert other.energy_mae > 0
