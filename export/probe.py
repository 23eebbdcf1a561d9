"""The probe of a model file: a small cluster and what the model computes for it; a reader that gets other numbers is wrong."""

from collections.abc import Sequence
from typing import NamedTuple

import ase
import torch
from ase.data import chemical_symbols

from spinconv.export.check_structures import own_structures
from spinconv.export.metadata import Probe
from spinconv.export.plain_torch import plain_torch
from spinconv.potential import build_graph, energy_and_forces
from spinconv.potential.gradients import Model


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


@plain_torch()
def computed(model: Model, atoms: ase.Atoms, cutoff: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Energies of the atoms (eV) and the gradient of their sum (eV/Å), or minus the forces where a model says these itself."""
    found = energy_and_forces(model, build_graph(atoms, cutoff, torch.float64))
    return found.atom_energies.detach(), -found.forces.detach()
