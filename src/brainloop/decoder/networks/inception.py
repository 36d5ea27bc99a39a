"""A multi-scale network: short, middle and long kernels side by side."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from brainloop.decoder.networks.parts import Readout, dropout

__all__ = ["Inception"]


class Inception(nn.Module):
    """Space-time convolutions of three lengths, a convolution over time, a linear readout.

    Parameters
    ----------
    n_channels, n_times : int
        Of an epoch, at about 62 Hz.
    n_members : int
        Networks side by side.

    References
    ----------
    Santamaria-Vazquez et al. (2020), "EEG-Inception: a novel deep convolutional neural network for assistive ERP-based
    brain-computer interfaces", IEEE Trans. Neural Systems and Rehabilitation Engineering 28; theirs has kernels of 0.5,
    0.25 and 0.125 s and two inception modules, here one does.
    """

    LENGTHS = (5, 11, 23)
    """Samples of the kernels: 0.08, 0.18 and 0.37 s at 62 Hz."""
    FILTERS, WIDTH = 4, 8
    """Of each length, and after them."""
    SHORT = 7
    DROPOUT = 0.35

    def __init__(self, n_channels: int, n_times: int, n_members: int) -> None:
        super().__init__()
        self.n_members = n_members
        self.scales = nn.ModuleList(
            nn.Conv1d(n_channels, n_members * self.FILTERS, length, stride=2, padding=length // 2, bias=False)
            for length in self.LENGTHS
        )
        wide, narrow = n_members * self.FILTERS * len(self.LENGTHS), n_members * self.WIDTH
        self.norm_1 = nn.BatchNorm1d(wide)
        self.time = nn.Conv1d(wide, narrow, self.SHORT, padding=self.SHORT // 2, groups=n_members, bias=False)
        self.norm_2 = nn.BatchNorm1d(narrow)
        self.readout = Readout(n_members, self.WIDTH * ((n_times + 1) // 2 // 2))

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Map epochs (n, n_channels, n_times) to log-odds (n, n_members); with `rng`, by dropout."""
        scales = [scale(x).view(len(x), self.n_members, self.FILTERS, -1) for scale in self.scales]
        h = torch.cat(scales, dim=2).flatten(1, 2)  # (n, wide, n_times / 2), each member's filters together
        h = dropout(F.elu(self.norm_1(h)), self.DROPOUT, self.n_members, rng)
        h = F.avg_pool1d(F.elu(self.norm_2(self.time(h))), 2)  # (n, narrow, n_times / 4)
        out: Tensor = self.readout(dropout(h, self.DROPOUT, self.n_members, rng))
        return out
