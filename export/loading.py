"""A model from either kind of file: a checkpoint of `spinconv train` or a model file of `spinconv export`."""

from pathlib import Path
from typing import Any, NamedTuple

from ase.data import atomic_numbers

from spinconv.export.container import is_model_file
from spinconv.export.reader import read_model
from spinconv.export.writer import DTYPES
from spinconv.potential.training.checkpoint import load_checkpoint


class Loaded(NamedTuple):
    """A model to be evaluated, from either kind of file."""

    module: Any
    elements: list[int]
    cutoff: float  # Å
    dtype: str


def load(path: Path, dtype: str | None) -> Loaded:
    """The model in a checkpoint or an exported file; ValueError or FileNotFoundError in words."""
    if dtype is not None and dtype not in DTYPES:
        raise ValueError(f"`--dtype` must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if is_exported(path):
        file = read_model(path, dtype)
        elements = [atomic_numbers[symbol] for symbol in file.metadata["elements"]]
        return Loaded(file.module, elements, file.metadata["cutoff"], dtype or file.metadata["dtype"])
    model, metadata = load_checkpoint(path)
    dtype = dtype or metadata["dtype"]
    return Loaded(model.to(DTYPES[dtype]), metadata["config"]["elements"], metadata["config"]["cutoff"], dtype)


def is_exported(path: Path) -> bool:
    """Whether a file is one of `spinconv export` and no checkpoint."""
    return path.is_file() and is_model_file(path)
