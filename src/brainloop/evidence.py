"""Evidence: what a response says about "is this image a target?", in nats.

Everything that a person, a network or a second person knows is one number, the log-likelihood ratio

    L(r) = log p(r | target) - log p(r | non-target)

so that evidence from independent sources adds, ``0`` says nothing, and a classifier's log-odds ``z`` become the
posterior log-odds ``z + L``. A decoder's raw score becomes evidence by calibration on held-out trials.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.errors import DecoderError, SettingsError

__all__ = ["Calibration", "add_up", "disagreement", "posterior", "talk_score", "youden"]

Method = Literal["platt", "isotonic", "beta"]


def add_up(image: IntArray, evidence: FloatArray, n_images: int) -> FloatArray:
    """Sum the evidence of all looks at each image.

    Parameters
    ----------
    image : array of int, shape (n_looks,)
        Index of the image that each look showed.
    evidence : array, shape (n_looks,)
        Evidence of each look, nats.
    n_images : int
        Number of images in the pool.

    Returns
    -------
    array, shape (n_images,)
        Total evidence, nats; 0 for an image that nobody looked at.
    """
    return np.bincount(image, weights=evidence, minlength=n_images).astype(np.float64)


def posterior(log_odds: FloatArray, evidence: FloatArray) -> FloatArray:
    """Probability that an image is a target, given the classifier's log-odds and the evidence (any equal shapes)."""
    return np.asarray(expit(log_odds + evidence))


def talk_score(evidence: FloatArray) -> FloatArray:
    """Give the talk's classification score ``c = sigmoid(L)``: .5 means that the response says nothing."""
    return np.asarray(expit(evidence))


def youden(scores: FloatArray, is_target: BoolArray) -> float:
    """Find the threshold that tells targets from others best, where a miss and a false alarm rate cost the same.

    Parameters
    ----------
    scores : array, shape (n_trials,)
        Higher means more like a target.
    is_target : array of bool, shape (n_trials,)
        The truth of each trial; both classes must be there.

    Returns
    -------
    float
        The `t` that maximises the true less the false positive rate of ``scores >= t``: a midpoint between
        neighbouring scores, the lowest where several are as good. Where none is better than calling every trial a
        target, the least score.

    Raises
    ------
    DecoderError
        If a score is not finite or a class is missing.

    References
    ----------
    Youden (1950), "Index for rating diagnostic tests", Cancer 3.
    """
    scores, y = _check_trials(scores, is_target, "Youden's threshold")
    values, level = np.unique(scores, return_inverse=True)
    n_target, n_other = int(y.sum()), int((~y).sum())
    # In whole numbers, J times the size of both classes, so that equally good thresholds are exactly equal: what a
    # threshold above each value loses in targets and gains in others.
    targets, others = np.bincount(level[y], minlength=values.size), np.bincount(level[~y], minlength=values.size)
    index = np.cumsum(others * n_target - targets * n_other)[:-1]
    if index.size == 0 or index.max() <= 0:
        return float(values[0])
    below, above = values[index.argmax() : index.argmax() + 2]
    middle = below / 2 + above / 2
    return float(middle if middle > below else above)


def disagreement(given: IntArray, log_odds: FloatArray, evidence: FloatArray) -> FloatArray:
    """Say how strongly classifier and evidence speak against given annotations.

    Parameters
    ----------
    given : array of int, shape (n,)
        Annotation of each image: 1 for a target, -1 for a non-target.
    log_odds, evidence : array, shape (n,)
        The classifier's log-odds and the total evidence, nats.

    Returns
    -------
    array, shape (n,)
        ``-given * (z + L)``, nats: large where the annotation looks wrong.
    """
    return np.asarray(-given * (log_odds + evidence))


