"""SOAP: Adam in the slowly turning eigenbasis of Shampoo's factors (Vyas et al., arXiv:2409.11321)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

SMALLEST = 4  # rows and columns: what is narrower has nothing to gain from a basis
FIRST_STEPS = 3  # the basis follows after each of them: it begins as the axes
RIDGE = 1e-7  # of a factor's trace: what single precision can tell from nothing
Group = dict[str, Any]
State = dict[str, torch.Tensor]


class SOAP(torch.optim.Optimizer):
    """For a weight matrix W [rows, columns] with the gradient G, a step is

        L <- b L + (1 - b) G G^T         R <- b R + (1 - b) G^T G               Shampoo's factors, b = `factor_decay`
        m <- b1 m + (1 - b1) G           v <- b2 v + (1 - b2) (U^T G V)^2       Adam's moments, the second one in the basis
        W <- W - rate U [(U^T m V / c1) / (sqrt(v / c2) + eps)] V^T             c_k = 1 - b_k^step

    where the columns of U and V follow the eigenvectors of L and R: every `refresh_steps` steps U becomes the Q of L U = Q R, one step of
    orthogonal iteration, and V likewise. Only parameters of groups with `matrices: True` are moved so (see `as_matrices`), and of those
    no matrix with a side below SMALLEST or above `largest_matrix`. Everything else gets Adam, the same with U = V = 1.

    Parameters of one shape are moved together, and so are all that get Adam: they become a group of their own, whose state is kept at its
    first parameter. A step is a few batched products and reads nothing back from the device. A gradient that is missing counts as zero.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter] | Iterable[Group],
        lr: float = 8e-3,
        betas: tuple[float, float] = (0.9, 0.95),
        factor_decay: float = 0.95,
        refresh_steps: int = 10,
        largest_matrix: int = 200,
        eps: float = 1e-8,
        matrices: bool = True,
    ) -> None:
        basis = {"factor_decay": factor_decay, "refresh_steps": refresh_steps, "largest_matrix": largest_matrix, "matrices": matrices}
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps, **basis, "steps": 0})

    def add_param_group(self, param_group: Group) -> None:
        """Takes the parameters of a group, as one group of each shape of matrices and one of the rest."""
        wanted, params = {**self.defaults, **param_group}, param_group["params"]
        stacks: dict[tuple[int, ...], list[nn.Parameter]] = {}
        for p in [params] if isinstance(params, torch.Tensor) else params:
            has_basis = wanted["matrices"] and is_matrix(p, wanted["largest_matrix"])
            stacks.setdefault(tuple(p.shape) if has_basis else (), []).append(p)
        for shape, stack in stacks.items():
            super().add_param_group({**param_group, "params": stack, "matrices": bool(shape)})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Move the parameters against their gradients; gives back what `closure`, called first, does."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            group["steps"] += 1
            params, state = group["params"], self.state[group["params"][0]]
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in params]
            if group["matrices"]:
                stack = torch.stack(gradients)  # (n_params, *shape)
                moves = soap_direction(state, as_matrices(stack), group).view_as(stack).unbind()
            else:
                row = torch.cat([g.flatten() for g in gradients])
                parts = adam_direction(state, row, group).split([p.numel() for p in params])
                moves = tuple(part.view_as(p) for part, p in zip(parts, params, strict=True))
            torch._foreach_add_(params, moves, alpha=-group["lr"])
        return loss


def as_matrices(stack: torch.Tensor) -> torch.Tensor:
    """Parameters of one shape [n_params, *shape] as matrices [n, rows, columns].

    A parameter of two dimensions is a matrix. Of more, the first counts independent maps, the last one is their output and all between are
    their input: a convolution's weights [n_groups, n_kernels, group, 2 group] are n_groups matrices [n_kernels group, 2 group].
    """
    return stack if stack.dim() == 3 else stack.flatten(0, 1).flatten(1, -2)


def is_matrix(p: torch.Tensor, largest: int) -> bool:
    """Whether a basis for the rows and one for the columns are of use, and affordable."""
    return p.dim() > 1 and all(SMALLEST <= side <= largest for side in as_matrices(p.unsqueeze(0)).shape[1:])


def adam_direction(state: State, gradients: torch.Tensor, group: Group) -> torch.Tensor:
    """Adam's step of rate 1 for gradients of any shape."""
    if not state:
        state |= {"momentum": torch.zeros_like(gradients), "square": torch.zeros_like(gradients)}
    b1, b2 = group["betas"]
    state["momentum"].lerp_(gradients, 1 - b1)
    state["square"].mul_(b2).addcmul_(gradients, gradients, value=1 - b2)
    return normalized(state["momentum"], state["square"], group)


def soap_direction(state: State, gradients: torch.Tensor, group: Group) -> torch.Tensor:
    """SOAP's step of rate 1 for the gradients [n, rows, columns] of n matrices."""
    if not state:
        state |= soap_state(gradients)
    b1, b2 = group["betas"]
    b, transposed = group["factor_decay"], gradients.mT
    u, v = state["u"], state["v"]

    # what the step is made of
    state["left"].baddbmm_(gradients, transposed, beta=b, alpha=1 - b)  # (n, rows, rows)
    state["right"].baddbmm_(transposed, gradients, beta=b, alpha=1 - b)  # (n, columns, columns)
    state["momentum"].lerp_(gradients, 1 - b1)
    turned = u.mT @ gradients @ v
    state["square"].mul_(b2).addcmul_(turned, turned, value=1 - b2)

    # the step, in the basis and back
    momentum = u.mT @ state["momentum"] @ v
    direction = u @ normalized(momentum, state["square"], group) @ v.mT

    # the basis of the next ones
    if group["steps"] <= FIRST_STEPS or group["steps"] % group["refresh_steps"] == 0:
        state["u"], state["v"] = turned_basis(state["left"], u), turned_basis(state["right"], v)
    return direction


def turned_basis(factor: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    """The basis after a step of orthogonal iteration, [n, side, side].

    Gradients of fewer directions than a side has leave the others to rounding; with the ridge they stay what they were.
    """
    ridge = RIDGE * factor.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
    return torch.linalg.qr(torch.addcmul(factor @ basis, ridge, basis)).Q


def soap_state(gradients: torch.Tensor) -> State:
    """What is kept of n matrices, before their first step."""
    n, rows, columns = gradients.shape
    return {
        "momentum": torch.zeros_like(gradients),
        "square": torch.zeros_like(gradients),
        "left": gradients.new_zeros(n, rows, rows),
        "right": gradients.new_zeros(n, columns, columns),
        "u": torch.eye(rows, dtype=gradients.dtype, device=gradients.device).repeat(n, 1, 1),
        "v": torch.eye(columns, dtype=gradients.dtype, device=gradients.device).repeat(n, 1, 1),
    }


def normalized(momentum: torch.Tensor, square: torch.Tensor, group: Group) -> torch.Tensor:
    """(m / c1) / (sqrt(v / c2) + eps): Adam's moments without their bias to zero, one through the root of the other."""
    b1, b2 = group["betas"]
    root = (square / (1 - b2 ** group["steps"])).sqrt_().add_(group["eps"])
    return (momentum / (1 - b1 ** group["steps"])).div_(root)
