"""A model file evaluated by torch: the equations as Python has them, on any device of torch."""

import os

import torch

from spinconv.export.evaluators import Numbers
from spinconv.export.execution import evaluate_module
from spinconv.export.plain_torch import plain_torch
from spinconv.export.probe import in_double
from spinconv.export.reader import read_model
from spinconv.potential.edges import Edges
from spinconv.potential.graph import graph_from


class TorchModel:
    """An `OpenModel`; `file` is what `read_model` gives."""

    evaluator = "torch"

    def __init__(self, path: str | os.PathLike[str], dtype: str | None = None, device: str | torch.device = "cpu") -> None:
        self.file = read_model(path, dtype, device)
        self.said, self.metadata = self.file.said, self.file.metadata
        self.dtype = str(self.file.dtype).removeprefix("torch.")
        self.device = str(next(self.file.module.parameters()).device)

    @plain_torch()
    def evaluate(self, edges: Edges) -> Numbers:
        """See `OpenModel`."""
        found = evaluate_module(self.file.module, self.file.dtype, graph_from(edges, torch.float64))
        forces, virials = in_double(found.forces), found.virials
        return Numbers(in_double(found.atom_energies), forces, None if virials is None else in_double(virials[0]))
