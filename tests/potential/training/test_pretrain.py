"""Two trainings in one: the second begins with the weights of the first, and either can be stopped."""

import io
import json
import shutil

import ase.io
import pytest
import torch
import yaml
from rich.console import Console

from spinconv.potential.training.checkpoint import load_checkpoint
from spinconv.potential.training.config import ConfigError, read_config
from spinconv.potential.training.pretrain import fit_in_turn
from spinconv.potential.training.splits import Source
from spinconv.potential.training.trainer import fit

from .conftest import emt_frames, labelled
from .test_training import SETTINGS

PRETRAIN = {"train": "cheap.xyz", "max_steps": 10}


@pytest.fixture
def config(tmp_path, train_file):
    """A training on train.xyz after a pretraining on the same frames under another name."""
    shutil.copy(train_file, tmp_path / "cheap.xyz")
    text = yaml.safe_dump({**SETTINGS, "data": {"train": "train.xyz", "validation": 4}, "pretrain": PRETRAIN, "max_epochs": 2})
    (tmp_path / "tiny.yaml").write_text(text)
    return read_config(tmp_path / "tiny.yaml", [])


def run(config, folder, output, **more):
    said = io.StringIO()
    best = fit_in_turn(config, Source("tiny.yaml", folder), output, console=Console(file=said, width=200), **more)
    return best, said.getvalue()


def weights_of(path):
    return dict(load_checkpoint(path).model.named_parameters())


def assert_equal(one, other):
    assert all(torch.equal(a, b) for a, b in zip(weights_of(one).values(), weights_of(other).values(), strict=True))


def test_is_a_training_from_the_pretrained_weights(tmp_path, config):
    best, said = run(config, tmp_path, tmp_path / "out")
    assert said.index(f"pretraining: {tmp_path / 'out' / 'pretrain'}") < said.index(f"\ntraining: {tmp_path / 'out'}")
    changes = [f"start_from={tmp_path / 'out/pretrain/best.ckpt'}", "pretrain=null", "reference_energies=least_squares"]
    changed = read_config(tmp_path / "tiny.yaml", changes)
    alone = fit(changed, Source("tiny.yaml", tmp_path), tmp_path / "alone", console=Console(file=io.StringIO()))
    assert_equal(best, alone)
    assert json.loads((tmp_path / "out/pretrain/result.json").read_text())["steps"] == 10


def test_the_checkpoint_records_it(tmp_path, config):
    best, _ = run(config, tmp_path, tmp_path / "out")
    settings = load_checkpoint(best).metadata["training"]["settings"]
    assert settings["pretrain"]["train"] == "cheap.xyz"
    assert settings["pretrain"]["max_steps"] == 10
    assert settings["start_from"] == "best.ckpt"


def test_what_was_pretrained_does_not_count_as_seen(tmp_path, config):
    """The training forgets it: the network is held at the distances of the training's own frames, and engines warn beyond these."""
    import ase.io
    from ase.calculators.singlepoint import SinglePointCalculator

    frames = ase.io.read(tmp_path / "cheap.xyz", ":")
    for atoms in frames:
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.positions *= 0.8
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    ase.io.write(tmp_path / "cheap.xyz", frames)
    best, _ = run(config, tmp_path, tmp_path / "out")
    first, second = (load_checkpoint(path) for path in (tmp_path / "out/pretrain/best.ckpt", best))
    assert (second.model.distance.inner > 1.1 * first.model.distance.inner).all()
    shortest = second.metadata["coverage"]["shortest_distances"]
    assert min(shortest.values()) > 1.1 * min(first.metadata["coverage"]["shortest_distances"].values())


def test_reference_energies_are_those_of_the_second_method(tmp_path, config):
    """Frames of the cheap method lie elsewhere by thousands of eV: the model says the energies of the expensive one."""
    import ase.io
    from ase.calculators.singlepoint import SinglePointCalculator

    frames = ase.io.read(tmp_path / "cheap.xyz", ":")
    for atoms in frames:
        energy, forces = atoms.get_potential_energy() - 1000.0 * len(atoms), atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    ase.io.write(tmp_path / "cheap.xyz", frames)
    best, _ = run(config, tmp_path, tmp_path / "out")
    before, after = (load_checkpoint(path).model.reference_energies for path in (tmp_path / "out/pretrain/best.ckpt", best))
    assert all(later - earlier > 900 for earlier, later in zip(before, after, strict=True))


