"""spinconv import OCP_CHECKPOINT"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spinconv.potential.console import console, errors_in_words, warn

if TYPE_CHECKING:
    from spinconv.potential.grid.published import Published
    from spinconv.potential.training.ocp_checkpoint import OcpCheckpoint


def import_ocp(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of SpinConv, as the trainer of OCP wrote it.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The checkpoint to write.")] = Path("spinconv.ckpt"),
    elements: Annotated[
        str | None, typer.Option(help="Symbols of the elements that it is to know, as Cu,C,O (default: all that it has weights for).")
    ] = None,
    forces: Annotated[
        str | None,
        typer.Option(help="Of a force-centric model: average over `fixed` rotations (default), or over `random` ones, as published."),
    ] = None,
    gradient: Annotated[
        str,
        typer.Option(help="`published`: the original's numbers. `intact`: smooth at the poles of its grid, forces are the gradient."),
    ] = "published",
) -> None:
    """Turn a published SpinConv, a checkpoint of OCP's trainer, into a checkpoint of spinconv."""
    from spinconv.potential.training.checkpoint import KEY, model_state, write_checkpoint
    from spinconv.potential.training.ocp_checkpoint import import_model

    with errors_in_words():
        published, found = import_model(checkpoint, numbers_of(elements), forces, gradient)
        model = published.model
        training = {"imported": {"from": checkpoint.name, "program": "OCP", **found.about}}
        write_checkpoint(output, {KEY: {**model_state(model, model.config, model.state_dict()), "training": training}})
    report(published, found)
    console.print(f"{output}: written; spinconv export {output}", highlight=False, markup=False)


def numbers_of(elements: str | None) -> list[int] | None:
    """Ascending atomic numbers of symbols between commas."""
    from ase.data import atomic_numbers

    if elements is None:
        return None
    symbols = [symbol.strip() for symbol in elements.split(",")]
    if unknown := [symbol for symbol in symbols if not atomic_numbers.get(symbol)]:
        raise ValueError(f"`--elements` must be symbols of elements between commas, got {unknown[0]!r}")
    return sorted({atomic_numbers[symbol] for symbol in symbols})


def report(published: Published, found: OcpCheckpoint) -> None:
    """Prints where every tensor went, what the model is, and what the original did otherwise."""
    from rich.table import Table

    table = Table("original", "here", "shape", box=None, pad_edge=False)
    for original, ours, shape in published.mapped:
        table.add_row(original, ours, " x ".join(map(str, shape)))
    console.print(table, soft_wrap=False)
    for line in about(published, found.units):
        console.print(line, highlight=False, markup=False)
    for remark in published.remarks:
        warn(remark)


def about(published: Published, units: Any) -> list[str]:
    """What the model is, in lines."""
    c = published.model.config
    head = {
        "gradient": "the gradient of the energy" if c.gradient == "intact" else "the gradient without the projection, as published",
        "fixed": f"of a head of their own, averaged over {c.n_rotations} fixed rotations",
        "random": f"of a head of their own, averaged over {c.n_rotations} random rotations of each atom",
    }
    return [
        f"{len(published.mapped)} tensors, none left over and none missing",
        f"energies: times {units.energy:.6g} eV, plus {units.offset:.6g} eV a structure",
        f"forces: {head[c.forces]}, times {units.force:.6g} eV/Å",
        f"neighbours within {c.cutoff:g} Å, pairs of atoms among the {c.max_neighbors} nearest of either: energies jump where these change",
    ]
