"""The joint network: image and EEG in one network, trained end to end, after Manor, Mishali and Geva (2016).

    s = a z + b L + c + g(x, e, z, L)

It begins as stacking, ``g = 0``. The network ``g`` has a branch for the image's features `x`, a branch for the
responses `e`, and a fusion layer over both and over `z` and `L`; all is trained as one. It stops where images that it
was not trained on gain nothing any more, and goes back to stacking where they have not gained clearly.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.decoder.training import one_torch_thread
from brainloop.uses.stacking import Stacked, train_stacked

__all__ = ["Joint", "Pairs", "train_joint"]

BRANCH, FUSED = 8, 8
"""Units of each branch, and of the fusion layer."""

N_STEPS, PATIENCE = 60, 10
"""Passes over all images, the most; and those without a better loss of images held out after which training stops."""

CLEARLY = 2.0
"""Standard errors by which images held out must gain, or what was learned is dropped: theirs is the best of many steps.
With one standard error the control of 40 labels and shuffled EEG lost .02 of AUC (cars, design seeds)."""

LEARNING_RATE = 1e-2
WEIGHT_DECAY = 0.3
"""Of AdamW."""

DROPOUT = 0.5
"""Of the inputs of both branches and of the fusion layer."""


ENOUGH = 10
"""Images of each class with fewer of which nothing is added to stacking: a gain on two targets held out looks as clear
as one on twenty, and is not. With 16 labels and shuffled EEG the control lost .01 of AUC (flowers)."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Images, each with what the EEG said of it.

    Parameters
    ----------
    log_odds : array, shape (n,)
        Of the classifier, for images to train on out of fold, nats.
    evidence : array, shape (n,)
        Of the brain, nats.
    features : array, shape (n, n_features)
        Of the images, of unit mean square norm.
    responses : array, shape (n, n_numbers)
        Of the EEG, each number of about unit variance; see `brainloop.uses.responses`.
    """

    log_odds: FloatArray
    evidence: FloatArray
    features: FloatArray
    responses: FloatArray

    def __getitem__(self, rows: IntArray | BoolArray) -> "Pairs":
        """Give some of them."""
        return Pairs(*(getattr(self, one.name)[rows] for one in fields(self)))


class Network(nn.Module):
    """As many networks ``g`` as there are folds, side by side; 0 before they are trained."""

    def __init__(self, n_networks: int, n_features: int, n_numbers: int, rng: torch.Generator) -> None:
        super().__init__()

        def weights(n_in: int, n_out: int, scale: float) -> nn.Parameter:
            return nn.Parameter(scale * torch.randn(n_networks, n_in, n_out, generator=rng))

        self.image = weights(n_features, BRANCH, 1.0)  # features have unit norm together, responses each
        self.eeg = weights(n_numbers, BRANCH, n_numbers**-0.5)
        self.fusion = weights(2 * BRANCH + 2, FUSED, (2 * BRANCH + 2) ** -0.5)
        self.out = nn.Parameter(torch.zeros(n_networks, FUSED, 1))

    def forward(self, said: Tensor, x: Tensor, e: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Map z and L (n, 2), features and responses to what is added (n_networks, n)."""
        seen = torch.cat([F.gelu(_dropped(x, rng) @ self.image), F.gelu(_dropped(e, rng) @ self.eeg)], dim=2)
        both = torch.cat([seen, (said / 3).expand(len(seen), -1, -1)], dim=2)  # nats, brought to about 1
        return (F.gelu(_dropped(both, rng) @ self.fusion) @ self.out)[..., 0]


def _dropped(h: Tensor, rng: torch.Generator | None) -> Tensor:
    return h if rng is None else h * (torch.rand(h.shape, generator=rng) >= DROPOUT) / (1 - DROPOUT)


