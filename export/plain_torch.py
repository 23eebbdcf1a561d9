"""What a caller has set in torch changes no number of a model."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def plain_torch() -> Iterator[None]:
    """Torch as the model needs it, whatever inference_mode, no_grad, autocast, default device or dtype the caller has set.

    It runs scripted code as it stands: profiling and fusing it makes the first three calls 20 to 40 times slower and gains nothing.
    It holds for this thread, and afterwards what was set before holds again. src/plain_torch.h does the same.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(torch._C.DisableTorchFunction())  # type: ignore[attr-defined]  # a default device is one
        stack.enter_context(torch.jit.optimized_execution(False))  # type: ignore[attr-defined]
        yield
