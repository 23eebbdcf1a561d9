"""What a caller has set in torch changes no number of a model."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch.utils._python_dispatch import _disable_current_modes


@contextmanager
def plain_torch() -> Iterator[None]:
    """Torch as the model needs it, whatever inference_mode, no_grad, autocast, default device or dtype, modes or hooks the caller has set.

    It runs scripted code as it stands: profiling and fusing it makes the first three calls 20 to 40 times slower and gains nothing.
    It holds for this thread, and afterwards what was set before holds again. The precision of products, which torch keeps for the whole
    process, is the full one meanwhile. src/plain_torch.h does the same.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(_disable_current_modes())  # FakeTensorMode is one
        stack.enter_context(torch._C.DisableTorchFunction())  # type: ignore[attr-defined]  # a default device is one
        stack.enter_context(without_saved_tensor_hooks())
        stack.enter_context(torch.jit.optimized_execution(False))  # type: ignore[attr-defined]
        stack.enter_context(_full_precision)
        yield


class FullPrecision:
    """While it is entered products of float32 matrices are made in float32: `torch.set_float32_matmul_precision` allows TF32 and bfloat16.

    Several threads may be in it: the last to leave restores what the first has found.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._restore: Callable[[], None] = _nothing

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._restore = _use_full_precision()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._restore()


def _nothing() -> None: ...


def _use_full_precision() -> Callable[[], None]:
    """Sets it; gives back what undoes that."""
    backends = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul  # type: ignore[attr-defined]  # made when torch is imported
    before = [backend.fp32_precision for backend in backends]
    if not {"tf32", "bf16"}.intersection(before):
        return _nothing
    try:
        by_old_name = torch.get_float32_matmul_precision()
    except RuntimeError:  # set by the new names, of which torch does not speak in the old ones
        by_old_name = None
    torch.set_float32_matmul_precision("highest")

    def restore() -> None:
        if by_old_name is not None:
            torch.set_float32_matmul_precision(by_old_name)
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision

    return restore


_full_precision = FullPrecision()


@contextmanager
def without_saved_tensor_hooks() -> Iterator[None]:
    """No hook sees what the backward pass needs again: one may keep it in fewer digits, which changes forces and not the energy."""
    hooks = []
    while (top := torch._C._autograd._top_saved_tensors_default_hooks(True)) is not None:  # type: ignore[attr-defined]
        hooks.append(top)
        torch._C._autograd._pop_saved_tensors_default_hooks()
    try:
        yield
    finally:
        for pack, unpack in reversed(hooks):
            torch._C._autograd._push_saved_tensors_default_hooks(pack, unpack)
