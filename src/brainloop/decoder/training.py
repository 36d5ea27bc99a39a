"""Training many small networks as one: all members of the ensemble, for all folds, in the same batches."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from brainloop._types import FloatArray, IntArray
from brainloop.decoder.augmentation import Augmentation
from brainloop.decoder.clipping import SOFT_LIMIT, soft_clip
from brainloop.decoder.networks.eegnet import EEGNet
from brainloop.decoder.networks.inception import Inception
from brainloop.decoder.networks.stem import Stem

__all__ = ["NETWORKS", "Networks", "Recipe", "one_torch_thread", "train_networks"]

NETWORKS: dict[str, Any] = {"stem": Stem, "eegnet": EEGNet, "inception": Inception}
"""Every network, by name."""

_INITIALISING = Lock()
"""Held while first weights are drawn: members are trained in several threads."""

Fold = tuple[IntArray, IntArray]


@dataclass(frozen=True)
class Recipe:
    """How networks are trained.

    Attributes
    ----------
    n_members : int
        Networks that differ in their first weights and dropout alone; their log-odds are averaged.
    n_epochs : int
        Passes over the trials; the most, where there are folds to stop early on.
    first_kept : int
        Pass before which none is kept: till then the average still remembers the first weights. On the design split of
        new people, EEGNet stopped after two passes had AUC .70, after six .78.
    patience : int
        Passes without a better separation of held-out trials after which training stops.
    learning_rate : float
        Of AdamW, after a rise over the first pass.
    weight_decay : float
        Of AdamW.
    averaging : float
        Decay of the moving average of the weights, a step (Polyak and Juditsky 1992); 0 keeps the last ones.
    augmentation : Augmentation
        What is done to the epochs.
    soft_limit : float or None
        Where the components that networks see level off, in their root mean squares; None leaves them.
    """

    n_members: int = 3
    n_epochs: int = 18
    first_kept: int = 6
    patience: int = 4
    learning_rate: float = 6e-3
    weight_decay: float = 1e-2
    averaging: float = 0.97
    augmentation: Augmentation = field(default_factory=Augmentation)
    soft_limit: float | None = SOFT_LIMIT


@dataclass(frozen=True, eq=False)
class Networks:
    """Trained networks of one kind, scored as one.

    Attributes
    ----------
    kind : str
        Name in `NETWORKS`.
    whitener : array of shape (n_components, n_channels)
        From channels to what the networks see.
    state : dict of arrays
        Parameters and buffers of all members.
    n_times : int
        Samples of an epoch.
    soft_limit : float or None
        See `Recipe`.
    """

    kind: str
    whitener: FloatArray
    state: dict[str, FloatArray]
    n_times: int
    soft_limit: float | None

    @cached_property
    def _module(self) -> Any:
        n_members = self.state["readout.weight"].shape[0]
        with torch.device("meta"):  # nothing is drawn: every weight is given
            module = NETWORKS[self.kind](self.whitener.shape[0], self.n_times, n_members)
        weights = {name: torch.from_numpy(np.array(values)) for name, values in self.state.items()}
        module.load_state_dict(weights, assign=True, strict=False)  # lacks batch norm's count of batches
        return module.eval()

    def score(self, X: FloatArray) -> FloatArray:
        """Score epochs (n, n_channels, n_times): mean log-odds of the members, shape (n,)."""
        with one_torch_thread():
            return (
                _log_odds(self._module, _whitened(X, self.whitener, self.soft_limit)).mean(dim=1).numpy().astype(float)
            )


def train_networks(
    kind: str,
    X: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    folds: Sequence[Fold],
    *,
    seed: int,
    recipe: Recipe,
) -> list[Networks]:
    """Train the members once for every fold and once on all trials, all in the same batches.

    A network only counts the trials of its own fold's training part: the others weigh nothing in its loss. One
    convolution serves all, so that thirty networks take little longer than their arithmetic. Training stops early by
    how well the folds' networks separate the trials that each was not given: a fold's networks keep the averaged
    weights of the pass that the other folds prefer, the final ones those of the pass that all do.

    Parameters
    ----------
    kind : str
        Name in `NETWORKS`.
    X : array of shape (n, n_channels, n_times)
        Epochs.
    y : array of shape (n,)
        Probability that each showed a target.
    weight : array of shape (n,)
        Of each trial.
    folds : sequence of (train, test)
        Indices; may be empty, and then nothing stops training early.
    seed : int
        Of first weights, batches, dropout and augmentation.
    recipe : Recipe
        How.

    Returns
    -------
    list of Networks
        One a fold, and last those trained on all trials.
    """
    whitener = euclidean_whitener(X, weight)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    x = _whitened(X, whitener, recipe.soft_limit).to(device)
    labels = torch.as_tensor(y, dtype=torch.float32, device=device)
    counts, held_out = _fold_weights(y, weight, folds)
    per_member = torch.as_tensor(counts, dtype=torch.float32, device=device).repeat_interleave(recipe.n_members, dim=1)
    with _INITIALISING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # the first weights are drawn from the process's own generator
        module = NETWORKS[kind](x.shape[1], x.shape[2], per_member.shape[1]).to(device)
    with one_torch_thread():
        outside = torch.as_tensor(held_out, dtype=torch.float32, device=device)
        states = _fit(module, x, labels, per_member, outside, recipe, seed)
    n_fits = len(folds) + 1
    return [
        Networks(kind, whitener, _slice(state, fit, n_fits), X.shape[2], recipe.soft_limit)
        for fit, state in enumerate(states)
    ]


def _slice(state: dict[str, Tensor], fit: int, n_fits: int) -> dict[str, FloatArray]:
    """Take one fit's parameters and buffers from those of all; batch norm's count of batches is nobody's."""
    return {name: np.split(values.cpu().numpy(), n_fits)[fit].copy() for name, values in state.items() if values.ndim}


