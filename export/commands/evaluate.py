"""The command `spinconv evaluate`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from spinconv.export.console import console, errors_in_words, progress_bar, warn

if TYPE_CHECKING:
    from spinconv.export.loading import Loaded
    from spinconv.potential.training.evaluation import EvaluationResult, FrameError


def evaluate(
    model: Annotated[Path, typer.Argument(help="A checkpoint of `spinconv train` or a file of `spinconv export`.", show_default=False)],
    data: Annotated[
        Path,
        typer.Argument(
            help="Reference frames: .xyz/.extxyz, ASE .db or .aselmdb, .npz, QM9, a folder of OC20; FILE@:100 are some of them.",
            show_default=False,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of the tables.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Write a parity plot to this PNG.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write frames and predictions to this extended xyz.")] = None,
    worst: Annotated[int, typer.Option(min=0, help="Show so many of the worst frames.")] = 5,
    batch: Annotated[int | None, typer.Option(min=1, help="Frames evaluated together (default: some 20,000 pairs of atoms).")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of torch (default: its own choice).")] = None,
    dtype: Annotated[str | None, typer.Option(help="Precision: float32 or float64 (default: the file's own).")] = None,
    device: Annotated[str, typer.Option(help="As torch names it: cpu, cuda, cuda:1; or auto, CUDA where there is one.")] = "cpu",
    energy_unit: Annotated[
        str | None, typer.Option(help="Unit of the data's energies, if not recognised: eV, kcal/mol, kJ/mol, Hartree.")
    ] = None,
    length_unit: Annotated[str | None, typer.Option(help="Unit of the data's lengths, if not recognised: Angstrom, Bohr, nm.")] = None,
    energy_key: Annotated[str, typer.Option(help="Name of the energy in the data.")] = "energy",
    forces_key: Annotated[str, typer.Option(help="Name of the forces in the data.")] = "forces",
    stress_key: Annotated[
        str | None, typer.Option(help="Name of the stress in the data (without this or --virial-key: stress, virial or virials).")
    ] = None,
    virial_key: Annotated[
        str | None, typer.Option(help="Name of the virial in the data, an energy: -stress * volume in ASE's sign.")
    ] = None,
    ref_energy: Annotated[
        bool, typer.Option(help="Take the reference energies of an S2EF folder's .txt off the energies: adsorption energies.")
    ] = True,
    free_atoms: Annotated[
        bool, typer.Option("--free-atoms/--all-atoms", help="Leave forces of atoms that are held in place out of the errors.")
    ] = True,
    oc20: Annotated[
        bool | None,
        typer.Option(
            "--oc20/--no-oc20", help="Show OC20's figures: force cosine, EFwT (default: where frames have tags).", show_default=False
        ),
    ] = None,
) -> None:
    """Mean absolute and root mean square errors on reference frames: energy, forces (all and per element), stress; the worst frames."""
    import torch

    from spinconv.export.loading import load
    from spinconv.export.reader import usable_device
    from spinconv.export.writer import DTYPES
    from spinconv.potential.threads import check_threads
    from spinconv.potential.training.doubts import doubts
    from spinconv.potential.training.evaluation import (
        error_table,
        evaluate_frames,
        frame_errors,
        not_numbers,
        worst_table,
        write_predictions,
    )
    from spinconv.potential.training.frames import Keys, Needs, as_option, held, of_all_atoms
    from spinconv.potential.training.oc20 import figures_of, table_of
    from spinconv.potential.training.readers import read_frames
    from spinconv.potential.training.selection import short_name
    from spinconv.potential.training.units import ENERGY, LENGTH

    with errors_in_words():
        for option, unit, known in (("--energy-unit", energy_unit, ENERGY), ("--length-unit", length_unit, LENGTH)):
            if unit is not None and unit not in known:
                raise ValueError(f"`{option}` must be one of {', '.join(known)}, got {unit!r}")
        for option, path in (("--plot", plot), ("--output", output)):
            if path is not None and not path.absolute().parent.is_dir():
                raise ValueError(f"`{option}` must be in a folder that is there, got {path}")
        where = usable_device(device)
        if threads is not None:
            torch.set_num_threads(check_threads(threads, least=1, name="`--threads`"))
        loaded = load(model, dtype)
        keys = Keys(energy_key, forces_key, stress_key, virial_key, as_option, ref_energy)
        file = read_frames(data, energy_unit, length_unit, keys, Needs(forces=False))
        frames = file.frames if free_atoms else of_all_atoms(file.frames)
        architecture = {"elements": loaded.elements, "cutoff": loaded.cutoff}
        with progress_bar() as progress:
            of = len(frames)
            result = evaluate_frames(
                loaded.module,
                architecture,
                frames,
                DTYPES[loaded.dtype],
                where,
                batch,
                lambda n: progress(n / of, f"{n:,} of {of:,} frames"),
            )
        if plot is not None:
            from spinconv.potential.training.parity import draw_parity

            draw_parity(plot, result, f"{model} on {short_name(str(data))}")
        if output is not None:
            write_predictions(output, result)
    errors = frame_errors(result)[:worst]
    wanted = any(frame.tags is not None for frame in frames) if oc20 is None else oc20
    of_oc20 = figures_of(result) if wanted else []
    if as_json:
        told = {"oc20": [figure._asdict() for figure in of_oc20]} if wanted else {}
        print(json.dumps({**as_dict(model, data, loaded, file.units, result, errors), **told}, indent=2))
        return
    left_out = held(frames)
    for sentence in (file.units, *file.notes, *([f"{left_out}; their forces are not in the errors (--all-atoms)"] if left_out else [])):
        console.print(escape(sentence), highlight=False)
    for doubt in (*doubts(file, as_option), *filter(None, [not_numbers(result)])):
        warn(doubt)
    console.print(error_table(result.figures, f"{escape(model.name)} on {escape(short_name(str(data)))}, {loaded.dtype}"))
    if of_oc20:
        console.print(table_of(of_oc20))
    if errors and len(frames) > 1:
        console.print(worst_table(errors, len(frames)))
    for name, path in (("parity plot", plot), ("predictions", output)):
        if path is not None:
            console.print(f"{name}: {escape(str(path))}", highlight=False)


def as_dict(model: Path, data: Path, loaded: Loaded, units: str, result: EvaluationResult, worst: Sequence[FrameError]) -> dict[str, Any]:
    """What --json prints."""
    return {
        "model": str(model),
        "data": str(data),
        "units": units,
        "dtype": loaded.dtype,
        "n_frames": len(result.frames),
        "errors": [figure._asdict() for figure in result.figures],
        "worst": [error._asdict() for error in worst],
    }
