"""The settings of a training: CONFIG.yaml, checked key by key.

Every field has a sentence here; docs/training.md lists them from here.
"""

from __future__ import annotations

import dataclasses
import re
import reprlib
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from ase.data import atomic_numbers
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model, model_validator

from spinconv.potential.config import KindConfig
from spinconv.potential.kinds import DEFAULT, KINDS, Kind, has_direct_forces
from spinconv.potential.threads import MOST_THREADS
from spinconv.potential.training.config_errors import sentence
from spinconv.potential.training.config_rows import default_words, keys_of
from spinconv.potential.training.qm9 import is_property
from spinconv.potential.words import shown


class ConfigError(ValueError):
    """A sentence about a setting: the file, the key in backticks, what it must be and what came."""


class Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


def frames_or_path(value: Any) -> int | float | str | list[str]:
    """A path or several, a number of frames (whole) or a fraction of them (between 0 and 1)."""
    if isinstance(value, list):
        return files(value)
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, float) and 0 < value < 1:
        return value
    raise ValueError("must be a file, a number of frames (1 or more) or a fraction between 0 and 1")


def files(value: Any) -> str | list[str]:
    """A path, or a list of them."""
    if value and (isinstance(value, str) or (isinstance(value, list) and all(isinstance(path, str) and path for path in value))):
        return value  # type: ignore[no-any-return]
    raise ValueError("must be a file or a list of files")