def euclidean_whitener(X: FloatArray, weight: FloatArray, n_components: int = 24) -> FloatArray:
    """Find the map that makes the mean covariance of epochs the identity.

    Parameters
    ----------
    X : array of shape (n, n_channels, n_times)
        Epochs.
    weight : array of shape (n,)
        Of each.
    n_components : int
        At most so many, those of most power: more channels than this repeat each other at single-trial accuracy, and
        networks would have to unlearn the noise between them.

    Returns
    -------
    array of shape (min(n_channels, n_components), n_channels)
        Symmetric where no component is dropped.

    References
    ----------
    He and Wu (2020), "Transfer learning for brain-computer interfaces: a Euclidean space data alignment approach", IEEE
    Trans. Biomed. Eng. 67.
    """
    _, n_channels, n_times = X.shape
    covariance = np.einsum("n,nct,ndt->cd", weight / weight.sum(), X, X, optimize=True) / n_times
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1][:n_components], vectors[:, ::-1][:, :n_components]
    # Average references and interpolated channels leave directions without power: those must not be blown up.
    scaled = vectors / np.sqrt(values + 1e-3 * values.mean())
    return np.asarray(scaled @ vectors.T if n_channels <= n_components else scaled.T)


def _whitened(X: FloatArray, whitener: FloatArray, soft_limit: float | None) -> Tensor:
    X = np.matmul(whitener, X)
    if soft_limit is not None:  # of components of unit variance
        X = soft_clip(X, np.full(X.shape[1], soft_limit))
    return torch.from_numpy(X.astype(np.float32))


def _fold_weights(y: FloatArray, weight: FloatArray, folds: Sequence[Fold]) -> tuple[FloatArray, FloatArray]:
    """Weigh each trial in each fit's loss (n, n_fits), and in each fit's held-out loss (n, n_fits).

    Both classes weigh the same in each fit, and each fit's weights have the mean 1.
    """
    counts = np.zeros((len(y), len(folds) + 1))
    held_out = np.zeros(counts.shape)
    for fit, (train, test) in enumerate([*folds, (np.arange(len(y)), np.arange(0))]):
        counts[train, fit] = weight[train]
        held_out[test, fit] = weight[test]
    for of_fits in (counts, held_out):
        for fit in range(counts.shape[1]):
            target, other = of_fits[:, fit] @ y, of_fits[:, fit] @ (1 - y)
            if target > 0 and other > 0:
                of_fits[:, fit] *= len(y) * (y / target + (1 - y) / other) / 2
    return counts, held_out


