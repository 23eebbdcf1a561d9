"""Published checkpoints: what OCP's trainer wrote becomes a checkpoint of spinconv, or is refused in words."""

import copy
import datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from grid_models import REFERENCE, grid_model, needs_reference
from structures import ethanol
from typer import Typer
from typer.testing import CliRunner, Result

from spinconv.export import SpinConvCalculator
from spinconv.export.writer import export_model
from spinconv.potential import build_graph, energy_and_forces
from spinconv.potential.grid import GridSpinConv
from spinconv.potential.grid.published import CENTERS, latitude_factors, original_name, published_model
from spinconv.potential.training.checkpoint import load_checkpoint
from spinconv.potential.training.import_ocp import import_ocp
from spinconv.potential.training.ocp_checkpoint import import_model

N = 12
"""Rows of the original's tables of elements."""
ARGUMENTS = {
    "hidden_channels": 16,
    "mid_hidden_channels": 32,
    "num_interactions": 2,
    "num_basis_functions": 24,
    "sphere_size_lat": 8,
    "sphere_size_long": 6,
    "max_num_neighbors": 8,
    "max_num_elements": N,
    "cutoff": 4.0,
    "force_estimator": "grad",
    "regress_forces": True,
    "use_pbc": True,
    "otf_graph": True,
}


def original_state(**fields: Any) -> dict[str, torch.Tensor]:
    """Weights by the original's names, for `ARGUMENTS` and fields of ours."""
    model = grid_model(**{"frame_offset": 1e-4, **fields})
    generator = torch.Generator().manual_seed(2)
    state = {}
    for name, parameter in model.named_parameters():
        shape = list(parameter.shape)
        if name.endswith((".sender.weight", ".receiver.weight")):
            shape[0] = N
        if name.startswith(("distance.scale", "distance.offset")):
            shape[0] = N * N
        state[original_name(name, model.config)] = torch.randn(shape, generator=generator) * float(parameter.detach().abs().mean())
    state[CENTERS] = state["distance_expansion_forces.offset"] = torch.linspace(0, 4.0, 24)
    if model.config.has_harmonics:
        for block in range(2):
            state[f"message_blocks.{block}.spinconvblock.sph_froms2grid.shb"] = latitude_factors(model.config).float()
            state[f"message_blocks.{block}.spinconvblock.sph_froms2grid.alphas"] = torch.zeros(6)
    return state


def content(arguments: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """What the trainer of OCP writes."""
    return {
        "epoch": 3.7,
        "step": 560000,
        "state_dict": {f"module.module.{name}": value for name, value in original_state(**fields).items()},
        "normalizers": {
            "target": {"mean": torch.tensor(-0.75), "std": torch.tensor(2.5)},
            "grad_target": {"mean": torch.tensor(0.0), "std": torch.tensor(2.5)},
        },
        "config": {"model": "spinconv", "model_attributes": {**ARGUMENTS, **(arguments or {})}, "optim": {"batch_size": 3}},
        "val_metrics": {},
        "ema": None,
        "amp": None,
    }


def saved(path: Path, what: Any) -> Path:
    torch.save(what, path)
    return path


def run(*arguments: object) -> Result:
    app = Typer()
    app.command()(import_ocp)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def in_one_line(result: Result) -> str:
    return " ".join(result.output.split())


FLAGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "energy-centric": ({}, {}),
    "force-centric": ({"force_estimator": "random"}, {"forces": "fixed"}),
    "plain distances": ({"scale_distances": False}, {"scale_distances": False}),
    "harmonics": (
        {"sphere_message": "rotspharmwd", "output_message": "rotspharmwd", "lmax": 3},
        {"convolution": "harmonics", "lmax": 3},
    ),
    "harmonics of the head": (
        {"force_estimator": "random", "output_message": "rotspharmwd", "lmax": 2},
        {"forces": "fixed", "force_convolution": "harmonics", "lmax": 2},
    ),
    "energy alone": ({"force_estimator": "random", "regress_forces": False}, {"forces": "fixed"}),
}


@pytest.mark.parametrize("name", FLAGS)
def test_the_command_writes_a_checkpoint_with_the_numbers_of_the_original(tmp_path: Path, name: str) -> None:
    arguments, fields = FLAGS[name]
    written = content(arguments, **fields)
    result = run(saved(tmp_path / "ocp.pt", written), "-o", tmp_path / "spinconv.ckpt")
    assert result.exit_code == 0, result.output
    for key in written["state_dict"]:
        assert key.removeprefix("module.module.") in result.output
    loaded = load_checkpoint(tmp_path / "spinconv.ckpt")
    assert loaded.metadata["training"]["imported"] == {"from": "ocp.pt", "program": "OCP", "epoch": 3.7, "step": 560000, "averaged": False}
    expected = published_model({**ARGUMENTS, **arguments}, original_state(**fields)).model  # in the original's units
    graph = build_graph(ethanol(), 4.0)
    ours, theirs = energy_and_forces(loaded.model, graph), energy_and_forces(expected, graph)
    torch.testing.assert_close(ours.energies.detach(), 2.5 * theirs.energies.detach() - 0.75, rtol=1e-6, atol=0)
    torch.testing.assert_close(ours.forces, 2.5 * theirs.forces, rtol=1e-4, atol=1e-5 * float(theirs.forces.abs().max()))


