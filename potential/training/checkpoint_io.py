"""How Lightning's loop writes and reads its checkpoints: as we do."""

from __future__ import annotations

import os
from typing import Any

from lightning.pytorch.plugins.io import CheckpointIO

from spinconv.potential.training.checkpoint import read_checkpoint, write_checkpoint


class SealedCheckpoints(CheckpointIO):
    """Whole files under a seal. Lightning's own are written in place where the folder of temporary files is on another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None) -> None:
        write_checkpoint(path, checkpoint)

    def load_checkpoint(self, path: str | os.PathLike[str], map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return read_checkpoint(path)

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        os.remove(path)
