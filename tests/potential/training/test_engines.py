"""What trains in the place of torch trains the same, and says so."""

from pathlib import Path
from typing import Any

import ase
import ase.io
import pytest
import torch

from spinconv.potential.training.config import Config, ConfigError
from spinconv.potential.training.engine import on_cpu

from .conftest import labelled
from .test_training import records, run


def native(folder: Path, output: str, **changes: Any) -> str:
    """A training by the native engine, where there is one."""
    try:
        return run(folder, output, engine="native", **changes)
    except ConfigError as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("periodic", [False, True])
def test_both_engines_have_the_same_losses_for_a_hundred_steps(periodic: bool, clusters: list[ase.Atoms], tmp_path: Path) -> None:
    """With forces, energies, stress and a frame without forces; SOAP's bases turn ten times."""
    loss = {"type": "mse", "stress_weight": 10.0} if periodic else {"type": "huber"}
    frames = clusters
    if periodic:
        frames = [labelled(ase.Atoms(a.symbols, a.positions, cell=[5.0, 5.2, 5.4], pbc=True)) for a in clusters]
    ase.io.write(tmp_path / "train.xyz", frames)
    budget = {"max_epochs": None, "max_steps": 100, "epoch_steps": 10, "loss": loss}
    said = native(tmp_path, "native", **budget), run(tmp_path, "torch", engine="torch", **budget)
    assert "native engine (x86-64-v" in said[0]
    assert "torch engine" in said[1]
    for ours, theirs in zip(records(tmp_path / "native"), records(tmp_path / "torch"), strict=True):
        for name in ("train_loss", "validation_loss", "forces_mae_mev_per_angstrom"):
            assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-4)


def test_a_resumed_training_may_go_on_with_the_other_engine(train_file: Path, tmp_path: Path) -> None:
    native(tmp_path, "run", max_epochs=2)
    run(tmp_path, "run", resume=True, engine="torch")
    assert [row["epoch"] for row in records(tmp_path / "run")] == ["1", "2", "3", "4"]


def test_the_engine_is_native_where_it_can_be(train_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native(tmp_path, "asked", max_epochs=1)
    assert "native engine" in run(tmp_path, "default", max_epochs=1)
    grid = {"sphere": "grid", "cutoff": 4.0, "hidden_channels": 8}
    with pytest.raises(ConfigError, match=r"tiny.yaml: `engine: native` cannot be had: models of kind `grid` are trained by torch; use"):
        run(tmp_path, "grid", engine="native", model=grid, max_epochs=1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    config = Config.model_validate({"data": {"train": "train.xyz"}, "max_epochs": 1})
    assert not on_cpu(config)
    assert on_cpu(config.model_copy(update={"accelerator": "cpu"}))
