"""The probe of a model file: a small cluster and what the model computes for it; a reader that gets other numbers is wrong."""

from collections.abc import Sequence
from typing import NamedTuple

import ase
import numpy as np
import torch
from ase.data import chemical_symbols

from spinconv.export.check_structures import own_structures
from spinconv.export.execution import evaluate_module
from spinconv.export.metadata import Metadata, Probe
from spinconv.export.plain_torch import plain_torch
from spinconv.potential import build_graph, energy_and_forces
from spinconv.potential.gradients import Model
from spinconv.potential.model import PotentialModel

SHARES = {torch.float64: 1e-8, torch.float32: 1e-3}
"""Of the largest energy or gradient that a reader may be away: what is wrong is wrong in its first digits. src/probe.cpp has the same."""
SMALL = 0.1
"""eV, eV/Å: what numbers are compared with where all are smaller."""


class ProbeDifference(NamedTuple):
    """How far a model is from what the probe of a file says."""

    energy: float
    """Largest of an atom, eV."""
    gradient: float
    """Largest component, eV/Å."""


def make_probe(model: Model, elements: Sequence[int], cutoff: float) -> Probe:
    """A cluster of all `elements` (atomic numbers) and what `model`, in float64, computes for it."""
    atoms = own_structures([chemical_symbols[z] for z in elements]).atoms["cluster"]
    energies, gradients = computed(model, atoms, cutoff)
    return Probe(
        numbers=atoms.numbers.tolist(), positions=atoms.positions.tolist(), energies=energies.tolist(), gradients=gradients.tolist()
    )


def probe_difference(model: Model, probe: Probe, cutoff: float) -> ProbeDifference:
    """How far `model`, in float64, is from the probe."""
    energies, gradients = computed(model, ase.Atoms(probe.numbers, probe.positions), cutoff)
    said = [torch.tensor(rows, dtype=torch.float64) for rows in (probe.energies, probe.gradients)]
    return ProbeDifference(float((energies - said[0]).abs().max()), float((gradients - said[1]).abs().max()))


def check_probe(model: PotentialModel, dtype: torch.dtype, metadata: Metadata) -> None:
    """ValueError, which wants the name of the file before it, unless a network that computes in `dtype` finds the probe again.

    Energies of the published network leap where roundings decide: what is not conservative is compared in float64 alone.
    """
    if dtype is torch.float32 and not metadata.conservative:
        return
    probe = metadata.probe
    graph = build_graph(ase.Atoms(probe.numbers, probe.positions), metadata.model.cutoff, torch.float64)
    found = evaluate_module(model, dtype, graph)
    references = np.array([metadata.reference_energies[chemical_symbols[z]] for z in probe.numbers])  # thousands of eV
    energies = difference(in_double(found.atom_energies) - references, np.array(probe.energies) - references)
    gradients = difference(-in_double(found.forces), np.array(probe.gradients))
    if not all(apart <= SHARES[dtype] * largest for apart, largest in (energies, gradients)):
        raise ValueError(
            f"gives other numbers here than where it was exported: the energies of its probe differ by {energies[0]:.2g} eV, the forces by "
            f"{gradients[0]:.2g} eV/Å (torch, {str(dtype).removeprefix('torch.')}); export it again, or look for another build of torch"
        )


def difference(found: np.ndarray, said: np.ndarray) -> tuple[float, float]:
    """The largest difference, and the largest number."""
    return float(np.abs(found - said).max()), max(SMALL, float(np.abs(said).max()))


def in_double(values: torch.Tensor) -> np.ndarray:
    """On the CPU."""
    return values.detach().cpu().numpy().astype(np.float64)


@plain_torch()
def computed(model: Model, atoms: ase.Atoms, cutoff: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Energies of the atoms (eV) and the gradient of their sum (eV/Å), or minus the forces where a model says these itself."""
    found = energy_and_forces(model, build_graph(atoms, cutoff, torch.float64))
    return found.atom_energies.detach(), -found.forces.detach()