def test_an_imported_model_exports_and_runs_in_ase(tmp_path: Path) -> None:
    saved(tmp_path / "ocp.pt", content({"force_estimator": "random"}, forces="fixed"))
    assert run(tmp_path / "ocp.pt", "-o", tmp_path / "spinconv.ckpt", "--elements", "O,C,H").exit_code == 0
    model, metadata = load_checkpoint(tmp_path / "spinconv.ckpt")
    assert metadata["config"]["elements"] == [1, 6, 8]
    export_model(model, tmp_path / "model.pt", dtype="float32")
    atoms = ethanol()
    atoms.calc = SpinConvCalculator(tmp_path / "model.pt")
    expected = energy_and_forces(model, build_graph(atoms, 4.0))
    assert atoms.get_potential_energy() == pytest.approx(float(expected.energies.detach()), rel=1e-6)
    assert atoms.get_forces() == pytest.approx(expected.forces.numpy(), abs=1e-5 * float(expected.forces.abs().max()))


def test_elements_that_are_left_out_do_not_change_the_others() -> None:
    state, graph = original_state(), build_graph(ethanol(), 4.0)
    energies = [published_model(ARGUMENTS, state, elements=elements).model.energies(*graph[:3]) for elements in (None, (1, 6, 8))]
    torch.testing.assert_close(energies[0], energies[1], rtol=1e-6, atol=1e-6)


def test_running_averages_are_what_the_original_predicts_by(tmp_path: Path) -> None:
    plain, averaged = content(), content()
    names = [name for name in plain["state_dict"] if not name.endswith("offset") or "dist_offset" in name]
    averaged["ema"] = {"decay": 0.999, "num_updates": 5, "shadow_params": [plain["state_dict"][name] for name in names]}
    for name in names:
        averaged["state_dict"][name] = torch.zeros_like(averaged["state_dict"][name])
    models = [import_model(saved(tmp_path / "ocp.pt", written))[0].model for written in (plain, averaged)]
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(one, other)
    averaged["ema"]["shadow_params"].pop()
    with pytest.raises(ValueError, match=r"must have a running average of each of its \d+ weights in `ema.shadow_params`"):
        import_model(saved(tmp_path / "ocp.pt", averaged))


def test_what_the_original_did_otherwise_is_said(tmp_path: Path) -> None:
    written = content({"use_pbc": False, "otf_graph": False})
    written["normalizers"]["grad_target"]["std"] = torch.tensor(5.0)
    said = in_one_line(run(saved(tmp_path / "ocp.pt", written), "-o", tmp_path / "spinconv.ckpt"))
    assert "`use_pbc` was off: the original saw no periodic images" in said
    assert "`otf_graph` was off" in said
    assert "the original multiplied the gradient by 2 (its normalisers differ)" in said


def test_layouts_of_other_versions_are_read(tmp_path: Path) -> None:
    """One section for the model, one wrapper or none around it, no normalisers, other names of the same argument."""
    written = content()
    attributes = written["config"].pop("model_attributes")
    attributes["regress_forces_as_grad"] = attributes.pop("regress_forces")
    written["config"]["model"] = {"name": "spinconv", **attributes, "show_timing_info": False, "num_targets": 1}
    written["state_dict"] = {name.removeprefix("module."): value for name, value in written["state_dict"].items()}
    del written["normalizers"], written["ema"]
    published, found = import_model(saved(tmp_path / "ocp.pt", written))
    assert found.units == (1.0, 0.0, 1.0)
    assert isinstance(published.model, GridSpinConv)


def without(key: str) -> Any:
    return lambda written: written["state_dict"].pop(f"module.module.{key}")


def put(path: str, value: Any) -> Any:
    def change(written: dict[str, Any]) -> None:
        *sections, key = path.split("/")
        for section in sections:
            written = written[section]
        written[key] = value

    return change


