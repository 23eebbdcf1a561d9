"""What a tiny model is made of."""

from dataclasses import dataclass
from typing import Literal

from spinconv.potential.config import KindConfig, check_whole_number


@dataclass(frozen=True)
class TinyConfig(KindConfig):
    """A kind that nobody knew of when the rest of spinconv was written."""

    cutoff: float = 4.0
    """Distance (Å) from which on two atoms are no neighbours."""
    width: int = 3
    """Functions of the distance."""
    says: Literal["gradient", "direct"] = "gradient"
    """Where its forces come from."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole_number(self, "width", 1, 9)
