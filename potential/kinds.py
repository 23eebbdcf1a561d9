"""The kinds of models: one table, by the name that configs, checkpoints and model files have for a kind.

A kind is a folder potential/NAME with `config.py` (a frozen dataclass on `KindConfig`), `model.py` (a `PotentialModel`),
`equations.py` and perhaps `pictures.py`, and a row below; its equations in the C++ readers are a line in export/CMakeLists.txt. Whatever
differs between kinds is asked of the row. Nothing of a kind is imported before it is used: `spinconv --help` must not wait for torch.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from types import ModuleType

    import torch

    from spinconv.potential.config import KindConfig
    from spinconv.potential.coverage import Coverage
    from spinconv.potential.model import PotentialModel


def nothing(model: Any, coverage: Coverage) -> None:
    """Of what was seen in training, a model need not know."""


class NoTrainingStepError(RuntimeError):
    """Why a model cannot be trained by code of our own, in a sentence."""


class TrainingStep(Protocol):
    """Energies and their gradients for a model whose weights change from call to call; no autograd graph of torch's reaches into it."""

    level: str
    """The instruction set that it uses: x86-64-v4."""

    def __call__(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Energies of atoms (eV, float64 [n_atoms]) and dE/dvectors (eV/Å, [e, 3]), differentiable once, by the weights alone."""


@dataclass(frozen=True)
class Kind:
    """A row: what a kind is called, where it is, and what may be expected of it."""

    name: str
    """In configs (`sphere`), checkpoints and model files (`kind`)."""
    config_name: str
    """The class of its configs, in config.py."""
    model_name: str
    """The class of its models, in model.py."""
    package: str
    """Where its modules are."""
    has_stages: bool = False
    """Whether its equations are cut into the stages that several processes compute together."""
    has_native: bool = False
    """Whether the native evaluator is for it, which needs no torch (export/src/native)."""
    conservative: Callable[[Any], bool] = lambda config: True
    """Whether a model of a config has the gradient of its energy as forces."""
    direct_forces: Callable[[Any], bool] = lambda config: False
    """Whether it says its forces itself, by `forces`; such a model is not conservative."""
    fixed: tuple[str, ...] = ()
    """The last part of names of weights that are not learned."""
    hold: Callable[[Any, Coverage], None] = nothing
    """Tells a new model what was seen in training."""
    training_step_name: str | None = None
    """Where a kind has one: the class, in training_step.py, that trains it on a CPU without torch's double backward."""

    @property
    def config_class(self) -> type[KindConfig]:
        """Made of `elements`, `cutoff` and its own fields."""
        return getattr(self._module("config"), self.config_name)  # type: ignore[no-any-return]

    @property
    def model_class(self) -> Callable[..., PotentialModel]:
        """Makes a model of (config, reference_energies, scale, average_neighbors)."""
        return getattr(self._module("model"), self.model_name)  # type: ignore[no-any-return]

    @property
    def equations(self) -> ModuleType:
        """Functions of tensors, of which TorchScript and the C++ readers compile the same text."""
        return self._module("equations")

    def picture(self, name: str) -> Callable[..., Any]:
        """What gives the numbers of a picture (`embeddings`, `filters`, `seen`) of its models, in pictures.py; ValueError where a kind has
        none."""
        has_any = importlib.util.find_spec(f"{self.package}.pictures") is not None
        found = getattr(self._module("pictures"), name, None) if has_any else None
        if found is None:
            raise ValueError(f"models of kind `{self.name}` have no picture of `{name}`")
        return found  # type: ignore[no-any-return]

    def training_step(self, model: PotentialModel, threads: int) -> TrainingStep:
        """The step of a model; NoTrainingStepError, with the reason, where the kind, the build, the precision or the processor has none."""
        if self.training_step_name is None:
            raise NoTrainingStepError(f"models of kind `{self.name}` are trained by torch")
        return getattr(self._module("training_step"), self.training_step_name)(model, threads)  # type: ignore[no-any-return]

    def _module(self, name: str) -> ModuleType:
        return importlib.import_module(f"{self.package}.{name}")


KINDS: dict[str, Kind] = {
    "harmonic": Kind(
        "harmonic",
        "ModelConfig",
        "HarmonicSpinConv",
        "spinconv.potential.harmonic",
        has_stages=True,
        has_native=True,
        fixed=("inner",),
        hold=lambda model, coverage: model.hold(coverage.shortest),
        training_step_name="HarmonicTrainingStep",
    ),
    "grid": Kind(
        "grid",
        "GridConfig",
        "GridSpinConv",
        "spinconv.potential.grid",
        conservative=lambda config: config.conservative,
        direct_forces=lambda config: config.direct_forces,
        fixed=("centers", "rate"),
    ),
}
DEFAULT = "harmonic"


def kind_named(name: Any) -> Kind:
    """The kind of a name; ValueError, "holds a model of kind ...", which wants the name of the file before it, for an unknown one."""
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"holds a model of kind {name!r}, this spinconv knows {', '.join(KINDS)}")
    return KINDS[name]


def kind_of(config: KindConfig) -> Kind:
    """The kind that a config is of."""
    return next(kind for kind in KINDS.values() if type(config) is kind.config_class)


def is_conservative(config: KindConfig) -> bool:
    """Whether a model of this config has the gradient of its energy as forces."""
    kind = kind_of(config)
    return kind.conservative(config) and not kind.direct_forces(config)


def has_direct_forces(config: KindConfig) -> bool:
    """Whether a model of this config says its forces itself."""
    return kind_of(config).direct_forces(config)


def forces_word(config: KindConfig) -> str:
    """What a model file says of the forces of a model of this config."""
    return "direct" if has_direct_forces(config) else "gradient"


def make_model(config: KindConfig, reference_energies: list[float], scale: float, average_neighbors: float) -> PotentialModel:
    """A new model of the config's kind."""
    return kind_of(config).model_class(config, reference_energies, scale, average_neighbors)


def model_from(
    kind: Kind, values: Mapping[str, Any], reference_energies: list[float], scale: float, average_neighbors: float
) -> PotentialModel:
    """A model of what a file says of it; ValueError where it can be none."""
    return make_model(kind.config_class.from_dict(dict(values)), reference_energies, scale, average_neighbors)