STATE, ATTRIBUTES = "state_dict/module.module.", "config/model_attributes/"
REFUSED = {
    "a key is missing": (without("distfc1.bias"), "lacks `distfc1.bias`, which the published SpinConv with this config has"),
    "no centres": (without(CENTERS), f"lacks `{CENTERS}`"),
    "an unknown key": (put(STATE + "extra.weight", torch.ones(1)), "has `extra.weight`, which is no weight of the published SpinConv"),
    "another shape": (
        put(STATE + "distfc1.bias", torch.ones(31)),
        r"`distfc1.bias` must be real numbers of the shape \(32,\) .* got \(31,\)",
    ),
    "fewer elements": (
        put(STATE + "energyembeddingblock.source_embedding.weight", torch.ones(5, 32)),
        r"must be real numbers of the shape \(12, 32\) by its config, got \(5, 32\)",
    ),
    "not a number": (put(STATE + "distfc1.bias", torch.full((32,), torch.nan)), "`distfc1.bias` must be finite numbers"),
    "not a tensor": (put(STATE + "distfc1.bias", [1.0]), "must have a tensor as `distfc1.bias` in `state_dict`, has list"),
    "other centres": (put(STATE + CENTERS, torch.linspace(0, 5.0, 24)), f"`{CENTERS}` must follow from the config"),
    "another grid": (
        put(ATTRIBUTES + "sphere_size_long", 12),
        "`message_blocks.0.spinconvblock.conv1.weight` must be real numbers of the shape",
    ),
    "another model": (put("config/model", "schnet"), "holds a model `'schnet'`, only `spinconv` can be imported"),
    "another model's arguments": (put(ATTRIBUTES + "num_filters", 3), "has `num_filters`, which is no argument of the published SpinConv"),
    "a sphere that was not there": (put(ATTRIBUTES + "sphere_message", "spharm"), "`sphere_message` must be one of fullconv, rotspharmwd"),
    "a head that was not there": (put(ATTRIBUTES + "force_estimator", "rot"), "`force_estimator` must be one of random, grad"),
    "a network of a size that is not there": (
        put(ATTRIBUTES + "mid_hidden_channels", 4096),
        r"has \d+ numbers in its weights, its config wants",
    ),
    "an argument of no sense": (put(ATTRIBUTES + "sphere_message", ["fullconv"]), "`sphere_message` must be one of"),
    "a degree of no sense": (put(ATTRIBUTES + "lmax", "three"), "`lmax` must be a whole number from 0 to 12, got 'three'"),
    "no config": (lambda written: written.pop("config"), "must be a checkpoint of the trainer of OCP, with `state_dict` and `config`"),
    "no weights": (put("state_dict", {}), "must have tensors by name in `state_dict`"),
    "no scale": (put("normalizers/target/std", torch.tensor(0.0)), "must have a finite mean and a positive std in `normalizers.target`"),
    "half a normaliser": (put("normalizers/target", {}), "must have numbers `mean` and `std` in `normalizers.target`"),
    "a mean force": (put("normalizers/grad_target/mean", torch.tensor(0.1)), "must have a `normalizers.grad_target.mean` of 0"),
    "something to execute": (put("date", datetime.timezone.utc), "of numbers, texts and tensors alone; torch cannot read it as one"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_published_spinconv_is_refused_in_words(tmp_path: Path, name: str) -> None:
    change, words = REFUSED[name]
    written = copy.deepcopy(CONTENT)
    change(written)
    with pytest.raises(ValueError, match="(?s)`.*ocp.pt` .*" + words):
        import_model(saved(tmp_path / "ocp.pt", written))


CONTENT = content()


def test_other_files_are_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("no archive")
    for path, words in [("text.pt", "is no zip archive"), ("none.pt", "there is no such checkpoint"), ("", "is a folder")]:
        result = run(tmp_path / path, "-o", tmp_path / "none.ckpt")
        assert result.exit_code == 1
        assert words in in_one_line(result)
        assert not (tmp_path / "none.ckpt").exists()


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--elements", "H,Xx", "`--elements` must be symbols of elements between commas, got 'Xx'"),
        ("--elements", "H,Cu", "`elements` must be among those of the model, 1 to 11, got 29"),
        ("--forces", "fixed", "`forces` of this model must be gradient, got 'fixed'"),
        ("--gradient", "cut", "`gradient` must be one of intact, published, got 'cut'"),
    ],
)
def test_options_out_of_range_are_refused_in_words(tmp_path: Path, option: str, value: str, words: str) -> None:
    result = run(saved(tmp_path / "ocp.pt", CONTENT), "-o", tmp_path / "none.ckpt", option, value)
    assert result.exit_code == 1
    assert words in in_one_line(result)


def test_published_cap_and_units_are_in_the_model(tmp_path: Path) -> None:
    model = import_model(saved(tmp_path / "ocp.pt", CONTENT))[0].model
    assert (model.config.max_neighbors, model.average_neighbors) == (8, 5.0)  # half of it, and 1
    assert (model.scale, model.config.energy_offset, model.config.force_scale) == (2.5, -0.75, 1.0)
    assert (model.config.gradient, model.config.envelope, model.config.frame_offset) == ("published", False, 1e-4)


@needs_reference
def test_the_checkpoint_beside_the_repository_is_imported(tmp_path: Path) -> None:
    assert REFERENCE is not None
    result = run(REFERENCE / "ocp_trainer_checkpoint.pt", "-o", tmp_path / "spinconv.ckpt")
    assert result.exit_code == 0, result.output
    assert "138 tensors, none left over and none missing" in result.output
    model, metadata = load_checkpoint(tmp_path / "spinconv.ckpt")
    state = torch.load(REFERENCE / "ocp_trainer_checkpoint.pt", weights_only=True)["state_dict"]
    assert torch.equal(model.get_parameter("force.to_force.middle.weight"), state["module.module.force_output_block.block2.fc2.weight"])
    assert metadata["config"]["n_longitude"] == 12
    assert not metadata["conservative"]
