"""What a program around spinconv may have set in torch."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode


@contextmanager
def _setting(get: Callable[[], Any], put: Callable[[Any], None], value: Any) -> Iterator[None]:
    before = get()
    put(value)
    try:
        yield
    finally:
        put(before)


def _mkldnn_precision() -> str:
    return str(torch.backends.mkldnn.matmul.fp32_precision)


def _set_mkldnn_precision(value: str) -> None:
    torch.backends.mkldnn.matmul.fp32_precision = value


def _in_float64(x: torch.Tensor) -> torch.Tensor:
    return x.double() if x.is_floating_point() else x


TORCH_STATES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "float64": lambda: _setting(torch.get_default_dtype, torch.set_default_dtype, torch.float64),
    "float16": lambda: _setting(torch.get_default_dtype, torch.set_default_dtype, torch.float16),
    "device": lambda: torch.device("meta"),
    "bfloat16 products": lambda: _setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium"),
    "bfloat16 products of a backend": lambda: _setting(_mkldnn_precision, _set_mkldnn_precision, "bf16"),
    "hooks": lambda: torch.autograd.graph.saved_tensors_hooks(lambda x: x.to(torch.bfloat16) if x.is_floating_point() else x, _in_float64),
    "fake": FakeTensorMode,
    "deterministic": lambda: _setting(torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, True),
}
