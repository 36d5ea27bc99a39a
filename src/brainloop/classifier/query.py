"""Query and convergence: which images to show next, and when to stop. Pure functions of arrays and a seed."""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from brainloop._types import BoolArray, FloatArray, IntArray

__all__ = ["confidence", "has_converged", "least_confident", "random_images", "unsure", "unsure_share"]


def confidence(log_odds: FloatArray) -> FloatArray:
    """Give the talk's confidence ``C_i = max_j P(y_i = j | x_i)`` for two classes: (n,) nats -> (n,) in [.5, 1]."""
    return np.asarray(expit(np.abs(log_odds)))


def unsure(log_odds: FloatArray, threshold: float = 0.9) -> BoolArray:
    """Say which images the talk sends for human review: those with ``C_i < threshold``.

    Where targets are rare, a classifier that has learned nothing but that is "sure" of every image. So while half or
    more of the targets that it expects are among the images that it is sure are none, it counts as unsure of all.

    Parameters
    ----------
    log_odds : array, shape (n_images,)
        Log-odds of every image of the pool, nats.
    threshold : float
        The talk's THR on confidence (``confidence_threshold`` in a study).

    Returns
    -------
    array of bool, shape (n_images,)
        True for images to ask about.
    """
    probability = expit(log_odds)
    below = confidence(log_odds) < threshold
    missed = probability[~below & (log_odds < 0)].sum()
    return below if missed < probability.sum() / 2 else np.ones_like(below)


def least_confident(log_odds: FloatArray, n: int, rng: np.random.Generator, *, threshold: float = 0.9) -> IntArray:
    """Choose the images that the classifier is least sure of, as the talk has it.

    Parameters
    ----------
    log_odds : array, shape (n_images,)
        Log-odds of every image of the pool: ``z`` as in the talk, or ``z + L`` to count what the person said.
    n : int
        How many images at most.
    rng : numpy.random.Generator
        Breaks ties.
    threshold : float
        Only images that are `unsure` at it are chosen.

    Returns
    -------
    array of int, shape (at most n,)
        Indices of images, least sure first. Images that were shown before may come again.
    """
    certainty = confidence(log_odds)
    order = np.lexsort((rng.random(certainty.size), certainty))
    return order[: min(n, int(unsure(log_odds, threshold).sum()))]


def random_images(n_images: int, n: int, rng: np.random.Generator) -> IntArray:
    """Choose images at random, none twice: the first round, when there is no classifier yet."""
    return rng.permutation(n_images)[:n]


def unsure_share(log_odds: FloatArray, threshold: float = 0.9) -> float:
    """Give the share of the images that are `unsure`."""
    return float(unsure(log_odds, threshold).mean())


def has_converged(unsure: Sequence[float], *, share: float = 0.05, rounds: int = 2) -> bool:
    """Say whether the share of unsure images was under `share` in the last `rounds` rounds running.

    Parameters
    ----------
    unsure : sequence of float
        Share of the pool that was `unsure` after each round.
    """
    return len(unsure) >= rounds and all(value < share for value in unsure[-rounds:])
