"""Models evaluated without torch, by libspinconv.so: the C++ of LAMMPS and OpenMM, called by ctypes (include/spinconv/c_interface.h)."""

import ctypes
import importlib.resources
import os
from functools import cache
from typing import Any

import numpy as np

from spinconv.export.build import BUILD
from spinconv.export.container import MOST_FILE, unpack_metadata
from spinconv.export.evaluators import Numbers
from spinconv.potential.c_library import declare
from spinconv.potential.edges import Edges
from spinconv.potential.sealed import read_bounded

LIBRARY = "libspinconv.so"


class NotNativeError(ValueError):
    """The native evaluator is not here, or not for this model or processor; the text says which."""


@cache
def load_library() -> ctypes.CDLL:
    """The library, loaded once; NotNativeError where it was not built."""
    with importlib.resources.as_file(importlib.resources.files("spinconv.export").joinpath(LIBRARY)) as path:
        if not path.is_file():
            raise NotNativeError(f"`evaluator` native was not built; with a C++17 compiler, {BUILD} does")
        try:
            library = ctypes.CDLL(str(path))
        except OSError as error:
            raise NotNativeError(f"`evaluator` native: {LIBRARY} cannot be loaded: {error}; build it again: {BUILD}") from error
    text, whole, array = ctypes.c_char_p, ctypes.c_int64, ctypes.c_void_p
    declare(library, "spinconv_error", text)
    declare(library, "spinconv_error_is_not_native", ctypes.c_int)
    declare(library, "spinconv_open", array, text, ctypes.c_size_t, text, text, text, text, ctypes.c_int)
    declare(library, "spinconv_close", None, array)
    declare(library, "spinconv_evaluator", text, array)
    declare(library, "spinconv_device", text, array)
    declare(library, "spinconv_evaluate", ctypes.c_int, array, whole, array, whole, *[array] * 6)
    declare(library, "spinconv_finds_neighbors", ctypes.c_int, array)
    declare(library, "spinconv_evaluate_atoms", ctypes.c_int, array, whole, *[array] * 8)
    declare(library, "spinconv_has_gpu", ctypes.c_int)
    return library


def has_gpu() -> bool:
    """Whether the driver of NVIDIA's GPUs finds one, as far as anybody here can ask it."""
    try:
        return bool(load_library().spinconv_has_gpu())
    except NotNativeError:
        return True


class NativeModel:
    """A model file in the library, to be used by one thread at a time.

    `evaluator` "torch" is the library's own, which compiles the equations in C++ as the engines do. Raises ValueError in words for a
    file that is none, and NotNativeError.
    """

    def __init__(
        self, path: str | os.PathLike[str], dtype: str | None = None, device: str = "cpu", evaluator: str = "native", threads: int = 0
    ) -> None:
        library = load_library()
        name = os.fspath(path)
        data = read_bounded(path, MOST_FILE, "model file")
        self.said, weights_sha256 = unpack_metadata(data, name)
        self.metadata: dict[str, Any] = {**self.said.plain(), "weights_sha256": weights_sha256}
        self.dtype = dtype or self.said.dtype
        words = (f"`{name}`", self.dtype, device, evaluator)
        self._close, self._model = library.spinconv_close, None
        self._model = library.spinconv_open(data, len(data), *(word.encode() for word in words), threads)
        if self._model is None:
            raise (NotNativeError if library.spinconv_error_is_not_native() else ValueError)(library.spinconv_error().decode())
        self.evaluator: str = library.spinconv_evaluator(self._model).decode()
        self.device: str = library.spinconv_device(self._model).decode()
        self.finds_neighbors = bool(library.spinconv_finds_neighbors(self._model))
        """Whether `evaluate_atoms` can be called: of kernels on a device."""

    def __del__(self) -> None:
        if getattr(self, "_model", None) is not None:
            self._close(self._model)

    def evaluate(self, edges: Edges) -> Numbers:
        """Energies, forces and virial; ValueError in words where the model cannot."""
        library = load_library()
        numbers, edge_index = np.ascontiguousarray(edges.numbers, np.int64), np.ascontiguousarray(edges.edge_index, np.int64)
        vectors = np.ascontiguousarray(edges.vectors, np.float64)
        energies, forces, virial = np.empty(len(numbers)), np.empty((len(numbers), 3)), np.empty((3, 3))
        arrays = (edge_index[0], edge_index[1], vectors, energies, forces, virial)
        given = (self._model, len(numbers), numbers.ctypes.data, edge_index.shape[1], *(values.ctypes.data for values in arrays))
        if not library.spinconv_evaluate(*given):
            raise ValueError(library.spinconv_error().decode())
        return Numbers(energies, forces, None if self.said.forces == "direct" else virial)

    def evaluate_atoms(self, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> tuple[Numbers, np.ndarray]:
        """The same of atoms whose neighbours are found on the device, and whether each is unlike those of training."""
        library = load_library()
        n = len(numbers)
        energies, forces, virial, outside = np.empty(n), np.empty((n, 3)), np.empty((3, 3)), np.zeros(n, np.bool_)
        arrays = (
            np.ascontiguousarray(numbers, np.int64),
            np.ascontiguousarray(positions, np.float64),
            np.ascontiguousarray(cell, np.float64),
            np.ascontiguousarray(pbc, np.intc),
            *(energies, forces, virial, outside),
        )
        if not library.spinconv_evaluate_atoms(self._model, n, *(values.ctypes.data for values in arrays)):
            raise ValueError(library.spinconv_error().decode())
        return Numbers(energies, forces, virial), outside
