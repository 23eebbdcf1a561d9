"""Runs the network of a model file."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from spinconv.export.reader import ModelFile
from spinconv.potential import Graph, energy_and_forces
from spinconv.potential.gradients import Evaluation


@contextmanager
def without_profiling() -> Iterator[None]:
    """Torch runs scripted code as it stands: profiling and fusing it makes the first three calls 20 to 40 times slower and gains nothing.

    It holds for this thread, and afterwards what was set before holds again. src/evaluation.cpp does the same.
    """
    with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
        yield


def evaluate_graph(file: ModelFile, graph: Graph) -> Evaluation:
    """Energies, forces and virials of `graph`, in the precision and on the device of `file`; the first call is as fast as later ones."""
    device = next(file.module.parameters()).device
    here = Graph(
        graph.numbers.to(device),
        graph.edge_index.to(device),
        graph.vectors.to(device, file.dtype),
        graph.system.to(device),
        graph.n_systems,
    )
    with without_profiling():
        return energy_and_forces(file.module, here)
