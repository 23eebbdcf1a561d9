"""The pages of equations as the C++ reader compiles them."""

import inspect
from types import ModuleType

import torch

LINE = "\n# " + "-" * 136 + "\n"
SILU = "def silu(x: Tensor) -> Tensor:\n    return x * torch.sigmoid(x)\n"


def compiled_pages(*pages: ModuleType) -> torch.jit.CompilationUnit:
    """All below the line of dashes of each page, one after another, with nothing of Python beside it but silu."""
    text = SILU
    for page in pages:
        above, below = inspect.getsource(page).split(LINE)
        assert "import" in above
        text += below
    return torch.jit.CompilationUnit(text)
