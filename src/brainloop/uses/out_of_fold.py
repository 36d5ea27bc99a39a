"""Out of fold: what a classifier says of each image, trained on the others."""

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.classifier.heads import AnyHead

__all__ = ["N_FOLDS", "folds", "log_odds_against_rest", "out_of_fold"]

N_FOLDS = 5


def folds(kind: BoolArray | IntArray, *, seed: int, n_folds: int = N_FOLDS) -> IntArray:
    """Deal images to folds, each class as evenly as it goes.

    Parameters
    ----------
    kind : array of bool or int, shape (n,)
        Class of each image.
    seed : int
        Of the deal.
    n_folds : int
        How many.

    Returns
    -------
    array of int, shape (n,)
        Fold of each image, from 0.
    """
    order = np.random.default_rng([seed, 6]).permutation(kind.size)
    order = order[np.argsort(kind[order], kind="stable")]  # class after class, so that neighbours differ in fold
    fold = np.empty(kind.size, dtype=np.int64)
    fold[order] = np.arange(kind.size) % n_folds
    return fold


def out_of_fold(learn: Callable[[IntArray], AnyHead], features: FloatArray, fold: IntArray) -> FloatArray:
    """Say of each image what a classifier says that was trained without its fold.

    Parameters
    ----------
    learn : callable
        Trains on these rows.
    features : array, shape (n, n_features)
        Of all images.
    fold : array of int, shape (n,)
        Of each image.

    Returns
    -------
    array, shape (n,) or (n, n_classes)
        As `log_odds_against_rest` gives it.
    """
    said: dict[int, FloatArray] = {}
    for one in np.unique(fold):
        said[int(one)] = log_odds_against_rest(learn(np.flatnonzero(fold != one)), features[fold == one])
    first = next(iter(said.values()))
    together = np.empty((fold.size, *first.shape[1:]))
    for number, own in said.items():
        together[fold == number] = own
    return together


def log_odds_against_rest(head: AnyHead, features: FloatArray) -> FloatArray:
    """Give a head's log-odds, nats, shape (n,); of several classes those of each against the rest, (n, n_classes).

    They are the most probable ones. Those that are averaged over what the head may be (`Head.probability`) are nearer
    to 0 still, where heads of few labels are already, and evidence added to them drowned them: with 25 labels late
    fusion lost .02 of AUC (nine classes of flowers and cars, two people, three design seeds).
    """
    z = np.asarray(head.log_odds(features), dtype=float)
    if z.ndim == 1:
        return z
    others = np.stack([logsumexp(np.delete(z, k, axis=1), axis=1) for k in range(z.shape[1])], axis=1)
    return np.asarray(z - others)
