"""Runs the network of a model file by torch."""

import torch

from spinconv.potential import Graph, energy_and_forces
from spinconv.potential.gradients import Evaluation
from spinconv.potential.model import PotentialModel


def evaluate_module(module: PotentialModel, dtype: torch.dtype, graph: Graph) -> Evaluation:
    """Energies, forces and virials of `graph`, in `dtype`, on the device of `module`; call it within `plain_torch`."""
    device = next(module.parameters()).device
    here = Graph(
        graph.numbers.to(device),
        graph.edge_index.to(device),
        graph.vectors.to(device, dtype),
        graph.system.to(device),
        graph.n_systems,
    )
    return energy_and_forces(module, here)
