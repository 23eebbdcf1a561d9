"""The SpinConv model in plain PyTorch: atoms -> graph -> frames -> spin convolution -> messages -> energies -> forces.

Å and eV everywhere. Nothing here knows an engine or a file format.
"""

from spinconv.potential.config import ModelConfig
from spinconv.potential.gradients import Evaluation, energy_and_forces
from spinconv.potential.graph import Graph, batch_graphs, build_graph
from spinconv.potential.harmonic import HarmonicSpinConv

__all__ = ["Evaluation", "Graph", "HarmonicSpinConv", "ModelConfig", "batch_graphs", "build_graph", "energy_and_forces"]
