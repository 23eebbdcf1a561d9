"""What a harmonic SpinConv is made of."""

from dataclasses import dataclass
from typing import ClassVar

from spinconv.potential.config import KindConfig, check_whole_number, is_number, is_whole


@dataclass(frozen=True)
class ModelConfig(KindConfig):
    """Architecture of a harmonic SpinConv; raises ValueError on construction if a field is out of range."""

    REMOVED: ClassVar[dict[str, str]] = {
        "n_bases": "means nothing since version 0.2: an embedding block is one network, scaled by the elements; leave it out",
    }

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
        super().__post_init__()
        for name, least, most in [("n_blocks", 1, 16), ("lmax", 1, 6), ("channels", 1, 1024), ("n_radial", 1, 64)]:
            check_whole_number(self, name, least, most)
        if not is_number(self.wall) or not 0.5 <= self.wall <= 1:
            raise ValueError(f"`wall` must be from 0.5 to 1 (sums of covalent radii), got {self.wall!r}")
        if not is_whole(self.group) or self.group < 1 or self.channels % self.group:
            raise ValueError(f"`group` must divide `channels` ({self.channels}), got {self.group!r}")

    def least_weights(self) -> int:
        """Every block has some matrices of its channels."""
        return self.n_blocks * self.channels**2