def seconds(value: Any) -> float:
    """Seconds of '90 s', '30m', '2h', '1.5 d', 'HH:MM:SS' or of a plain number of seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        return float(value)
    if isinstance(value, str):
        if clock := re.fullmatch(r"(\d+):(\d\d):(\d\d)", value.strip()):
            hours, minutes, rest = (int(part) for part in clock.groups())
            return 3600.0 * hours + 60.0 * minutes + rest
        if amount := re.fullmatch(r"(\d+(?:\.\d*)?)\s*(s|m|min|h|d)", value.strip()):
            return float(amount[1]) * {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}[amount[2]]
    raise ValueError("must be a time such as 90s, 30m, 2h, 1.5d or 12:30:00")


Files = Annotated[str | list[str], BeforeValidator(files)]
FramesOrPath = Annotated[int | float | str | list[str], BeforeValidator(frames_or_path)]
Seconds = Annotated[float, BeforeValidator(seconds)]


class Units(Section):
    energy: Literal["eV", "kcal/mol", "kJ/mol", "Hartree"] = Field("eV", description="Unit of energies; forces are this per `length`.")
    length: Literal["Angstrom", "Bohr", "nm"] = Field("Angstrom", description="Unit of positions and cells.")

    @model_validator(mode="before")
    @classmethod
    def energy_alone(cls, value: Any) -> Any:
        return {"energy": value} if isinstance(value, str) else value


class Data(Section):
    train: Files = Field(
        description="Training frames: .xyz/.extxyz, ASE .db or .aselmdb, .npz, QM9's folder or tar, a folder of OC20; relative to the "
        "config file. A list is read as one file. FILE@:1000 or FILE@numbers.csv are some of its frames."
    )
    validation: FramesOrPath = Field(0.1, description="A file or several, or the number or fraction of the training frames to set aside.")
    extra: Files | None = Field(
        None, description="More training frames, in eV and Å, none of them set aside: those of `spinconv pretrain-frames --correction`."
    )
    extra_share: float = Field(
        0.75, gt=0, lt=1, description="The part of the frames of a training, on average, that is drawn from `extra`."
    )
    test: Files | None = Field(None, description="Frames on which the best weights are tested when the training has ended.")
    max_frames: int | None = Field(None, gt=1, description="Use only so many frames of `train`, drawn by `split_seed`.")
    units: Units | None = Field(None, description="Units of the files, where they are not eV and Å and the layout does not say it.")
    energy_key: str = Field("energy", description="Name of the energy in the files.")
    forces_key: str = Field("forces", description="Name of the forces in the files.")
    stress_key: str | None = Field(
        None,
        description="Name of the stress in the files (ASE's sign; energy per volume). Without any key: stress, virial, virials.",
    )
    virial_key: str | None = Field(
        None, description="Name of the virial in the files, in place of a stress: an energy, -stress * volume; 3 x 3, nine or six numbers."
    )
    ref_energy: bool = Field(
        True, description="Take the reference energies of an S2EF folder's .txt off the energies: adsorption energies, as OC20 learns them."
    )
    train_on_free_atoms: bool = Field(
        True, description="Forces of atoms that are held in place (ASE's FixAtoms) are left out of what is learned, and of its statistics."
    )
    eval_on_free_atoms: bool = Field(True, description="They are left out of validation and test errors.")
    split_seed: int = Field(0, ge=0, description="Seed of the random split into training and validation frames.")


class ReferenceEnergies(Section):
    isolated_atoms: str | None = Field(None, description="A file with one frame per element: a single atom and its energy.")
    values: dict[str, float] | None = Field(None, description="The energy of each element's isolated atom in eV, as `{H: -13.6}`.")
    atomref: Literal["U0", "U", "H", "G", "zpve", "Cv"] | None = Field(
        None, description="This property of QM9 for the atoms H, C, N, O, F alone, from its atomref.txt."
    )
    least_squares: bool = Field(
        False,
        description="Shift the energies above (or zero) to fit the training frames: easier to learn, but an atom alone is then not exact.",
    )

    @model_validator(mode="before")
    @classmethod
    def short_forms(cls, value: Any) -> Any:
        if value == "least_squares":
            return {"least_squares": True}
        if isinstance(value, str):
            return {"isolated_atoms": value}
        if isinstance(value, dict) and value and all(key in atomic_numbers for key in value):
            return {"values": {key: float(e) if isinstance(e, int) and not isinstance(e, bool) else e for key, e in value.items()}}
        return value

    @model_validator(mode="after")
    def one_source(self) -> ReferenceEnergies:
        given = [name for name in ("isolated_atoms", "values", "atomref") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"takes one of `isolated_atoms`, `values` and `atomref`, got {' and '.join(f'`{name}`' for name in given)}")
        if not given and not self.least_squares:
            raise ValueError("must be a file of isolated atoms, energies as {H: -13.6}, {atomref: U0} of QM9, or least_squares")
        return self


class Loss(Section):
    type: Literal["mse", "mae", "huber"] = Field(
        "mse", description="mse squares an error, mae takes its size, huber is mse below `huber_delta`."
    )
    energy_weight: float = Field(20.0, ge=0, description="Weight of the energy error per atom (eV).")
    forces_weight: float = Field(1.0, ge=0, description="Weight of the error of force components (eV/Å).")
    stress_weight: float = Field(0.0, ge=0, description="Weight of the error of stress components (eV/Å³).")
    huber_delta: float = Field(0.03, gt=0, description="Where huber turns from squared to linear (eV, eV/Å, eV/Å³).")

    @model_validator(mode="after")
    def something_to_learn(self) -> Loss:
        if self.energy_weight == 0 and self.forces_weight == 0:
            raise ValueError("needs `energy_weight` or `forces_weight` above 0")
        return self


RECIPES: dict[str, dict[str, Any]] = {  # what an optimizer's settings are when not given; it has no others
    "soap": {
        "learning_rate": 8e-3,
        "beta1": 0.9,
        "beta2": 0.95,
        "factor_decay": 0.95,
        "refresh_steps": 10,
        "largest_matrix": 200,
    },
    "adam": {"learning_rate": 5e-3, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0, "amsgrad": True},
    "adamw": {"learning_rate": 5e-3, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0, "amsgrad": True},
}


def by_type(key: str) -> str:
    """The values that a setting has when it is not given, for a sentence."""
    values: dict[str, list[str]] = {}
    for kind, recipe in RECIPES.items():
        if key in recipe:
            values.setdefault(default_words(recipe[key]), []).append(kind)
    return "; ".join(f"{value} ({', '.join(kinds)})" for value, kinds in values.items())


class Optimizer(Section):
    type: Literal["soap", "adam", "adamw"] = Field(
        "soap", description="SOAP, Adam in the eigenbasis of the gradients; Adam; or Adam with decoupled weight decay."
    )
    learning_rate: float | None = Field(None, gt=0, description=f"Highest learning rate: {by_type('learning_rate')}.")
    beta1: float | None = Field(None, ge=0, lt=1, description=f"Decay of the mean of gradients: {by_type('beta1')}.")
    beta2: float | None = Field(None, ge=0, lt=1, description=f"Decay of the mean of their squares: {by_type('beta2')}.")
    factor_decay: float | None = Field(
        None, ge=0, lt=1, description=f"Decay of the mean of their products, whose eigenvectors are the basis: {by_type('factor_decay')}."
    )
    refresh_steps: int | None = Field(None, ge=1, description=f"Steps between two turns of the basis: {by_type('refresh_steps')}.")
    largest_matrix: int | None = Field(
        None, ge=1, description=f"Rows or columns up to which a matrix of weights has a basis: {by_type('largest_matrix')}."
    )
    weight_decay: float | None = Field(None, ge=0, description=f"Pull of the weights to zero: {by_type('weight_decay')}.")
    amsgrad: bool | None = Field(
        None, description=f"Keep the largest second moment seen, steadier late in a training: {by_type('amsgrad')}."
    )

    @model_validator(mode="before")
    @classmethod
    def by_its_recipe(cls, value: Any) -> Any:
        """What is not given is what its type's recipe says."""
        if not isinstance(value, dict):
            return value
        given = {key: setting for key, setting in value.items() if setting is not None}
        kind = given.get("type", "soap")
        return {**(RECIPES.get(kind, {}) if isinstance(kind, str) else {}), **given}

    @model_validator(mode="after")
    def nothing_of_another(self) -> Optimizer:
        """A setting that would do nothing is refused."""
        for key in type(self).model_fields:
            if key != "type" and key not in RECIPES[self.type] and getattr(self, key) is not None:
                kinds = " or ".join(f"`type: {kind}`" for kind, recipe in RECIPES.items() if key in recipe)
                raise ValueError(f"of `type: {self.type}` has no `{key}`: leave it out, or take {kinds}")
        return self

    @property
    def recipe(self) -> dict[str, Any]:
        """The settings of its type."""
        return {key: getattr(self, key) for key in RECIPES[self.type]}


