"""Pictures as files."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure

from spinconv.potential.safe_write import write_file


def write_picture(path: Path, figure: Figure, dpi: int) -> None:
    """Writes a figure in the format that the name of the file says, PNG if it says none."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi, format=path.suffix.lstrip(".") or "png")
    write_file(path, buffer.getvalue())
