"""The command `spinconv relax`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from spinconv.export.console import console, errors_in_words, progress_bar, warn

if TYPE_CHECKING:
    import ase

    from spinconv.export.relaxation import Outcome
    from spinconv.export.relaxed_metrics import Figure

MOST_ROWS = 40
"""Of the table on a terminal; the .csv has all."""


def relax(
    model: Annotated[Path, typer.Argument(help="A checkpoint of `spinconv train` or a file of `spinconv export`.", show_default=False)],
    structures: Annotated[
        list[str], typer.Argument(help="Files of structures, as ASE reads them; FILE@0 and FILE@:5 pick some of them.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Write relaxed structures to this extended xyz, and the table beside it as .csv.")
    ] = Path("relaxed.xyz"),
    optimizer: Annotated[str, typer.Option(help="lbfgs or fire, ASE's.")] = "lbfgs",
    fmax: Annotated[float, typer.Option(min=0.0, help="The largest force on a free atom that is left, eV/Å.")] = 0.03,
    steps: Annotated[int, typer.Option(min=0, help="Steps after which a structure is given up.")] = 200,
    trajectories: Annotated[Path | None, typer.Option(help="Write every step of each structure to a file in this folder.")] = None,
    reference: Annotated[
        list[str] | None, typer.Option(help="Structures that the reference method relaxed, in the same order: ADwT, energies.")
    ] = None,
    single_points: Annotated[
        list[str] | None, typer.Option(help="Our relaxed structures with forces of the reference method, in the same order: AFbT.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of the tables.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of torch (default: its own choice).")] = None,
    dtype: Annotated[str | None, typer.Option(help="Precision: float32 or float64 (default: the file's own).")] = None,
    device: Annotated[str, typer.Option(help="As torch names it: cpu, cuda, cuda:1; or auto, CUDA where there is one.")] = "cpu",
) -> None:
    """Relax many structures, constraints and cells as they are; exit code 1 where one of them did not get there."""
    import torch

    from spinconv.export.loaded_calculator import LoadedCalculator
    from spinconv.export.loading import load
    from spinconv.export.reader import usable_device
    from spinconv.export.relaxation import CONVERGED, OPTIMIZERS, Settings, starts
    from spinconv.export.relaxation import relax as relax_one
    from spinconv.export.relaxed_metrics import check_match, figures
    from spinconv.potential.threads import check_threads

    with errors_in_words():
        check_options(optimizer, list(OPTIMIZERS), output, trajectories)
        if threads is not None:
            torch.set_num_threads(check_threads(threads, least=1, name="`--threads`"))
        calculator = LoadedCalculator(load(model, dtype), usable_device(device))
        found = list(starts(structures))
        given = [start.atoms for start in found]
        beside = {option: read_all(paths) for option, paths in (("--reference", reference), ("--single-points", single_points))}
        for option, others in beside.items():
            if others is not None:
                check_match(given, others, option)
        outcomes: list[Outcome] = []
        with progress_bar() as progress:
            for k, start in enumerate(found):

                def tell(step: int, force: float, k: int = k, name: str = start.name) -> None:
                    progress((k + step / max(1, steps)) / len(found), f"{k + 1} of {len(found)}: {name}, step {step}, {force:.3f} eV/Å")

                outcomes.append(relax_one(start, calculator, Settings(optimizer, fmax, steps), tell))
                if trajectories is not None and outcomes[-1].trajectory:
                    write_structures(trajectories / f"{k:05d}.xyz", outcomes[-1].trajectory)
        done = [outcome.atoms for outcome in outcomes]
        of_relaxed = figures(given, done, *beside.values())
        write_outcomes(output, outcomes)
    missed = sum(outcome.status != CONVERGED for outcome in outcomes)
    if as_json:
        print(json.dumps({"structures": [row(outcome) for outcome in outcomes], "figures": [f._asdict() for f in of_relaxed]}, indent=2))
    else:
        show(output, outcomes, of_relaxed, missed)
    if missed:
        raise typer.Exit(1)


def check_options(optimizer: str, known: Sequence[str], output: Path, trajectories: Path | None) -> None:
    """Refuse what cannot be done or written, before anything is relaxed."""
    if optimizer not in known:
        raise ValueError(f"`--optimizer` must be one of {', '.join(known)}, got {optimizer!r}")
    if output.suffix not in (".xyz", ".extxyz"):
        raise ValueError(f"`--output` must end in .xyz or .extxyz, got {output}")
    if not output.absolute().parent.is_dir():
        raise ValueError(f"`--output` must be in a folder that is there, got {output}")
    if trajectories is not None:
        from spinconv.potential.safe_write import in_a_sentence

        with in_a_sentence(trajectories):
            trajectories.mkdir(exist_ok=True)


def read_all(paths: Sequence[str] | None) -> list[ase.Atoms] | None:
    """All structures of files that must be readable, with their labels; None where there are none."""
    from spinconv.export.relaxation import picked

    return [atoms for path in paths for _, atoms in picked(path)] if paths else None


def write_structures(path: Path, structures: Sequence[ase.Atoms]) -> None:
    """Structures with energies, forces, tags and constraints, as an extended xyz: the whole file or none."""
    import ase.io

    from spinconv.potential.safe_write import write_file

    text = io.StringIO()
    ase.io.write(text, list(structures), format="extxyz")
    write_file(path, text.getvalue())


def write_outcomes(output: Path, outcomes: Sequence[Outcome]) -> None:
    """The relaxed structures, each with what became of it and its place among those given, and the table."""
    from spinconv.potential.safe_write import write_file

    relaxed = []
    for k, outcome in enumerate(outcomes):
        if outcome.atoms is not None:
            outcome.atoms.info.update({"structure": k, "relaxation": outcome.status, "steps": outcome.steps})
            relaxed.append(outcome.atoms)
    text = io.StringIO()
    writer = csv.DictWriter(text, ["structure", "outcome", "steps", "energy", "max_force", "seconds", "problem"], lineterminator="\n")
    writer.writeheader()
    writer.writerows([row(outcome) for outcome in outcomes])
    if relaxed:
        write_structures(output, relaxed)
    write_file(output.with_suffix(".csv"), text.getvalue())


def row(outcome: Outcome) -> dict[str, Any]:
    """What the table says of a structure: eV, eV/Å, seconds; nothing where it has no number."""
    numbers = {"energy": outcome.energy, "max_force": outcome.max_force}
    return {
        "structure": outcome.name,
        "outcome": outcome.status,
        "steps": outcome.steps,
        **{name: None if value != value else round(value, 6) for name, value in numbers.items()},
        "seconds": round(outcome.seconds, 2),
        "problem": outcome.problem,
    }


def show(output: Path, outcomes: Sequence[Outcome], figures: Sequence[Figure], missed: int) -> None:
    """The tables of a terminal; of many structures those that did not get there come first."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.status == "converged") if len(outcomes) > MOST_ROWS else outcomes
    table = Table(title=f"{len(outcomes) - missed} of {len(outcomes)} structures relaxed")
    for name in ("structure", "outcome", "steps", "energy (eV)", "max. force (eV/Å)", "seconds"):
        table.add_column(name, justify="left" if name in ("structure", "outcome") else "right")
    for outcome in ordered[:MOST_ROWS]:
        numbers = (f"{outcome.steps}", f"{outcome.energy:.4f}", f"{outcome.max_force:.4f}", f"{outcome.seconds:.1f}")
        table.add_row(escape(outcome.name), outcome.status, *numbers)
    console.print(table)
    for outcome in outcomes:
        if outcome.problem:
            warn(f"{outcome.name}: {outcome.problem}")
    for figure in figures:
        value = "not computed" if figure.value is None else f"{figure.value:.4g} {figure.unit}"
        console.print(escape(f"{figure.quantity}: {value}; {figure.what}"), highlight=False)
    where = f"{output} and " if len(outcomes) > sum(outcome.atoms is None for outcome in outcomes) else ""
    console.print(escape(f"written: {where}{output.with_suffix('.csv')}"), highlight=False)
