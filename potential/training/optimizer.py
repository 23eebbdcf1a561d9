"""The optimizer that a config asks for."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from spinconv.potential.training.config import Optimizer
from spinconv.potential.training.soap import SOAP


def optimizer_of(model: nn.Module, settings: Optimizer) -> torch.optim.Optimizer:
    """SOAP, Adam or AdamW on all parameters of a model."""
    options = settings.recipe
    rate, betas = options.pop("learning_rate"), (options.pop("beta1"), options.pop("beta2"))
    if settings.type == "soap":
        return SOAP(parameter_groups(model), rate, betas, **options)
    kind = torch.optim.AdamW if settings.type == "adamw" else torch.optim.Adam
    fused = next(model.parameters()).device.type != "mps"
    return kind(model.parameters(), rate, betas, **options, fused=fused)


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """The parameters of a model in two groups: linear maps, whose rows and columns have a basis, and all others.

    A linear map is called `weight` (or `..._weight`) and has two dimensions or more, as in torch. Biases are vectors, and so are the rows
    of tables that are looked up by element or pair, whatever their shape; such a table goes by another name.
    """
    maps: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (maps if name.endswith("weight") and parameter.dim() > 1 else others).append(parameter)
    return [{"params": params, "matrices": matrices} for params, matrices in ((maps, True), (others, False)) if params]
