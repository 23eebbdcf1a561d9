"""How many threads an evaluation may be told to make: those that cannot be made end the process."""

import os

MOST_THREADS = max(256, os.cpu_count() or 1)
"""As many as the processors of the machine, 256 where it has fewer; export/src/choice.cpp says the same."""


def check_threads(threads: int, least: int, name: str = "`threads`") -> int:
    """The number, if there can be so many.

    >>> check_threads(2, least=1)
    2
    """
    if not least <= threads <= MOST_THREADS:
        default = " (OMP_NUM_THREADS, or all processors)" if least == 0 else ""
        raise ValueError(f"{name} must be {least}{default} to {MOST_THREADS}, got {threads}")
    return threads
