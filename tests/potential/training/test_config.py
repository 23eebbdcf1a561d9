from pathlib import Path

import pytest
import yaml

from spinconv.potential import ModelConfig
from spinconv.potential.threads import MOST_THREADS
from spinconv.potential.training.config import ConfigError, config_keys, model_config, read_config

GOOD = {"data": {"train": "train.xyz"}, "max_epochs": 3}


def written(tmp_path, text) -> str:
    path = tmp_path / "ethanol.yaml"
    path.write_text(text if isinstance(text, str) else yaml.safe_dump(text))
    return path


def test_the_shortest_config_is_data_and_a_length(tmp_path):
    config = read_config(written(tmp_path, GOOD))
    assert config.data.train == "train.xyz"
    assert config.reference_energies.least_squares


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": {"lmax": "three"}}, "ethanol.yaml: `model.lmax` must be a whole number, got 'three'"),
        ({"model": {"lmax": True}}, "ethanol.yaml: `model.lmax` must be a whole number, got True"),
        ({"model": {"lmaxx": 3}}, "ethanol.yaml: `model.lmaxx` is not a known key; did you mean `model.lmax`?"),
        (
            {"model": {"n_bases": 4}},
            "ethanol.yaml: `model.n_bases` means nothing since version 0.2: an embedding block is one network, scaled by the elements; "
            "leave it out",
        ),
        ({"learning_rate": 1e-3}, "ethanol.yaml: `learning_rate` is not a known key; did you mean `optimizer.learning_rate`?"),
        (
            {"model": {"learning_rate": 1e-3}},
            "ethanol.yaml: `model.learning_rate` is not a known key; did you mean `optimizer.learning_rate`?",
        ),
        ({"loss": {"batch_size": 5}}, "ethanol.yaml: `loss.batch_size` is not a known key; did you mean `batch_size`?"),
        ({"type": "mse"}, "ethanol.yaml: `type` is not a known key; did you mean `loss.type`, `optimizer.type` or `schedule.type`?"),
        ({"energy_wieght": 5.0}, "ethanol.yaml: `energy_wieght` is not a known key; did you mean `loss.energy_weight`?"),
        ({"optimiser": {"type": "adam"}}, "ethanol.yaml: `optimiser` is not a known key; did you mean `optimizer`?"),
        (
            {"loss": {"colour": "red"}},
            "ethanol.yaml: `loss.colour` is not a known key; known here: type, energy_weight, forces_weight, stress_weight, huber_delta",
        ),
        ({"model": {"cutoff": "5 A"}}, "ethanol.yaml: `model.cutoff` must be a number, got '5 A'"),
        (
            {"data": {}},
            "ethanol.yaml: `data.train` is missing: Training frames: .xyz/.extxyz, ASE .db or .aselmdb, .npz, QM9's folder or tar, a "
            "folder of OC20; relative to the config file. A list is read as one file. "
            "FILE@:1000 or FILE@numbers.csv are some of its frames.",
        ),
        ({"batchsize": 5}, "ethanol.yaml: `batchsize` is not a known key; did you mean `batch_size`?"),
        ({"batch_size": 0}, "ethanol.yaml: `batch_size` must be at least 1, got 0"),
        ({"batch_size": 2.5}, "ethanol.yaml: `batch_size` must be a whole number, got 2.5"),
        ({"ema_decay": 1.0}, "ethanol.yaml: `ema_decay` must be below 1.0, got 1.0"),
        ({"dtype": "half"}, "ethanol.yaml: `dtype` must be one of float32 or float64, got 'half'"),
        ({"loss": {"type": "l2"}}, "ethanol.yaml: `loss.type` must be one of mse, mae or huber, got 'l2'"),
        ({"loss": [1, 2]}, "ethanol.yaml: `loss` must be a section of keys and values, got [1, 2]"),
        ({"loss": {"energy_weight": 0, "forces_weight": 0}}, "ethanol.yaml: `loss` needs `energy_weight` or `forces_weight` above 0"),
        ({"optimizer": {"type": "sgd"}}, "ethanol.yaml: `optimizer.type` must be one of soap, adam or adamw, got 'sgd'"),
        (
            {"optimizer": {"amsgrad": True}},
            "ethanol.yaml: `optimizer` of `type: soap` has no `amsgrad`: leave it out, or take `type: adam` or `type: adamw`",
        ),
        (
            {"optimizer": {"type": "adam", "refresh_steps": 10}},
            "ethanol.yaml: `optimizer` of `type: adam` has no `refresh_steps`: leave it out, or take `type: soap`",
        ),
        ({"optimizer": {"beta2": 1.0}}, "ethanol.yaml: `optimizer.beta2` must be below 1.0, got 1.0"),
        (
            {"schedule": {"type": "plateau"}},
            "ethanol.yaml: `schedule.type: plateau` judges a training half-way, where the averaged weights of `optimizer.type: soap` are "
            "poor and say nothing of the end: take `schedule.type: cosine`, or `optimizer.type: adam`",
        ),
        ({"threads": 1_000_000}, f"ethanol.yaml: `threads` must be at most {MOST_THREADS}, got 1000000"),
        ({"max_epochs": None}, "ethanol.yaml: needs `max_epochs`, `max_steps` or `max_time`"),
        ({"max_time": "soon"}, "ethanol.yaml: `max_time` must be a time such as 90s, 30m, 2h, 1.5d or 12:30:00, got 'soon'"),
        (
            {"data": {"train": "t.xyz", "validation": 1.5}},
            "ethanol.yaml: `data.validation` must be a file, a number of frames (1 or more) or a fraction between 0 and 1, got 1.5",
        ),
        ({"data": {"train": 5}}, "ethanol.yaml: `data.train` must be a file or a list of files, got 5"),
        (
            {"data": {"train": "t.xyz", "units": "kcal"}},
            "ethanol.yaml: `data.units.energy` must be one of eV, kcal/mol, kJ/mol or Hartree, got 'kcal'",
        ),
        ({"batch_size": "x" * 5000}, f"ethanol.yaml: `batch_size` must be a whole number, got '{'x' * 99}..."),
        ({"reference_energies": {"H": "x"}}, "ethanol.yaml: `reference_energies.values.H` must be a number, got 'x'"),
        (
            {"reference_energies": {}},
            "ethanol.yaml: `reference_energies` must be a file of isolated atoms, energies as {H: -13.6}, {atomref: U0} of QM9, "
            "or least_squares",
        ),
    ],
)
def test_a_bad_key_is_refused_with_a_sentence(tmp_path, changes, sentence):
    with pytest.raises(ConfigError) as error:
        read_config(written(tmp_path, {**GOOD, **changes}))
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "must hold keys and values such as `data:`, got nothing"),
        ("- 1\n- 2", "must hold keys and values such as `data:`, got list"),
        ("data: {train: [", "this is not YAML"),
        ("seed: 1\nseed: 2", "`seed` stands twice"),
    ],
)
def test_what_is_no_config_is_refused(tmp_path, text, sentence):
    with pytest.raises(ConfigError, match=r"ethanol.yaml: ") as error:
        read_config(written(tmp_path, text))
    assert sentence in str(error.value)


