"""Functions on the sphere of an edge in Mollweide's projection, which shows all of a sphere and keeps areas as they are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Ellipse

from spinconv.export.pictures.colors import COLORS
from spinconv.potential.pictures import Sphere, longitude_latitude

WIDTH, HEIGHT = 2 * np.sqrt(2), np.sqrt(2)
"""Half axes of the whole sphere."""
PIXELS = (60, 120)


def draw_sphere(axes: Axes, values: np.ndarray, norm: Normalize) -> Any:
    """An image of `pixels`, and the edge of the map."""
    image = axes.imshow(values, cmap=COLORS, norm=norm, extent=(-WIDTH, WIDTH, -HEIGHT, HEIGHT), origin="lower")
    draw_outline(axes)
    return image


def draw_outline(axes: Axes) -> None:
    """The edge of the map, and nothing around it."""
    axes.add_patch(Ellipse((0, 0), 2 * WIDTH, 2 * HEIGHT, fill=False, linewidth=0.6, color="0.4"))
    axes.set(xlim=(-1.01 * WIDTH, 1.01 * WIDTH), ylim=(-1.02 * HEIGHT, 1.02 * HEIGHT), xticks=[], yticks=[], aspect="equal")
    axes.set_frame_on(False)


def draw_graticule(axes: Axes) -> None:
    """Meridians and parallels every 30 degrees, some with their degrees."""
    latitudes, longitudes = np.radians(np.linspace(-90, 90, 91)), np.radians(np.linspace(-180, 180, 91))
    for degrees in range(-150, 180, 30):
        axes.plot(*project(np.full(91, np.radians(degrees)), latitudes), color="0.85", linewidth=0.6, zorder=0)
        axes.annotate(f"{degrees}°", map_point(degrees, 0), fontsize=6, color="0.5", ha="center", va="bottom")
    for degrees in range(-60, 90, 30):
        axes.plot(*project(longitudes, np.full(91, np.radians(degrees))), color="0.85", linewidth=0.6, zorder=0)
        if degrees:
            axes.annotate(f"{degrees}°", map_point(-180, degrees), fontsize=6, color="0.5", ha="right", va="center")


def map_point(longitude: float, latitude: float) -> tuple[float, float]:
    """The place of one point, of degrees."""
    x, y = project(np.radians([longitude]), np.radians([latitude]))
    return float(x[0]), float(y[0])


def pixels(sphere: Sphere) -> np.ndarray:
    """Its values in the pixels of the map, NaN outside of it, [..., rows, columns]."""
    x, y = np.meshgrid(middles(WIDTH, PIXELS[1]), middles(HEIGHT, PIXELS[0]))
    inside = (x / WIDTH) ** 2 + (y / HEIGHT) ** 2 < 1
    theta = np.arcsin(y[inside] / HEIGHT)
    latitude = np.arcsin((2 * theta + np.sin(2 * theta)) / np.pi)
    longitude = np.pi * x[inside] / (WIDTH * np.cos(theta))
    there = [np.sin(latitude), np.cos(latitude) * np.sin(longitude), np.cos(latitude) * np.cos(longitude)]
    values = sphere(torch.from_numpy(np.stack(there, axis=1))).numpy()
    image = np.full((*values.shape[:-1], *PIXELS), np.nan)
    image[..., inside] = values
    return image


def middles(half: float, n: int) -> np.ndarray:
    """Of n equal parts from minus to plus a half axis."""
    return half * (2 * np.arange(n) + 1 - n) / n


def project(longitude: np.ndarray, latitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places on the map of points on the sphere (radians): 2 theta + sin 2 theta = pi sin(latitude), by Newton's method."""
    theta = latitude.copy()
    for _ in range(50):
        slope = 2 + 2 * np.cos(2 * theta)
        change = (2 * theta + np.sin(2 * theta) - np.pi * np.sin(latitude)) / np.where(slope < 1e-9, 1.0, slope)
        theta = theta - np.where(slope < 1e-9, 0.0, change)
    return WIDTH * longitude / np.pi * np.cos(theta), HEIGHT * np.sin(theta)


def places(directions: torch.Tensor) -> Sequence[np.ndarray]:
    """Places on the map of unit vectors of a frame [p, 3], x and y [p] each."""
    longitude, latitude = longitude_latitude(directions)
    return project(longitude.numpy(), latitude.numpy())
