"""A kind of model is a folder and a row of the table: one of this test's own (tiny_kind) does all that the others do."""

import io
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch
import yaml
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator
from ase.optimize import BFGS
from rich.console import Console
from tiny_kind import TINY
from typer.testing import CliRunner

from spinconv.export import SpinConvCalculator, read_model
from spinconv.export.bind import bind_model
from spinconv.export.check import TOLERANCES, compare
from spinconv.export.cli import app
from spinconv.export.engines import asked_by_name, installed_engines
from spinconv.export.extrapolation import allow_extrapolation
from spinconv.potential.kinds import KINDS
from spinconv.potential.training.checkpoint import load_checkpoint
from spinconv.potential.training.config import ConfigError, check_config, config_keys, model_config, read_config
from spinconv.potential.training.splits import Source
from spinconv.potential.training.trainer import fit

SAYS = ["gradient", "direct"]
SETTINGS = {
    "data": {"train": "train.xyz", "validation": 3},
    "loss": {"energy_weight": 1.0, "forces_weight": 1.0},
    "max_epochs": 2,
    "batch_size": 3,
    "accelerator": "cpu",
    "threads": 1,
}


def frames() -> list[ase.Atoms]:
    """Chains of hydrogen and oxygen, as springs pull them."""
    rng, found = np.random.default_rng(0), []
    for _ in range(12):
        atoms = ase.Atoms("HOHO", np.arange(4)[:, None] * [1.1, 0.3, 0.0] + rng.normal(scale=0.05, size=(4, 3)))
        energy, forces = rng.normal(scale=0.1), rng.normal(size=(4, 3))
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces - forces.mean(0))
        found.append(atoms)
    return found


