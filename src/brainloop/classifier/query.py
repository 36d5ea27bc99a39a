"""Query and convergence: which images to show next, and when to stop. Pure functions of arrays and a seed.

A *query* is one function ``(belief, n, rng, threshold) -> images``: `QUERIES` lists them, and a new one is added there.
Where several classes are told apart, `brainloop.classifier.class_query` asks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit, softmax

from brainloop._types import FloatArray, IntArray
from brainloop.classifier.head import information
from brainloop.classifier.heads import AnyHead
from brainloop.errors import SettingsError

__all__ = [
    "QUERIES",
    "Belief",
    "Query",
    "confidence",
    "has_converged",
    "k_means",
    "knows_a_target",
    "least_certain",
    "least_confident",
    "most_telling",
    "promised",
    "random_images",
    "unsure_share",
    "variance_reduction",
]

TOLD = 0.25
"""What a look tells, as a share of what the image's true label would: about what a good decoder's response does, and
more than a poor one's; on the design tasks it mattered little."""

CLUSTERED = 20_000
"""Images that the clusters of the start are found among, at most."""

CANDIDATES = 2_000
"""Images among which looks are weighed one against the other; the promise of the others is less to begin with."""


@dataclass(frozen=True)
class Belief:
    """What is known of each image of the pool.

    Parameters
    ----------
    features : array, shape (n_pool, n_features)
        Of the pool.
    head : Head
        The classifier.
    evidence : array, shape (n_pool,)
        The total evidence ``L``, nats; 0 for an image that nobody looked at. Of K classes (n_pool, K).
    pending : array of int, optional
        Images that others are looking at, rising: none is asked about, and what their looks promise counts as promised.
    telling : array, shape (n_pool,), optional
        What a look tells of each image, as a share of what its true label would; `TOLD` by default.
    """

    features: FloatArray
    head: AnyHead
    evidence: FloatArray
    pending: IntArray | None = None
    telling: FloatArray | None = None

    @cached_property
    def log_odds(self) -> FloatArray:
        """The classifier's ``z``, shape (n_pool,), nats; of K classes its logits (n_pool, K)."""
        return self.head.log_odds(self.features)

    @cached_property
    def information(self) -> FloatArray:
        """Fisher information of the pool's labels on the head's parameters, shape (p, p)."""
        if self.log_odds.ndim == 2:
            p = softmax(self.log_odds, axis=1)
            design = np.column_stack([self.features, np.ones(len(p))]).astype(np.float64)
            return information(design, p[:, :, None] * (np.eye(p.shape[1]) - p[:, None, :]))
        p, gradients = expit(self.log_odds), self.head.gradients(self.features).astype(np.float64)
        return np.asarray((gradients.T * (p * (1 - p))) @ gradients)

    @property
    def posterior(self) -> FloatArray:
        """Log-odds of classifier and evidence together, ``z + L``, of the shape of ``z``, nats."""
        return self.log_odds + self.evidence

    @property
    def told(self) -> FloatArray | float:
        """What a look tells, as a share of what the true label would: `telling`, or `TOLD` of any image."""
        return TOLD if self.telling is None else self.telling

    def keep(self, rows: IntArray) -> "Belief":
        """Give what is known of some images alone; those of them that are pending stay so."""
        pending = None if self.pending is None else np.flatnonzero(np.isin(rows, self.pending))
        telling = None if self.telling is None else self.telling[rows]
        return Belief(self.features[rows], self.head, self.evidence[rows], pending, telling)

    def free(self, images: IntArray) -> IntArray:
        """Keep of these images, in their order, those that nobody is looking at."""
        return images if self.pending is None else images[~np.isin(images, self.pending)]


Query = Callable[[Belief, int, np.random.Generator, float | None], IntArray]


def confidence(log_odds: FloatArray) -> FloatArray:
    """Give the talk's confidence ``C_i = max_j P(y_i = j | x_i)``: log-odds (n,), or logits (n, K), nats -> (n,)."""
    if log_odds.ndim == 2:
        return np.asarray(softmax(log_odds, axis=1).max(axis=1))
    return np.asarray(expit(np.abs(log_odds)))


