from .config import ModelConfig as ModelConfig
from .gradients import Evaluation as Evaluation
from .gradients import energy_and_forces as energy_and_forces
from .graph import Graph as Graph
from .graph import batch_graphs as batch_graphs
from .graph import build_graph as build_graph
from .harmonic import HarmonicSpinConv as HarmonicSpinConv