@dataclass(frozen=True)
class Calibration:
    """A monotone map from a decoder's raw score to evidence, learned on held-out trials.

    ``L = logit(p_calibrated) - logit(prevalence in calibration)``: the prior of the calibration session is taken out.
    The map never falls: a decoder that orders held-out trials no better than chance yields evidence 0, not evidence
    against what it says.

    Parameters
    ----------
    method : {"platt", "isotonic", "beta"}
        How it was learned.
    prevalence : float
        Share of targets among the calibration trials.
    knots, values : tuple of float
        The parameters (Platt: slope and offset; beta: a, b, c and the centre and scale of the scores) or the steps of
        the isotonic map, in ``values``; the scores at the isotonic steps in ``knots``.
    limits : tuple of float
        Least and largest evidence that so few trials can support, nats.

    References
    ----------
    Platt (1999), "Probabilistic outputs for support vector machines", eq. for the smoothed targets.
    Zadrozny and Elkan (2002), "Transforming classifier scores into accurate multiclass probability estimates".
    Kull, Silva Filho and Flach (2017), "Beta calibration", AISTATS.
    """

    method: Method
    prevalence: float
    knots: tuple[float, ...]
    values: tuple[float, ...]
    limits: tuple[float, float]

    @classmethod
    def fit(
        cls,
        scores: FloatArray,
        is_target: BoolArray | FloatArray,
        method: Method = "platt",
        weight: FloatArray | None = None,
    ) -> "Calibration":
        """Learn the map.

        Parameters
        ----------
        scores : array, shape (n_trials,)
            Raw scores of trials that the decoder was not trained on; higher means more like a target.
        is_target : array of bool, or of float in [0, 1], shape (n_trials,)
            The truth of each trial, or the probability of it.
        method : {"platt", "isotonic", "beta"}
            The family of maps.
        weight : array, shape (n_trials,), optional
            How many trials each counts for; one by default.

        Raises
        ------
        DecoderError
            If a score is not finite or a class is missing.
        SettingsError
            If the method is unknown.
        """
        scores, shares = _soft_trials(scores, is_target, weight)
        fits = {"platt": _fit_platt, "isotonic": _fit_isotonic, "beta": _fit_beta}
        if method not in fits:
            raise SettingsError(f"calibration expects one of {', '.join(fits)}; {method!r} came")
        knots, values = fits[method](scores, shares)
        # Laplace's rule of succession: of all n' trials of the other class none scored so far out, so that the
        # likelihood of such a score there is about 1 / (n' + 1), and is not known to be less.
        n_other, n_target = shares.sum(axis=1)
        limits = (-float(np.log(n_target + 1)), float(np.log(n_other + 1)))
        return cls(method, float(n_target / (n_target + n_other)), knots, values, limits)

    def evidence(self, scores: FloatArray) -> FloatArray:
        """Map raw scores to evidence.

        Parameters
        ----------
        scores : array, shape (n,)
            Raw scores of the same decoder.

        Returns
        -------
        array, shape (n,)
            Evidence, nats.
        """
        scores = np.asarray(scores, dtype=float)
        if self.method == "platt":
            slope, offset = self.values
            log_odds = slope * scores + offset
        elif self.method == "beta":
            a, b, c, centre, scale = self.values
            s = (scores - centre) / scale
            log_odds = a * log_expit(s) - b * log_expit(-s) + c
        else:
            log_odds = logit(np.interp(scores, self.knots, self.values))
        return np.asarray(np.clip(log_odds - logit(self.prevalence), *self.limits))


def _check_trials(scores: FloatArray, is_target: BoolArray, what: str) -> tuple[FloatArray, BoolArray]:
    y = np.asarray(is_target, dtype=bool)
    scores = _finite_scores(scores, y.shape, what)
    if not 0 < y.sum() < y.size:
        raise DecoderError(f"{what} expects held-out trials of both classes; {y.sum()} targets among {y.size} came")
    return scores, y


