"""What a model is made of."""

from dataclasses import asdict, dataclass, fields
from typing import Any

REMOVED = {
    "n_bases": "means nothing since version 0.2: an embedding block is one network, scaled by the elements; leave it out",
}
"""Fields of earlier versions, and what became of them."""


@dataclass(frozen=True)
class ModelConfig:
    """Architecture of a harmonic SpinConv; raises ValueError on construction if a field is out of range."""

    elements: tuple[int, ...]
    """Atomic numbers (1 to 118) that the model knows, ascending."""
    cutoff: float = 5.0
    """Distance (Å) from which on two atoms are no neighbours."""
    n_blocks: int = 2
    """Number of spin-convolution blocks: each lets an atom see one cutoff further."""
    lmax: int = 3
    """Highest degree of the spherical harmonics."""
    channels: int = 32
    """Width of messages and hidden layers; a multiple of `group`."""
    n_radial: int = 8
    """Bessel functions of the distance."""
    wall: float = 0.7
    """Distance from which on two nuclei repel, in sums of their covalent radii: below the shortest bonds of molecules."""
    group: int = 8
    """Channels that are convolved with each other over the sphere."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", tuple(self.elements))
        if not self.elements or any(not _is_int(z) or not 1 <= z <= 118 for z in self.elements):
            raise ValueError(f"`elements` must be atomic numbers from 1 to 118, got {self.elements}")
        if list(self.elements) != sorted(set(self.elements)):
            raise ValueError(f"`elements` must be ascending without repetition, got {self.elements}")
        if isinstance(self.cutoff, bool) or not isinstance(self.cutoff, int | float) or not 0 < self.cutoff < float("inf"):
            raise ValueError(f"`cutoff` must be positive (Å), got {self.cutoff!r}")
        for name, least, most in [("n_blocks", 1, 16), ("lmax", 1, 6), ("channels", 1, 1024), ("n_radial", 1, 64)]:
            value = getattr(self, name)
            if not _is_int(value) or not least <= value <= most:
                raise ValueError(f"`{name}` must be a whole number from {least} to {most}, got {value!r}")
        if isinstance(self.wall, bool) or not isinstance(self.wall, int | float) or not 0.5 <= self.wall <= 1:
            raise ValueError(f"`wall` must be from 0.5 to 1 (sums of covalent radii), got {self.wall!r}")
        if not _is_int(self.group) or self.group < 1 or self.channels % self.group:
            raise ValueError(f"`group` must divide `channels` ({self.channels}), got {self.group!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, as written to checkpoints and model files."""
        return {**asdict(self), "elements": list(self.elements)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelConfig":
        """The inverse of `to_dict`; ValueError names a field that is unknown, missing or out of range."""
        known = {field.name for field in fields(cls)}
        if gone := [name for name in values if name in REMOVED]:
            raise ValueError(f"`{gone[0]}` {REMOVED[gone[0]]}")
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"`{unknown[0]}` is no field of the model; known are {', '.join(sorted(known))}")
        if "elements" not in values:
            raise ValueError("`elements` is missing: give the atomic numbers that the model is to know")
        return cls(**values)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
