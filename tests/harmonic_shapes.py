"""python -m harmonic_shapes FILE...: model files of H, C and O whose networks have different shapes, for the C++ tests."""

import sys

from models import random_model
from spinconv.export import export_model

SHAPES = (
    {"lmax": 1, "channels": 8, "group": 4, "n_blocks": 1},
    {"lmax": 2, "channels": 24, "group": 12, "n_blocks": 3},
    {"lmax": 3, "channels": 40, "group": 8, "n_blocks": 2},
    {"lmax": 4, "channels": 64, "group": 32, "n_blocks": 1},
    {"lmax": 4, "channels": 16, "group": 1, "n_blocks": 2, "n_radial": 5},
)

if __name__ == "__main__":
    for path, shape in zip(sys.argv[1:], SHAPES, strict=False):  # the first, where there are fewer paths
        model = random_model((1, 6, 8), weights_times=2.0, **shape)
        model.hold([[0.9, 1.0, 1.0], [1.0, 1.2, 1.2], [1.0, 1.2, 1.2]])
        export_model(model, path)
