"""What the configs of all kinds of models share: elements, a cutoff, checks of their fields, and plain values to write and read."""

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, TypeVar

AnyConfig = TypeVar("AnyConfig", bound="KindConfig")


@dataclass(frozen=True)
class KindConfig:
    """The base of a kind's config, a frozen dataclass; raises ValueError on construction if a field is out of range."""

    REMOVED: ClassVar[dict[str, str]] = {}
    """Fields of earlier versions, and what became of them."""

    elements: tuple[int, ...]
    """Atomic numbers (1 to 118) that the model knows, ascending."""
    cutoff: float = 5.0
    """Distance (Å) from which on two atoms are no neighbours."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", tuple(self.elements))
        if not self.elements or any(not is_whole(z) or not 1 <= z <= 118 for z in self.elements):
            raise ValueError(f"`elements` must be atomic numbers from 1 to 118, got {self.elements}")
        if list(self.elements) != sorted(set(self.elements)):
            raise ValueError(f"`elements` must be ascending without repetition, got {self.elements}")
        if not is_number(self.cutoff) or not 0 < self.cutoff < float("inf"):
            raise ValueError(f"`cutoff` must be positive (Å), got {self.cutoff!r}")

    def least_weights(self) -> int:
        """A number of learned numbers that a model of these sizes has at least; a file of fewer is refused before any is made."""
        return 0

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts and lists, as written to checkpoints and model files."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls: type[AnyConfig], values: dict[str, Any]) -> AnyConfig:
        """The inverse of `to_dict`; ValueError names a field that is unknown, missing or out of range."""
        known = {field.name for field in fields(cls)}
        if gone := [name for name in values if name in cls.REMOVED]:
            raise ValueError(f"`{gone[0]}` {cls.REMOVED[gone[0]]}")
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"`{unknown[0]}` is no field of the model; known are {', '.join(sorted(known))}")
        if "elements" not in values:
            raise ValueError("`elements` is missing: give the atomic numbers that the model is to know")
        return cls(**values)


def check_whole_number(config: KindConfig, name: str, least: int, most: int) -> None:
    """Raises ValueError for a field that is no whole number from `least` to `most`."""
    value = getattr(config, name)
    if not is_whole(value) or not least <= value <= most:
        raise ValueError(f"`{name}` must be a whole number from {least} to {most}, got {value!r}")


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, which True is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a value is a number, which True is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
