"""A training step of harmonic models on a CPU by code of our own, export/src/native/training.

Energies, their gradients, and how a loss of both changes with every weight, without torch's double backward.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from torch.autograd.function import once_differentiable

from spinconv.potential.c_library import declare
from spinconv.potential.harmonic.model import HarmonicSpinConv
from spinconv.potential.kinds import NoTrainingStepError

LIBRARY = Path(__file__).with_name("libspinconv_training.so")
DTYPES = (torch.float32, torch.float64)
SENTENCE = 1000  # bytes that a reason may have


class HarmonicTrainingStep:
    """Energies of atoms and their gradients for a model whose weights change from call to call.

    Made for a model and its precision; the model's constants and buffers are those of that moment. `threads` share the work where there
    are edges enough; the sums depend on their number, and on nothing else. `level`: an instruction set, "x86-64-v3"; else the processor's
    best. Raises NoTrainingStepError where there is none.
    """

    def __init__(self, model: HarmonicSpinConv, threads: int = 1, level: str = "") -> None:
        self.parameters = dict(model.named_parameters())
        self.dtype = next(iter(self.parameters.values())).dtype
        self.model, self.threads = model, threads
        if self.dtype not in DTYPES or any(p.device.type != "cpu" for p in self.parameters.values()):
            raise NoTrainingStepError(f"the native training step is for float32 and float64 on a CPU, the model is {self.dtype}")
        self._library = load_library()
        exact = {**{name: p.detach() for name, p in model.named_parameters()}, **dict(model.named_buffers()), **model.exact_constants()}
        arrays = safetensors.numpy.save({name: as_array(value) for name, value in exact.items()})
        elements, problem = model.config.elements, ctypes.create_string_buffer(SENTENCE)
        self._step = ctypes.c_void_p(
            self._library.spinconv_training_new(
                int(self.dtype == torch.float64),
                arrays,
                len(arrays),
                "\n".join(self.parameters).encode(),
                model.cutoff,
                model.scale,
                model.average_neighbors,
                model.config.n_blocks,
                len(elements),
                (ctypes.c_int64 * len(elements))(*elements),
                (ctypes.c_double * len(elements))(*model.reference_energies),
                threads,
                level.encode(),
                problem,
                SENTENCE,
            )
        )
        if not self._step:
            raise NoTrainingStepError(problem.value.decode())
        self.level: str = self._library.spinconv_training_level(self._step).decode()

    def __del__(self) -> None:
        if getattr(self, "_step", None):
            self._library.spinconv_training_delete(self._step)

    def __call__(self, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Energies of atoms (eV, float64 [n_atoms]) and dE/dvectors (eV/Å, [e, 3]), differentiable once, by the weights alone."""
        graph = numbers.contiguous(), edge_index.contiguous(), vectors.detach().contiguous()
        energies, gradients = _Step.apply(self, *graph, *self.parameters.values())
        return energies, gradients

    def evaluate(self, graph: tuple[torch.Tensor, ...], weights: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        energies, gradients = torch.empty(len(graph[0]), dtype=torch.float64), torch.empty_like(graph[2])
        self._call("evaluate", weights, graph, energies, gradients)
        return energies, gradients

    def differentiate(
        self, graph: tuple[torch.Tensor, ...], weights: list[torch.Tensor], of_energies: torch.Tensor, of_gradients: torch.Tensor
    ) -> list[torch.Tensor]:
        of_weights = [torch.zeros_like(w) for w in weights]
        self._call("differentiate", weights, graph, of_energies.contiguous(), of_gradients.contiguous(), addresses(of_weights))
        return of_weights

    def _call(self, name: str, weights: list[torch.Tensor], graph: tuple[torch.Tensor, ...], *others: Any) -> None:
        numbers, edge_index, vectors = graph
        problem = ctypes.create_string_buffer(SENTENCE)
        function = getattr(self._library, f"spinconv_training_{name}")
        tensors = [pointer(t) if isinstance(t, torch.Tensor) else t for t in (numbers, edge_index, vectors, *others)]
        if not function(self._step, addresses(weights), len(numbers), edge_index.shape[1], *tensors, problem, SENTENCE):
            raise RuntimeError(f"the native training step failed: {problem.value.decode()}")


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, step: HarmonicTrainingStep, numbers: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor, *weights: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.step = step
        ctx.save_for_backward(numbers, edge_index, vectors, *weights)
        return step.evaluate((numbers, edge_index, vectors), [w.detach().contiguous() for w in weights])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_energies: torch.Tensor, of_gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        numbers, edge_index, vectors, *weights = ctx.saved_tensors
        made = ctx.step.differentiate((numbers, edge_index, vectors), [w.detach().contiguous() for w in weights], of_energies, of_gradients)
        return (None, None, None, None, *made)


@cache
def load_library() -> ctypes.CDLL:
    """The library, loaded once; NoTrainingStepError where it was not built."""
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        raise NoTrainingStepError(f"the native training step is not in this build ({error})") from error
    text, whole, real, array, flag = ctypes.c_char_p, ctypes.c_int64, ctypes.c_double, ctypes.c_void_p, ctypes.c_int
    graph, problem = [array, array, whole, whole, array, array, array], [text, whole]
    model = [real, real, real, whole, whole, array, array]
    declare(library, "spinconv_training_new", array, flag, text, whole, text, *model, flag, text, *problem)
    declare(library, "spinconv_training_delete", None, array)
    declare(library, "spinconv_training_level", text, array)
    declare(library, "spinconv_training_evaluate", ctypes.c_bool, *graph, array, array, *problem)
    declare(library, "spinconv_training_differentiate", ctypes.c_bool, *graph, array, array, array, *problem)
    return library


def as_array(value: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray((value.double() if value.is_floating_point() else value.long()).numpy())


def pointer(tensor: torch.Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def addresses(tensors: list[torch.Tensor]) -> Any:
    """The places of their numbers, which must be kept elsewhere as long."""
    return (ctypes.c_void_p * len(tensors))(*(t.data_ptr() for t in tensors))