@dataclass(frozen=True, eq=False)
class Joint:
    """Stacking, and trained networks whose mean is added to it.

    Parameters
    ----------
    stacked : Stacked
        What it began as.
    network : Network
        One network a fold.
    n_steps : int
        After how many it was stopped; 0 is stacking.
    """

    stacked: Stacked
    network: Network
    n_steps: int

    def log_odds(self, pairs: Pairs) -> FloatArray:
        """Give the log-odds of being a target, nats, shape (n,)."""
        with one_torch_thread(), torch.inference_mode():
            added = self.network(*_tensors(pairs)).mean(dim=0).numpy()
        return np.asarray(self.stacked.log_odds(pairs.log_odds, pairs.evidence) + added)


def train_joint(pairs: Pairs, truth: BoolArray, fold: IntArray, *, seed: int = 0) -> Joint:
    """Train on images of known class.

    One network a fold is trained on the images of the other folds. All stop at the step at which the mean loss of the
    images held out is least, or at once where those gain nothing clear over stacking; what is added is their mean. With
    fewer than ten images of a class, nothing is added.

    Parameters
    ----------
    pairs : Pairs
        With the classifier's log-odds out of fold.
    truth : array of bool, shape (n,)
        Whether each image is a target; two or more of each class.
    fold : array of int, shape (n,)
        Of each image, from 0.
    seed : int
        Of first weights and dropout.

    Raises
    ------
    SettingsError
        If there are fewer of a class.

    References
    ----------
    Manor, Mishali and Geva (2016), "Multimodal neural network for rapid serial visual presentation brain computer
    interface", Front. Comput. Neurosci. 10:130.
    """
    stacked = train_stacked(pairs.log_odds, pairs.evidence, truth)
    rng = torch.Generator().manual_seed(seed)
    n_folds = int(fold.max()) + 1
    network = Network(n_folds, pairs.features.shape[1], pairs.responses.shape[1], rng)
    said, x, e = _tensors(pairs)
    start = torch.as_tensor(stacked.log_odds(pairs.log_odds, pairs.evidence), dtype=torch.float32)
    y = torch.as_tensor(truth, dtype=torch.float32).expand(n_folds, -1)
    held_out = torch.as_tensor(fold == np.arange(n_folds)[:, None])
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    n_targets = int(truth.sum())
    enough = min(n_targets, truth.size - n_targets) >= ENOUGH
    states, losses = [_state(network)], [_losses(start + network(said, x, e), y)[held_out]]
    with one_torch_thread():
        for _ in range(N_STEPS if enough else 0):
            optimiser.zero_grad()
            loss = _losses(start + network(said, x, e, rng), y)[~held_out].sum() / len(x)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            with torch.no_grad():
                losses.append(_losses(start + network(said, x, e), y)[held_out])
            states.append(_state(network))
            if len(losses) > PATIENCE and torch.stack(losses).mean(dim=1).argmin() < len(losses) - PATIENCE:
                break
    n_steps = _stop(torch.stack(losses).detach().numpy())
    network.load_state_dict(states[n_steps])
    return Joint(stacked, network, n_steps)


def _losses(log_odds: Tensor, y: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(log_odds, y, reduction="none")


def _state(network: Network) -> dict[str, Tensor]:
    return {name: values.clone() for name, values in network.state_dict().items()}


def _stop(losses: FloatArray) -> int:
    """Choose the step of the least mean loss, (n_steps, n_images), or 0 where its gain is not clear."""
    best = int(losses.mean(axis=1).argmin())
    gain = losses[0] - losses[best]
    return best if gain.mean() > CLEARLY * gain.std() / np.sqrt(gain.size) else 0


def _tensors(pairs: Pairs) -> tuple[Tensor, Tensor, Tensor]:
    """Give z and L (n, 2), features and responses."""
    said = torch.as_tensor(np.column_stack([pairs.log_odds, pairs.evidence]), dtype=torch.float32)
    x, e = (torch.as_tensor(one, dtype=torch.float32) for one in (pairs.features, pairs.responses))
    return said, x, e
