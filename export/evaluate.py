"""spinconv evaluate CHECKPOINT_OR_MODEL DATA"""

import json
import zipfile
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from ase.data import atomic_numbers
from rich.markup import escape

from spinconv.export.console import console, errors_in_words
from spinconv.export.reader import read_model
from spinconv.export.writer import DTYPES, METADATA_FILE
from spinconv.potential.training.checkpoint import load_checkpoint
from spinconv.potential.training.evaluation import EvaluationResult, error_table, evaluate_frames
from spinconv.potential.training.frames import ENERGY, LENGTH, Keys, read_frames
from spinconv.potential.training.parity import draw_parity


class Loaded(NamedTuple):
    """A model to be evaluated, from either kind of file."""

    module: Any
    elements: list[int]
    cutoff: float  # Å
    dtype: str


def evaluate(
    model: Annotated[Path, typer.Argument(help="A checkpoint of `spinconv train` or a file of `spinconv export`.", show_default=False)],
    data: Annotated[Path, typer.Argument(help="Reference frames: .xyz/.extxyz, ASE .db or .npz.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of the table.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Write a parity plot to this PNG.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Precision: float32 or float64 (default: the file's own).")] = None,
    device: Annotated[str, typer.Option(help="As torch names it: cpu, cuda, cuda:1.")] = "cpu",
    energy_unit: Annotated[str | None, typer.Option(help=f"Unit of the data's energies, if not recognised: {', '.join(ENERGY)}.")] = None,
    length_unit: Annotated[str | None, typer.Option(help=f"Unit of the data's lengths, if not recognised: {', '.join(LENGTH)}.")] = None,
    energy_key: Annotated[str, typer.Option(help="Name of the energy in the data.")] = "energy",
    forces_key: Annotated[str, typer.Option(help="Name of the forces in the data.")] = "forces",
    stress_key: Annotated[str, typer.Option(help="Name of the stress in the data.")] = "stress",
) -> None:
    """Mean absolute and root mean square errors on reference frames: energy, forces (all and per element), stress."""
    with errors_in_words():
        for option, unit, known in (("--energy-unit", energy_unit, ENERGY), ("--length-unit", length_unit, LENGTH)):
            if unit is not None and unit not in known:
                raise ValueError(f"`{option}` must be one of {', '.join(known)}, got {unit!r}")
        loaded = load(model, dtype)
        file = read_frames(data, energy_unit, length_unit, Keys(energy_key, forces_key, stress_key), forces_needed=False)
        architecture = {"elements": loaded.elements, "cutoff": loaded.cutoff}
        result = evaluate_frames(loaded.module, architecture, file.frames, DTYPES[loaded.dtype], device)
    if plot is not None:
        draw_parity(plot, result, f"{model.name} on {data.name}")
    if as_json:
        print(json.dumps(as_dict(model, data, loaded, file.units, len(file.frames), result), indent=2))
    else:
        console.print(escape(file.units), highlight=False)
        console.print(error_table(result.figures, f"{escape(model.name)} on {escape(data.name)}, {loaded.dtype}"))
        if plot is not None:
            console.print(f"parity plot: {escape(str(plot))}", highlight=False)


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
    """Whether a file is one of `spinconv export` and no checkpoint; both are zip archives."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(f"/extra/{METADATA_FILE}") for name in archive.namelist())


def as_dict(model: Path, data: Path, loaded: Loaded, units: str, n_frames: int, result: EvaluationResult) -> dict[str, Any]:
    """What --json prints."""
    errors = [figure._asdict() for figure in result.figures]
    return {"model": str(model), "data": str(data), "units": units, "dtype": loaded.dtype, "n_frames": n_frames, "errors": errors}
