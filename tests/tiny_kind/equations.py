"""The equations of a tiny kind of model, for tests: energies from a few functions of distances, and forces that are no gradient."""

from torch import Tensor

import torch  # isort: skip

# ----------------------------------------------------------------------------------------------------------------------------------------


def features(w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor) -> Tensor:
    """Smooth functions of the distance, times factors of both elements, [e, width]."""
    squared = (vectors * vectors).sum(1, keepdim=True)
    fade = torch.clamp(1.0 - squared / s["cutoff"] ** 2, min=0.0) ** 3
    bumps = torch.exp(-s["sharpness"] * (squared - w["constants.centers"]) ** 2)
    element = w["constants.element"].index_select(0, numbers)
    of_pair = w["factors"].index_select(0, element[edge_index[0]]) * w["factors"].index_select(0, element[edge_index[1]])
    return fade * bumps * of_pair


def energies(w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor) -> Tensor:
    """Energy of every atom (eV, float64 [n_atoms])."""
    terms = s["scale"] * features(w, s, numbers, edge_index, vectors).sum(1).double()
    alone = w["constants.reference_energies"][w["constants.element"].index_select(0, numbers)]
    return alone.index_add(0, edge_index[1], terms)


def forces(w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor) -> Tensor:
    """Forces on the atoms (eV/Å, [n_atoms, 3]), along the edges into each; the gradient of no energy."""
    pulls = s["scale"] * torch.matmul(features(w, s, numbers, edge_index, vectors), w["pull.weight"].t()) * vectors
    return torch.zeros(numbers.shape[0], 3, dtype=pulls.dtype, device=pulls.device).index_add(0, edge_index[1], pulls)
