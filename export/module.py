"""The TorchScript in a model file: the network for those who load it with torch alone, and a forward pass for hosts such as TorchForce.

Our own readers do not run it: they take the weights from the data part of the file (container.py) and the equations from this package.
"""

from typing import Final

import torch
from torch import nn

from spinconv.export.neighbors import edge_vectors, find_neighbors
from spinconv.export.units import ANGSTROM_PER_NM, KJ_PER_MOL_PER_EV
from spinconv.potential.kinds import has_direct_forces, kind_of
from spinconv.potential.model import REFERENCE_ENERGIES, PotentialModel


class ExportedModel(nn.Module):
    """The model with all that its equations need, as TorchScript can hold it: one tensor of real numbers, one of whole ones.

    `forward` is for hosts that give positions and a box alone, as OpenMM's TorchForce does. It needs to know the atoms:
    `numbers` are their atomic numbers (empty: not bound yet), `atoms` their indices among the host's particles (empty: all of them).
    """

    cutoff: float
    elements: list[int]
    n_particles: int
    boundary: str
    numbers: torch.Tensor
    atoms: torch.Tensor
    values: torch.Tensor
    whole_values: torch.Tensor
    names: list[str]
    shapes: list[list[int]]
    whole_names: list[str]
    whole_shapes: list[list[int]]
    reference_energies: list[float]
    settings: dict[str, float]
    kj_per_mol_per_ev: Final[float]
    angstrom_per_nm: Final[float]

    def __init__(self, model: PotentialModel) -> None:
        super().__init__()
        self.energies_of = kind_of(model.config).equations.energies
        self.cutoff = model.cutoff
        self.elements = list(model.config.elements)
        self.n_particles = 0
        self.boundary = ""  # "free", "periodic", or "" for what the host says
        self.kj_per_mol_per_ev = KJ_PER_MOL_PER_EV
        self.angstrom_per_nm = ANGSTROM_PER_NM
        self.settings = model.settings()
        self.reference_energies = model.reference_energies  # no tensor: a module moved to float32 keeps their digits
        weights = {name: value.detach() for name, value in model.weights().items() if name != REFERENCE_ENERGIES}
        real = {name: value for name, value in weights.items() if value.is_floating_point()}
        whole = {name: value for name, value in weights.items() if not value.is_floating_point()}
        self.names, self.shapes = list(real), [list(value.shape) for value in real.values()]
        self.whole_names, self.whole_shapes = list(whole), [list(value.shape) for value in whole.values()]
        self.register_buffer("values", torch.cat([value.flatten() for value in real.values()]))
        self.register_buffer("whole_values", torch.cat([value.flatten() for value in whole.values()]))
        self.register_buffer("numbers", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("atoms", torch.zeros(0, dtype=torch.int64))

    def forward(self, positions: torch.Tensor, box: torch.Tensor | None = None) -> torch.Tensor:
        """Energy (kJ/mol, float64, differentiable) of `positions` [n_particles, 3] (nm), free or in `box` [3, 3] (rows)."""
        numbers, neighbors, vectors = self.hosted_graph(positions, box)
        return self.energies(numbers, neighbors, vectors).sum() * self.kj_per_mol_per_ev

    @torch.jit.export
    def energies(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """See `energies` in the equations of the model's kind."""
        return self.energies_of(self.weights(), self.settings, numbers, edge_index, vectors)

    def weights(self) -> dict[str, torch.Tensor]:
        """Learned numbers and constants by name, as the equations want them."""
        reference = torch.zeros(len(self.reference_energies), dtype=torch.float64, device=self.values.device)
        for n in range(len(self.reference_energies)):  # as elsewhere TorchScript rounds them to single precision
            reference[n].fill_(self.reference_energies[n])
        w = {"constants.reference_energies": reference}
        w.update(cut(self.values, self.names, self.shapes))
        w.update(cut(self.whole_values, self.whole_names, self.whole_shapes))
        return w

    @torch.jit.export
    def energy_and_forces(self, positions: torch.Tensor, box: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """The energy of `forward` and the forces (kJ/mol/nm, [n_particles, 3]) in the dtype of `positions`."""
        numbers, edge_index, vectors = self.hosted_graph(positions.detach(), box)
        vectors = vectors.detach().requires_grad_(True)
        energy = self.energies(numbers, edge_index, vectors).sum()
        gradient = torch.autograd.grad([energy], [vectors])[0]
        assert gradient is not None
        gradient = gradient.to(torch.float64) * (self.kj_per_mol_per_ev * self.angstrom_per_nm)
        forces = torch.zeros(positions.shape[0], 3, dtype=torch.float64, device=positions.device)
        chosen = edge_index if self.atoms.shape[0] == 0 else self.atoms[edge_index]
        forces = forces.index_add(0, chosen[1], gradient).index_add(0, chosen[0], -gradient)
        return energy.detach() * self.kj_per_mol_per_ev, forces.to(positions.dtype)

    @torch.jit.export
    def hosted_graph(self, positions: torch.Tensor, box: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Atomic numbers, edge_index and vectors (Å, in the precision of the weights) of what a host handed over (nm)."""
        self.check(positions, box)
        positions = positions.to(torch.float64) * self.angstrom_per_nm
        if self.atoms.shape[0] > 0:
            positions = positions.index_select(0, self.atoms)
        box_angstrom = box
        if box is not None:
            box_angstrom = box.detach().to(torch.float64) * self.angstrom_per_nm
        neighbors = find_neighbors(positions.detach(), box_angstrom, self.cutoff)
        vectors = edge_vectors(positions, box_angstrom, neighbors)
        return self.numbers, neighbors.edge_index, vectors.to(self.values.dtype)

    def check(self, positions: torch.Tensor, box: torch.Tensor | None) -> None:
        """Raises ValueError for what the file was not made for."""
        n = self.numbers.shape[0]
        if n == 0:
            raise ValueError(
                "this SpinConv file does not know the atoms yet: `spinconv bind model.pt system.pdb -o system.pt` writes one that does, "
                "or set module.numbers to the atomic numbers (int64 tensor)"
            )
        if self.numbers.dtype != torch.int64 or self.numbers.dim() != 1:
            raise ValueError(
                f"`numbers` must be an int64 tensor [n_atoms] of atomic numbers, got {self.numbers.dtype} {self.numbers.shape}"
            )
        n_particles = positions.shape[0]
        if self.atoms.shape[0] == 0 and n_particles != n:
            raise ValueError(f"this SpinConv file is bound to {n} particles, the system has {n_particles}; bind it to this system")
        if self.n_particles not in (0, n_particles):
            raise ValueError(
                f"this SpinConv file is bound to {self.n_particles} particles, the system has {n_particles}; bind it to this system"
            )
        if self.boundary == "periodic" and box is None:
            raise ValueError("this SpinConv file is bound to a periodic system: say force.setUsesPeriodicBoundaryConditions(True)")
        if self.boundary == "free" and box is not None:
            raise ValueError(
                "this SpinConv file is bound to a system without a box, but the force is periodic; bind it with `--periodic`, "
                "or say force.setUsesPeriodicBoundaryConditions(False)"
            )
        known = torch.tensor(self.elements, device=self.numbers.device)
        unknown = torch.nonzero((self.numbers.unsqueeze(1) != known).all(dim=1))
        if unknown.shape[0] > 0:
            atom = int(unknown[0, 0])
            raise ValueError(
                f"`numbers` must be of elements that the model knows {self.elements}, got {int(self.numbers[atom])} for atom {atom}"
            )
        if not bool(torch.isfinite(positions).all()):
            raise ValueError("a position is not a number: the simulation went astray before this step (time step too long?)")


class ExportedModelWithForces(ExportedModel):
    """The same for a host that wants forces from the forward pass: `TorchForce.setOutputsForces(True)`."""

    def forward(self, positions: torch.Tensor, box: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        """`energy_and_forces`."""
        return self.energy_and_forces(positions, box)


class ExportedDirectModel(ExportedModel):
    """The same for a kind that says its forces itself. A host that would differentiate the energy is refused."""

    def __init__(self, model: PotentialModel) -> None:
        super().__init__(model)
        equations = kind_of(model.config).equations
        self.forces_of = equations.forces
        if hasattr(equations, "energies_and_forces"):
            self.both_of = equations.energies_and_forces

    def forward(self, positions: torch.Tensor, box: torch.Tensor | None = None) -> torch.Tensor:
        """Refuses: the forces of this model are not the gradient of what would be given back."""
        raise ValueError(
            "this SpinConv model says its forces itself, and they are not the gradient of its energy: call energy_and_forces, "
            "or relax with SpinConvCalculator"
        )

    @torch.jit.export
    def forces(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """See `forces` in the equations of the model's kind."""
        return self.forces_of(self.weights(), self.settings, numbers, edge_index, vectors)

    @torch.jit.export
    def energies_and_forces(
        self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both; at once where the equations of the kind say how."""
        if hasattr(self, "both_of"):
            return self.both_of(self.weights(), self.settings, numbers, edge_index, vectors)
        return self.energies(numbers, edge_index, vectors), self.forces(numbers, edge_index, vectors)

    @torch.jit.export
    def energy_and_forces(self, positions: torch.Tensor, box: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """The energy (kJ/mol) and the direct forces (kJ/mol/nm, [n_particles, 3]) in the dtype of `positions`."""
        numbers, edge_index, vectors = self.hosted_graph(positions.detach(), box)
        energies, found = self.energies_and_forces(numbers, edge_index, vectors)
        energy, found = energies.sum(), found.to(torch.float64) * (self.kj_per_mol_per_ev * self.angstrom_per_nm)
        forces = torch.zeros(positions.shape[0], 3, dtype=torch.float64, device=positions.device)
        chosen = torch.arange(numbers.shape[0], device=positions.device) if self.atoms.shape[0] == 0 else self.atoms
        return energy.detach() * self.kj_per_mol_per_ev, forces.index_add(0, chosen, found).detach().to(positions.dtype)


def exported_model(model: PotentialModel, outputs_forces: bool = False) -> ExportedModel:
    """What TorchScript is to hold of a model; with `outputs_forces` its forward pass gives the forces too, which only gradients do."""
    if has_direct_forces(model.config):
        return ExportedDirectModel(model)
    return ExportedModelWithForces(model) if outputs_forces else ExportedModel(model)


def cut(values: torch.Tensor, names: list[str], shapes: list[list[int]]) -> dict[str, torch.Tensor]:
    """Views of one row of numbers, of these shapes one after another, by name."""
    views: dict[str, torch.Tensor] = {}
    begin = 0
    for n in range(len(names)):
        end = begin + product(shapes[n])
        views[names[n]] = values[begin:end].view(shapes[n])
        begin = end
    return views


def product(shape: list[int]) -> int:
    """Numbers in a tensor of a shape."""
    n = 1
    for size in shape:
        n *= size
    return n
