"""What models of every kind are: a PyTorch module that gives the energies of atoms, and has the numbers that its equations need by name."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import nn

from spinconv.potential.config import KindConfig

REFERENCE_ENERGIES = "constants.reference_energies"
SAID_BY_FILES = ("constants.element", REFERENCE_ENERGIES)
"""Constants of every kind that a model file has in its metadata."""


class TwoLayers(nn.Module):
    """The weights of `layers.network`."""

    def __init__(self, channels_in: int, channels: int, channels_out: int) -> None:
        super().__init__()
        self.first = nn.Linear(channels_in, channels)
        self.last = nn.Linear(channels, channels_out)


class PotentialModel(nn.Module, ABC):
    """The base of the models of every kind, each made by `Model(config, reference_energies, scale, average_neighbors)`.

    `reference_energies` (eV, one per element of `config.elements`) are the energies of atoms without neighbours; the network's part
    is multiplied by `scale` (eV) and sums over neighbours are divided by `average_neighbors`, both constants of the training set.
    A kind's constructor ends with `self.keep_constants()`.
    """

    config: KindConfig

    def __init__(
        self, config: KindConfig, reference_energies: Sequence[float], scale: float = 1.0, average_neighbors: float = 10.0
    ) -> None:
        super().__init__()
        if len(reference_energies) != len(config.elements):
            raise ValueError(
                f"`reference_energies` must have one value (eV) per element, {len(config.elements)} for {config.elements}, "
                f"got {len(reference_energies)}"
            )
        self.config = config
        self.cutoff, self.n_elements = float(config.cutoff), len(config.elements)
        self.reference_energies = [float(energy) for energy in reference_energies]
        self.scale, self.average_neighbors = float(scale), float(average_neighbors)
        self._constants: dict[str, torch.Tensor] = {}

    @abstractmethod
    def exact_constants(self) -> dict[str, torch.Tensor]:
        """Constants by the names that the equations give them, float64 or whole; `shared_constants` among them."""

    @abstractmethod
    def settings(self) -> dict[str, float]:
        """The numbers that the equations ask for by name; see `shared_settings`."""

    @abstractmethod
    def energies(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Energy of every atom (eV, float64 [n_atoms]). Every number must be one of the model's elements: the graph's maker checks that.

        `numbers` int64 [n_atoms]; `edge_index` int64 [2, e], row 0 the sending atoms j, row 1 the receiving atoms i; `vectors` [e, 3]
        r_j - r_i in Å.
        """

    def energies_and_gradients(
        self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Energies, and the gradient of their sum with respect to `vectors`, [e, 3], which cannot be differentiated again."""
        leaf = vectors.detach().requires_grad_(True)
        energies = self.energies(numbers, edge_index, leaf)
        return energies, torch.autograd.grad(energies.sum(), leaf)[0]

    def forces(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Forces on the atoms (eV/Å, [n_atoms, 3]) where a kind says them itself."""
        raise NotImplementedError(f"the forces of {type(self).__name__} are the gradient of its energy")

    def energies_and_forces(
        self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both; a kind whose `forces` begin as its `energies` do says here how to begin once."""
        return self.energies(numbers, edge_index, vectors), self.forces(numbers, edge_index, vectors)

    def forward(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """The same as `energies`."""
        return self.energies(numbers, edge_index, vectors)

    def shared_constants(self) -> dict[str, torch.Tensor]:
        """The constants of every kind: the row of an element in tables, by its atomic number, and its reference energy."""
        element = torch.full((119,), -1, dtype=torch.int64)
        element[list(self.config.elements)] = torch.arange(self.n_elements)
        return {"constants.element": element, REFERENCE_ENERGIES: torch.tensor(self.reference_energies, dtype=torch.float64)}

    def shared_settings(self) -> dict[str, float]:
        """The numbers of every kind, which a model file says elsewhere."""
        return {"cutoff": self.cutoff, "scale": self.scale, "average_neighbors": self.average_neighbors}

    def keep_constants(self) -> None:
        """Makes the constants, and moves all to the default precision."""
        self._constants = self.exact_constants()
        self.to(torch.get_default_dtype())

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> "PotentialModel":
        """Every move to another precision starts from the exact constants: float32 and back must not leave rounded ones."""
        super()._apply(fn, recurse)
        like = next(self.parameters())
        self._constants = constants_like(self.exact_constants(), like.device, like.dtype)
        return self

    def weights(self) -> dict[str, torch.Tensor]:
        """Learned numbers and constants by the names that the equations give them."""
        return {**dict(self.named_parameters()), **dict(self.named_buffers()), **self._constants}

    def stored_constants(self) -> dict[str, torch.Tensor]:
        """The constants that a model file has, because other readers would have to compute them; the rest stands in its metadata."""
        return {name: value for name, value in self._constants.items() if name not in SAID_BY_FILES}


def constants_like(constants: dict[str, torch.Tensor], device: torch.device, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """On a device and in a precision; whole numbers stay whole, and reference energies, which may be thousands of eV, float64."""
    keep = {name for name, value in constants.items() if not value.is_floating_point()} | {REFERENCE_ENERGIES}
    return {name: value.to(device=device, dtype=None if name in keep else dtype) for name, value in constants.items()}


def count_parameters(model: nn.Module) -> int:
    """Number of learned numbers of a model."""
    return sum(parameter.numel() for parameter in model.parameters())
