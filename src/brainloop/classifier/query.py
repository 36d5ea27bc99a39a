"""Query and convergence: which images to show next, and when to stop. Pure functions of arrays and a seed."""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from brainloop._types import FloatArray, IntArray

__all__ = ["confidence", "has_converged", "knows_a_target", "least_confident", "random_images", "unsure_share"]


def confidence(log_odds: FloatArray) -> FloatArray:
    """Give the talk's confidence ``C_i = max_j P(y_i = j | x_i)`` for two classes: (n,) nats -> (n,) in [.5, 1]."""
    return np.asarray(expit(np.abs(log_odds)))


def knows_a_target(log_odds: FloatArray, threshold: float = 0.9) -> bool:
    """Say whether the classifier is sure of any image that it is a target.

    Where targets are rare, a classifier that has learned nothing but that is "sure" of every image, by the talk's
    measure. Until it knows a target, the threshold on confidence therefore neither ends a study nor keeps an image from
    being asked about.

    Parameters
    ----------
    log_odds : array, shape (n_images,)
        The classifier's own ``z`` for every image of the pool, nats.
    threshold : float
        The talk's THR on confidence (``confidence_threshold`` in a study).
    """
    return bool((expit(log_odds) >= threshold).any())


def least_confident(
    log_odds: FloatArray, n: int, rng: np.random.Generator, *, threshold: float | None = 0.9
) -> IntArray:
    """Choose the images that the classifier is least sure of, as the talk has it.

    Parameters
    ----------
    log_odds : array, shape (n_images,)
        Log-odds of every image of the pool: ``z`` as in the talk, or ``z + L`` to count what the person said.
    n : int
        How many images at most.
    rng : numpy.random.Generator
        Breaks ties.
    threshold : float or None
        Only images with a confidence below it are sent for review; with None, any.

    Returns
    -------
    array of int, shape (at most n,)
        Indices of images, least sure first. Images that were shown before may come again.
    """
    certainty = confidence(log_odds)
    order = np.lexsort((rng.random(certainty.size), certainty))
    return order[: n if threshold is None else min(n, int((certainty < threshold).sum()))]


def random_images(n_images: int, n: int, rng: np.random.Generator) -> IntArray:
    """Choose images at random, none twice: the first round, when there is no classifier yet."""
    return rng.permutation(n_images)[:n]


def unsure_share(log_odds: FloatArray, threshold: float = 0.9) -> float:
    """Give the share of the images with ``C_i < threshold``."""
    return float((confidence(log_odds) < threshold).mean())


def has_converged(unsure: Sequence[float], *, share: float = 0.05, rounds: int = 2) -> bool:
    """Say whether the share of unsure images was under `share` in the last `rounds` rounds running.

    Parameters
    ----------
    unsure : sequence of float
        Share of the pool with ``C_i < confidence_threshold`` after each round.
    """
    # With no image unsure there is nothing to ask: the next round would be empty, and no different.
    return (len(unsure) >= rounds and all(value < share for value in unsure[-rounds:])) or list(unsure[-1:]) == [0]
