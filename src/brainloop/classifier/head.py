"""The linear head: a linear classifier on features, trained on evidence, with its posterior."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.special import expit, softmax

from brainloop._blas import one_thread
from brainloop._files import load_tensors, save_tensors
from brainloop._types import FloatArray
from brainloop.classifier.regularisation import (
    PENALTIES,
    Fit,
    check,
    choose,
    clipped,
    covariance,
    held_out,
    log_evidence,
    prior,
)
from brainloop.labels import RULES, Loss

__all__ = ["Head", "held_out_loss", "moderated", "train_head"]

TOLERANCE = 1e-12
"""Newton decrement, nats, at which a minimum is reached: log-odds then stand within about 1e-6 of their posterior's
standard deviation."""

STALE = 0.1
"""Share of the last decrement that a step must get under, or the curvature is computed anew."""


@dataclass(frozen=True)
class Head:
    """A linear classifier on features, binary or of K classes.

    Parameters
    ----------
    weight : array, shape (d,) or (d, K)
        Weights on the features.
    bias : float, or array of shape (K,)
        Offset, nats.
    covariance : array, shape (p, p), or None
        Laplace posterior covariance of weights and bias, p = d + 1; class after class for K classes, p = K (d + 1).
        None under cross-validation, which has no posterior.
    penalty : float
        The L2 penalty that was chosen.
    log_evidence : float
        Laplace approximation of the log marginal likelihood at that penalty, nats, up to a constant; nan under
        cross-validation.
    """

    weight: FloatArray
    bias: float | FloatArray
    covariance: FloatArray | None
    penalty: float
    log_evidence: float

    def log_odds(self, features: FloatArray) -> FloatArray:
        """Give the log-odds of being a target, (n, d) -> (n,) nats; of K classes the logits (n, K)."""
        # In the features' own precision: in another, the whole pool would be copied.
        dtype = features.dtype
        return np.asarray(features @ self.weight.astype(dtype) + np.asarray(self.bias, dtype=dtype))

    def gradients(self, features: FloatArray) -> FloatArray:
        """Give the derivative of a binary head's log-odds by weights and bias, (n, d) -> (n, d + 1)."""
        return np.column_stack([features, np.ones(len(features), dtype=features.dtype)])

    def variance(self, features: FloatArray) -> FloatArray:
        """Give the posterior variance of the log-odds, (n, d) -> (n,) nats squared; zero under cross-validation.

        Of K classes it is that of each logit less the mean of all, (n, K): what all share changes no probability.
        """
        if self.covariance is None:
            return np.zeros_like(self.log_odds(features))
        blocks = self.logit_covariances().astype(features.dtype)
        variance = np.stack([_quadratic(features, block) for block in blocks], axis=1)
        return variance if len(blocks) > 1 else variance[:, 0]

    def logit_covariances(self) -> FloatArray:
        """Give the posterior covariance of the weights of each logit less the mean of all, (K, d + 1, d + 1).

        Of a binary head it is that of its one logit, (1, d + 1, d + 1); under cross-validation there is none, and all
        is zero.
        """
        size, n_classes = len(self.weight) + 1, np.size(self.bias)
        if self.covariance is None:
            return np.zeros((n_classes, size, size))
        centre = np.eye(n_classes) - (1 / n_classes if n_classes > 1 else 0)
        blocks = self.covariance.reshape(n_classes, size, n_classes, size)
        return np.asarray(np.einsum("ki,iajb,kj->kab", centre, blocks, centre, optimize=True))

    def probability(self, features: FloatArray) -> FloatArray:
        """Give calibrated probabilities, (n, d) -> (n,); of K classes (n, K)."""
        return moderated(self.log_odds(features), self.variance(features))

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all."""
        tensors = {"weight": self.weight, "bias": np.atleast_1d(self.bias)}
        if self.covariance is not None:
            tensors["covariance"] = self.covariance
        words = {"penalty": repr(float(self.penalty)), "log_evidence": repr(float(self.log_evidence))}
        save_tensors(path, tensors, {"head": "linear", **words})

    @classmethod
    def load(cls, path: Path) -> "Head":
        """Read what `save` wrote."""
        tensors, words = load_tensors(path)
        weight, bias = tensors["weight"], tensors["bias"]
        return cls(
            weight,
            float(bias[0]) if weight.ndim == 1 else bias,
            tensors.get("covariance"),
            float(words["penalty"]),
            float(words["log_evidence"]),
        )


def moderated(log_odds: FloatArray, variance: FloatArray) -> FloatArray:
    """Average the probability over the posterior of the log-odds, by MacKay's approximation.

    ``sigmoid(z / sqrt(1 + pi v / 8))``, and for logits (n, K), taken about their mean, the softmax of the same.

    References
    ----------
    MacKay (1992), "The evidence framework applied to classification networks", Neural Computation 4, section 3.
    Daxberger et al. (2021), "Laplace redux", NeurIPS 34, for several classes.
    """
    if log_odds.ndim == 2:
        log_odds = log_odds - log_odds.mean(axis=1, keepdims=True)
    scaled = log_odds / np.sqrt(1 + np.pi / 8 * variance)
    return np.asarray(softmax(scaled, axis=1) if log_odds.ndim == 2 else expit(scaled))


def train_head(
    features: FloatArray,
    evidence: FloatArray,
    *,
    rule: str = "posterior",
    label_threshold: float = 0.5,
    regularisation: str = "laplace",
    seed: int = 0,
) -> Head:
    """Train a linear head on the images that were looked at.

    Parameters
    ----------
    features : array, shape (n_images, d)
        Features of the images that were looked at, one row an image; with none, the head is the prior's.
    evidence : array, shape (n_images,) or (n_images, K)
        Total evidence of each, nats; for K classes, of each class against the rest.
    rule : {"posterior", "talk", "hard"}
        The loss, see `brainloop.labels`.
    label_threshold : float
        The talk's THR on the score; ``posterior`` has no use for it.
    regularisation : {"laplace", "cross_validation", "better"}
        What chooses the penalty, see `brainloop.classifier.regularisation`; ``better`` is whichever of the two has the
        lower `held_out_loss`.
    seed : int
        Of the folds.

    Raises
    ------
    SettingsError
        If a name is unknown, shapes disagree, or a number is not finite.
    """
    check(features, evidence, rule, regularisation)
    # Matrices this small are slower on several threads than on one, and many times slower beside other work.
    with one_thread():
        fit = choose(_Linear(rule, label_threshold), features, evidence, regularisation, seed)
        spread = covariance(fit)
    theta = fit.theta.reshape(-1, features.shape[1] + 1)
    if evidence.ndim == 1:
        return Head(theta[0, :-1], float(theta[0, -1]), spread, fit.penalty, fit.log_evidence)
    return Head(np.ascontiguousarray(theta[:, :-1].T), theta[:, -1].copy(), spread, fit.penalty, fit.log_evidence)


def held_out_loss(
    features: FloatArray,
    evidence: FloatArray,
    *,
    rule: str = "posterior",
    label_threshold: float = 0.5,
    regularisation: str = "laplace",
    seed: int = 0,
) -> float:
    """Measure what training loses on images held out: the rule's mean loss over five folds, nats an image.

    The penalty is chosen within the training folds each time, so that losses under ``laplace`` and under
    ``cross_validation`` compare; those of two rules do not. Arguments and errors as in `train_head`.
    """
    check(features, evidence, rule, regularisation)
    with one_thread():
        return held_out(_Linear(rule, label_threshold), features, evidence, regularisation, seed)


@dataclass(frozen=True)
class _Linear:
    """Logits ``design @ theta``, one column of weights, bias last, for each class; theta holds class after class."""

    rule: str
    threshold: float

    def path(self, features: FloatArray, evidence: FloatArray, *, laplace: bool) -> Iterator[Fit]:
        design = np.column_stack([features, np.ones(len(features))]).astype(np.float64, copy=False)
        centre = np.zeros((1 if evidence.ndim == 1 else evidence.shape[1], design.shape[1]))
        precision = np.zeros_like(centre)
        centre[:, -1], precision[:, -1] = prior(self.rule, evidence)
        shape, centre = centre.shape, centre.ravel()

        def at(theta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
            loss = self._loss(theta, design, evidence)
            pull = precision.ravel() * (theta - centre)
            slope = loss.gradient.reshape(-1, shape[0]).T @ design  # (n_classes, d + 1)
            value = float(loss.value.sum() + 0.5 * pull @ (theta - centre))
            return value, slope.ravel() + pull, loss.curvature

        theta = centre
        gram = information(design, at(theta)[2])
        for penalty in PENALTIES:
            precision[:, :-1] = penalty
            if evidence.ndim == 2:
                theta = _approach(at, theta)
                gram = information(design, at(theta)[2])
            theta, value, curvature, gram = _minimise(at, design, theta, gram, precision.ravel())
            if not laplace:
                yield Fit(theta, float(penalty), np.nan, None)
                continue
            gram = information(design, curvature)
            hessian = gram + np.diag(precision.ravel())
            yield Fit(theta, float(penalty), log_evidence(value, precision, hessian), hessian)

    def loss(self, theta: FloatArray, features: FloatArray, evidence: FloatArray) -> float:
        design = np.column_stack([features, np.ones(len(features))])
        return float(self._loss(theta, design, evidence).value.sum())

    def _loss(self, theta: FloatArray, design: FloatArray, evidence: FloatArray) -> Loss:
        logits = design @ theta.reshape(-1, design.shape[1]).T
        return RULES[self.rule](logits if evidence.ndim == 2 else logits[:, 0], evidence, self.threshold)


def _approach(at: Callable[[FloatArray], tuple[float, FloatArray, FloatArray]], theta: FloatArray) -> FloatArray:
    """Go near the minimum by gradients alone: with K classes a Hessian costs as much as a hundred of them."""
    # So near that Newton's method has a step or two left: with ten classes a looser end takes four times as long.
    how = {"gtol": 1e-5, "ftol": 1e-13, "maxcor": 20}
    found = minimize(lambda theta: at(theta)[:2], theta, jac=True, method="L-BFGS-B", options=how)
    return np.asarray(found.x)


def _minimise(
    at: Callable[[FloatArray], tuple[float, FloatArray, FloatArray]],
    design: FloatArray,
    theta: FloatArray,
    gram: FloatArray,
    precision: FloatArray,
) -> tuple[FloatArray, float, FloatArray, FloatArray]:
    """Minimise by Newton's method with backtracking, from `theta` and the loss's Hessian `gram` as it was nearby.

    The Hessian is computed anew only where steps with the old one gain little (Shamanskii's method: Kelley 1995,
    "Iterative methods for linear and nonlinear equations", section 5.4). Where it is not positive definite, as it may
    be under a loss that is not convex, that of the clipped curvature still leads down.

    Returns
    -------
    theta, value, curvature, gram
        The minimum, the objective and the images' curvatures there, and the last Hessian of the loss.
    """
    value, slope, curvature = at(theta)
    fresh, last = False, np.inf
    factor = _factor(gram, precision)
    for _ in range(500):  # a guard only: of 7,735 fits none took more than 42 evaluations
        step = None if factor is None else cho_solve(factor, slope, check_finite=False)
        decrement = np.inf if step is None else float(slope @ step)
        if decrement < TOLERANCE:
            break
        if step is None or (not fresh and decrement > STALE * last):
            gram = information(design, curvature)
            factor = _factor(gram, precision)
            if factor is None:
                gram = information(design, clipped(curvature))
                factor = _factor(gram, precision)
            fresh, last = True, np.inf
            continue
        length = 1.0
        while True:
            new = at(theta - length * step)
            # The last term is what rounding may do to a sum near its minimum.
            if new[0] <= value - 1e-4 * length * decrement + 1e-13 * abs(value):
                break
            length /= 2
            if length < 1e-8:
                return theta, value, curvature, gram  # rounding, not the slope, decides here
        theta = theta - length * step
        value, slope, curvature = new
        fresh, last = False, decrement if length == 1 else 0.0  # after a short step the curvature has changed
    return theta, value, curvature, gram


def _factor(gram: FloatArray, precision: FloatArray) -> tuple[FloatArray, bool] | None:
    hessian = gram.copy()
    hessian.flat[:: len(hessian) + 1] += precision
    try:
        factor, lower = cho_factor(hessian, overwrite_a=True, check_finite=False)
    except LinAlgError:
        return None
    return factor, lower


def information(design: FloatArray, curvature: FloatArray) -> FloatArray:
    """Sum the loss's curvature over images in the parameters: (p, p), class after class."""
    if curvature.ndim == 1:
        return np.asarray((design.T * curvature) @ design)
    n_classes, size = curvature.shape[1], design.shape[1]
    gram = np.empty((n_classes, size, n_classes, size))
    for k in range(n_classes):
        for j in range(k + 1):
            gram[k, :, j] = gram[j, :, k] = (design.T * curvature[:, k, j]) @ design
    return gram.reshape(n_classes * size, n_classes * size)


def _quadratic(features: FloatArray, matrix: FloatArray) -> FloatArray:
    """Give ``a' M a`` for every row `a` of the features with a one beside it: (n, d), (d + 1, d + 1) -> (n,)."""
    inner, cross, corner = matrix[:-1, :-1], matrix[:-1, -1], matrix[-1, -1]
    value = np.einsum("nd,nd->n", features @ inner + 2 * cross, features) + corner
    return np.asarray(np.maximum(value, 0))
