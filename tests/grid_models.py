"""Grid models for tests, stronger than random ones, which hardly depend on geometry; and where the numbers of the original are."""

from pathlib import Path

import pytest
import torch

from spinconv.potential.grid import GridConfig, GridSpinConv

ELEMENTS = (1, 6, 8, 29)
BESIDE = [folder / "shared" / "reference" / "ocp_spinconv" for folder in Path(__file__).resolve().parents]
REFERENCE = next((folder for folder in BESIDE if folder.is_dir()), None)
"""Where the numbers of the original are."""
needs_reference = pytest.mark.skipif(REFERENCE is None, reason="the numbers of the original are not here")


def grid_model(weights_times: float = 3.0, seed: int = 0, **fields: object) -> GridSpinConv:
    """Small, float64, with energies that differ by about an eV between distorted molecules."""
    torch.manual_seed(seed)
    sizes = {"cutoff": 4.0, "channels": 16, "hidden_channels": 32, "n_radial": 24, "n_latitude": 8, "n_longitude": 6}
    config = GridConfig(elements=ELEMENTS, **{**sizes, **fields})  # type: ignore[arg-type]
    model = GridSpinConv(config, [-13.6057 * z**2 for z in ELEMENTS], scale=2.0, average_neighbors=20.0).to(torch.float64)
    return strengthened(model, weights_times).eval()


def strengthened(model: GridSpinConv, weights_times: float) -> GridSpinConv:
    """Layers times a factor; elements that differ; distances that every pair sees otherwise."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith((".sender.weight", ".receiver.weight")):
                parameter.normal_(generator=generator)
            elif name.startswith(("distance.scale", "distance.offset")):
                parameter.normal_(std=0.1, generator=generator)
            elif ".norm." not in name:
                parameter *= weights_times
    return model
