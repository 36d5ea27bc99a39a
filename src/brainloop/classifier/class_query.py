"""Query of several classes: which images to show next, and which class to look for among them.

A block looks for one class. A *class query* is one function ``(belief, k, n, rng, threshold) -> Offer``: what looks at
the best images promise to somebody who looks for class k, and which images these are. `ask` takes the class that
promises most.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from brainloop._blas import one_thread
from brainloop._types import FloatArray, IntArray
from brainloop.classifier.query import CANDIDATES, TOLD, Belief, confidence, most_telling, promised
from brainloop.errors import SettingsError

__all__ = ["CLASS_QUERIES", "ClassQuery", "Offer", "ask"]

WEIGHED = 10
"""Times as many images as are asked for are weighed one against the other: those that promise most each alone."""


class Offer(NamedTuple):
    """What looks for one class promise together, in the query's own unit, and what chooses them, most telling first."""

    promise: float
    images: Callable[[], IntArray]


ClassQuery = Callable[[Belief, int, int, np.random.Generator, float | None], Offer]


def ask(
    query: str, belief: Belief, n: int, rng: np.random.Generator, threshold: float | None = None
) -> tuple[IntArray, int]:
    """Choose images and the class to look for among them.

    Parameters
    ----------
    query : str
        In `CLASS_QUERIES`.
    belief : Belief
        What is known, of K classes.
    n : int
        How many images at most.
    rng : numpy.random.Generator
        Of random choices.
    threshold : float or None
        Only images with a confidence below it are asked about; with None, any.

    Returns
    -------
    images : array of int, shape (at most n,)
        The most telling first.
    k : int
        The class.
    """
    with one_thread():  # one result, however many cores there are
        offers = [CLASS_QUERIES[query](belief, k, n, rng, threshold) for k in range(belief.evidence.shape[1])]
        k = int(np.argmax([offer.promise for offer in offers]))
        return offers[k].images(), k


def least_confident(belief: Belief, k: int, n: int, rng: np.random.Generator, threshold: float | None = None) -> Offer:
    """Choose the images of which the classifier is least sure whether they are of class k: ``p_k (1 - p_k)``."""
    return _least(belief, belief.log_odds, k, n, rng, threshold)


def least_certain(belief: Belief, k: int, n: int, rng: np.random.Generator, threshold: float | None = None) -> Offer:
    """Choose those of which classifier and person together are least sure of class k."""
    return _least(belief, belief.posterior, k, n, rng, threshold)


def variance_reduction(
    belief: Belief, k: int, n: int, rng: np.random.Generator, threshold: float | None = None
) -> Offer:
    """Choose the images where the answer "is it of class k?" should make the classifier surest of the whole pool.

    As `brainloop.classifier.query.variance_reduction`, of which this is the case of K classes: the answer is about the
    log-odds ``z_k - logsumexp of the other z``, whose derivative by the logits is 1 for class k and minus the share of
    each other class among the others; the pool's variance is weighted with ``diag(p) - p p'``.
    """
    covariance = belief.head.covariance
    if covariance is None:
        raise SettingsError("this query needs a head with a posterior: regularisation 'laplace'; another one came")
    q, p = softmax(belief.posterior, axis=1), softmax(belief.log_odds, axis=1)
    told = belief.told * q[:, k] * (1 - q[:, k])
    if threshold is not None:
        told[confidence(belief.posterior) >= threshold] = 0
    if belief.pending is not None and belief.pending.size:
        # What they are looked at for is not known here; the likeliest class says most.
        rows, best = belief.pending, q[belief.pending].argmax(axis=1)
        sure = q[rows, best]
        covariance = promised(covariance, _gradients(belief, p, rows, best), TOLD * sure * (1 - sure))
        told[rows] = 0
    likely = np.lexsort((rng.random(told.size), -told))[:CANDIDATES]
    likely = likely[told[likely] > 0]
    gradients = _gradients(belief, p, likely, np.full(likely.size, k))
    pool, told = belief.information, told[likely]
    spread = gradients @ covariance
    variance, reach = (spread * gradients).sum(axis=1), ((spread @ pool) * spread).sum(axis=1)
    promise = told * reach / (1 + told * variance)
    best = np.argsort(-promise, kind="stable")[: WEIGHED * n]

    def images() -> IntArray:
        chosen = most_telling(gradients[best], told[best], reach[best], variance[best], covariance, pool, n)
        return np.asarray(likely[best[chosen]])

    return Offer(float(promise[best[:n]].sum()), images)


def _gradients(belief: Belief, p: FloatArray, rows: IntArray, k: IntArray) -> FloatArray:
    """Give the derivatives by the head's parameters of the log-odds of class k[i] against the rest at rows[i]."""
    each = np.arange(rows.size)
    others = p[rows].copy()
    others[each, k] = 0
    towards = -others / np.maximum(others.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    towards[each, k] = 1
    design = np.column_stack([belief.features[rows], np.ones(rows.size)]).astype(np.float64)
    n_parameters = towards.shape[1] * design.shape[1]  # there may be no row to tell it from
    return np.asarray((towards[:, :, None] * design[:, None, :]).reshape(rows.size, n_parameters))


def random_images(belief: Belief, k: int, n: int, rng: np.random.Generator, _threshold: float | None = None) -> Offer:
    """Choose images at random, those that nobody asked about class k first; each class promises the same by and by."""
    order = belief.free(rng.permutation(len(belief.evidence)))
    asked = belief.evidence[order, k] != 0
    return Offer(-float(asked.mean()) if asked.size else -1.0, lambda: order[np.argsort(asked, kind="stable")][:n])


CLASS_QUERIES: dict[str, ClassQuery] = {
    "least_confident": least_confident,
    "least_certain": least_certain,
    "variance_reduction": variance_reduction,
    "random": random_images,
}
"""Every class query, by the name that a system uses for its query."""


def _least(
    belief: Belief, logits: FloatArray, k: int, n: int, rng: np.random.Generator, threshold: float | None
) -> Offer:
    p = softmax(logits, axis=1)[:, k]
    doubt = p * (1 - p)
    if threshold is not None:
        doubt[confidence(logits) >= threshold] = 0
    order = belief.free(np.lexsort((rng.random(doubt.size), -doubt)))[:n]
    order = order[doubt[order] > 0]
    return Offer(float(doubt[order].sum()), lambda: order)
