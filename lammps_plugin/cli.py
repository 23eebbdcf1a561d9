"""spinconv lammps-data STRUCTURE"""
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spinconv.export.console import errors_in_words
from spinconv.potential.safe_write import write_file


def lammps_data(
    structure: Annotated[Path, typer.Argument(help="A structure in any format of ASE.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The data file (default: data.NAME of the structure's file).", show_default=False)
    ] = None,
    index: Annotated[int, typer.Option(help="Which frame: 0 is the first, -1 the last.")] = -1,
    model: Annotated[Path | None, typer.Option(help="The model file for `pair_style`; must know the elements.", show_default=False)] = None,
    types: Annotated[
        str, typer.Option(help='Elements of types 1, 2, ..., as "O H" (default: those there are, by atomic number).', show_default=False)
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    units: Annotated[str, typer.Option(help="Unit system of LAMMPS: metal, real, si, cgs, electron, micro or nano.")] = "metal",
) -> None:
    """Write a data file for LAMMPS, and print the lines that an input begins with."""
    with errors_in_words():
        from spinconv.lammps_plugin.data import check_elements, data_file, input_lines, read_structure, types_of

        atoms = read_structure(structure, index)
        elements = types_of(atoms, types.replace(",", " ").split())
        if model is not None:
            from spinconv.export.container import read_container

            check_elements(elements, read_container(model).metadata.elements, model)
        output = output or Path(f"data.{structure.stem}")
        if output.exists() and not force:
            raise FileExistsError(f"`{output}` exists already; choose another --output, or say --force")
        title = f"frame {index} of {structure.name}" if index >= 0 else f"frame {index} (from the end) of {structure.name}"
        text = data_file(atoms, elements, units, title)
        lines = input_lines(atoms, elements, str(output), str(model or "model.pt"), units)
        write_file(output, text)
    print(f"# {output}: {len(atoms)} atoms of {structure}")
    print("\n".join(lines))
