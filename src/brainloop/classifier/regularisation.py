"""How much to regularise: the L2 penalty that Laplace evidence or cross-validation chooses, for every kind of head.

A model gives its fits along one grid of penalties, strongest first. The Laplace evidence of a fit is

    log p(D | penalty) ~ -objective(theta*) + 1/2 log det(prior precision) - 1/2 log det(Hessian)

with the Hessian of the objective, that is of the loss and the prior (MacKay 1992, "The evidence framework applied to
classification networks", Neural Computation 4, eq. 8; Bishop 2006, eq. 4.137). Cross-validation takes the penalty with
the least held-out loss of the rule itself. Neither number means anything beside one of the other kind, or of another
rule.
"""

from collections.abc import Iterable, Iterator
from itertools import islice, tee
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, cholesky

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.errors import SettingsError
from brainloop.labels import RULES

__all__ = [
    "REGULARISATIONS",
    "Fit",
    "Model",
    "check",
    "choose",
    "clipped",
    "covariance",
    "held_out",
    "log_evidence",
    "prior",
]

PENALTIES = np.geomspace(300.0, 1e-3, 12)
"""L2 penalties to choose from, strongest first; features have unit mean square norm, so that one grid fits all."""

PATIENCE = 3
"""Steps of the grid, each worse than the best by more than a nat, after which no weaker penalty is tried: it is there
that fits are slow."""

N_FOLDS = 5

BIAS_PRIOR = {"posterior": (-1.73, 1.0), "talk": (0.0, 10.0), "hard": (0.0, 10.0)}
"""Mean and standard deviation of the bias, nats, by rule. Targets are rare: the likelihood of a few weak responses may
fall to "there are none", so the posterior rule starts from 15 %, give or take one nat. The talk knows no such prior:
its own is only so narrow that the evidence is defined. Of several classes none is the rare one: there the mean is 0."""

REGULARISATIONS = ("laplace", "cross_validation", "better")

T = TypeVar("T")


class Fit(NamedTuple):
    """The minimum of loss and penalty at one penalty of the grid."""

    theta: FloatArray  # (n_parameters,)
    penalty: float
    log_evidence: float  # nats; nan where it was not asked for, -inf where no Gaussian stands on the minimum
    hessian: FloatArray | None  # (n_parameters, n_parameters), with the log evidence only


class Model(Protocol):
    """What the choice needs to know of a head."""

    def path(self, features: FloatArray, evidence: FloatArray, *, laplace: bool) -> Iterator[Fit]:
        """Fit at each penalty of the grid, strongest first, with the Laplace evidence or without."""

    def loss(self, theta: FloatArray, features: FloatArray, evidence: FloatArray) -> float:
        """Sum the rule's loss over images, nats."""


def check(features: FloatArray, evidence: FloatArray, rule: str, regularisation: str) -> None:
    """Raise a `SettingsError` where a head cannot be trained on these."""
    if rule not in RULES:
        raise SettingsError(f"rule: expected one of {', '.join(RULES)}; {rule!r} came")
    if regularisation not in REGULARISATIONS:
        raise SettingsError(f"regularisation: expected one of {', '.join(REGULARISATIONS)}; {regularisation!r} came")
    if features.ndim != 2 or len(evidence) != len(features):
        raise SettingsError(
            "training expects features of shape (n_images, n_features) and one evidence for each image; "
            f"features {features.shape} and evidence {evidence.shape} came"
        )
    if evidence.ndim != 1 and (evidence.ndim != 2 or evidence.shape[1] < 2):
        raise SettingsError(
            "training expects evidence of shape (n_images,), or (n_images, n_classes) with two classes or more; "
            f"{evidence.shape} came"
        )
    if not (np.isfinite(evidence).all() and np.isfinite(features).all()):
        raise SettingsError("training expects finite features and evidence; nan or inf came: leave those images out")


def prior(rule: str, evidence: FloatArray) -> tuple[float, float]:
    """Give mean and precision of the prior of the bias, nats."""
    mean, sd = BIAS_PRIOR[rule]
    return (mean if evidence.ndim == 1 else 0.0), sd**-2


def clipped(curvature: FloatArray) -> FloatArray:
    """Set the negative part of curvatures, (n,) or (n, K, K), to zero: what is left is positive semi-definite."""
    if curvature.ndim == 1:
        return np.maximum(curvature, 0)
    value, vector = np.linalg.eigh(curvature)
    return np.asarray((vector * np.maximum(value, 0)[:, None]) @ vector.transpose(0, 2, 1))


