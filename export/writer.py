"""Writes the one file that every engine reads: a TorchScript archive that says of itself what it is."""

import hashlib
import io
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ase.data
import torch
from torch import nn

from spinconv.export.module import FORMAT_VERSION, ExportedModel
from spinconv.potential import HarmonicSpinConv, ModelConfig
from spinconv.potential.coverage import Coverage
from spinconv.potential.safe_write import write_file

METADATA_FILE = "spinconv.json"
DTYPES = {"float32": torch.float32, "float64": torch.float64}
CITATION = "M. Shuaibi et al., Rotation Invariant Graph Neural Networks using Spin Convolutions, arXiv:2106.09575 (2021)"


def export_model(
    model: HarmonicSpinConv,
    config: ModelConfig,
    path: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    training: dict[str, Any] | None = None,
    coverage: dict[str, Any] | None = None,
    name: str = "",
    licence: str = "",
) -> dict[str, Any]:
    """Writes `model` to `path` and returns the metadata that went with it.

    Weights are stored in float64, whatever they were trained in: a float32 number is one exactly, and constants keep all their
    digits. `dtype` is the precision in which engines compute unless told otherwise. `coverage` is what `Coverage.to_dict` says of the
    training frames: engines warn of structures outside. An existing file is replaced only once the new one is complete.
    """
    if dtype not in DTYPES:
        raise ValueError(f"`dtype` must be one of {', '.join(DTYPES)}, got {dtype!r}")
    exact = HarmonicSpinConv(config, model.reference_energies, model.scale, model.average_neighbors).to(torch.float64)
    exact.load_state_dict(model.state_dict())
    exact.eval().requires_grad_(False)
    seen = None if coverage is None else Coverage.from_dict(coverage, config.elements)
    scripted = torch.jit.script(ExportedModel(exact, config, dtype, seen))
    metadata = {
        "format_version": FORMAT_VERSION,
        "kind": "harmonic",
        "name": name or Path(path).stem,
        "conservative": True,
        "cutoff": config.cutoff,
        "elements": [ase.data.chemical_symbols[z] for z in config.elements],
        "units": {"length": "angstrom", "energy": "eV"},
        "dtype": dtype,
        "n_blocks": config.n_blocks,
        "model": config.to_dict(),
        "reference_energies": dict(zip((ase.data.chemical_symbols[z] for z in config.elements), model.reference_energies, strict=True)),
        "scale": model.scale,
        "average_neighbors": model.average_neighbors,
        "training": training or {},
        "coverage": coverage,
        "licence": licence,
        "citation": CITATION,
        "versions": {"spinconv": _package_version(), "torch": torch.__version__},
        "weights_sha256": weights_hash(scripted),
    }
    save_atomically(scripted, Path(path), json.dumps(metadata, indent=2))
    return metadata


def weights_hash(module: nn.Module) -> str:
    """SHA-256 of the names and float64 values of all learned parameters."""
    digest = hashlib.sha256()
    for name, value in sorted(module.named_parameters()):
        digest.update(name.encode())
        digest.update(value.detach().to("cpu", torch.float64).contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_atomically(scripted: torch.jit.ScriptModule, path: Path, metadata: str) -> None:
    """Replaces an existing file only once the new one is complete."""
    archive = io.BytesIO()  # a full disk under torch's own writer ends the process
    torch.jit.save(scripted, archive, _extra_files={METADATA_FILE: metadata})
    write_file(path, archive.getvalue())


def _package_version() -> str:
    return version("spinconv")