@pytest.mark.parametrize("stopped", ["pretrain", "between", "training"])
def test_goes_on_where_it_was_stopped(tmp_path, config, stopped):
    whole, _ = run(config, tmp_path, tmp_path / "whole")
    part = tmp_path / "part"
    first = config.model_copy(update={"pretrain": config.pretrain.model_copy(update={"max_steps": 5})})
    if stopped == "training":
        run(config.model_copy(update={"max_epochs": 1}), tmp_path, part)
    else:
        run(first if stopped == "pretrain" else config, tmp_path, part)
        for left in part.iterdir():
            if left.is_file():
                left.unlink()
    best, said = run(config, tmp_path, part, resume=True)
    assert ("pretraining:" in said) is (stopped == "pretrain")
    if stopped == "between":
        assert_equal(best, whole)
    assert load_checkpoint(best).metadata["training"]["epoch"] <= 2
    assert json.loads((part / "pretrain/result.json").read_text())["steps"] == 10


def test_is_not_begun_twice_nor_resumed_from_nothing(tmp_path, config):
    run(config, tmp_path, tmp_path / "out")
    with pytest.raises(ConfigError, match="holds a training already"):
        run(config, tmp_path, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"has no last\.ckpt to resume from"):
        run(config, tmp_path, tmp_path / "new", resume=True)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["start_from=a.ckpt"], "takes `pretrain` or `start_from`, not both"),
        (["pretrain.max_time=2m"], "`pretrain` needs `max_steps` or `max_time`, one of them"),
        (["pretrain.max_steps=null"], "`pretrain` needs `max_steps` or `max_time`, one of them"),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path, config, changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        read_config(tmp_path / "tiny.yaml", changes)


def test_extra_frames_are_trained_on_beside_and_none_is_set_aside(tmp_path, train_file):
    """In eV and Å under ASE's names, whatever those of `data.train` are; they count as seen, and a resumption wants the same ones."""
    frames = ase.io.read(train_file, ":")
    for atoms in frames:
        results = {"REF_energy": atoms.get_potential_energy()}
        atoms.arrays["REF_forces"] = atoms.get_forces()
        atoms.calc = None
        atoms.info |= results
    ase.io.write(train_file, frames)
    ase.io.write(tmp_path / "extra.xyz", [squeezed(atoms) for atoms in emt_frames(30, seed=5)])
    data = {"train": "train.xyz", "validation": 4, "energy_key": "REF_energy", "forces_key": "REF_forces"}
    plain, source = {**SETTINGS, "data": data, "max_epochs": 2}, Source("tiny.yaml", tmp_path)
    best = {}
    for name, more in (("plain", {}), ("extra", {"extra": "extra.xyz", "extra_share": 0.5})):
        (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({**plain, "data": {**data, **more}}))
        config, said = read_config(tmp_path / "tiny.yaml"), io.StringIO()
        best[name] = load_checkpoint(fit(config, source, tmp_path / name, console=Console(file=said, width=200)))
    assert "20 training and 30 extra, 4 validation, 0 test frames" in said.getvalue()
    assert (
        json.loads((tmp_path / "extra/result.json").read_text())["steps"]
        == 2 * json.loads((tmp_path / "plain/result.json").read_text())["steps"]
    )
    one, other = (best[name].metadata["training"]["data"] for name in ("plain", "extra"))
    assert one["validation_sha256"] == other["validation_sha256"]
    assert other["n_extra"] == 30
    shortest = [min(best[name].metadata["coverage"]["shortest_distances"].values()) for name in ("extra", "plain")]
    assert shortest[0] < shortest[1]
    ase.io.write(tmp_path / "extra.xyz", [squeezed(atoms) for atoms in emt_frames(30, seed=6)])
    with pytest.raises(ConfigError, match="was trained on other frames than these"):
        fit(config, source, tmp_path / "extra", resume=True, console=Console(file=said))


def squeezed(atoms):
    """A cluster with its own energy and forces, a fifth smaller."""
    smaller = atoms.copy()
    smaller.positions *= 0.8
    return labelled(smaller)


def test_several_devices_are_refused(tmp_path, config):
    with pytest.raises(ConfigError, match="`pretrain` trains with `devices: 1`, got 2"):
        run(config.model_copy(update={"devices": 2}), tmp_path, tmp_path / "out")
