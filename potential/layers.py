"""The page of equations that kinds of models share: layers, lengths and the envelope, with derivatives that are finite everywhere.

TorchScript, like the pages of the kinds: from the line of dashes on, its text is compiled into the C++ reader before theirs.
"""

from torch import Tensor
from torch.nn.functional import silu

import torch  # isort: skip

# ----------------------------------------------------------------------------------------------------------------------------------------


def linear(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """W x + b."""
    return torch.addmm(w[name + ".bias"], x, w[name + ".weight"].t())


def network(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """Two linear layers with silu between."""
    return linear(w, name + ".last", silu(linear(w, name + ".first", x)))


def safe_norm(vectors: Tensor) -> Tensor:
    """Length of each row of `vectors` [e, 3], [e, 1]; at a zero vector the length is 0 and so is its gradient.

    The derivative of sqrt is infinite at 0 and autograd turns infinity times zero into NaN, so the square root is taken of 1 wherever
    the vector vanishes, and the result is replaced afterwards.
    """
    squared = (vectors * vectors).sum(1, keepdim=True)
    is_zero = squared == 0
    return torch.where(is_zero, torch.zeros_like(squared), torch.sqrt(torch.where(is_zero, torch.ones_like(squared), squared)))


def inverse(x: Tensor) -> Tensor:
    """1 / x, and 0 with zero gradient wherever x is 0."""
    is_zero = x == 0
    return torch.where(is_zero, torch.zeros_like(x), 1.0 / torch.where(is_zero, torch.ones_like(x), x))


def envelope(x: Tensor) -> Tensor:
    """Polynomial u(x) with u(0) = 1 and u = u' = u'' = 0 at 1 and beyond: 1 - 28 x^6 + 48 x^7 - 21 x^8 (arXiv:2003.03123, eq. 8, p = 6)."""
    x = torch.clamp(x, max=1.0)  # beyond 1, u is the constant u(1) = 0
    return 1.0 + x**6 * (-28.0 + x * (48.0 - 21.0 * x))
