"""Pairs of atoms within a cutoff, by vesin's library. Its Python package imports torch where there is one, which takes seconds and 250 MB:
of it only the declarations of C are read."""

import ctypes
import importlib.util
import threading
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

Pairs = tuple[np.ndarray, np.ndarray]
"""Atoms i and j of ordered pairs, int64 [n, 2]; how many lattice vectors their cells are apart, int32 [n, 3]."""


class Kept:
    """A list, whose memory serves the next search."""

    def __init__(self, c_api: Any, library: Any) -> None:
        self.found, self._free = c_api.VesinNeighborList(), library.vesin_free

    def __del__(self) -> None:
        self._free(self.found)


of_this_thread = threading.local()


def pairs_within(cutoff: float, positions: np.ndarray, box: np.ndarray, periodic: np.ndarray) -> Pairs:
    """All ordered pairs within `cutoff`, periodic images included, sorted by i.

    `box` has the lattice vectors as rows; the vector from i to j is r_j - r_i + shift @ box.

    >>> pairs, shifts = pairs_within(2.0, np.array([[0.0, 0, 0], [0, 0, 9.5]]), 10 * np.eye(3), np.ones(3, dtype=bool))
    >>> pairs.tolist(), shifts.tolist()
    ([[0, 1], [1, 0]], [[0, 0, -1], [0, 0, 1]])
    """
    c_api, library = vesin_library()
    if library is None:
        return pairs_by_its_package(cutoff, positions, box, periodic)
    options = c_api.VesinOptions()
    options.cutoff, options.full, options.sorted, options.return_shifts, options.n_threads = cutoff, True, True, True, 1
    if not hasattr(of_this_thread, "kept"):
        of_this_thread.kept = Kept(c_api, library)
    found, message = of_this_thread.kept.found, ctypes.c_char_p()
    points, box, periodic = np.ascontiguousarray(positions, float), np.ascontiguousarray(box, float), np.ascontiguousarray(periodic, bool)
    given = (pointer(points, ctypes.c_double), len(points), pointer(box, ctypes.c_double), pointer(periodic, ctypes.c_bool))
    device = c_api.VesinDevice(c_api.VesinCPU, 0)
    if library.vesin_neighbors(*given, device, options, ctypes.byref(found), ctypes.byref(message)) != 0:
        raise RuntimeError((message.value or b"").decode())
    return copied(found.pairs, found.length, 2, np.int64), copied(found.shifts, found.length, 3, np.int32)


def pairs_by_its_package(cutoff: float, positions: np.ndarray, box: np.ndarray, periodic: np.ndarray) -> Pairs:
    """The same of a vesin whose C interface is not the one that this file knows."""
    import vesin

    neighbors = vesin.NeighborList(cutoff=cutoff, full_list=True, sorted=True)
    pairs, shifts = neighbors.compute(points=positions, box=box, periodic=periodic, quantities="PS")
    return np.asarray(pairs).astype(np.int64), np.asarray(shifts).astype(np.int32).reshape(-1, 3)


@cache
def vesin_library() -> tuple[Any, Any]:
    """vesin's declarations and its library; None for both where they are others than of version 0.6."""
    spec = importlib.util.find_spec("vesin")
    if spec is None or spec.origin is None:
        raise ImportError("vesin is not installed; `pip install vesin`")
    folder = Path(spec.origin).parent
    path, declarations = folder / "lib" / "libvesin.so", folder / "_c_api.py"
    if not (path.is_file() and declarations.is_file()):
        return None, None
    c_api = loaded(declarations)
    names = ("VesinOptions", "VesinNeighborList", "VesinDevice", "VesinCPU", "setup_functions")
    if not all(hasattr(c_api, name) for name in names) or not {"return_shifts", "n_threads"} <= {
        name for name, _ in c_api.VesinOptions._fields_
    }:
        return None, None
    library = ctypes.CDLL(str(path))
    c_api.setup_functions(library)
    return (c_api, library) if len(library.vesin_neighbors.argtypes or ()) == 8 else (None, None)


def loaded(path: Path) -> ModuleType:
    """The module in a file, without the package that it is of."""
    spec = importlib.util.spec_from_file_location(f"spinconv_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pointer(values: np.ndarray, to: Any) -> Any:
    """Of an array, which must live on."""
    return values.ctypes.data_as(ctypes.POINTER(to))


def copied(rows: Any, length: int, width: int, dtype: type) -> np.ndarray:
    """Rows of C as an array of our own, [length, width]."""
    if length == 0:
        return np.zeros((0, width), dtype=dtype)
    return np.ctypeslib.as_array(rows, shape=(length,)).reshape(length, width).astype(dtype)
