"""Forces are a gradient: where torch forbids those, `energy_and_forces` says so."""

import pytest
import torch
from structures import ethanol

from models import random_model
from spinconv.potential import build_graph, energy_and_forces


def test_inference_mode_is_refused_in_words_and_no_grad_is_not():
    model = random_model()
    graph = build_graph(ethanol(), model.cutoff, torch.float64)
    words = r"`energy_and_forces` needs gradients: make the graph and call it outside of torch.inference_mode\(\)"
    with torch.inference_mode():
        inferred = build_graph(ethanol(), model.cutoff, torch.float64)
        with pytest.raises(ValueError, match=words):
            energy_and_forces(model, graph)
    if inferred.vectors.is_inference():
        with pytest.raises(ValueError, match=words):
            energy_and_forces(model, inferred)
    with torch.no_grad():
        assert energy_and_forces(model, graph).forces.abs().max() > 0
