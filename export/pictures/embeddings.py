"""Learned embeddings of elements on a periodic table, and how alike they are."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from spinconv.export.pictures.colors import COLORS, even_norm
from spinconv.export.pictures.periodic_table import draw_periodic_table
from spinconv.potential.pictures import Embedding

ALL = "all"
"""The name of all embeddings side by side."""

MOST_LABELS = 45
"""Symbols on a side of the matrix; of more elements every second is named."""


class Shown(NamedTuple):
    """A value an element, and what it is."""

    values: np.ndarray
    label: str
    norm: Normalize


def draw_embeddings(embeddings: Sequence[Embedding], name: str, elements: Sequence[int], element: str | None, title: str) -> Figure:
    """The first principal component, or the similarity to an `element`, on a periodic table; beside it all similarities, or, of pairs,
    their first component. ValueError where there is no such embedding or element."""
    if len(elements) < 2:
        raise ValueError(f"a model of one element ({chemical_symbols[elements[0]]}) has no others to compare it with")
    chosen = [embedding for embedding in embeddings if name in (ALL, embedding.name)]
    if not chosen:
        raise ValueError(f"`embedding` must be one of {', '.join([ALL, *(e.name for e in embeddings)])}, got {name!r}")
    rows = np.concatenate([embedding.of_elements().double().numpy() for embedding in chosen], axis=1)  # (n_elements, width)
    shown = component(rows) if element is None else similarity(rows, elements, element)
    pairs = chosen[0].values.double().numpy() if len(chosen) == 1 and chosen[0].of_pairs else None
    what = f"{'all embeddings' if name == ALL else f'embedding {name}'} of {len(elements)} elements, {rows.shape[1]} numbers each"
    figure = Figure(figsize=(15, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    table, matrix = figure.subplots(1, 2, width_ratios=[1.75, 1])
    colors = mpl.colormaps[COLORS](shown.norm(shown.values))
    draw_periodic_table(table, dict(zip(elements, colors.tolist(), strict=True)))
    bar = figure.colorbar(ScalarMappable(shown.norm, COLORS), ax=table, label=shown.label, location="bottom", shrink=0.6, aspect=40)
    bar.ax.ticklabel_format(axis="x", scilimits=(-2, 4))  # embeddings may be as small as they begin
    draw_matrix(figure, matrix, rows, pairs, elements)
    figure.suptitle(f"{title}\n{what}")
    return figure


def draw_matrix(figure: Figure, axes: Axes, rows: np.ndarray, pairs: np.ndarray | None, elements: Sequence[int]) -> None:
    """What elements, or pairs of them, have to do with each other."""
    if pairs is None:
        values, label, norm = correlations(rows), "correlation of two elements", even_norm(np.ones(1))
    else:
        found = component(pairs.reshape(-1, pairs.shape[2]))
        values, label, norm = found.values.reshape(pairs.shape[:2]), f"pairs: {found.label}", found.norm
        axes.set(xlabel="receiver", ylabel="sender")
    image = axes.imshow(values, cmap=COLORS, norm=norm)
    step = 1 + len(elements) // MOST_LABELS
    ticks, symbols = range(0, len(elements), step), [chemical_symbols[number] for number in elements[::step]]
    size = 10 if len(symbols) <= 20 else 6
    axes.set_xticks(ticks, symbols, fontsize=size, rotation=0 if len(symbols) <= 20 else 90)
    axes.set_yticks(ticks, symbols, fontsize=size)
    figure.colorbar(image, ax=axes, label=label, shrink=0.9)


def component(rows: np.ndarray) -> Shown:
    """The coordinate of each row along the direction in which they differ most; the last one's is positive."""
    centered = rows - rows.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centered, full_matrices=False)
    values = centered @ axes[0]
    values = values * (-1 if values[-1] < 0 else 1)
    share = sizes[0] ** 2 / max((sizes**2).sum(), np.finfo(float).tiny)
    return Shown(values, f"first principal component, {share:.0%} of the variance", even_norm(values))


def similarity(rows: np.ndarray, elements: Sequence[int], element: str) -> Shown:
    """The correlation with an element's row."""
    number = atomic_numbers.get(element, 0)
    if number not in elements:
        known = ", ".join(chemical_symbols[z] for z in elements)
        raise ValueError(f"`element` must be one of the model's, {known}, got {element!r}")
    return Shown(correlations(rows)[list(elements).index(number)], f"correlation with {element}", even_norm(np.ones(1)))


def correlations(rows: np.ndarray) -> np.ndarray:
    """Pearson's, of each two rows; 0 where one of them is constant."""
    centered = rows - rows.mean(axis=1, keepdims=True)
    sizes = np.linalg.norm(centered, axis=1, keepdims=True)
    unit = centered / np.where(sizes > 0, sizes, 1.0)
    return unit @ unit.T
