"""Models for tests. Random weights hardly depend on geometry and let wrong code pass, so the laws are also stated for stronger ones."""

from collections.abc import Sequence
from pathlib import Path

import ase
import numpy as np
import torch

from spinconv.potential import HarmonicSpinConv, ModelConfig, build_graph
from spinconv.potential.kinds import kind_of
from spinconv.potential.model import REFERENCE_ENERGIES, PotentialModel

ELEMENTS = (1, 6, 8, 29)
SHIPPED_CHECKPOINT = Path(__file__).parent.parent / "models" / "ethanol" / "checkpoint.ckpt"
SHIPPED_MODEL = SHIPPED_CHECKPOINT.with_name("model.pt")
HAS_TRAINED = SHIPPED_CHECKPOINT.exists() and b"n_bases" not in SHIPPED_CHECKPOINT.read_bytes()
"""Whether there is a shipped checkpoint of this version's model: those of version 0.1 are of another network, which had `n_bases`."""


def random_model(
    elements: Sequence[int] = ELEMENTS, weights_times: float = 1.0, seed: int = 0, dtype: torch.dtype = torch.float64, **fields: object
) -> HarmonicSpinConv:
    """Small, with random weights times a factor, reference energies of thousands of eV and forces of the order of eV/Å."""
    torch.manual_seed(seed)
    config = ModelConfig(elements=tuple(elements), **{"channels": 16, "n_blocks": 2, **fields})  # type: ignore[arg-type]
    model = HarmonicSpinConv(config, [-13.6057 * z**2 for z in elements], scale=2.0, average_neighbors=20.0)
    return strengthened(model.to(dtype), weights_times)


def trained_model(weights_times: float = 1.0) -> HarmonicSpinConv:
    """The shipped ethanol model in float64."""
    from spinconv.potential.training.checkpoint import load_checkpoint

    return strengthened(load_checkpoint(SHIPPED_CHECKPOINT)[0].to(torch.float64), weights_times)


def strengthened(model: HarmonicSpinConv, weights_times: float) -> HarmonicSpinConv:
    """Weights and biases of all layers times a factor. What multiplies hidden values or distances stays: with it, doubled weights
    would make forces of 10^4 eV/Å."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith((".weight", ".bias")):
                parameter *= weights_times
    return model


def learned(model: PotentialModel, atoms: ase.Atoms) -> np.ndarray:
    """Energies of the atoms without their reference energies, which are so large that they would hide what differs."""
    graph = build_graph(atoms, model.cutoff, torch.float64)
    weights = {**model.weights(), REFERENCE_ENERGIES: torch.zeros(model.n_elements, dtype=torch.float64)}
    energies = kind_of(model.config).equations.energies
    return energies(weights, model.settings(), graph.numbers, graph.edge_index, graph.vectors).detach().numpy()


def energy_of(model: PotentialModel, atoms: ase.Atoms) -> float:
    return float(learned(model, atoms).sum())
