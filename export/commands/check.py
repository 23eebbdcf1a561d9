"""The command `spinconv check`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spinconv.export.console import console, errors_in_words, progress_bar, say

if TYPE_CHECKING:
    from spinconv.export.check_summary import Summary
    from spinconv.export.engines import Evaluate


def check(
    model: Annotated[Path, typer.Argument(help="A model file written by `spinconv export`.", show_default=False)],
    structures: Annotated[
        Path | None, typer.Argument(help="Structures in any format of ASE (default: small ones made on the spot).")
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Compare with this checkpoint in eager PyTorch too.")] = None,
    dtype: Annotated[str, typer.Option(help="Precision of all sides: float32 or float64.")] = "float64",
    frames: Annotated[str, typer.Option(help="So many of the structures, spread evenly over the file; `all` for all of them.")] = "20",
    lammps: Annotated[bool, typer.Option("--lammps", help="Of the engines, LAMMPS only.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Every engine, LAMMPS on 2 ranks too; LAMMPS and OpenMM must be there.")
    ] = False,
    ranks: Annotated[int, typer.Option(help="LAMMPS on 1, 2, 4, ... up to so many MPI ranks, too; with --lammps.")] = 1,
    device: Annotated[
        str | None,
        typer.Option(help="Compare the kernels on this device too: cuda, opencl, or one of several, as cuda:1.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of the table.")] = False,
) -> None:
    """Compare eager, scripted, loaded and every installed engine in energy, forces and virial; exit 1 where they differ."""
    from spinconv.export.check import TOLERANCES, compare
    from spinconv.export.check_structures import OWN_STRUCTURES, read_structures
    from spinconv.export.check_summary import summaries, summary_table

    with errors_in_words():
        engines = engines_of(lammps, everything, ranks)
        n_frames = number_of_frames(frames)
        chosen = None if structures is None else read_structures(structures, n_frames)
        with progress_bar() as progress:
            rows = compare(model, chosen, checkpoint, dtype, engines, device, progress)
    found = summaries(rows, TOLERANCES[dtype])
    on = chosen.words if chosen else OWN_STRUCTURES
    if as_json:
        print(json.dumps(as_dict(model, dtype, on, found), indent=2))
    else:
        console.print(summary_table(found, TOLERANCES[dtype], f"Largest differences from ASE in {dtype}\n{on}"))
    say_end(model, found, everything, as_json)


def engines_of(lammps: bool, everything: bool, ranks: int) -> "dict[str, Evaluate] | None":
    """The engines that the options ask for, None for all that are installed. Raises ValueError where they contradict each other."""
    from spinconv.export.engines import installed_engines, parallel_engines

    if ranks != 1 and not lammps:
        raise ValueError(f"`--ranks` are of LAMMPS: say `--lammps --ranks {ranks}`")
    if everything and lammps:
        raise ValueError("`--all` and `--lammps` exclude each other")
    if everything:
        return {**installed_engines(), **parallel_engines(2)}
    return parallel_engines(ranks) if lammps else None


def number_of_frames(text: str) -> int | None:
    """What `--frames` says; None for all.

    >>> number_of_frames("20"), number_of_frames("all")
    (20, None)
    """
    if text == "all":
        return None
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"`--frames` must be a number of frames or `all`, got {text!r}")
    return int(text)


def as_dict(model: Path, dtype: str, structures: str, found: "list[Summary]") -> dict[str, Any]:
    """What --json prints."""
    agree = not any(summary.failed for summary in found)
    return {"model": str(model), "dtype": dtype, "structures": structures, "agree": agree, "engines": [s.as_dict() for s in found]}


def say_end(model: Path, found: "list[Summary]", everything: bool, quiet: bool) -> None:
    """What was skipped and the verdict, unless `quiet`; Exit(1) where engines differ, or are missing of `everything`."""
    from spinconv.export.check_summary import skipped_in_words, verdict

    missing = sorted({"lammps", "openmm"} - {summary.engine for summary in found if summary.compared}) if everything else []
    if not quiet:
        for line in (*skipped_in_words(found), verdict(found, str(model))):
            say(line)
        if missing:
            say(f"ERROR: `--all` needs LAMMPS and OpenMM; {' and '.join(missing)} could not be run")
    if missing or any(summary.failed for summary in found):
        raise typer.Exit(1)
