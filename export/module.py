"""What stands in the model file: the network, its stages for engines, and a forward pass for hosts that know positions and a box only."""

from typing import Final

import torch
from torch import nn

from spinconv.export.neighbors import edge_vectors, find_neighbors
from spinconv.potential import HarmonicSpinConv, ModelConfig
from spinconv.potential.coverage import Coverage
from spinconv.potential.harmonic import EdgeGeometry

FORMAT_VERSION = 1
KJ_PER_MOL_PER_EV = 96.4853321233100184
"""e * N_A, exact in the SI of 2019 (CODATA 2018): the constant of the C++ side and of OpenMM. ASE's default is CODATA 2014, 1e-8 larger."""
ANGSTROM_PER_NM = 10.0


class ExportedModel(nn.Module):
    """The model with what an engine has to know as attributes, and its stages as methods of the file.

    `forward` is for hosts that give positions and a box alone, as OpenMM's TorchForce does. It needs to know the atoms:
    `numbers` are their atomic numbers (empty: not bound yet), `atoms` their indices among the host's particles (empty: all of them).
    """

    format_version: int
    kind: str
    cutoff: float
    elements: list[int]
    conservative: bool
    dtype: str
    n_blocks: int
    shortest_distances: list[float]
    neighbor_range: list[int]
    n_particles: int
    boundary: str
    numbers: torch.Tensor
    atoms: torch.Tensor
    kj_per_mol_per_ev: Final[float]
    angstrom_per_nm: Final[float]

    def __init__(self, model: HarmonicSpinConv, config: ModelConfig, dtype: str, coverage: Coverage | None = None) -> None:
        super().__init__()
        self.model = model
        self.format_version = FORMAT_VERSION
        self.kind = "harmonic"
        self.cutoff = config.cutoff
        self.elements = list(config.elements)
        self.conservative = True
        self.dtype = dtype
        self.n_blocks = config.n_blocks
        # of the training frames, rows in the order of `elements`; empty: not known
        self.shortest_distances = [] if coverage is None else [distance for row in coverage.shortest for distance in row]
        self.neighbor_range = [] if coverage is None else [count for pair in coverage.neighbors for count in pair]
        self.n_particles = 0
        self.boundary = ""  # "free", "periodic", or "" for what the host says
        self.kj_per_mol_per_ev = KJ_PER_MOL_PER_EV
        self.angstrom_per_nm = ANGSTROM_PER_NM
        self.register_buffer("numbers", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("atoms", torch.zeros(0, dtype=torch.int64))

    def forward(self, positions: torch.Tensor, box: torch.Tensor | None = None) -> torch.Tensor:
        """Energy (kJ/mol, float64, differentiable) of `positions` [n_particles, 3] (nm), free or in `box` [3, 3] (rows)."""
        numbers, neighbors, vectors = self.hosted_graph(positions, box)
        return self.model.energies(numbers, neighbors, vectors).sum() * self.kj_per_mol_per_ev

    @torch.jit.export
    def energy_and_forces(self, positions: torch.Tensor, box: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """The energy of `forward` and the forces (kJ/mol/nm, [n_particles, 3]) in the dtype of `positions`."""
        numbers, edge_index, vectors = self.hosted_graph(positions.detach(), box)
        vectors = vectors.detach().requires_grad_(True)
        energy = self.model.energies(numbers, edge_index, vectors).sum()
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
        return self.numbers, neighbors.edge_index, vectors.to(self.model._isolated.dtype)

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

    @torch.jit.export
    def energies(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        return self.model.energies(numbers, edge_index, vectors)

    @torch.jit.export
    def edges(
        self, vectors: torch.Tensor, numbers_j: torch.Tensor, numbers_i: torch.Tensor
    ) -> tuple[EdgeGeometry, torch.Tensor, torch.Tensor]:
        return self.model.edges(vectors, numbers_j, numbers_i)

    @torch.jit.export
    def moments(self, k: int, m: torch.Tensor, geometry: EdgeGeometry, i: torch.Tensor, n_atoms: int) -> torch.Tensor:
        return self.model.moments(k, m, geometry, i, n_atoms)

    @torch.jit.export
    def spin(self, k: int, moments: torch.Tensor, geometry: EdgeGeometry, j: torch.Tensor) -> torch.Tensor:
        return self.model.spin(k, moments, geometry, j)

    @torch.jit.export
    def mix(
        self, k: int, h: torch.Tensor, m: torch.Tensor, t: torch.Tensor, numbers_j: torch.Tensor, numbers_i: torch.Tensor
    ) -> torch.Tensor:
        return self.model.mix(k, h, m, t, numbers_j, numbers_i)

    @torch.jit.export
    def sums(self, m: torch.Tensor, geometry: EdgeGeometry, i: torch.Tensor, n_atoms: int) -> torch.Tensor:
        return self.model.sums(m, geometry, i, n_atoms)

    @torch.jit.export
    def readout(self, sums: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        return self.model.readout(sums, numbers)


class ExportedModelWithForces(ExportedModel):
    """The same for a host that wants forces from the forward pass: `TorchForce.setOutputsForces(True)`."""

    def forward(self, positions: torch.Tensor, box: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        """`energy_and_forces`."""
        return self.energy_and_forces(positions, box)
