"""Runs the network of a model file."""

import torch

from spinconv.export.reader import ModelFile
from spinconv.potential import Graph, energy_and_forces
from spinconv.potential.gradients import Evaluation


def evaluate_graph(file: ModelFile, graph: Graph) -> Evaluation:
    """Energies, forces and virials of `graph`, in the precision and on the device of `file`; the first call is as fast as later ones.

    Torch would profile and fuse what it runs, which makes the first three calls of every size ten times slower and gains nothing
    (docs/performance.md). Without it in this thread, and with what was set before afterwards; src/evaluation.cpp does the same.
    """
    device = next(file.module.parameters()).device
    here = Graph(
        graph.numbers.to(device),
        graph.edge_index.to(device),
        graph.vectors.to(device, file.dtype),
        graph.system.to(device),
        graph.n_systems,
    )
    with torch.jit.optimized_execution(False):
        return energy_and_forces(file.module, here)
