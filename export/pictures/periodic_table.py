"""A periodic table with colours."""

from collections.abc import Mapping
from typing import Any

from ase.data import chemical_symbols
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

NOBLE = (2, 10, 18, 36, 54, 86, 118)
"""Where a period ends."""
F_BLOCK = {57: 8.3, 89: 9.3}
"""Rows of the fifteen elements from lanthanum and from actinium on."""


def place(number: int) -> tuple[int, float]:
    """Column, 1 to 18, and row of an element.

    >>> place(1), place(8), place(26), place(58), place(72)
    ((1, 1), (16, 2), (8, 4), (4, 8.3), (4, 6))
    """
    for first, row in F_BLOCK.items():
        if first <= number < first + 15:
            return number - first + 3, row
    period = next(n for n, last in enumerate(NOBLE, 1) if number <= last)
    begin = NOBLE[period - 2] if period > 1 else 0
    from_left, from_right = number - begin, NOBLE[period - 1] - number
    narrow = 2 if period > 1 else 1  # s block
    return (from_left, period) if from_left <= narrow else (18 - from_right, period)


def draw_periodic_table(axes: Axes, colors: Mapping[int, Any]) -> None:
    """Every element, by atomic number and symbol; those with a colour in it, the others pale."""
    for number in range(1, 119):
        column, row = place(number)
        color = colors.get(number)
        known = color is not None
        axes.add_patch(Rectangle((column, row), 0.94, 0.94, facecolor=color if known else "0.97", edgecolor="0.3" if known else "0.88"))
        ink = "0.75" if not known else "white" if is_dark(color) else "black"
        axes.text(column + 0.47, row + 0.55, chemical_symbols[number], ha="center", va="center", color=ink, fontsize=9)
        axes.text(column + 0.08, row + 0.08, str(number), ha="left", va="top", color=ink, fontsize=5)
    axes.set(xlim=(0.9, 19.1), ylim=(10.4, 0.8), aspect="equal")
    axes.set_axis_off()


def is_dark(color: Any) -> bool:
    """Whether white letters are read more easily on it."""
    red, green, blue = color[:3]
    return bool(0.3 * red + 0.59 * green + 0.11 * blue < 0.5)
