"""EEGNet: one pattern in space with one course in time, then a separable convolution."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from brainloop.decoder.networks.parts import Readout, dropout

__all__ = ["EEGNet"]


class EEGNet(nn.Module):
    """EEGNet, its factors multiplied out before they are applied.

    EEGNet filters every channel in time and then combines channels for each temporal filter: together a convolution
    whose kernel is a pattern times a course. Its separable convolution is a kernel of such products too. Both are
    computed as the plain convolutions that they are, which ordinary processors do many times faster.

    Parameters
    ----------
    n_channels, n_times : int
        Of an epoch, at about 62 Hz.
    n_members : int
        Networks side by side.

    References
    ----------
    Lawhern et al. (2018), "EEGNet: a compact convolutional neural network for EEG-based brain-computer interfaces",
    J. Neural Engineering 15. The kernel of a quarter of a second is theirs; each filter here has its own course, where
    theirs come in pairs, and pooling is 2 and 2 in place of 4 and 8, as their 128 Hz is halved already.
    """

    FILTERS, POINTWISE = 16, 8
    LONG, SHORT = 15, 7
    """Samples of the temporal kernels: 0.24 s at 62 Hz, 0.22 s at 31 Hz."""
    DROPOUT = 0.25

    def __init__(self, n_channels: int, n_times: int, n_members: int) -> None:
        super().__init__()
        self.n_members = n_members
        width = n_members * self.FILTERS
        self.pattern = _uniform(width, n_channels)
        self.course = _uniform(width, self.LONG)
        self.norm_1 = nn.BatchNorm1d(width)
        self.depthwise = _uniform(width, self.SHORT)
        self.pointwise = _uniform(n_members, self.POINTWISE, self.FILTERS)
        self.norm_2 = nn.BatchNorm1d(n_members * self.POINTWISE)
        self.readout = Readout(n_members, self.POINTWISE * ((n_times + 1) // 2 // 2))

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Map epochs (n, n_channels, n_times) to log-odds (n, n_members); with `rng`, by dropout."""
        kernel = torch.einsum("fc,fk->fck", self.pattern, self.course)
        h = F.elu(self.norm_1(F.conv1d(x, kernel, stride=2, padding=self.LONG // 2)))  # (n, width, n_times / 2)
        depthwise = self.depthwise.view(self.n_members, self.FILTERS, self.SHORT)
        kernel = torch.einsum("mpf,mfk->mpfk", self.pointwise, depthwise).flatten(0, 1)
        h = dropout(h, self.DROPOUT, self.n_members, rng)
        h = F.conv1d(h, kernel, padding=self.SHORT // 2, groups=self.n_members)  # (n, narrow, n_times / 2)
        h = F.avg_pool1d(F.elu(self.norm_2(h)), 2)
        out: Tensor = self.readout(dropout(h, self.DROPOUT, self.n_members, rng))
        return out


def _uniform(*shape: int) -> nn.Parameter:
    """First weights as PyTorch draws those of a layer with so many inputs."""
    return nn.Parameter((2 * torch.rand(*shape) - 1) / math.sqrt(shape[-1]))
