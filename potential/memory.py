"""How much memory is free, and how much something takes, in words; and how freed memory stays at hand."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h


@cache
def keep_freed_memory() -> None:
    """Tells glibc not to give large blocks back to the kernel; elsewhere, nothing. The setting holds for the whole process.

    glibc maps every block above 32 MB anew and the kernel clears it page by page: with 100,000 edges that took three quarters of an
    evaluation (docs/performance.md). The process then keeps its largest size. export/src/torch_evaluator.cpp does the same for the engines.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that a process can still take: what the kernel says (Linux) or all that the machine has, or less where a job has less.

    `root` is the folder that holds `proc` and `sys`.
    """
    told = root / "proc/meminfo"
    found = re.search(r"^MemAvailable:\s+(\d+) kB", told.read_text(), re.MULTILINE) if told.is_file() else None
    machine = int(found[1]) * 1024 if found else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(0, min([machine, *left_to_groups(root)]))


def left_to_groups(root: Path) -> Iterator[int]:
    """Bytes that each control group of this process still has, as those that queues and containers start a job in; none without limits."""
    told = root / "proc/self/cgroup"
    for line in told.read_text().splitlines() if told.is_file() else []:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            top, limit, usage, cache = root / "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):  # version 1
            top, limit, usage = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cache = "total_inactive_file"
        else:
            continue
        here = top / path.lstrip("/")
        for group in (here, *here.parents):  # a limit holds for all groups within
            if group.is_relative_to(top):
                yield from left_to_group(group / limit, group / usage, group / "memory.stat", cache)


def left_to_group(limit: Path, usage: Path, statistics: Path, cache: str) -> Iterator[int]:
    """The limit less what is used, of which the kernel gives back the files that it only remembers; nothing where there is no limit."""
    if not (limit.is_file() and usage.is_file()) or not (most := limit.read_text().strip()).isdigit():  # "max": no limit
        return
    found = re.search(rf"^{cache} (\d+)", statistics.read_text(), re.MULTILINE) if statistics.is_file() else None
    yield int(most) - int(usage.read_text()) + (int(found[1]) if found else 0)


def in_words(size: float) -> str:
    """
    >>> in_words(3.21e9), in_words(15e6)
    ('3.2 GB', '15 MB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
