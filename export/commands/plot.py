"""The commands `spinconv plot embeddings`, `filters` and `sphere`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spinconv.export.console import console, errors_in_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Model = Annotated[Path, typer.Argument(help="A checkpoint of `spinconv train` or a file of `spinconv export`.", show_default=False)]
Output = Annotated[Path, typer.Option("--output", "-o", help="The picture; the name's end says its format: .png, .pdf, .svg.")]

plot = typer.Typer(no_args_is_help=True, help="Draw what a model has learned and sees.")


@plot.command()
def embeddings(
    model: Model,
    output: Output = Path("embeddings.png"),
    embedding: Annotated[
        str, typer.Option(help="One of the model's, as `energy`; or all side by side. An unknown name lists them.")
    ] = "all",
    element: Annotated[str | None, typer.Option(help="Colours say how alike this one is to the others.", show_default=False)] = None,
) -> None:
    """Learned embeddings of elements on a periodic table: their first principal component, or similarities."""
    from spinconv.export.loading import load
    from spinconv.export.pictures.embeddings import draw_embeddings
    from spinconv.potential.kinds import kind_of

    with errors_in_words():
        loaded = load(model, None)
        found = kind_of(loaded.module.config).picture("embeddings")(loaded.module)
        write(output, draw_embeddings(found, embedding, loaded.elements, element, str(model)))


@plot.command()
def filters(
    model: Model,
    output: Output = Path("filters.png"),
    block: Annotated[int, typer.Option(help="Block of the network, from 0.")] = 0,
    group: Annotated[int, typer.Option(help="Group of channels, from 0.")] = 0,
    most: Annotated[int, typer.Option(min=1, max=64, help="So many outputs and channels at most.")] = 8,
) -> None:
    """The filters of a spin convolution on the sphere, as maps."""
    from spinconv.export.loading import load
    from spinconv.export.pictures.filters import draw_filters
    from spinconv.potential.kinds import kind_of

    with errors_in_words():
        module = load(model, None).module
        found = kind_of(module.config).picture("filters")(module, block, group, most)
        what = f"{model}: filters of block {block} of {module.config.n_blocks}, group {group} of {found.n_groups}"
        write(output, draw_filters(found, what))


@plot.command()
def sphere(
    model: Model,
    structure: Annotated[str, typer.Argument(help="A file of structures; its last, or FILE@0 the first.", show_default=False)],
    edge: Annotated[str, typer.Option(help="J,I: atoms, counted from 0; the edge goes from J, which sends, to I.", show_default=False)],
    output: Output = Path("sphere.png"),
    channels: Annotated[int, typer.Option(min=1, max=12, help="So many channels of messages.")] = 6,
) -> None:
    """What an edge sees of the neighbours of its sender: the atoms in its frame, and messages on the sphere."""
    from ase.data import chemical_symbols

    from spinconv.export.guards import check_elements
    from spinconv.export.loading import load
    from spinconv.export.pictures.neighborhood import draw_neighborhood
    from spinconv.export.relaxation import picked
    from spinconv.export.writer import DTYPES
    from spinconv.potential.graph import build_graph
    from spinconv.potential.kinds import kind_of

    with errors_in_words():
        loaded = load(model, None)
        name, atoms = list(picked(structure))[-1]
        check_elements(atoms, loaded.elements)
        j, i = ends_of(edge, len(atoms))
        graph = build_graph(atoms, loaded.cutoff, DTYPES[loaded.dtype])
        seen = kind_of(loaded.module.config).picture("seen")(loaded.module, graph, j, i)
        numbers = atoms.numbers.tolist()
        sender, receiver = (f"{chemical_symbols[numbers[atom]]} {atom}" for atom in (j, i))
        what = f"{model}, {name}: what the edge {sender} → {receiver} ({seen.vector.norm():.2f} Å) sees of the neighbours of {sender}"
        write(output, draw_neighborhood(seen, numbers, channels, what))


def ends_of(edge: str, n_atoms: int) -> tuple[int, int]:
    """The atoms of `--edge`.

    >>> ends_of("2,0", 3)
    (2, 0)
    """
    ends = [int(word) for word in edge.split(",") if word.strip().isdecimal()]
    if len(ends) != 2 or edge.count(",") != 1 or max(ends) >= n_atoms:
        raise ValueError(f"`--edge` must be two atoms from 0 to {n_atoms - 1}, as 1,0, got {edge!r}")
    return ends[0], ends[1]


def write(output: Path, figure: Figure) -> None:
    """Writes a picture and says so; ValueError for a format that nobody knows."""
    from spinconv.potential.training.picture import write_picture

    known = figure.canvas.get_supported_filetypes()
    if output.suffix.lstrip(".") not in ["", *known]:
        raise ValueError(f"`--output` must be a picture, as .png, .pdf or .svg, got {str(output)!r}")
    write_picture(output, figure, dpi=150)
    console.print(f"{output}: written", highlight=False, markup=False)