class Schedule(Section):
    type: Literal["cosine", "exponential", "plateau", "constant"] = Field(
        "cosine",
        description="cosine falls over the whole training, exponential by `factor` each epoch, plateau by `factor` without progress.",
    )
    warmup_steps: int = Field(
        500, ge=0, description="Steps over which the learning rate rises from zero, at most a tenth of the training (not for plateau)."
    )
    final_fraction: float = Field(0.003, ge=0, le=1, description="The learning rate falls no lower than this fraction of the highest.")
    factor: float = Field(0.5, gt=0, lt=1, description="Factor of exponential (each epoch) and plateau (each time).")
    patience: int = Field(20, ge=1, description="plateau: epochs without a better validation loss before the learning rate falls.")


class Pretrain(Section):
    train: Files = Field(description="Frames of a cheap method, of the same elements: `spinconv pretrain-frames` makes them of molecules.")
    validation: int | float = Field(0.04, gt=0, description="Number or fraction of them to set aside.")
    max_steps: int | None = Field(None, ge=1, description="Steps of the pretraining; give this or `max_time`.")
    max_time: Seconds | None = Field(None, description="Time of the pretraining, beside that of the training.")

    @model_validator(mode="after")
    def has_an_end(self) -> Pretrain:
        if (self.max_steps is None) == (self.max_time is None):
            raise ValueError("needs `max_steps` or `max_time`, one of them")
        return self


