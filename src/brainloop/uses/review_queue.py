"""The queue of a review: which images wait for a look, and which of them are shown next. Pure functions of arrays."""

import numpy as np
from scipy.special import expit

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.presentation.composition import Composition, compose, deal
from brainloop.settings import Settings
from brainloop.uses.sift import Sifted

__all__ = ["choose", "is_sure", "plan"]


def is_sure(posterior: FloatArray, threshold: float) -> BoolArray:
    """Say which images classifier and looks together are sure of.

    A target is sure from the threshold on. A non-target is sure up to one less the threshold, yet only while all the
    sure non-targets together hold no more than that share of the targets that are expected: where targets are rare,
    every image is hardly one, and a threshold on each alone would let all of them through unseen. So the threshold is
    what precision and recall may be expected to reach, as far as the posterior is calibrated.

    Parameters
    ----------
    posterior : array, shape (n_pool,)
        Log-odds, nats.
    threshold : float
        Of confidence.

    Returns
    -------
    array of bool, shape (n_pool,)
    """
    probability = expit(posterior)
    order = np.argsort(probability, kind="stable")
    missed = np.empty_like(probability)
    missed[order] = np.cumsum(probability[order]) / probability.sum()
    allowed = 1 - threshold
    return np.asarray((probability >= threshold) | ((probability <= allowed) & (missed <= allowed)))


def choose(posterior: FloatArray, waiting: BoolArray, looks: IntArray, n: int, rng: np.random.Generator) -> IntArray:
    """Choose what is shown next: those that wait whose look can take away most, and rare targets all the same.

    A look at an image of posterior probability `p` can take away its variance, ``p (1 - p)``. The most of it within the
    range of prevalence that a P300 needs (`Composition`) is, by Lagrange, what is highest in ``p (1 - p) - c p``, for
    the least price `c` of a target at which the images chosen are within range. So images that wait and are hardly
    targets make room for those that may well be; only where these are too few, non-targets that are sorted already
    join, those that were seen least.

    Parameters
    ----------
    posterior : array, shape (n_pool,)
        Log-odds, nats.
    waiting : array of bool, shape (n_pool,)
        Whether an image is to be looked at; one at least is.
    looks : array of int, shape (n_pool,)
        At each so far.
    n : int
        How many images at most.
    rng : numpy.random.Generator
        Breaks ties.

    Returns
    -------
    array of int, shape (at most n,)
        Rows of the pool, most wanted first.
    """
    probability, most = expit(posterior), Composition().prevalence[1]
    fillers = ~waiting & (probability < most / 2)
    n_needed = int(np.ceil(probability[waiting].sum() / most))
    n = min(n, max(int(waiting.sum()), n_needed), int((waiting | fillers).sum()))
    # Fillers take nothing away: they come after everything that waits and costs nothing, the least seen first.
    worth = np.where(waiting, probability * (1 - probability), -1e-6 * (1 + looks))
    worth = np.where(waiting | fillers, worth, -np.inf) + 1e-9 * rng.random(posterior.size)

    def at(price: float) -> IntArray:
        return np.argsort(price * probability - worth, kind="stable")[:n]

    low, high = 0.0, 0.0
    if probability[at(0.0)].mean() > most:
        high = 1.0
        while probability[at(high)].mean() > most and high < 1e6:
            low, high = high, 4 * high
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if probability[at(middle)].mean() > most else (low, middle)
    chosen = at(high)
    if not waiting[chosen].any():  # each alone is too likely a target: one of them all the same, or no end
        chosen[-1] = np.argmax(np.where(waiting, worth, -np.inf))
    return chosen


def plan(
    belief: Sifted, waiting: BoolArray, n_looks: int, settings: Settings, soa: float, rng: np.random.Generator
) -> list[IntArray]:
    """Plan a round: the images of each block, in order; none when nothing waits.

    Parameters
    ----------
    belief : Sifted
        What is known.
    waiting : array of bool, shape (n_pool,)
        Whether an image is to be looked at.
    n_looks : int
        Presentations, at most.
    settings : Settings
        Confidence, block size and composition.
    soa : float
        Onset to onset, s.
    rng : numpy.random.Generator
        Breaks ties and draws the order.
    """
    if not waiting.any():
        return []
    # Fillers count against the images an hour, so that a replay has them too, unless they are declined.
    if settings.compose is False:
        order = np.flatnonzero(waiting)
        return deal(order[np.argsort(np.abs(belief.posterior[order]))][:n_looks], settings.block_size, belief.posterior)
    chosen = choose(belief.posterior, waiting, belief.looks, n_looks, rng)
    # What is chosen is as near the range as may be: composing deals it into blocks and keeps likely targets apart.
    rule = Composition(prevalence=(0.0, 1.0))
    return compose(chosen, expit(belief.posterior), chosen.size, settings.block_size, soa, rng, rule)
