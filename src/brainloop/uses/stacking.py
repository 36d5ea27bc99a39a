"""Stacking: a logistic regression on what classifier and brain say, whose prior is their plain sum."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, softmax

from brainloop._types import BoolArray, FloatArray
from brainloop.errors import SettingsError

__all__ = ["MIN_OF_CLASS", "Stacked", "check_classes", "train_stacked"]

MIN_OF_CLASS = 2
"""Images of each class below which no weight can be learned: one alone says nothing about the spread of its class."""

PENALTIES = np.geomspace(4.0, 1e3, 8)
"""Precisions of the prior on how far weights are from 1; both inputs are in nats, so one grid will do. Weaker ones than
the first, a standard deviation of one half, cost up to .01 of AUC with 25 labels and gained nothing with 250 (nine
classes of flowers and cars, two people, four design seeds)."""

BIAS_SD = 1.0
"""Standard deviation of the prior on the bias, nats: what the classifier's prior may be off by."""


@dataclass(frozen=True)
class Stacked:
    """Log-odds ``a z + b L + c`` of an image being a target.

    Parameters
    ----------
    weights : tuple of float
        ``a`` on the classifier's log-odds and ``b`` on the brain's evidence; 1 and 1 are late fusion.
    bias : float
        ``c``, nats.
    """

    weights: tuple[float, float]
    bias: float

    def log_odds(self, log_odds: FloatArray, evidence: FloatArray) -> FloatArray:
        """Combine the classifier's log-odds with the brain's evidence, both of shape (n,) and in nats."""
        return np.asarray(self.weights[0] * log_odds + self.weights[1] * evidence + self.bias)


def train_stacked(log_odds: FloatArray, evidence: FloatArray, truth: BoolArray) -> Stacked:
    """Learn how far to trust either, on images of known class.

    The weights have a Gaussian prior around 1, which is late fusion, and are averaged over its precision by the Laplace
    evidence (MacKay 1992): few images leave late fusion as it is, and evidence that is nearly 0 everywhere, as that of
    a decoder that knows nothing is where it is honest, adds nothing. The inputs are both in nats and are not
    standardised: blown up to unit variance, such evidence would be noise with a weight.

    Parameters
    ----------
    log_odds : array, shape (n,)
        Of the classifier, out of fold, nats.
    evidence : array, shape (n,)
        Of the brain, nats.
    truth : array of bool, shape (n,)
        Whether each image is a target; two or more of each class.

    Raises
    ------
    SettingsError
        If there are fewer of a class.

    References
    ----------
    Wolpert (1992), "Stacked generalization", Neural Networks 5.
    MacKay (1992), "The evidence framework applied to classification networks", Neural Computation 4.
    """
    check_classes(truth)
    design = np.column_stack([log_odds, evidence, np.ones(truth.size)])
    fits = [_fit(design, truth, np.array([penalty, penalty, BIAS_SD**-2])) for penalty in PENALTIES]
    share = softmax([log_evidence for _, log_evidence in fits])
    a, b, c = share @ np.array([theta for theta, _ in fits])
    return Stacked((float(a), float(b)), float(c))


def check_classes(truth: BoolArray) -> None:
    """Raise a `SettingsError` where nothing can be learned from images of these classes."""
    n_targets = int(truth.sum())
    if min(n_targets, truth.size - n_targets) < MIN_OF_CLASS:
        raise SettingsError(
            f"expected {MIN_OF_CLASS} images or more of each class to learn from, got {n_targets} targets and "
            f"{truth.size - n_targets} others of known class; correct some more, or take method 'late'"
        )


def _fit(design: FloatArray, truth: BoolArray, precision: FloatArray) -> tuple[FloatArray, float]:
    """Minimise the penalised log loss by Newton's method; give the minimum and its Laplace evidence, nats."""
    centre = np.array([1.0, 1.0, 0.0])

    def objective(theta: FloatArray) -> float:
        s = design @ theta
        loss = -(log_expit(s[truth]).sum() + log_expit(-s[~truth]).sum())
        return float(loss + 0.5 * precision @ (theta - centre) ** 2)

    theta, value = centre, objective(centre)
    for _ in range(100):
        p = expit(design @ theta)
        hessian = (design.T * (p * (1 - p))) @ design + np.diag(precision)
        step = np.linalg.solve(hessian, design.T @ (p - truth) + precision * (theta - centre))
        length = 1.0
        while (new := objective(theta - length * step)) > value and length > 1e-6:
            length /= 2
        if value - new < 1e-10:
            break
        theta, value = theta - length * step, new
    p = expit(design @ theta)
    hessian = (design.T * (p * (1 - p))) @ design + np.diag(precision)
    return theta, float(-value + 0.5 * np.log(precision).sum() - 0.5 * np.linalg.slogdet(hessian)[1])
