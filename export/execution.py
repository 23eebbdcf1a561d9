"""Runs the network of a model file."""

from spinconv.export.reader import ModelFile
from spinconv.potential import Graph, energy_and_forces
from spinconv.potential.gradients import Evaluation


def evaluate_graph(file: ModelFile, graph: Graph) -> Evaluation:
    """Energies, forces and virials of `graph`, in the precision and on the device of `file`; call it within `plain_torch`."""
    device = next(file.module.parameters()).device
    here = Graph(
        graph.numbers.to(device),
        graph.edge_index.to(device),
        graph.vectors.to(device, file.dtype),
        graph.system.to(device),
        graph.n_systems,
    )
    return energy_and_forces(file.module, here)
