"""Model files of format 2 for tests: the bytes of `random_model` and others, with their data part."""

import numpy as np
import torch
from ase.data import chemical_symbols

from models import ELEMENTS
from spinconv.export.container import pack
from spinconv.export.metadata import Metadata, make_metadata
from spinconv.export.module import ExportedModel
from spinconv.export.probe import make_probe
from spinconv.potential import HarmonicSpinConv, ModelConfig

CONFIG = ModelConfig(elements=ELEMENTS, channels=16, n_blocks=2)
"""Of `random_model` as it comes."""


def metadata_of(model: HarmonicSpinConv, **changes: object) -> Metadata:
    symbols = [chemical_symbols[z] for z in CONFIG.elements]
    values = {
        "kind": "harmonic",
        "name": "random",
        "conservative": True,
        "dtype": "float32",
        "model": CONFIG.to_dict(),
        "reference_energies": dict(zip(symbols, model.reference_energies, strict=True)),
        "scale": model.scale,
        "average_neighbors": model.average_neighbors,
        "coverage": {"shortest_distances": {"H-H": 1.5, "H-C": 0.95}, "neighbors": {symbol: [1, 8] for symbol in symbols}},
        "training": {"data": {"train_file": "train.xyz", "n_train": 950}},
        "versions": {"torch": torch.__version__},
        "probe": make_probe(model, CONFIG.elements, CONFIG.cutoff).model_dump(),
    }
    return make_metadata({**values, **changes})


def weights_of(model: HarmonicSpinConv) -> dict[str, np.ndarray]:
    return {name: weight.detach().to(torch.float64).numpy() for name, weight in model.state_dict().items()}


def packed(model: HarmonicSpinConv, **changes: object) -> bytes:
    """The model file of a model in float64."""
    module = torch.jit.script(ExportedModel(model.requires_grad_(False), CONFIG, "float32"))
    return pack(module, metadata_of(model, **changes), weights_of(model))
