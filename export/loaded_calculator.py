"""A loaded model, of a checkpoint or of an exported file, as a calculator of ASE: energy and forces, for relaxations."""

from typing import Any

import ase
import numpy as np
import torch
from ase.calculators.calculator import Calculator, all_changes

from spinconv.export.execution import evaluate_module
from spinconv.export.guards import check_elements, check_finite
from spinconv.export.loading import Loaded
from spinconv.export.plain_torch import plain_torch
from spinconv.export.writer import DTYPES
from spinconv.potential.edges import VerletList
from spinconv.potential.graph import graph_from


class LoadedCalculator(Calculator):
    """Energy (eV) and forces (eV/Å) as the model gives them: the gradient of the energy, or direct ones of a model that has such."""

    implemented_properties: list[str] = ["energy", "free_energy", "forces"]  # noqa: RUF012  (ASE declares it so)

    def __init__(self, loaded: Loaded, device: torch.device | str = "cpu") -> None:
        super().__init__()
        self.loaded, self.device = loaded, torch.device(device)
        self.module = loaded.module.to(device=self.device, dtype=DTYPES[loaded.dtype])
        self.neighbors = VerletList(loaded.cutoff)

    @plain_torch()
    def calculate(
        self, atoms: ase.Atoms | None = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        """Fills `results`; ValueError where an element is not the model's, or the numbers are none."""
        super().calculate(atoms, properties or ["energy"], system_changes)
        assert self.atoms is not None  # the base class has just set them
        atoms = self.atoms
        check_elements(atoms, self.loaded.elements)
        edges = self.neighbors.edges(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
        evaluation = evaluate_module(self.module, DTYPES[self.loaded.dtype], graph_from(edges, torch.float64))
        energy = float(evaluation.energies[0].detach())
        forces = evaluation.forces.detach().cpu().numpy().astype(np.float64)
        check_finite(energy, forces)
        self.results: dict[str, Any] = {"energy": energy, "free_energy": energy, "forces": forces}