class Config(Section):
    data: Data = Field(description="Where the reference frames are.")
    model: dict[str, Any] = Field(default_factory=dict, description="The kind of model, `sphere`, and the fields of its config.")
    reference_energies: ReferenceEnergies = Field(
        ReferenceEnergies(least_squares=True),
        description="Energy of each element alone: a file of isolated atoms, a mapping, QM9's atomref, or least_squares.",
    )
    pretrain: Pretrain | None = Field(
        None, description="A first training, on many frames of a cheap method, whose weights this one begins with."
    )
    loss: Loss = Field(Loss(), description="What is made small.")
    optimizer: Optimizer = Field(Optimizer(), description="How the weights move.")
    schedule: Schedule = Field(Schedule(), description="How the learning rate changes.")
    batch_size: int = Field(5, ge=1, description="Frames in a step, on all devices together.")
    max_epochs: int | None = Field(None, ge=1, description="Epochs to train; give this, `max_steps` or `max_time`.")
    max_steps: int | None = Field(None, ge=1, description="Steps to train, rounded up to whole epochs.")
    max_time: Seconds | None = Field(
        None,
        description="Alone: time of the whole training, schedule included: 90s, 30m, 2h, 1.5d. "
        "Beside `max_epochs` or `max_steps`: stop after the epoch in which a run has lasted so long.",
    )
    epoch_steps: int | None = Field(None, ge=1, description="Steps between validations; one pass over the frames when not given.")
    ema_decay: float = Field(
        0.999,
        ge=0,
        lt=1,
        description="Decay of the running average of the weights that is validated and saved; 0: none. 0.9995 from some 50,000 steps on.",
    )
    gradient_clip: float | None = Field(10.0, gt=0, description="Largest norm of the gradient of all weights.")
    early_stopping: int | None = Field(None, ge=1, description="Stop after so many epochs without a better validation loss.")
    seed: int = Field(0, ge=0, description="Seed of the first weights and of the order of frames.")
    dtype: Literal["float32", "float64"] = Field("float32", description="Precision of the training.")
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = Field("auto", description="Kind of device.")
    engine: Literal["auto", "native", "torch"] = Field(
        "auto", description="What computes energies, forces and their derivatives: native, code of our own for a CPU, or torch."
    )
    devices: int = Field(1, ge=1, description="Number of devices; the frames of a batch are shared out.")
    threads: int | None = Field(None, ge=1, le=MOST_THREADS, description="CPU threads; torch's own choice when not given.")
    output: str | None = Field(None, description="Folder of the results, made if missing; runs/NAME when not given.")
    start_from: str | None = Field(None, description="A checkpoint whose weights, elements and reference energies to begin with.")

    @model_validator(mode="after")
    def has_an_end(self) -> Config:
        if self.max_epochs is None and self.max_steps is None and self.max_time is None:
            raise ValueError("needs `max_epochs`, `max_steps` or `max_time`")
        return self

    @model_validator(mode="after")
    def begins_once(self) -> Config:
        if self.pretrain is not None and self.start_from is not None:
            raise ValueError("takes `pretrain` or `start_from`, not both")
        return self

    @model_validator(mode="after")
    def atoms_of_what_is_learned(self) -> Config:
        atomref, learned = self.reference_energies.atomref, self.data.energy_key
        if atomref is not None and learned != atomref and is_property(learned):
            raise ValueError(f"`reference_energies.atomref` must be what is learned, `data.energy_key: {learned}`, got {atomref}")
        return self

    @model_validator(mode="after")
    def judged_at_its_end(self) -> Config:
        if self.optimizer.type == "soap" and self.schedule.type == "plateau":
            raise ValueError(
                "`schedule.type: plateau` judges a training half-way, where the averaged weights of `optimizer.type: soap` are poor "
                "and say nothing of the end: take `schedule.type: cosine`, or `optimizer.type: adam`"
            )
        return self