def knows_a_target(log_odds: FloatArray, threshold: float = 0.9) -> bool:
    """Say whether the classifier is sure of any image that it is a target.

    Where targets are rare, a classifier that has learned nothing but that is "sure" of every image, by the talk's
    measure. Until it knows a target, the threshold on confidence therefore neither ends a study nor keeps an image from
    being asked about. Of several classes it must know an image of each.

    Parameters
    ----------
    log_odds : array, shape (n_images,) or (n_images, K)
        The classifier's own ``z`` for every image of the pool, nats.
    threshold : float
        The talk's THR on confidence (``confidence_threshold`` in a study).
    """
    p = softmax(log_odds, axis=1) if log_odds.ndim == 2 else expit(log_odds)
    return bool((p >= threshold).any(axis=0).all())


def least_confident(belief: Belief, n: int, rng: np.random.Generator, threshold: float | None = None) -> IntArray:
    """Choose the images that the classifier is least sure of, as the talk has it: by ``z``.

    Parameters
    ----------
    belief : Belief
        What is known.
    n : int
        How many images at most.
    rng : numpy.random.Generator
        Breaks ties.
    threshold : float or None
        Only images with a confidence below it are sent for review; with None, any.

    Returns
    -------
    array of int, shape (at most n,)
        Indices of images, least sure first. Images that were shown before may come again, and do for as long as the
        classifier does not believe the answer.
    """
    return _least(belief, belief.log_odds, n, rng, threshold)


def least_certain(belief: Belief, n: int, rng: np.random.Generator, threshold: float | None = None) -> IntArray:
    """Choose the images of which classifier and person together are least sure: by ``z + L``; see `least_confident`.

    An image comes again only while what the person said of it, together with the classifier, settles nothing.
    """
    return _least(belief, belief.posterior, n, rng, threshold)


def variance_reduction(belief: Belief, n: int, rng: np.random.Generator, threshold: float | None = None) -> IntArray:
    """Choose the images whose answers should make the classifier surest of the whole pool.

    The head's Laplace posterior says how far the log-odds of any two images vary together. A look at image i, of which
    classifier and person together say ``q = sigmoid(z + L)``, is taken to tell as much of its log-odds as a share
    `TOLD` of its true label would: a Fisher information of ``TOLD q (1 - q)``. Images are chosen one after the other,
    each for the fall in the pool's variance, summed with the weights ``p (1 - p)``, ``p = sigmoid(z)``, that its look
    promises beside those already chosen; so no two ask the same. Looks of others that are under way are counted as
    chosen before the first. Other parameters as in `least_confident`; the head must have a posterior.

    References
    ----------
    Cohn, Ghahramani and Jordan (1996), "Active learning with statistical models", J. Artif. Intell. Res. 4.
    Yu, Bi and Tresp (2006), "Active learning via transductive experimental design", ICML.
    """
    covariance = belief.head.covariance
    if covariance is None:
        raise SettingsError("this query needs a head with a posterior: regularisation 'laplace'; another one came")
    gradients = belief.head.gradients(belief.features).astype(np.float64)
    q, pool = expit(belief.posterior), belief.information
    told = belief.told * q * (1 - q)
    if threshold is not None:
        told[confidence(belief.posterior) >= threshold] = 0
    if belief.pending is not None and belief.pending.size:
        under_way = TOLD * q[belief.pending] * (1 - q[belief.pending])
        covariance = promised(covariance, gradients[belief.pending], under_way)
        told[belief.pending] = 0
    reach = _quadratic(gradients, covariance @ pool @ covariance)
    variance = _quadratic(gradients, covariance)
    promise = told * reach / (1 + told * variance)
    likely = np.lexsort((rng.random(promise.size), -promise))[:CANDIDATES]
    likely = likely[told[likely] > 0]

    chosen = most_telling(gradients[likely], told[likely], reach[likely], variance[likely], covariance, pool, n)
    return np.asarray(likely[chosen])


def promised(covariance: FloatArray, gradients: FloatArray, told: FloatArray) -> FloatArray:
    """Give the covariance that is left once looks that are under way have told what they promise.

    Parameters
    ----------
    covariance : array, shape (p, p)
        Of the head's parameters.
    gradients : array, shape (n_looks, p)
        Derivatives by these of the log-odds that each look asks about.
    told : array, shape (n_looks,)
        Fisher information of each look on these log-odds.

    Returns
    -------
    array, shape (p, p)
    """
    root = gradients * np.sqrt(told)[:, None]
    spread = root @ covariance
    left = covariance - spread.T @ np.linalg.solve(np.eye(told.size) + spread @ root.T, spread)
    return np.asarray((left + left.T) / 2)