def test_a_missing_config_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no such file"):
        read_config(tmp_path / "nothing.yaml")


def test_every_wrong_key_is_named_at_once(tmp_path):
    with pytest.raises(ConfigError) as error:
        read_config(written(tmp_path, {**GOOD, "seed": "x", "devices": "y"}))
    assert len(str(error.value).splitlines()) == 2


def test_numbers_are_those_of_yaml_1_2_and_no_is_nobelium(tmp_path):
    config = read_config(
        written(tmp_path, "data: {train: t.xyz}\nmax_epochs: 1\noptimizer: {learning_rate: 1e-3}\nreference_energies: {No: -1, N: -2.5}")
    )
    assert config.optimizer.learning_rate == 1e-3
    assert config.reference_energies.values == {"No": -1.0, "N": -2.5}


def test_short_forms_mean_the_long_ones(tmp_path):
    def references(value):
        return read_config(written(tmp_path, {**GOOD, "reference_energies": value})).reference_energies

    assert references("atoms.xyz") == references({"isolated_atoms": "atoms.xyz"})
    assert references({"H": -13.6}) == references({"values": {"H": -13.6}})
    assert references("least_squares") == references({"least_squares": True})
    units = read_config(written(tmp_path, {**GOOD, "data": {"train": "t.xyz", "units": "kcal/mol"}})).data.units
    assert (units.energy, units.length) == ("kcal/mol", "Angstrom")


def test_an_optimizer_has_the_settings_of_its_recipe_and_no_others(tmp_path):
    def settings(**given):
        config = read_config(written(tmp_path, {**GOOD, "optimizer": given}))
        assert read_config(written(tmp_path, config.model_dump())) == config  # as output/config.yaml is read again
        return {key: value for key, value in config.optimizer.model_dump().items() if value is not None}

    soap = {"learning_rate": 8e-3, "beta1": 0.9, "beta2": 0.95, "factor_decay": 0.95, "refresh_steps": 10, "largest_matrix": 200}
    adam = {"learning_rate": 5e-3, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0, "amsgrad": True}
    assert settings() == settings(type="soap") == {"type": "soap", **soap}
    assert settings(type="adam") == {"type": "adam", **adam}
    assert settings(type="adamw", amsgrad=False) == {"type": "adamw", **adam, "amsgrad": False}
    assert settings(learning_rate=4e-3, amsgrad=None) == {"type": "soap", **soap, "learning_rate": 4e-3}
    assert read_config(written(tmp_path, {**GOOD, "optimizer": {"type": "adam"}, "schedule": {"type": "plateau"}}))


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5 h", 5400), ("2d", 172800), ("01:02:03", 3723), ("60", 60)])
def test_times_are_read(tmp_path, text, seconds):
    assert read_config(written(tmp_path, GOOD), [f"max_time={text}"]).max_time == seconds


