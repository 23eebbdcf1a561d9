"""Runs the network of a model file."""

import torch

from spinconv.export.reader import ModelFile
from spinconv.potential import Graph, energy_and_forces
from spinconv.potential.gradients import Evaluation
from spinconv.potential.model import PotentialModel


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
