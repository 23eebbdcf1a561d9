"""A door is opened in a process of its own, so that whatever it does the runner goes on."""

from __future__ import annotations

import faulthandler
import json
import os
import re
import resource
import select
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

SECONDS = 20
"""More time of a processor is an endless loop."""
WAIT = 90
"""Seconds; longer by the clock is a wait without end, on a machine that may have much else to do."""
MEMORY = 4 * 1024**3
"""Bytes that a case may take above what the runner has."""


class RefusedError(Exception):
    """What a door said instead of an answer."""


class Outcome(NamedTuple):
    """How a case ended."""

    kind: str
    """answer, sentence, traceback, signal, hang."""
    value: Any
    """The answer, or words."""
    seconds: float


def run(door: Callable[[Path], Any], folder: Path) -> Outcome:
    """Opens a door with the files of a folder, in a fork with bounds."""
    begun = time.monotonic()
    there, here = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(there)
        open_door(door, folder, here)
    os.close(here)
    said = read_until_end(there, begun + WAIT)
    if said is None:
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - begun
    if said is None:
        return Outcome("hang", f"more than {WAIT} s", seconds)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL):
        return Outcome("hang", f"more than {SECONDS} s of a processor", seconds)
    if os.WIFSIGNALED(status):
        return Outcome("signal", signal.Signals(os.WTERMSIG(status)).name, seconds)
    if not said:
        return Outcome("signal", f"ended by itself with code {os.WEXITSTATUS(status)}", seconds)
    kind, value = json.loads(said)
    return Outcome(kind, value, seconds)


def read_until_end(pipe: int, end: float) -> bytes | None:
    """What comes through a pipe until it is closed; None if that is not before the time `end`."""
    said = b""
    while select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
        piece = os.read(pipe, 65536)
        said += piece
        if not piece:
            os.close(pipe)
            return said
    os.close(pipe)
    return None


def open_door(door: Callable[[Path], Any], folder: Path, pipe: int) -> None:
    """In the fork: bounds, the door, what came of it; then the end, without any of Python's leaving."""
    faulthandler.disable()  # a crash is told by its signal
    warnings.simplefilter("always")  # tests make errors of them, users see lines
    os.setpgid(0, 0)
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_AS, (address_space() + MEMORY,) * 2)
    try:
        said = ["answer", door(folder)]
    except RefusedError as error:
        said = ["sentence", str(error)]
    except BaseException:
        said = ["traceback", traceback.format_exc()]
    try:
        with os.fdopen(pipe, "w") as file:
            json.dump(said, file, default=str)
    finally:
        os._exit(0)  # a fork of a test goes no further, whatever happens


def address_space() -> int:
    """Bytes of address space that this process has."""
    found = re.search(r"VmSize:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0
