"""One training at a time in a folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spinconv.potential.safe_write import in_a_sentence, remove_parts
from spinconv.potential.training.config import ConfigError

LOCK = "training.lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder, made if missing, for this process alone; ConfigError if another one trains there.

    The kernel gives a lock back when its process ends, however it does: a file that is left behind by one that was killed hinders nobody.
    """
    if int(os.environ.get("LOCAL_RANK", 0)) > 0:  # the first of several devices holds it for all
        yield
        return
    made = not folder.exists()
    path = folder / LOCK
    with in_a_sentence(path):
        folder.mkdir(parents=True, exist_ok=True)
        lock = path.open("a")
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise in_use(folder) from None
        if not path.exists() or path.stat().st_ino != os.fstat(file.fileno()).st_ino:  # its last holder took it away just now
            raise in_use(folder)
        remove_parts(folder)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            if made:
                with suppress(OSError):
                    folder.rmdir()  # nothing came of it


def in_use(folder: Path) -> ConfigError:
    return ConfigError(f"{folder}: another training is at work there; wait for its end or choose another --output")
