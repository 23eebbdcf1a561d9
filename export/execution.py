"""Runs the network of a model file, and answers for what goes in and comes out."""

from collections.abc import Sequence

import ase
import numpy as np
import torch
from ase.data import chemical_symbols

from spinconv.export.reader import ModelFile
from spinconv.potential import Graph, energy_and_forces
from spinconv.potential.gradients import Evaluation
from spinconv.potential.model import PotentialModel
from spinconv.potential.words import element_name


def evaluate_graph(file: ModelFile, graph: Graph) -> Evaluation:
    """Energies, forces and virials of `graph`, in the precision and on the device of `file`; call it within `plain_torch`."""
    return evaluate_module(file.module, file.dtype, graph)


def evaluate_module(module: PotentialModel, dtype: torch.dtype, graph: Graph) -> Evaluation:
    """The same of a network that is in memory."""
    device = next(module.parameters()).device
    here = Graph(
        graph.numbers.to(device),
        graph.edge_index.to(device),
        graph.vectors.to(device, dtype),
        graph.system.to(device),
        graph.n_systems,
    )
    return energy_and_forces(module, here)


def check_elements(atoms: ase.Atoms, elements: Sequence[int]) -> None:
    """ValueError where an atom is of none of the model's `elements` (atomic numbers)."""
    unknown = sorted(set(atoms.numbers.tolist()) - set(elements))
    if unknown:
        known = ", ".join(chemical_symbols[z] for z in elements)
        raise ValueError(f"`atoms` must consist of the model's elements {known}, got {element_name(unknown[0])}")


def check_finite(energy: float, forces: np.ndarray) -> None:
    """ValueError where a number is none."""
    if not np.isfinite(energy) or not np.isfinite(forces).all():
        raise ValueError(f"energy and forces must be finite, got {energy} eV: look for atoms on top of each other")
