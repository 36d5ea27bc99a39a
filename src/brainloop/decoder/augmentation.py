"""What is done to training epochs so that networks learn the response and not the epochs."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Augmentation"]


@dataclass(frozen=True)
class Augmentation:
    """Random changes of whitened epochs; anew for every batch.

    The defaults are what helps on the design splits; docs/methods.md has the table.

    Attributes
    ----------
    shift : int
        Largest shift in time, samples either way (16 ms each at 62 Hz): responses are late and early, and onsets are
        known to half a frame.
    channel_dropout : float
        Probability that a channel is silent in an epoch.
    mixing : float
        Parameter of the beta distribution from which the share of a second epoch is drawn, whose label is mixed in
        alike (Zhang et al. 2018, "mixup: beyond empirical risk minimization", ICLR); 0 mixes nothing.
    noise : float
        Standard deviation of added white noise, in those of the signal. It helps once epochs are softly clipped.
    """

    shift: int = 0
    channel_dropout: float = 0.0
    mixing: float = 0.0
    noise: float = 0.3

    def __call__(self, x: Tensor, y: Tensor, weight: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Change a batch.

        Parameters
        ----------
        x : tensor of shape (n, n_channels, n_times)
            Epochs.
        y : tensor of shape (n,)
            Probability that each showed a target.
        weight : tensor of shape (n, n_members)
            What each epoch counts for each network; 0 keeps it from that network.
        rng : torch.Generator
            On the tensors' device.

        Returns
        -------
        x, y, weight
            Changed; the arguments stay as they are.
        """
        n, n_channels, n_times = x.shape
        if self.shift:
            by = torch.randint(-self.shift, self.shift + 1, (n, 1), generator=rng, device=x.device)
            # The edge sample is repeated: zeros there would be a step.
            places = (torch.arange(n_times, device=x.device) - by).clamp(0, n_times - 1)
            x = x.gather(2, places[:, None].expand(-1, n_channels, -1))
        if self.channel_dropout:
            x = x * (torch.rand((n, n_channels, 1), generator=rng, device=x.device) >= self.channel_dropout)
        if self.mixing:
            concentration = torch.full((n, 2), self.mixing, device=x.device)
            share = torch._sample_dirichlet(concentration, rng).max(dim=1).values
            other = torch.randperm(n, generator=rng, device=x.device)
            x = share[:, None, None] * x + (1 - share[:, None, None]) * x[other]
            y = share * y + (1 - share) * y[other]
            weight = torch.minimum(weight, weight[other])  # what is kept from a network stays so in a mixture
        if self.noise:
            x = x + self.noise * torch.randn(x.shape, generator=rng, device=x.device)
        return x, y, weight
