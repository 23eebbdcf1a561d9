"""What an edge sees of the neighbours of its sender: the atoms in its frame, and what the model has there."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols
from ase.data.colors import jmol_colors
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from spinconv.export.pictures.colors import even_norm
from spinconv.export.pictures.mollweide import draw_graticule, draw_outline, draw_sphere, pixels, places
from spinconv.potential.pictures import Seen

MOST_LABELS = 16
"""Of the nearest neighbours; more cover each other."""


def draw_neighborhood(seen: Seen, numbers: Sequence[int], n_channels: int, title: str) -> Figure:
    """The neighbours on a map; below it a row a block with the channels that are strongest there."""
    maps = [pixels(block) for block in seen.blocks]
    n_channels = min(n_channels, len(maps[0]))
    figure = Figure(figsize=(1.2 + 1.5 * max(n_channels, 5), 4.6 + 1.15 * len(maps)), layout="constrained")
    FigureCanvasAgg(figure)
    parts: Any = figure.subfigures(1 + len(maps), 1, height_ratios=[4.4, *[1.15] * len(maps)])
    above, *below = parts
    draw_atoms(above.subplots(), seen, numbers)
    for k, (part, values) in enumerate(zip(below, maps, strict=True)):
        chosen = np.argsort(-np.nanmean(values**2, axis=(1, 2)))[:n_channels]
        row = part.subplots(1, n_channels, squeeze=False)[0]
        norm = even_norm(values[chosen])
        for axes, channel in zip(row, chosen, strict=True):
            image = draw_sphere(axes, values[channel], norm)
            axes.set_title(f"channel {channel}", fontsize="small")
        part.colorbar(image, ax=row, label=f"block {k}", aspect=8)
    figure.suptitle(
        f"{title}\nbelow: the strongest channels of what each block convolves, messages on the sphere (no unit)", fontsize="medium"
    )
    return figure


def draw_atoms(axes: Axes, seen: Seen, numbers: Sequence[int]) -> None:
    """Points in the colours of the elements, the larger the nearer, with their distances from the sender."""
    distances = seen.neighbors.norm(dim=1)
    x, y = places((seen.neighbors / distances[:, None]) @ seen.frame.T)
    elements = [numbers[atom] for atom in seen.atoms.tolist()]
    draw_graticule(axes)
    size = 400 * (distances.min() / distances) ** 2
    axes.scatter(x, y, s=size.numpy(), c=jmol_colors[elements], edgecolors="black", linewidths=0.7, zorder=2, clip_on=False)
    draw_outline(axes)
    axes.set_title("north: ahead, away from the receiver, which is at the south pole", fontsize="small")
    taken: list[tuple[float, float]] = []
    for n in torch.argsort(distances).tolist()[:MOST_LABELS]:
        label = f"{chemical_symbols[elements[n]]} {seen.atoms[n]}, {distances[n]:.2f} Å"
        there = free_place(x[n], y[n], taken)
        axes.annotate(label, there, fontsize="small", ha="center", va="center", zorder=3, annotation_clip=False)
        taken.append(there)


def free_place(x: float, y: float, taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Where the label of a point has room beside the others: above it, below it, or to either side."""
    wide, high = 0.55, 0.1  # of a label
    around = [(x + dx, y + dy) for dx, dy in ((0, 0.13), (0, -0.13), (wide, 0), (-wide, 0), (0, 0.23), (0, -0.23))]
    free = [place for place in around if all(abs(place[0] - a) > wide or abs(place[1] - b) > high for a, b in taken)]
    return (free or around)[0]