class Loader(yaml.SafeLoader):
    """YAML 1.2's numbers (1e-3 is one), keys that are text, and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, f"a key must be text, got {reprlib.repr(key)}", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"`{key}` stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


# "No" is Norway's problem in countries; here the symbol N and the words yes/no must not turn into booleans beside elements such as `No`
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"),
    list("-+.0123456789"),
)


def parsed(text: str) -> Any:
    """What a YAML text says; yaml.YAMLError whatever is wrong with it."""
    try:
        return yaml.load(text, Loader)
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    except (ValueError, TypeError, OverflowError) as error:  # numbers and dates that look like such and are none
        raise yaml.YAMLError(str(error)) from None


def read_config(path: str | Path, changes: typing.Sequence[str] = ()) -> Config:
    """The settings in a YAML file, with changes such as "model.lmax=4" laid over them.

    Raises ConfigError with a sentence that names the file and the key.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    try:
        settings = parsed(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: this is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(settings, dict):
        raise ConfigError(
            f"{path}: must hold keys and values such as `data:`, got {'nothing' if settings is None else type(settings).__name__}"
        )
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise ConfigError(f"--set wants KEY=VALUE, got {change!r}")
        try:
            lay_over(settings, key.strip().split("."), parsed(value))
        except yaml.YAMLError:
            raise ConfigError(f"--set {key}: {value!r} is not YAML; quote what is text: --set '{key}=\"...\"'") from None
    return check_config(settings, path.name)


def lay_over(settings: dict[str, Any], keys: list[str], value: Any) -> None:
    """Put a value under a chain of keys."""
    for key in keys[:-1]:
        if not isinstance(settings.get(key), dict):
            settings[key] = {}
        settings = settings[key]
    settings[keys[-1]] = value


def check_config(settings: dict[str, Any], name: str) -> Config:
    """The settings of a mapping; `name` stands for the file in errors."""
    try:
        config = Config.model_validate(settings)
        of_model = model_settings(kind_of_section(config.model, name))
        of_model.model_validate(config.model, context="model")
    except ValidationError as error:
        section, above = (of_model, ["model"]) if error.title == "model" else (Config, [])
        known = [*Config.model_fields, *(row[0] for row in config_keys())]
        sentences = [sentence(complaint, section, above, known) for complaint in error.errors()]
        raise ConfigError("\n".join(dict.fromkeys(f"{name}: {words}" for words in sentences))) from None
    return config


def kind_of_section(model: dict[str, Any], name: str) -> Kind:
    """The kind of model that the section `model` chooses."""
    sphere = model.get("sphere") or DEFAULT
    if not isinstance(sphere, str) or sphere not in KINDS:
        raise ConfigError(f"{name}: `model.sphere` must be one of {', '.join(KINDS)}, the kinds of models, got {shown(sphere)}")
    return KINDS[sphere]


class ModelSection(Section):
    """The section `model`, to which a kind adds its fields."""

    removed: typing.ClassVar[dict[str, str]] = {}
    """Fields of earlier versions, and what became of them."""

    sphere: str | None = None
    elements: list[str] | None = None


def model_settings(kind: Kind) -> type[BaseModel]:
    """The checks of the section `model`: the fields of a kind's config and their types, none of them required."""
    its = kind.config_class
    types = typing.get_type_hints(its)
    fields: dict[str, Any] = {f.name: (loose(types[f.name]) | None, None) for f in dataclasses.fields(its) if f.name != "elements"}
    section = create_model("model", __base__=ModelSection, **fields)
    section.removed = its.REMOVED
    return section


def loose(kind: Any) -> Any:
    """The type as YAML can write it: a list for a tuple."""
    return list[typing.get_args(kind)[0]] if typing.get_origin(kind) is tuple else kind  # type: ignore[misc]


def model_config(config: Config, elements: typing.Sequence[int], name: str) -> KindConfig:
    """What the section `model` says of its kind of model; its elements are those of the data unless the section lists them."""
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in config.model.items()
        if value is not None and key != "sphere"
    }
    symbols = fields.pop("elements", None)
    if symbols is not None:
        if unknown := [symbol for symbol in symbols if symbol not in atomic_numbers]:
            raise ConfigError(f"{name}: `model.elements` must be chemical symbols, got {unknown[0]!r}")
        elements = sorted({atomic_numbers[symbol] for symbol in symbols})
    try:
        architecture = kind_of_section(config.model, name).config_class(elements=tuple(elements), **fields)
    except ValueError as error:
        raise ConfigError(f"{name}: section `model`: {error}") from None
    if (weight := config.loss.stress_weight) > 0 and has_direct_forces(architecture):
        raise ConfigError(f"{name}: `loss.stress_weight` must be 0 for a model with direct forces, which has no stress, got {weight:g}")
    return architecture


def config_keys() -> list[tuple[str, str, str, str]]:
    """(key, type, default, sentence) of every key, as listed in docs/training.md."""
    return keys_of(Config)
