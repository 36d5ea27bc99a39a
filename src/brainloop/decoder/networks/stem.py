"""A space-time network: one convolution over all channels, one over time, a readout."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from brainloop.decoder.networks.parts import Readout, dropout

__all__ = ["Stem"]


class Stem(nn.Module):
    """Space-time convolution of stride 2 (to about 31 Hz), convolution over time, linear readout.

    The first layer sees all channels over 0.18 s at once, as shrinkage LDA does, so that a spatial pattern may move;
    EEGNet's factors (one pattern, one course) are the special case of rank one.

    Parameters
    ----------
    n_channels, n_times : int
        Of an epoch, at about 62 Hz.
    n_members : int
        Networks side by side.

    References
    ----------
    Manor and Geva (2015), "Convolutional neural network for multi-category rapid serial visual presentation BCI",
    Frontiers in Computational Neuroscience 9: space, then time, with pooling; here both at once.
    """

    FILTERS = 8
    LONG, SHORT = 11, 7
    """Samples of the first kernel (0.18 s at 62 Hz) and of the second (0.22 s at 31 Hz)."""
    DROPOUT = 0.35

    def __init__(self, n_channels: int, n_times: int, n_members: int) -> None:
        super().__init__()
        self.n_members = n_members
        width = n_members * self.FILTERS
        self.space_time = nn.Conv1d(n_channels, width, self.LONG, stride=2, padding=self.LONG // 2, bias=False)
        self.norm_1 = nn.BatchNorm1d(width)
        self.time = nn.Conv1d(width, width, self.SHORT, padding=self.SHORT // 2, groups=n_members, bias=False)
        self.norm_2 = nn.BatchNorm1d(width)
        self.readout = Readout(n_members, self.FILTERS * ((n_times + 1) // 2 // 2))

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Map epochs (n, n_channels, n_times) to log-odds (n, n_members); with `rng`, by dropout."""
        h = F.elu(self.norm_1(self.space_time(x)))  # (n, width, n_times / 2)
        h = F.elu(self.norm_2(self.time(dropout(h, self.DROPOUT, self.n_members, rng))))
        h = F.avg_pool1d(h, 2)  # (n, width, n_times / 4)
        out: Tensor = self.readout(dropout(h, self.DROPOUT, self.n_members, rng))
        return out
