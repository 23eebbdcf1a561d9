"""Libraries of C that ctypes calls."""

import ctypes
from typing import Any


def declare(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> None:
    """What a function of the library takes and gives."""
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