@pytest.fixture(autouse=True)
def row(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that has to be done for a new kind."""
    monkeypatch.setitem(KINDS, TINY.name, TINY)


@pytest.fixture(scope="module", params=SAYS)
def says(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def file(says: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the kind, trained and exported."""
    folder = tmp_path_factory.mktemp(says)
    ase.io.write(folder / "train.xyz", frames())
    (folder / "c.yaml").write_text(yaml.safe_dump({**SETTINGS, "model": {"sphere": "tiny", "width": 4, "says": says}}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KINDS, TINY.name, TINY)
        best = fit(read_config(folder / "c.yaml"), Source("c.yaml", folder), folder / "run", console=Console(file=io.StringIO()))
        done = CliRunner().invoke(app, ["export", str(best), "-o", str(folder / "model.pt"), "--dtype", "float64"])
    assert done.exit_code == 0, done.output
    return folder / "model.pt"


def test_a_checkpoint_has_the_model_that_was_trained(file: Path, says: str) -> None:
    model, metadata = load_checkpoint(file.parent / "run" / "best.ckpt")
    assert (type(model).__name__, metadata["kind"], metadata["conservative"]) == ("Tiny", "tiny", says == "gradient")
    assert metadata["config"] == {"elements": [1, 8], "cutoff": 4.0, "width": 4, "says": says}
    torch.manual_seed(0)  # of the training
    first = TINY.model_class(model.config, [0.0, 0.0])
    assert not torch.equal(next(iter(first.parameters())), next(iter(model.parameters())))


def test_a_file_says_what_its_forces_are(file: Path, says: str) -> None:
    metadata = read_model(file).metadata
    assert (metadata["kind"], metadata["forces"], metadata["conservative"]) == ("tiny", says, says == "gradient")
    assert metadata["settings"] == {"sharpness": 0.2}
    words = " ".join(CliRunner().invoke(app, ["info", str(file)]).output.split())
    assert f"width 4, says {says}" in words
    assert ("DIRECT: said by the model" in words) == (says == "direct")


def test_eager_scripted_and_loaded_agree(file: Path) -> None:
    rows = compare(file, engines={})
    assert {row.engine for row in rows if not row.unavailable} >= {"eager", "scripted", "forward"}
    assert {row.engine for row in rows if row.unavailable} >= {"native"}
    assert all(row.unavailable or TOLERANCES["float64"].holds_for(row) for row in rows)


def test_engines_agree_or_say_why_they_cannot_run_it(file: Path) -> None:
    """Those of the C++ tests' build have the kind compiled in (export/CMakeLists.txt)."""
    for name, evaluate in installed_engines().items():
        rows = compare(file, engines={name: evaluate})
        assert all(row.unavailable or TOLERANCES["float64"].holds_for(row) for row in rows), rows


def test_forces_are_the_gradient_or_those_of_the_model(file: Path, says: str) -> None:
    atoms, step = frames()[0], 1e-4
    atoms.calc = SpinConvCalculator(file)
    forces = atoms.get_forces()
    energies = []
    for sign in (-1, 1):
        atoms.positions[1, 0] += sign * step
        energies.append(atoms.get_potential_energy())
        atoms.positions[1, 0] -= sign * step
    slope = (energies[1] - energies[0]) / (2 * step)
    assert (abs(forces[1, 0] + slope) < 1e-6) == (says == "gradient")
    assert abs(forces[1, 0]) > 1e-4


def test_direct_forces_relax_and_have_no_stress(file: Path, says: str) -> None:
    atoms = frames()[0]
    atoms.calc = SpinConvCalculator(file)
    assert atoms.calc.direct_forces == (says == "direct")
    assert ("stress" in atoms.calc.implemented_properties) == (says == "gradient")
    before = np.abs(atoms.get_forces()).max()
    with allow_extrapolation():
        BFGS(atoms, logfile=None).run(fmax=0.5 * before, steps=30)
    assert np.abs(atoms.get_forces()).max() < before
    if says == "direct":
        with pytest.raises(PropertyNotImplementedError, match=r"the forces of .*model.pt are direct, which know of none; relax in a fixed"):
            atoms.get_stress()


def test_dynamics_take_direct_forces_from_those_who_ask_only(file: Path, says: str, tmp_path: Path) -> None:
    assert asked_by_name(str(file)) == {"nonconservative": False, "direct_forces": says == "direct"}
    if says == "direct":
        with pytest.raises(
            ValueError, match=r"the forces of `.*model.pt` are direct, no gradient of any energy: .*; relax with them in ASE"
        ):
            bind_model(file, tmp_path / "bound.pt", [1, 8])
    else:
        bind_model(file, tmp_path / "bound.pt", [1, 8])


def test_the_stress_of_a_model_without_one_is_not_trained() -> None:
    for says in SAYS:
        config = check_config({**SETTINGS, "model": {"sphere": "tiny", "says": says}, "loss": {"stress_weight": 0.1}}, "c.yaml")
        if says == "gradient":
            assert model_config(config, [1, 8], "c.yaml") == TINY.config_class.from_dict({"elements": [1, 8]})
        else:
            with pytest.raises(
                ConfigError, match=r"c.yaml: `loss.stress_weight` must be 0 for a model with direct forces, which has no stress, got 0.1"
            ):
                model_config(config, [1, 8], "c.yaml")


def test_the_section_model_has_the_fields_of_its_kind() -> None:
    with pytest.raises(ConfigError, match=r"c.yaml: `model.sphere` must be one of harmonic, grid, tiny, the kinds of models, got 'cube'"):
        check_config({**SETTINGS, "model": {"sphere": "cube"}}, "c.yaml")
    with pytest.raises(ConfigError, match=r"c.yaml: `model.lmax` is not a known key"):
        check_config({**SETTINGS, "model": {"sphere": "tiny", "lmax": 3}}, "c.yaml")
    with pytest.raises(ConfigError, match=r"c.yaml: `model.says` must be one of gradient or direct, got 'nothing'"):
        check_config({**SETTINGS, "model": {"sphere": "tiny", "says": "nothing"}}, "c.yaml")


def test_the_keys_of_every_kind_are_listed() -> None:
    listed = {(key, sentence) for key, _, _, sentence in config_keys()}
    assert ("model.width", "tiny: Functions of the distance.") in listed
    assert ("model.lmax", "harmonic: Highest degree of the spherical harmonics.") in listed
