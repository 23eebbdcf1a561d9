"""Keeps freed memory in the process, so that the next evaluation finds its pages there."""

import ctypes
import sys
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h


@cache
def keep_freed_memory() -> None:
    """Tells glibc not to give large blocks back to the kernel; elsewhere, nothing. The setting holds for the whole process.

    glibc maps every block above 32 MB anew and the kernel clears it page by page: with 100,000 edges that took three quarters of an
    evaluation (docs/performance.md). The process then keeps its largest size. src/model.cpp does the same for the engines.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)
