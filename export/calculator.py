"""The exported file as an ASE calculator."""

import os
from typing import Any

import ase
import ase.data
import numpy as np
import torch
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from spinconv.export.reader import read_model
from spinconv.potential import build_graph, energy_and_forces


class SpinConvCalculator(Calculator):
    """Energy, per-atom energies, forces and stress of a model file in any cell: free, mixed, periodic, triclinic, small.

    `model` is the path of a file written by `spinconv export`, `dtype` "float32", "float64" or None for the file's own choice,
    `device` as torch names it. The stress exists for cells that are periodic in all three directions.
    """

    implemented_properties: list[str] = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012  (ASE declares it so)

    def __init__(self, model: str | os.PathLike[str], dtype: str | None = None, device: str = "cpu", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = read_model(model, dtype, device)
        self.device = torch.device(device)
        self._known = {ase.data.atomic_numbers[symbol] for symbol in self.model.metadata["elements"]}

    def calculate(
        self, atoms: ase.Atoms | None = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        """Fills `results`: eV, eV/Å, eV/Å^3 (Voigt order of ASE)."""
        super().calculate(atoms, properties or ["energy"], system_changes)
        assert self.atoms is not None  # the base class has just set them
        atoms = self.atoms
        unknown = sorted(set(atoms.numbers.tolist()) - self._known)
        if unknown:
            raise ValueError(
                f"`atoms` must consist of the model's elements {', '.join(self.model.metadata['elements'])}, "
                f"got {ase.data.chemical_symbols[unknown[0]]}"
            )
        graph = build_graph(atoms, self.model.metadata["cutoff"], self.model.dtype)
        graph = graph._replace(**{name: getattr(graph, name).to(self.device) for name in ("numbers", "edge_index", "vectors", "system")})
        evaluation = energy_and_forces(self.model.module, graph)
        energy = float(evaluation.energies[0].detach())
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "energies": evaluation.atom_energies.detach().cpu().numpy(),
            "forces": evaluation.forces.detach().cpu().numpy().astype(np.float64),
        }
        if not np.isfinite(energy) or not np.isfinite(self.results["forces"]).all():
            raise ValueError(f"energy and forces must be finite, got {energy} eV: look for atoms on top of each other")
        if atoms.pbc.all():
            virial = evaluation.virials[0].detach().cpu().numpy().astype(np.float64)
            self.results["stress"] = full_3x3_to_voigt_6_stress(-(virial + virial.T) / 2 / atoms.get_volume())