def _fit(
    module: Any, x: Tensor, y: Tensor, weight: Tensor, held_out: Tensor, recipe: Recipe, seed: int
) -> list[dict[str, Tensor]]:
    """Train a module; give for each fit the state of all networks after the pass that it keeps."""
    n, n_folds = len(x), held_out.shape[1] - 1
    # Fewer trials get smaller batches, so that a pass is about twenty steps whatever their number.
    batch = int(np.clip(n / 18, 16, 64))
    order = torch.Generator().manual_seed(seed)
    rng = torch.Generator(x.device).manual_seed(seed)
    optimiser = torch.optim.AdamW(module.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    average: dict[str, Tensor] = {}
    passes: list[dict[str, Tensor]] = []
    separations: list[FloatArray] = []
    steps = n // batch
    for epoch in range(recipe.n_epochs):
        module.train()
        permuted = torch.randperm(n, generator=order).to(x.device)
        for step in range(steps):
            if epoch == 0:
                for group in optimiser.param_groups:
                    group["lr"] = recipe.learning_rate * (step + 1) / steps
            chosen = permuted[step * batch : (step + 1) * batch]
            xs, ys, ws = recipe.augmentation(x[chosen], y[chosen], weight[chosen], rng)
            z = module(xs, rng)
            loss = (ws * F.binary_cross_entropy_with_logits(z, ys[:, None].expand_as(z), reduction="none")).sum()
            optimiser.zero_grad()
            torch.autograd.backward(loss / batch)  # members share no parameter: each has its own mean loss
            optimiser.step()
            _average(average, module.state_dict(), recipe.averaging)
        if n_folds == 0 or epoch + 1 < min(recipe.first_kept, recipe.n_epochs):
            continue
        passes.append({name: values.clone() for name, values in average.items()})
        separations.append(_separations(module, average, x, y, held_out, recipe.n_members))
        means = np.mean(separations, axis=1)
        if len(means) - 1 - means.argmax() >= recipe.patience:
            break
    return [passes[kept] for kept in _kept(np.array(separations))] if passes else [average]


def _kept(separations: FloatArray) -> list[int]:
    """Give the pass that each fit keeps, from how well each fold's networks separated after each (n_passes, n_folds).

    A fold keeps the pass that the other folds prefer: by its own, its held-out labels would have a say in the scores
    that they calibrate (.025 of AUC on permuted labels of 300 trials).
    """
    total = separations.sum(axis=1)
    others = total[:, None] - separations
    if separations.shape[1] == 1:  # no other to ask: the last pass, as without folds
        others[-1] = 1.0
    return [*others.argmax(axis=0).tolist(), int(total.argmax())]


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Hold torch to one thread: on more, layers this small wait longer than they compute, beside other work most."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _average(average: dict[str, Tensor], state: dict[str, Tensor], decay: float) -> None:
    """Move the average towards the state; it begins as the state."""
    for name, values in state.items():
        if name not in average:
            average[name] = values.clone()
        elif values.is_floating_point():
            average[name].lerp_(values, 1 - decay)


def _separations(
    module: Any, state: dict[str, Tensor], x: Tensor, y: Tensor, held_out: Tensor, n_members: int
) -> FloatArray:
    """Sensitivity index d' of each fold's averaged networks on the trials it was not given, shape (n_folds,).

    A log loss would stop at the first overconfidence, which calibration mends.
    """
    own = {name: values.clone() for name, values in module.state_dict().items()}
    module.load_state_dict(state)
    z = _log_odds(module, x).reshape(len(x), -1, n_members).mean(dim=2)[:, :-1]  # (n, n_folds)
    module.load_state_dict(own)
    shares = torch.stack([held_out[:, :-1] * (1 - y)[:, None], held_out[:, :-1] * y[:, None]])  # (2, n, n_folds)
    shares = shares / shares.sum(dim=1, keepdim=True).clamp(min=1e-9)
    means = (shares * z).sum(dim=1)  # (2, n_folds)
    spread = (shares * (z - means[:, None]) ** 2).sum(dim=1).mean(dim=0).sqrt()
    return np.asarray(((means[1] - means[0]) / spread.clamp(min=1e-9)).cpu().numpy())


def _log_odds(module: Any, x: Tensor) -> Tensor:
    """Log-odds (n, n_members) of trained networks."""
    module.eval()
    with torch.inference_mode():
        return torch.cat([module(part) for part in torch.split(x, 256)]) if len(x) else torch.zeros(0, 1)
