"""What a grid model is made of."""

from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

from spinconv.potential.config import KindConfig, check_whole_number, is_number

CHOICES = ("convolution", "force_convolution", "forces", "gradient")
WHOLE = {
    "n_blocks": (1, 16),
    "channels": (8, 1024),
    "hidden_channels": (8, 4096),
    "n_radial": (2, 4096),
    "n_latitude": (2, 128),
    "n_longitude": (2, 128),
    "embedding_channels": (1, 1024),
    "lmax": (0, 12),
    "max_neighbors": (0, 10_000),
    "n_rotations": (1, 1000),
    "seed": (-1, 2**31 - 1),
}
POSITIVE = ("radial_width", "force_scale", "frame_offset")


@dataclass(frozen=True)
class GridConfig(KindConfig):
    """Architecture of the published SpinConv (arXiv:2106.09575); raises ValueError on construction if a field is out of range."""

    n_blocks: int = 2
    """Number of message blocks: each lets an atom see one cutoff further."""
    channels: int = 32
    """Width of the messages; they are convolved in `channels` // 8 groups."""
    hidden_channels: int = 64
    """Width of the hidden layers."""
    n_radial: int = 64
    """Gaussians of the distance, from 0 to the cutoff."""
    radial_width: float = 3.0
    """Width (standard deviation) of a Gaussian, in distances between two of them."""
    scale_distances: bool = True
    """Whether each pair of elements learns a scale and an offset of its distances."""
    distance_scale_max: float = 2.0
    """The scales of distances are between 1 / this and this."""
    embedding_channels: int = 32
    """Numbers by which an element is told from others."""
    n_latitude: int = 16
    """Rows of the grid on the sphere, from pole to pole."""
    n_longitude: int = 12
    """Columns of the grid on the sphere."""
    frame_offset: float = 0.01
    """Å along each axis, added to the mean direction of neighbours that frames are taken from, for where it vanishes; published: 0.0001."""
    convolution: Literal["grid", "harmonics"] = "grid"
    """`grid`: kernels on the grid roll about the edge; `harmonics`: on spherical harmonics of what the grid holds (`rotspharmwd`)."""
    force_convolution: Literal["grid", "harmonics"] = "grid"
    """The same of the head of the forces."""
    lmax: int = 0
    """Highest degree of these harmonics; 0 where none are asked for."""
    forces: Literal["gradient", "random", "fixed"] = "gradient"
    """`gradient` of the energy; or the head of the force-centric model, averaged over `random` or over `fixed` rotations."""
    n_rotations: int = 8
    """Rotations that the head of the forces averages over; of `fixed` ones a multiple of 4, so that they add up to zero."""
    seed: int = 0
    """Of the random rotations; -1 draws new ones by torch's generator at every call, as published."""
    gradient: Literal["intact", "published"] = "intact"
    """`intact`: of the whole energy; `published`: as if no neighbour could move on the sphere, which conserves nothing."""
    envelope: bool = True
    """Whether neighbours fade out smoothly at the cutoff; published models do not, and their energy jumps there."""
    max_neighbors: int = 0
    """Keep the pairs of atoms in which either is among so many nearest neighbours of the other: energies jump when these change. 0: all."""
    energy_offset: float = 0.0
    """Energy (eV) of a structure besides that of its atoms: the mean that energies of a published model are relative to."""
    force_scale: float = 1.0
    """What the head of the forces is multiplied by, besides `scale` (1/Å)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in POSITIVE:
            if not is_number(value := getattr(self, name)) or not 0 < value < float("inf"):
                raise ValueError(f"`{name}` must be positive, got {value!r}")
        if not is_number(self.distance_scale_max) or not 1 <= self.distance_scale_max <= 1000:
            raise ValueError(f"`distance_scale_max` must be from 1 to 1000, got {self.distance_scale_max!r}")
        if not is_number(self.energy_offset) or not abs(self.energy_offset) < float("inf"):
            raise ValueError(f"`energy_offset` must be a number (eV), got {self.energy_offset!r}")
        for name, (least, most) in WHOLE.items():
            check_whole_number(self, name, least, most)
        for name in CHOICES:
            known = get_args(get_type_hints(type(self))[name])
            if getattr(self, name) not in known:
                raise ValueError(f"`{name}` must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        for name in ("scale_distances", "envelope"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"`{name}` must be true or false, got {getattr(self, name)!r}")
        if self.forces == "fixed" and self.n_rotations % 4:
            raise ValueError(f"`n_rotations` must be a multiple of 4 where they are fixed, got {self.n_rotations}")
        self._check_groups()
        self._check_harmonics()

    def _check_groups(self) -> None:
        if self.channels % self.groups:
            raise ValueError(f"`channels` must be made of {self.groups} equal groups (`channels` // 8), got {self.channels}")
        if self.hidden_channels % self.groups:
            raise ValueError(f"`hidden_channels` must be a multiple of the {self.groups} groups, got {self.hidden_channels}")

    def _check_harmonics(self) -> None:
        if not self.has_harmonics:
            return
        if self.lmax == 0:
            raise ValueError("`lmax` must be 1 at least where `convolution` or `force_convolution` is harmonics, got 0")
        if self.n_latitude % 2:
            raise ValueError(f"`n_latitude` must be even for harmonics, whose integrals over the grid need it, got {self.n_latitude}")

    @property
    def groups(self) -> int:
        """Groups of channels that are convolved, and normalised, with each other."""
        return self.channels // 8

    @property
    def has_harmonics(self) -> bool:
        """Whether anything is convolved by spherical harmonics."""
        return self.convolution == "harmonics" or (self.direct_forces and self.force_convolution == "harmonics")

    @property
    def direct_forces(self) -> bool:
        """Whether forces come from a head of their own."""
        return self.forces != "gradient"

    @property
    def conservative(self) -> bool:
        """Whether forces are -dE/dx of a continuous energy: `gradient: intact`, an envelope, and no cap of neighbours."""
        return not self.direct_forces and self.gradient == "intact" and self.envelope and self.max_neighbors == 0

    def least_weights(self) -> int:
        """Every block has kernels, and the widest layers of two embedding blocks."""
        kernels = 8 * self.n_latitude * self.n_longitude if self.convolution == "grid" else self.channels * (self.lmax + 1) ** 2
        return self.n_blocks * self.hidden_channels * (kernels + 16 * self.hidden_channels)
