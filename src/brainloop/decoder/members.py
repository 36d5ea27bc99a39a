"""The members of the ensemble, and the methods that are made of them."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from brainloop._types import FloatArray, IntArray
from brainloop.decoder.lda import train_lda
from brainloop.decoder.tangent import train_xdawn_ts
from brainloop.decoder.xdawn import train_xdawn_lda

__all__ = ["MEMBERS", "METHODS", "SOFTLY_CLIPPED", "Fold", "Model", "Trainer"]

Fold = tuple[IntArray, IntArray]
"""Indices of the trials to train on and of those to score."""


class Model(Protocol):
    """A trained member."""

    def score(self, X: FloatArray) -> FloatArray:
        """Score epochs (n, n_channels, n_times), shape (n,); higher means more like a target."""
        ...


class Trainer(Protocol):
    """Trains a member once for every fold and, last, once on all trials."""

    def __call__(
        self, X: FloatArray, y: FloatArray, weight: FloatArray, folds: Sequence[Fold], *, seed: int
    ) -> Sequence[Model]:
        """Train.

        Parameters
        ----------
        X : array of shape (n, n_channels, n_times)
            Epochs, of about unit variance.
        y : array of shape (n,)
            Probability that each showed a target.
        weight : array of shape (n,)
            Of each trial, 0 or more.
        folds : sequence of (train, test)
            Indices; may be empty.
        seed : int
            Of whatever is drawn.

        Returns
        -------
        sequence of Model
            One a fold, and last that of all trials.
        """
        ...


def _each(train: Callable[[FloatArray, FloatArray, FloatArray], Model]) -> Trainer:
    """Train fold after fold: for members whose training is quick."""

    def trainer(
        X: FloatArray, y: FloatArray, weight: FloatArray, folds: Sequence[Fold], *, seed: int
    ) -> Sequence[Model]:
        del seed  # nothing is drawn
        parts = [*(train for train, _ in folds), np.arange(len(y))]
        return [train(X[part], y[part], weight[part]) for part in parts]

    return trainer


def _networks(kind: str, *, noise: float = 0.3, **changes: Any) -> Trainer:
    """Train a network's members for all folds at once."""

    def trainer(
        X: FloatArray, y: FloatArray, weight: FloatArray, folds: Sequence[Fold], *, seed: int
    ) -> Sequence[Model]:
        from brainloop.decoder.augmentation import Augmentation  # late: torch takes a second to import
        from brainloop.decoder.training import Recipe, train_networks

        recipe = Recipe(augmentation=Augmentation(noise=noise), **changes)
        return train_networks(kind, X, y, weight, folds, seed=seed, recipe=recipe)

    return trainer


MEMBERS: dict[str, Trainer] = {
    "lda": _each(train_lda),
    "xdawn_lda": _each(train_xdawn_lda),
    "xdawn_ts": _each(train_xdawn_ts),
    "stem": _networks("stem"),
    "eegnet": _networks("eegnet"),
    "inception": _networks("inception"),
    "eegnet_alone": _networks("eegnet", n_members=1, averaging=0.0, soft_limit=None, noise=0.0),
}
"""Every member, by the name that methods, reports and files use."""

METHODS: dict[str, tuple[str, ...]] = {
    "lda": ("lda",),
    "xdawn_lda": ("xdawn_lda",),
    "xdawn_ts": ("xdawn_ts",),
    "eegnet": ("eegnet_alone",),
    "inception": ("inception",),
    "ensemble": ("stem", "eegnet", "xdawn_ts", "xdawn_lda"),
}
"""Members of every decoder, by the name that settings and benches use."""

SOFTLY_CLIPPED = frozenset({"ensemble"})
"""Methods whose epochs are softly clipped, channel by channel; single decoders are left as the field has them."""