def test_changes_are_laid_over_the_file(tmp_path):
    config = read_config(written(tmp_path, GOOD), ["model.lmax=4", "seed=7", "data.validation=5"])
    assert (config.model["lmax"], config.seed, config.data.validation) == (4, 7, 5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("seed", "--set wants KEY=VALUE, got 'seed'"),
        ("data.train=[", "--set data.train: '[' is not YAML; quote what is text: --set 'data.train=\"...\"'"),
        ("learning_rate=1e-3", "ethanol.yaml: `learning_rate` is not a known key; did you mean `optimizer.learning_rate`?"),
        ("lmax=4", "ethanol.yaml: `lmax` is not a known key; did you mean `model.lmax`?"),
    ],
)
def test_a_bad_change_is_refused_with_a_sentence(tmp_path, change, sentence):
    with pytest.raises(ConfigError) as error:
        read_config(written(tmp_path, GOOD), [change])
    assert str(error.value) == sentence


def test_time_alone_is_a_length(tmp_path):
    assert read_config(written(tmp_path, {**GOOD, "max_epochs": None, "max_time": "10m"})).max_time == 600


def test_the_model_takes_its_elements_from_the_data_or_the_config(tmp_path):
    config = read_config(written(tmp_path, {**GOOD, "model": {"lmax": 2}}))
    assert model_config(config, [1, 8], "x.yaml") == ModelConfig(elements=(1, 8), lmax=2)
    config = read_config(written(tmp_path, {**GOOD, "model": {"elements": ["O", "H", "C"]}}))
    assert model_config(config, [1, 8], "x.yaml").elements == (1, 6, 8)


def test_the_models_own_refusals_name_the_file(tmp_path):
    config = read_config(written(tmp_path, {**GOOD, "model": {"cutoff": -6.0}}))
    with pytest.raises(ConfigError, match=r"x.yaml: section `model`: `cutoff` must be positive"):
        model_config(config, [1], "x.yaml")
    config = read_config(written(tmp_path, {**GOOD, "model": {"elements": ["Xy"]}}))
    with pytest.raises(ConfigError, match=r"x.yaml: `model.elements` must be chemical symbols, got 'Xy'"):
        model_config(config, [1], "x.yaml")


def test_every_key_has_a_sentence():
    assert all(description and description.endswith(".") for _, _, _, description in config_keys())


def test_the_documentation_lists_every_key():
    page = (Path(__file__).resolve().parents[3] / "docs" / "training.md").read_text()
    listed = [line for line in page.splitlines() if line.startswith("| `")]
    assert listed == [f"| `{key}` | {kind} | {default} | {sentence} |" for key, kind, default, sentence in config_keys()]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1: 2", "a key must be text, got 1"),
        ("? [a, b]\n: 3", "a key must be text, got ['a', 'b']"),
        ("model: {{a: 1}: 2}", "a key must be text, got {'a': 1}"),
        ("true: 1", "a key must be text, got True"),
        ("null: 1", "a key must be text, got None"),
        ("seed: 2020-99-99", "month must be in 1..12"),
        ("model: !!int abc", "invalid literal for int() with base 10: 'abc'"),
        (f"model: {'[' * 5000}{']' * 5000}", "it is nested too deeply"),
        (f"seed: {'9' * 5000}", "Exceeds the limit"),
    ],
)
def test_odd_yaml_is_refused_in_words(tmp_path, text, sentence):
    with pytest.raises(ConfigError, match="this is not YAML: ") as error:
        read_config(written(tmp_path, f"data: {{train: t.xyz}}\nmax_epochs: 1\n{text}\n"))
    assert sentence in str(error.value)
    with pytest.raises(ConfigError, match="is not YAML; quote what is text"):
        read_config(written(tmp_path, GOOD), [f"model={{{text}}}" if ":" in text and "?" not in text else f"model={{{text}"])


def test_weights_are_finite(tmp_path):
    with pytest.raises(ConfigError, match=r"`loss.energy_weight` must be a finite number, got inf"):
        read_config(written(tmp_path, GOOD), ["loss.energy_weight=.inf"])


def test_frames_may_be_in_several_files(tmp_path):
    config = read_config(written(tmp_path, GOOD), ["data.train=[a.xyz, b.db]", "data.validation=[c.xyz]", "data.test=[d.xyz]"])
    assert (config.data.train, config.data.validation, config.data.test) == (["a.xyz", "b.db"], ["c.xyz"], ["d.xyz"])
    for value in ("[]", "[1]", "[a.xyz, '']"):
        with pytest.raises(ConfigError, match=r"`data.train` must be a file or a list of files, got"):
            read_config(written(tmp_path, GOOD), [f"data.train={value}"])
