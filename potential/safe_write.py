"""The one way in which this project writes a file: whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART = ".spinconv-{}.part"
"""Name of a file that is being written; one that is left behind was of a process that was killed."""


class WriteError(OSError):
    """A sentence about a file that could not be written; what was there before is there still."""


def write_file(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Makes `content` (text in UTF-8) the file `path`, or raises WriteError and leaves what was there as it was.

    Written beside its place under another name, to the disk, then renamed: whenever the process is killed or the machine loses its
    power, `path` is the old file or the new one. Links are followed; a device or pipe is written to as it is.
    """
    data = content.encode() if isinstance(content, str) else content
    with in_a_sentence(path):
        target = Path(os.path.realpath(path))
        before = target.stat() if target.exists() else None
        if before is None or stat.S_ISREG(before.st_mode):
            replace(target, data, before)
        else:
            with open(path, "wb", buffering=0) as device:
                write_all(device.fileno(), data)


def append_line(path: str | os.PathLike[str], line: str) -> None:
    """Adds a line to a file of lines, or raises WriteError and leaves the file as it was."""
    with in_a_sentence(path), open(path, "ab", buffering=0) as file:
        size = file.tell()
        try:
            write_all(file.fileno(), f"{line}\n".encode())
        except OSError:
            with suppress(OSError):
                file.truncate(size)
            raise


def remove_parts(folder: Path) -> None:
    """Removes what killed processes left of their writing; nobody else may be writing there."""
    for part in folder.glob(PART.format("*")):
        part.unlink(missing_ok=True)


def replace(target: Path, data: bytes, before: os.stat_result | None) -> None:
    """Writes a file beside `target` and renames it; `before` is the status of the file that is there."""
    effective = os.access in os.supports_effective_ids
    if before is not None and not os.access(
        target, os.W_OK, effective_ids=effective
    ):  # a folder that may be written to lets it be replaced
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    part = target.with_name(PART.format(secrets.token_hex(8)))
    try:
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            if before is not None:
                with suppress(OSError):  # a file system may know no modes
                    os.fchmod(file, stat.S_IMODE(before.st_mode))
            write_all(file, data)
            os.fsync(file)
        finally:
            os.close(file)
        part.replace(target)
    except BaseException:  # Ctrl-C too
        part.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def write_all(file: int, data: bytes) -> None:
    """Writes all of `data`; the system may take a part at a time, and says that a disk is full only with the next one."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder lasting, where the file system can."""
    try:
        entry = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(entry)
        finally:
            os.close(entry)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
            raise


@contextmanager
def in_a_sentence(path: str | os.PathLike[str]) -> Iterator[None]:
    """Says of the system's errors which file could not be written and why."""
    try:
        yield
    except OSError as error:
        parent = Path(path).absolute().parent
        kept = "; the file that was there is as it was" if os.path.isfile(path) else ""
        if isinstance(error, FileNotFoundError):
            why = f"the folder {parent} is not there"
        elif isinstance(error, IsADirectoryError) or os.path.isdir(path):
            why = "it is a folder"
        else:
            why = os.strerror(error.errno or errno.EIO).lower()
        raise WriteError(f"`{path}` could not be written: {why}{kept}") from error


__all__ = ["WriteError", "append_line", "in_a_sentence", "remove_parts", "write_file"]