def _soft_trials(
    scores: FloatArray, is_target: BoolArray | FloatArray, weight: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Check trials; give their scores (n,) and how much each counts as a non-target and as a target (2, n)."""
    y = np.asarray(is_target, dtype=float)
    w = np.ones(y.shape) if weight is None else np.asarray(weight, dtype=float)
    if w.shape != y.shape or not ((y >= 0) & (y <= 1) & (w >= 0) & np.isfinite(w)).all():
        raise DecoderError("calibration expects truths from 0 to 1, and a finite weight of 0 or more for each")
    scores = _finite_scores(scores, y.shape, "calibration")
    shares = np.stack([w * (1 - y), w * y])
    if not shares.any(axis=1).all():
        raise DecoderError(
            f"calibration expects held-out trials of both classes; {shares[1].sum():g} targets among {w.sum():g} came"
        )
    counted = w > 0
    return scores[counted], shares[:, counted]


def _finite_scores(scores: FloatArray, shape: tuple[int, ...], what: str) -> FloatArray:
    scores = np.asarray(scores, dtype=float)
    if scores.ndim != 1 or scores.shape != shape:
        raise DecoderError(f"{what} expects one score and one truth a trial; {scores.shape} and {shape} came")
    if not np.isfinite(scores).all():
        raise DecoderError(
            f"{what} expects finite scores; {np.count_nonzero(~np.isfinite(scores))} of {scores.size} are not"
        )
    return scores


def _fit_platt(scores: FloatArray, shares: FloatArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    n_other, n_target = shares.sum(axis=1)
    weight = shares.sum(axis=0)
    # Platt's smoothed targets: a finite slope even where the classes are separable.
    soft = (shares[1] * (n_target + 1) / (n_target + 2) + shares[0] / (n_other + 2)) / weight
    prior = logit(n_target / (n_target + n_other))
    centre = np.average(scores, weights=weight)
    scale = np.sqrt(np.average((scores - centre) ** 2, weights=weight)) or 1.0
    s = (scores - centre) / scale

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        z = theta[0] * s + theta[1]
        residual = weight * (expit(z) - soft)
        value = -(weight * (soft * log_expit(z) + (1 - soft) * log_expit(-z))).sum()
        return float(value), np.array([residual @ s, residual.sum()])

    fitted = minimize(loss, [1.0, prior], jac=True, bounds=[(0, None), (None, None)]).x
    slope = fitted[0] / scale
    if fitted[0] < 1e-9:
        slope, fitted[1] = 0.0, prior
    return (), (float(slope), float(fitted[1] - slope * centre))


def _fit_beta(scores: FloatArray, shares: FloatArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    # Beta calibration is defined on (0, 1); raw scores go there by a logistic of their standardised value.
    weight = shares.sum(axis=0)
    centre = np.average(scores, weights=weight)
    scale = np.sqrt(np.average((scores - centre) ** 2, weights=weight)) or 1.0
    s = (scores - centre) / scale
    features = np.stack([log_expit(s), -log_expit(-s), np.ones_like(s)])

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        z = theta @ features
        # A Gaussian prior of standard deviation 10 on the slopes: separable trials would send them to infinity.
        value = -(shares[1] * log_expit(z) + shares[0] * log_expit(-z)).sum() + 0.5 * (theta[:2] @ theta[:2]) * 1e-2
        gradient = features @ (weight * expit(z) - shares[1]) + 1e-2 * np.array([theta[0], theta[1], 0.0])
        return float(value), gradient

    start = [1.0, 1.0, logit(shares[1].sum() / shares.sum())]
    fitted = minimize(loss, start, jac=True, bounds=[(0, None), (0, None), (None, None)]).x
    return (), (*(float(v) for v in fitted), float(centre), float(scale))


def _fit_isotonic(scores: FloatArray, shares: FloatArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    from sklearn.isotonic import IsotonicRegression

    iso = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    iso.fit(scores, shares[1] / shares.sum(axis=0), sample_weight=shares.sum(axis=0))
    # A step of 0 or 1 would be infinite evidence: as with Platt, no step is surer than its class's count allows.
    n_other, n_target = shares.sum(axis=1)
    low, high = 1 / (n_other + 2), (n_target + 1) / (n_target + 2)
    values = np.clip(iso.y_thresholds_, low, high)
    return tuple(map(float, iso.X_thresholds_)), tuple(map(float, values))
