"""The filters of a spin convolution on the sphere."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from spinconv.export.pictures.colors import even_norm
from spinconv.export.pictures.mollweide import draw_sphere, pixels
from spinconv.potential.pictures import Filters


def draw_filters(filters: Filters, title: str) -> Figure:
    """A map for each output (rows) and input (columns)."""
    maps = pixels(filters.sphere)  # (outputs, inputs, rows, columns)
    n_rows, n_columns = maps.shape[:2]
    figure = Figure(figsize=(max(7.0, 1.7 + 1.4 * n_columns), 1.5 + 0.82 * n_rows), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    norm = even_norm(maps)
    for r, row in enumerate(grid):
        row[0].set_ylabel(filters.outputs[r], rotation=0, ha="right", va="center")
        for axes, values in zip(row, maps[r], strict=True):
            image = draw_sphere(axes, values, norm)
    for axes, name in zip(grid[0], filters.inputs, strict=True):
        axes.set_title(name, fontsize="medium")
    figure.colorbar(image, ax=grid, label="weight (no unit)", shrink=0.8, aspect=30)
    figure.supylabel("output", fontsize="medium")
    figure.supxlabel(
        "Mollweide maps; north: ahead, away from the receiver; middle: longitude 0; filters roll about the axis", fontsize="small"
    )
    figure.suptitle(f"{title}\nchannel of the messages", fontsize="medium")
    return figure
