"""The embedding block: a small network whose weights are mixed by the elements at hand."""

import torch
from torch import nn


class EmbeddingBlock(nn.Module):
    """W3 sum_b p_b(elements) silu(W2_b silu(W1 x)): `n_bases` networks, mixed by a softmax over the elements (arXiv:2106.09575, 3.2).

    The paper feeds the embeddings of both elements through one linear layer to get the logits; that is the sum of one learned
    number per basis and sending element and one per basis and receiving element, which is what is kept here. `kinds` is the number
    of rows of the mixture: element pairs for a block on edges (n_elements^2), elements for a block on atoms.
    """

    def __init__(self, n_elements: int, on_pairs: bool, channels_in: int, channels: int, channels_out: int, n_bases: int) -> None:
        super().__init__()
        self.n_bases = n_bases
        self.channels = channels
        self.on_pairs = on_pairs
        self.receiver_logits = nn.Parameter(torch.randn(n_elements, n_bases))
        self.sender_logits = nn.Parameter(torch.randn(n_elements if on_pairs else 1, n_bases))
        self.first = nn.Linear(channels_in, channels)
        self.bases = nn.Linear(channels, n_bases * channels)
        self.last = nn.Linear(channels, channels_out)

    def mixtures(self) -> torch.Tensor:
        """The softmax weights of every pair (row n_elements * sender + receiver) or element, [n_kinds, n_bases]."""
        logits = self.sender_logits.unsqueeze(1) + self.receiver_logits.unsqueeze(0)
        return torch.softmax(logits, dim=2).reshape(-1, self.n_bases)

    def forward(self, x: torch.Tensor, kind: torch.Tensor) -> torch.Tensor:
        """Output for features `x` [n, channels_in] of pairs or elements `kind` [n], [n, channels_out]."""
        x = nn.functional.silu(self.first(x))
        x = nn.functional.silu(self.bases(x)).view(x.shape[0], self.n_bases, self.channels)  # (n, n_bases, channels)
        x = (x * self.mixtures().index_select(0, kind).unsqueeze(2)).sum(dim=1)  # (n, channels)
        return self.last(x)
