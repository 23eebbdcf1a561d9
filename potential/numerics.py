"""Norms and divisions whose derivatives are finite everywhere."""

import torch


def safe_norm(vectors: torch.Tensor) -> torch.Tensor:
    """Length of each row of `vectors` [..., 3], [...]; at a zero vector the length is 0 and so is its gradient.

    The derivative of sqrt is infinite at 0 and autograd turns infinity times zero into NaN, so the square root
    is taken of 1 wherever the vector vanishes, and the result is replaced afterwards.
    """
    squared = (vectors * vectors).sum(dim=-1)
    is_zero = squared == 0
    return torch.where(is_zero, torch.zeros_like(squared), torch.sqrt(torch.where(is_zero, torch.ones_like(squared), squared)))


def safe_divide(numerator: torch.Tensor, denominator: torch.Tensor) -> torch.Tensor:
    """numerator / denominator, and 0 with zero gradient wherever the denominator is 0."""
    is_zero = denominator == 0
    ratio = numerator / torch.where(is_zero, torch.ones_like(denominator), denominator)
    return torch.where(is_zero, torch.zeros_like(ratio), ratio)