def most_telling(
    gradients: FloatArray,
    told: FloatArray,
    reach: FloatArray,
    variance: FloatArray,
    covariance: FloatArray,
    pool: FloatArray,
    n: int,
) -> IntArray:
    """Choose looks one after the other, each for what it promises beside those already chosen.

    Parameters
    ----------
    gradients : array, shape (n_candidates, p)
        Derivatives by the head's p parameters of the log-odds that each look asks about.
    told : array, shape (n_candidates,)
        Fisher information of each look on these log-odds.
    reach, variance : array, shape (n_candidates,)
        ``g' S W S g`` and ``g' S g`` of each gradient g, with S and W the two matrices below.
    covariance : array, shape (p, p)
        Of the parameters.
    pool : array, shape (p, p)
        Fisher information of the whole pool's labels: what is to fall is ``trace(covariance @ pool)``.
    n : int
        How many at most.

    Returns
    -------
    array of int, shape (at most n,)
        Candidates, in the order of their choice.
    """
    spread = gradients @ covariance
    reach, variance = reach.copy(), variance.copy()
    free = np.ones(told.size, dtype=bool)
    chosen: list[int] = []
    while len(chosen) < min(n, told.size):
        best = int(np.argmax(np.where(free, told * reach / (1 + told * variance), -1)))
        free[best] = False
        chosen.append(best)
        # What that look would leave of the covariance (Sherman and Morrison), and of all that follows from it.
        step, shrink = spread[best].copy(), told[best] / (1 + told[best] * variance[best])
        shared, rest = gradients @ step, pool @ step
        reach -= shrink * shared * (2 * (spread @ rest) - shrink * (step @ rest) * shared)
        variance -= shrink * shared**2
        spread -= shrink * np.outer(shared, step)
    return np.array(chosen, dtype=np.int64)


def random_images(belief: Belief, n: int, rng: np.random.Generator, _threshold: float | None = None) -> IntArray:
    """Choose images at random, none twice, those that nobody looked at first; confidence does not matter."""
    heard = np.asarray(belief.evidence.reshape(len(belief.evidence), -1).any(axis=1))
    order = belief.free(rng.permutation(heard.size))
    return order[np.argsort(heard[order], kind="stable")][:n]


def k_means(belief: Belief, n: int, rng: np.random.Generator, _threshold: float | None = None) -> IntArray:
    """Choose the images nearest to the centres of ``n`` clusters of the pool's features: it covers the pool.

    Images that others are looking at have clusters of their own, so that nothing is chosen next to them.

    References
    ----------
    Arthur and Vassilvitskii (2007), "k-means++: the advantages of careful seeding".
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import pairwise_distances_argmin

    free = belief.free(np.arange(len(belief.features)))
    n, taken = min(n, free.size), len(belief.features) - free.size
    if not n:
        return free
    part = belief.features[rng.permutation(len(belief.features))[:CLUSTERED]]
    means = KMeans(min(n + taken, len(part)), n_init=1, max_iter=20, random_state=int(rng.integers(2**31))).fit(part)
    centres = means.cluster_centers_
    if taken:
        centres = _apart(centres, belief.features[belief.pending], n)
    nearest = free[np.unique(pairwise_distances_argmin(centres, belief.features[free]))]
    # Two centres may share their nearest image: others at random take the places that are left.
    others = np.setdiff1d(rng.permutation(free), nearest)
    return np.concatenate([nearest, rng.permutation(others)[: n - nearest.size]])


def _apart(centres: FloatArray, taken: FloatArray, n: int) -> FloatArray:
    """Keep the n centres that are left when each of the features `taken` has taken the nearest that is free."""
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import pairwise_distances

    _, gone = linear_sum_assignment(pairwise_distances(taken, centres))
    return np.delete(centres, gone, axis=0)[:n]


def _quadratic(gradients: FloatArray, matrix: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ij,ij->i", gradients @ matrix, gradients))


def _least(belief: Belief, log_odds: FloatArray, n: int, rng: np.random.Generator, threshold: float | None) -> IntArray:
    certainty = confidence(log_odds)
    order = belief.free(np.lexsort((rng.random(certainty.size), certainty)))
    return order[: n if threshold is None else min(n, int((certainty[order] < threshold).sum()))]


QUERIES: dict[str, Query] = {
    "least_confident": least_confident,
    "least_certain": least_certain,
    "variance_reduction": variance_reduction,
    "random": random_images,
    "k_means": k_means,
}
"""Every query, by the name that a system uses."""


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
