"""Files under a seal: one hash over all their bytes, checked before anything in them is unpickled, parsed or run.

What torch.save and torch.jit.save write is a zip archive, and the seal is its comment, the last line of the file:

    spinconv 2 <note> sha256:<64 hexadecimal digits>

The hash is of every byte before its digits, those of the archive and of the line, so that a byte changed, cut or added anywhere is found.
Torch, zipfile and unzip read such files as before. A seal tells damage and no more: whoever writes a file can seal it.
The C++ twin is export/src/sealed.cpp.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct

from spinconv.potential.memory import in_words

SEALED_FORMAT = 2
MOST_NOTE = 1000
"""Characters in a note."""
END_OF_ARCHIVE = b"PK\x05\x06"
END_SIZE = 22
"""Bytes of the last record of a zip archive, the comment's length its last two."""
N_DIGITS = 64
LAYOUT = re.compile(rb"(?<![ -~])spinconv (\d{1,9}) (?:([!-~][ -~]{0,%d}) )?sha256:([0-9a-f]{%d})\n\Z" % (MOST_NOTE - 1, N_DIGITS))
LONGEST = len("spinconv 123456789  sha256:\n") + MOST_NOTE + N_DIGITS


def seal(archive: bytes, note: str = "") -> bytes:
    """The file `archive`, a zip archive without a comment, under a seal that says `note` (printable ASCII) too."""
    if archive[-END_SIZE:][:4] != END_OF_ARCHIVE or archive[-2:] != b"\0\0":
        raise ValueError("`archive` must be a zip archive without a comment")
    line = f"spinconv {SEALED_FORMAT} {note}{' ' if note else ''}sha256:".encode()
    if not LAYOUT.fullmatch(line + b"0" * N_DIGITS + b"\n"):
        raise ValueError(f"`note` must be at most {MOST_NOTE} printable ASCII characters, got {note!r}")
    before = archive[:-2] + struct.pack("<H", len(line) + N_DIGITS + 1) + line
    return before + hashlib.sha256(before).hexdigest().encode() + b"\n"


def open_sealed(data: bytes, name: str, what: str = "file written by spinconv") -> str:
    """The note of the seal of `data`, whose every byte is as it was when it was sealed.

    Raises ValueError when there is no seal, the file is damaged or cut, or of another format; it calls the file `name`, and what it should
    be a `what`.
    """
    found = LAYOUT.search(data, max(0, len(data) - LONGEST))
    if not found:
        raise ValueError(f"`{name}` {why_unsealed(data, what)}")
    version, note, digits = found.groups()
    if hashlib.sha256(memoryview(data)[: found.start(3)]).hexdigest().encode() != digits:
        raise ValueError(f"`{name}` is damaged: its bytes do not have the hash that is written in it; take another copy of it")
    if int(version) != SEALED_FORMAT:
        raise ValueError(
            f"`{name}` was written for format {int(version)}, this spinconv reads format {SEALED_FORMAT}; use another spinconv"
        )
    return (note or b"").decode()


def why_unsealed(data: bytes, what: str) -> str:
    """What is wrong with a file that does not end in a seal."""
    if not data.startswith(b"PK\x03\x04"):
        return f"must be a {what}, is of another kind"
    if is_whole_archive(data):
        return "has no seal of spinconv: it was written by another program or an older spinconv, or saved again by torch"
    return "is damaged: it is cut short, or its end is changed; take another copy of it"


def is_whole_archive(data: bytes) -> bool:
    """Whether a zip archive ends where its last record says so, and has no comment that was a seal once."""
    end = data.rfind(END_OF_ARCHIVE, max(0, len(data) - END_SIZE - 0xFFFF))
    if end < 0 or end + END_SIZE > len(data):
        return False
    comment = data[end + END_SIZE :]
    was_seal = b"spinconv " in comment or b"sha256:" in comment
    return not was_seal and len(comment) == int.from_bytes(data[end + END_SIZE - 2 : end + END_SIZE], "little")


def read_bounded(path: str | os.PathLike[str], most: int, what: str = "file") -> bytes:
    """The bytes of a regular file of at most `most` bytes; errors call it a `what`.

    A pipe, a device, a folder, an empty or larger file is refused without waiting for it or reading it. Raises FileNotFoundError where
    there is none, ValueError for the rest.
    """
    try:
        return read_opened(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY), most, what)
    except FileNotFoundError:
        raise FileNotFoundError(f"`{os.fspath(path)}`: there is no such {what}") from None
    except OSError as error:
        raise ValueError(f"`{os.fspath(path)}` cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"`{os.fspath(path)}` {error}") from None


def read_opened(descriptor: int, most: int, what: str) -> bytes:
    """The bytes of the open file, which is closed; ValueError says what is wrong with it."""
    try:
        status = os.fstat(descriptor)
        if problem := why_not_read(status, most, what):
            raise ValueError(problem)
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(status.st_size + 1)
    finally:
        os.close(descriptor)
    if len(data) != status.st_size:
        raise ValueError("was changed while it was read; try again when it is complete")
    return data


def why_not_read(status: os.stat_result, most: int, what: str) -> str:
    """What is wrong with a file before any byte of it is read; nothing: ""."""
    if stat.S_ISDIR(status.st_mode):
        return f"must be a {what}, is a folder"
    if not stat.S_ISREG(status.st_mode):
        return f"must be a {what}, is a pipe or a device"
    if status.st_size == 0:
        return f"must be a {what}, is empty"
    if status.st_size > most:
        return f"must be a {what} of at most {in_words(most)}, has {in_words(status.st_size)}"
    return ""
