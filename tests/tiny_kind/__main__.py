"""Writes files of the tiny kind for the C++ tests: `python -m tiny_kind gradient.pt direct.pt`, with tests/ on the path."""

import sys

import torch

from spinconv.export import export_model
from spinconv.potential.kinds import KINDS
from tiny_kind import TINY

KINDS[TINY.name] = TINY
torch.manual_seed(0)
for path, says in zip(sys.argv[1:], ("gradient", "direct"), strict=True):
    config = TINY.config_class.from_dict({"elements": [1, 8], "says": says})
    export_model(TINY.model_class(config, [-13.6, -2040.0]), path)
