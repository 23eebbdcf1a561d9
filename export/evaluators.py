"""What evaluates a model file in Python: code of our own on a CPU that it has code for, torch otherwise; neither is loaded unasked."""

import importlib.util
import os
from typing import Any, NamedTuple, Protocol

import numpy as np

from spinconv.export.metadata import PRECISIONS, Metadata
from spinconv.potential.edges import Edges
from spinconv.potential.threads import check_threads

EVALUATORS = ("native", "torch")


class Numbers(NamedTuple):
    """One structure, evaluated."""

    energies: np.ndarray
    """Of the atoms, eV, [n_atoms]."""
    forces: np.ndarray
    """eV/Å, [n_atoms, 3]."""
    virial: np.ndarray | None
    """-sum over edges of r outer dE/dr, eV, [3, 3]; None where forces are direct."""


class OpenModel(Protocol):
    """A model file, ready to be evaluated."""

    said: Metadata
    metadata: dict[str, Any]
    """The same as plain values (`Metadata.plain`), and `weights_sha256`."""
    dtype: str
    """What it computes in: "float32" or "float64"."""
    device: str
    evaluator: str
    """"torch", or "native" and the instruction set, or "cuda" or "opencl" for kernels of our own."""

    def evaluate(self, edges: Edges) -> Numbers:
        """The numbers of a structure, whose edges reach as far as the cutoff at least."""


def open_model(
    path: str | os.PathLike[str], dtype: str | None = None, device: str = "cpu", evaluator: str | None = None, threads: int = 0
) -> OpenModel:
    """A model file with what is to evaluate it, whose probe it has found again.

    `dtype` is "float32", "float64" or None for the file's own, `device` "cpu", "cuda" or "opencl", perhaps with an index ("cuda:1"),
    "auto" for CUDA where there is one, or another that torch knows. `evaluator` is "native", code of our own, "torch", or None for native
    where that can be, on CUDA for torch where that can use it. `threads` are those of the native evaluator on a CPU, 0 for OMP_NUM_THREADS
    or as many as there are processors. Raises ValueError in words, FileNotFoundError.
    """
    if dtype is not None and dtype not in PRECISIONS:
        raise ValueError(f"`dtype` must be one of {', '.join(PRECISIONS)}, got {dtype!r}")
    if evaluator is not None and evaluator not in EVALUATORS:
        raise ValueError(f"`evaluator` must be one of {', '.join(EVALUATORS)}, got {evaluator!r}")
    check_threads(threads, least=0)
    why = "`evaluator` torch" if evaluator == "torch" else f"`device` {device!r}"
    if evaluator is None and needs_kernels(device):
        evaluator = "native"
    if evaluator == "native" or (evaluator is None and is_cpu(device)):
        from spinconv.export.native_library import NativeModel, NotNativeError

        try:
            return NativeModel(path, dtype, device, "native", threads)
        except NotNativeError as error:
            if evaluator == "native":
                raise
            why = f"`{os.fspath(path)}` ({error})"
    if not has_torch():
        raise ValueError(f"{why} needs torch, which is not installed; `pip install torch`")
    from spinconv.export.torch_model import TorchModel

    return TorchModel(path, dtype, device)


def is_cpu(device: str) -> bool:
    """Whether a device is the CPU: of "auto" torch is asked only where there is a GPU."""
    from spinconv.export.native_library import has_gpu

    if device != "auto" or not (has_torch() and has_gpu()):
        return device in ("cpu", "auto")
    from spinconv.export.reader import usable_device

    return usable_device(device).type == "cpu"


def needs_kernels(device: str) -> bool:
    """Whether a device is one for kernels of our own alone: OpenCL's, and CUDA's where torch cannot use it."""
    family = device.partition(":")[0]
    if family != "cuda" or not has_torch():
        return family in ("cuda", "opencl")
    from spinconv.export.reader import usable_device

    try:
        usable_device(device)
    except ValueError:
        return True
    return False


def has_torch() -> bool:
    """Whether torch is installed; it is not imported to find out."""
    return importlib.util.find_spec("torch") is not None
