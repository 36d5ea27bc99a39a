"""How good a classifier is: the area under the ROC curve, accuracy, and their intervals."""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from brainloop._types import BoolArray, FloatArray, IntArray

__all__ = ["Auc", "Classes", "auc_interval", "expected_auc", "measure_classes", "wilson_interval"]


class Auc(NamedTuple):
    """Area under the ROC curve and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Classes(NamedTuple):
    """How well K classes are told apart: the share that is right, each class's AUC, the confusion matrix."""

    accuracy: float
    auc: FloatArray  # (K,), each class against the rest
    confusion: IntArray  # (K, K), by the true class (rows) and by what is said (columns)


def auc_interval(truth: BoolArray, scores: FloatArray, *, seed: int = 0, n_resamples: int = 1000) -> Auc:
    """Measure the AUC with a bootstrap over images, within each class.

    Parameters
    ----------
    truth : array of bool, shape (n,)
        Whether each image is a target; both classes must be there.
    scores : array, shape (n,)
        Higher for targets; ties count half.
    seed : int
        Of the resampling.
    n_resamples : int
        Bootstrap samples; fewer, though 200 or more, where there are more than 5,000 images, as their interval is
        narrow and the time grows with the product of the two.

    Returns
    -------
    Auc
        Value and percentile interval (Efron 1979).
    """
    _, level = np.unique(scores, return_inverse=True)
    n_levels = int(level.max()) + 1
    n_resamples = min(n_resamples, max(200, 5_000_000 // truth.size))
    rng = np.random.default_rng(seed)

    def histograms(members: BoolArray) -> FloatArray:
        # (1 + n_resamples, n_levels): the sample itself, then resamples, as counts of each score.
        own = np.bincount(level[members], minlength=n_levels).astype(float)
        return np.vstack([own, rng.multinomial(own.sum().astype(int), own / own.sum(), n_resamples)])

    target, other = histograms(truth), histograms(~truth)
    below = np.cumsum(other, axis=1) - other / 2
    auc = (target * below).sum(axis=1) / (truth.sum() * (~truth).sum())
    low, high = np.quantile(auc[1:], [0.025, 0.975])
    return Auc(float(auc[0]), float(low), float(high))


def expected_auc(probability: FloatArray) -> float | None:
    """Estimate the AUC of calibrated probabilities without knowing the truth.

    The share of (target, other) pairs that the probabilities order rightly, where each image is a target with its own
    probability: as good as the probabilities are calibrated, no better.

    Parameters
    ----------
    probability : array, shape (n,)
        That each image is a target.

    Returns
    -------
    float or None
        None where no image, or every image, is surely a target.
    """
    p = np.sort(probability)
    other = 1 - p
    below = np.cumsum(other) - other
    # Ties are in order of the sort; as both of a pair appear in both roles, they must count half.
    _, first, count = np.unique(p, return_index=True, return_counts=True)
    group = np.repeat(np.arange(first.size), count)
    sums = np.bincount(group, weights=other)
    below = below[first][group] + sums[group] / 2 - other / 2
    pairs = p.sum() * other.sum() - (p * other).sum()
    return float((p * below).sum() / pairs) if pairs > 0 else None


def measure_classes(truth: IntArray, logits: FloatArray) -> Classes:
    """Measure how well classes are told apart.

    Parameters
    ----------
    truth : array of int, shape (n,)
        The class of each image; every class must be there.
    logits : array, shape (n, K)
        The classifier's; an image is said to be of the class with the highest.
    """
    n_classes = logits.shape[1]
    confusion = np.bincount(truth * n_classes + logits.argmax(axis=1), minlength=n_classes**2)
    confusion = confusion.reshape(n_classes, n_classes)
    share = softmax(logits.astype(np.float64), axis=1)
    auc = [auc_interval(truth == k, share[:, k], n_resamples=1).value for k in range(n_classes)]
    return Classes(float(np.trace(confusion) / truth.size), np.array(auc), confusion)


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Give the 95 % interval of a share of n.

    References
    ----------
    Wilson (1927), "Probable inference, the law of succession, and statistical inference", J. Am. Stat. Assoc. 22.
    """
    z = 1.959964  # the normal distribution's quantile at 97.5 %
    centre, half = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return float((centre - half) / (1 + z**2 / n)), float((centre + half) / (1 + z**2 / n))