def log_evidence(objective: float, precision: FloatArray, hessian: FloatArray) -> float:
    """Laplace's approximation; minus infinity where the Hessian (p, p) is not positive definite."""
    try:
        half_log_det = np.log(np.diag(cholesky(hessian, check_finite=False))).sum()
    except LinAlgError:
        return -np.inf
    return float(-objective + 0.5 * np.log(precision).sum() - half_log_det)


def covariance(fit: Fit) -> FloatArray | None:
    """Invert the Hessian of a fit that has one: the covariance of Laplace's approximation, (p, p)."""
    if fit.hessian is None:
        return None
    inverse = cho_solve(cho_factor(fit.hessian), np.eye(len(fit.hessian)))
    return np.ascontiguousarray(inverse)  # as it comes back from disk: the order of sums, too, shall be the same


def choose(model: Model, features: FloatArray, evidence: FloatArray, regularisation: str, seed: int) -> Fit:
    """Fit at the penalty that the evidence, or cross-validation, or the better of the two on held-out images chooses.

    Parameters
    ----------
    model : Model
        Gives the fits.
    features, evidence : array, shape (n, d) and (n,) or (n, K)
        Of the images that were looked at.
    regularisation : {"laplace", "cross_validation", "better"}
        ``better`` compares the `held_out` loss of the other two.
    seed : int
        Of the folds.
    """
    if regularisation == "better":
        laplace, folds = (held_out(model, features, evidence, way, seed) for way in ("laplace", "cross_validation"))
        regularisation = "laplace" if laplace <= folds else "cross_validation"
    if regularisation == "laplace":
        return _most_evident(model, features, evidence)
    fold = _folds(len(evidence), seed)
    paths = [model.path(features[fold != k], evidence[fold != k], laplace=False) for k in range(N_FOLDS)]
    step = _least_loss(model, features, evidence, [(fold == k, path) for k, path in enumerate(paths)])
    return _at(model, features, evidence, step)


def held_out(model: Model, features: FloatArray, evidence: FloatArray, regularisation: str, seed: int) -> float:
    """Mean loss of images held out, over five folds, with the penalty chosen within the others.

    Cross-validation within four folds holds out one of the four: the fit without folds i and j serves both. With no
    image it is 0.
    """
    fold = _folds(len(evidence), seed)
    without = {}
    for i in range(N_FOLDS):
        for j in range(i):
            rest = (fold != i) & (fold != j)
            without[i, j], without[j, i] = tee(model.path(features[rest], evidence[rest], laplace=False))
    total = 0.0
    for i in range(N_FOLDS):
        rest = fold != i
        if regularisation == "laplace":
            fit = _most_evident(model, features[rest], evidence[rest])
        else:
            inner = [(fold == j, without[i, j]) for j in range(N_FOLDS) if j != i]
            fit = _at(model, features[rest], evidence[rest], _least_loss(model, features, evidence, inner))
        total += model.loss(fit.theta, features[fold == i], evidence[fold == i])
    return total / max(len(evidence), 1)


def _folds(n: int, seed: int) -> IntArray:
    return np.random.default_rng(seed).permutation(n) % N_FOLDS


def _most_evident(model: Model, features: FloatArray, evidence: FloatArray) -> Fit:
    fits = model.path(features, evidence, laplace=True)
    return _lowest((-fit.log_evidence, fit) for fit in fits)


def _least_loss(
    model: Model, features: FloatArray, evidence: FloatArray, folds: list[tuple[BoolArray, Iterator[Fit]]]
) -> int:
    """Find the step of the grid with the least loss on folds' images, each given with the path fitted without it."""

    def losses() -> Iterator[tuple[float, int]]:
        for step, fits in enumerate(zip(*(path for _, path in folds), strict=True)):
            held_out = ((inside, fit.theta) for (inside, _), fit in zip(folds, fits, strict=True))
            yield sum(model.loss(theta, features[inside], evidence[inside]) for inside, theta in held_out), step

    return _lowest(losses())


def _at(model: Model, features: FloatArray, evidence: FloatArray, step: int) -> Fit:
    return next(islice(model.path(features, evidence, laplace=False), step, None))


def _lowest(candidates: Iterable[tuple[float, T]]) -> T:
    """Give the candidate of the lowest value, asking for no more than `PATIENCE` that are clearly worse."""
    lowest, best, worse = np.inf, None, 0
    for value, candidate in candidates:
        if value < lowest:
            lowest, best = value, candidate
        worse = worse + 1 if value > lowest + 1 else 0
        if worse == PATIENCE:
            break
    if best is None:
        raise SettingsError("training found no penalty with a proper minimum: is the evidence thousands of nats?")
    return best
