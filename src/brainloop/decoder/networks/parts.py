"""What every network is made of beside its convolutions: dropout and the last layer."""

import math

import torch
from torch import Tensor, nn

__all__ = ["Readout", "dropout"]


class Readout(nn.Module):
    """Linear readout of every member's own features.

    Parameters
    ----------
    n_members : int
        Networks side by side.
    n_features : int
        Of each.
    """

    def __init__(self, n_members: int, n_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_members, n_features) / math.sqrt(n_features))
        self.bias = nn.Parameter(torch.zeros(n_members))

    def forward(self, h: Tensor) -> Tensor:
        """Map (n, n_members * k, n_times), k * n_times features a member, to log-odds (n, n_members)."""
        return torch.einsum("nmf,mf->nm", h.reshape(len(h), *self.weight.shape), self.weight) + self.bias


def dropout(h: Tensor, probability: float, n_members: int, rng: torch.Generator | None) -> Tensor:
    """Silence entries at random, the same ones in every member.

    Drawing takes longer than a convolution does: one mask serves all members, which still differ by their weights.

    Parameters
    ----------
    h : tensor of shape (n, n_members * k, n_times)
        Filtered epochs.
    probability : float
        Of silence; what stays is scaled up.
    n_members : int
        Networks side by side.
    rng : torch.Generator or None
        On the tensor's device; None, in use, silences nothing.
    """
    if rng is None:
        return h
    n, width, n_times = h.shape
    shape = (n, 1, width // n_members, n_times)
    mask = (torch.rand(shape, generator=rng, device=h.device) >= probability) / (1 - probability)
    return (h.view(n, n_members, -1, n_times) * mask).view(h.shape)
