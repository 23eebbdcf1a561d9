"""The command `spinconv evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from spinconv.export.console import console, errors_in_words

if TYPE_CHECKING:
    from spinconv.export.loading import Loaded
    from spinconv.potential.training.evaluation import EvaluationResult


def evaluate(
    model: Annotated[Path, typer.Argument(help="A checkpoint of `spinconv train` or a file of `spinconv export`.", show_default=False)],
    data: Annotated[Path, typer.Argument(help="Reference frames: .xyz/.extxyz, ASE .db or .npz.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of the table.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Write a parity plot to this PNG.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Precision: float32 or float64 (default: the file's own).")] = None,
    device: Annotated[str, typer.Option(help="As torch names it: cpu, cuda, cuda:1.")] = "cpu",
    energy_unit: Annotated[
        str | None, typer.Option(help="Unit of the data's energies, if not recognised: eV, kcal/mol, kJ/mol, Hartree.")
    ] = None,
    length_unit: Annotated[str | None, typer.Option(help="Unit of the data's lengths, if not recognised: Angstrom, Bohr, nm.")] = None,
    energy_key: Annotated[str, typer.Option(help="Name of the energy in the data.")] = "energy",
    forces_key: Annotated[str, typer.Option(help="Name of the forces in the data.")] = "forces",
    stress_key: Annotated[str, typer.Option(help="Name of the stress in the data.")] = "stress",
) -> None:
    """Mean absolute and root mean square errors on reference frames: energy, forces (all and per element), stress."""
    from spinconv.export.loading import load
    from spinconv.export.writer import DTYPES
    from spinconv.potential.training.evaluation import error_table, evaluate_frames
    from spinconv.potential.training.frames import ENERGY, LENGTH, Keys, read_frames

    with errors_in_words():
        for option, unit, known in (("--energy-unit", energy_unit, ENERGY), ("--length-unit", length_unit, LENGTH)):
            if unit is not None and unit not in known:
                raise ValueError(f"`{option}` must be one of {', '.join(known)}, got {unit!r}")
        loaded = load(model, dtype)
        file = read_frames(data, energy_unit, length_unit, Keys(energy_key, forces_key, stress_key), forces_needed=False)
        architecture = {"elements": loaded.elements, "cutoff": loaded.cutoff}
        result = evaluate_frames(loaded.module, architecture, file.frames, DTYPES[loaded.dtype], device)
    if plot is not None:
        from spinconv.potential.training.parity import draw_parity

        draw_parity(plot, result, f"{model.name} on {data.name}")
    if as_json:
        print(json.dumps(as_dict(model, data, loaded, file.units, len(file.frames), result), indent=2))
    else:
        console.print(escape(file.units), highlight=False)
        console.print(error_table(result.figures, f"{escape(model.name)} on {escape(data.name)}, {loaded.dtype}"))
        if plot is not None:
            console.print(f"parity plot: {escape(str(plot))}", highlight=False)


def as_dict(model: Path, data: Path, loaded: Loaded, units: str, n_frames: int, result: EvaluationResult) -> dict[str, Any]:
    """What --json prints."""
    errors = [figure._asdict() for figure in result.figures]
    return {"model": str(model), "data": str(data), "units": units, "dtype": loaded.dtype, "n_frames": n_frames, "errors": errors}
