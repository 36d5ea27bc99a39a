"""Doubt: how likely is each annotation wrong, by a classifier that has not seen it.

The classifier is trained on the annotations themselves, as there is nothing else, under the supposition that a share of
them is wrong. What an annotation `a` says of an image whose class is `k` is then

    p(a | k) = 1 - noise  if a = k, and noise / (K - 1) otherwise

and minus the log of its mean over the classifier's ``p`` is the loss. It is the posterior rule of `brainloop.labels`
for an annotation as evidence ``log((1 - noise) (K - 1) / noise)``, and the forward correction of Patrini et al. (2017).
The same likelihood, on images held out, chooses the penalty, how sharp the probabilities are, and the noise: nothing
here needs the truth.

References
----------
Patrini, Rozza, Menon, Nock and Qu (2017), "Making deep neural networks robust to label noise: a loss correction
approach", CVPR.
Guo, Pleiss, Sun and Weinberger (2017), "On calibration of modern neural networks", ICML, for the one temperature.
Northcutt, Jiang and Chuang (2021), "Confident learning", JAIR 70, for out-of-fold probabilities as the ground to doubt.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logit, logsumexp

from brainloop._blas import one_thread
from brainloop._types import FloatArray, IntArray, Progress, no_progress
from brainloop.errors import SettingsError
from brainloop.uses.out_of_fold import N_FOLDS, folds

__all__ = ["Doubt", "doubt"]

PENALTIES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03)
"""L2 penalties to choose from, strongest first; features have unit mean square norm, so that one grid fits all."""

FIRST_NOISE = 0.1
"""What is supposed before it is known: the test labels of ten well-kept data sets were wrong in .2 to 10 % (Northcutt,
Athalye and Mueller 2021, NeurIPS 34), and training labels are kept less well. The second pass has the estimate."""

PRIOR_COUNT = (1.0, 9.0)
"""Wrong and right annotations that are supposed to have been met already: with none met, the noise would be estimated
as 0 where a few annotations happen to fit, and no response could ever find a wrong one."""


@dataclass(frozen=True, eq=False)
class Doubt:
    """What a classifier that has not seen an image's annotation says of it.

    Parameters
    ----------
    given : array of int, shape (n,)
        Class that each image is annotated with.
    log_probability : array, shape (n, K)
        Calibrated log-probability of each class, from the image alone, out of fold.
    noise : float
        Share of annotations that is wrong, estimated.
    """

    given: IntArray
    log_probability: FloatArray
    noise: float

    @property
    def log_odds(self) -> FloatArray:
        """Log-odds that each annotation is wrong, shape (n,), nats: a look's evidence of ``not CLASS`` adds to it."""
        kept, others = self._apart
        return np.asarray(logsumexp(others, axis=1) - kept + self._prior)

    @property
    def other(self) -> IntArray:
        """The likeliest class but the given one, shape (n,)."""
        return np.asarray(self._apart[1].argmax(axis=1))

    def change_log_odds(self, evidence: FloatArray) -> FloatArray:
        """Compare the likeliest other class with the given one, (n,) -> (n,) nats: above 0 it is likelier.

        Parameters
        ----------
        evidence : array, shape (n,)
            Of the looks, for ``not CLASS``, nats; it speaks for all other classes alike.
        """
        kept, others = self._apart
        return np.asarray(others.max(axis=1) - kept + self._prior + evidence)

    def certainty(self, evidence: FloatArray) -> FloatArray:
        """Probability that the likeliest other class is right, (n,) -> (n,); evidence as in `change_log_odds`."""
        _, others = self._apart
        among_others = np.exp(others.max(axis=1) - logsumexp(others, axis=1))
        return np.asarray(among_others * expit(self.log_odds + evidence))

    @cached_property
    def _apart(self) -> tuple[FloatArray, FloatArray]:
        """Log-probability of the given class, (n,), and of the others, (n, K), where the given one is left out."""
        rows = np.arange(self.given.size)
        others = self.log_probability.copy()
        others[rows, self.given] = -np.inf
        return self.log_probability[rows, self.given], others

    @property
    def _prior(self) -> float:
        return float(np.log(self.noise / ((self.log_probability.shape[1] - 1) * (1 - self.noise))))


def doubt(
    features: FloatArray, given: IntArray, n_classes: int, *, seed: int = 0, progress: Progress = no_progress
) -> Doubt:
    """Train on four fifths of the annotations, judge the fifth; all five in turn.

    Parameters
    ----------
    features : array, shape (n, d)
        Of the annotated images, centred and of unit mean square norm.
    given : array of int, shape (n,)
        Class of each by its annotation, from 0.
    n_classes : int
        K, two or more.
    seed : int
        Of the folds, which are stratified by annotation.
    progress : Progress
        Called with (fits made, fits at most).

    Raises
    ------
    SettingsError
        If there are fewer than two classes, or too few images for the folds.
    """
    if n_classes < 2 or len(np.unique(given)) < 2:
        raise SettingsError("doubt expects annotations of two classes or more: with one there is nothing to confuse")
    if given.size < 2 * N_FOLDS or given.size != len(features):
        raise SettingsError(
            f"doubt expects features and an annotation each of {2 * N_FOLDS} images or more; {len(features)} and "
            f"{given.size} came"
        )
    design = np.column_stack([features, np.ones(len(features))]).astype(np.float64)
    fold = folds(given, seed=seed)
    noise, n_fits = FIRST_NOISE, 2 * len(PENALTIES)
    with one_thread():
        for turn in range(2):
            best: tuple[float, float, FloatArray] | None = None
            weights = np.zeros((N_FOLDS, design.shape[1], n_classes))
            for step, penalty in enumerate(PENALTIES):
                progress(turn * len(PENALTIES) + step, n_fits)
                logits = np.empty((given.size, n_classes))
                for k in range(N_FOLDS):
                    weights[k] = _train(design[fold != k], given[fold != k], noise, penalty, weights[k])
                    logits[fold == k] = design[fold == k] @ weights[k]
                loss, found, sharpness = _calibrate(logits, given)
                if best is not None and loss > best[0]:
                    break  # weaker penalties only fit the annotations' own errors better
                best = loss, found, log_softmax(sharpness * logits, axis=1)
            assert best is not None  # noqa: S101 - the grid has a first entry
            _, noise, log_probability = best
    progress(n_fits, n_fits)
    return Doubt(given, log_probability, noise)


def _log_likelihood(log_kept: FloatArray, noise: float, n_classes: int) -> FloatArray:
    """Log-probability of each annotation, given that the classifier holds it right with ``exp(log_kept)``."""
    wrong = noise / (n_classes - 1)
    return np.asarray(np.log(wrong + (1 - noise - wrong) * np.exp(log_kept)))


def _train(design: FloatArray, given: IntArray, noise: float, penalty: float, start: FloatArray) -> FloatArray:
    """Fit weights (d + 1, K) by L-BFGS; curvatures, (n, K, K), would not fit into memory with many classes."""
    rows, shape = np.arange(given.size), start.shape
    wrong = noise / (shape[1] - 1)
    pull = np.full((shape[0], 1), penalty)
    pull[-1] = 1e-2  # of the bias: only so that classes without an image stay finite

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        weights = theta.reshape(shape)
        log_p = log_softmax(design @ weights, axis=1)
        likelihood = _log_likelihood(log_p[rows, given], noise, shape[1])
        # How far an annotation is believed: near 0 where the classifier is sure that it is wrong.
        believed = (1 - noise - wrong) * np.exp(log_p[rows, given] - likelihood)
        slope = np.exp(log_p) * believed[:, None]
        slope[rows, given] -= believed
        value = -likelihood.sum() + 0.5 * (pull * weights**2).sum()
        return float(value), (design.T @ slope + pull * weights).ravel()

    # At this tolerance the ranking of the annotations no longer moves (ten seeds of five flowers).
    how = {"maxiter": 200, "gtol": 1e-3, "ftol": 1e-8}
    return np.asarray(minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=how).x.reshape(shape))


def _calibrate(logits: FloatArray, given: IntArray) -> tuple[float, float, float]:
    """Find the noise and the sharpness (one over temperature) that the annotations themselves make likeliest.

    Returns
    -------
    loss, noise, sharpness : float
        The loss is minus the log-likelihood of the annotations, nats.
    """
    rows, n_classes = np.arange(given.size), logits.shape[1]

    def loss(theta: FloatArray) -> float:
        noise, sharpness = expit(theta[0]), np.exp(theta[1])
        kept = log_softmax(sharpness * logits, axis=1)[rows, given]
        met = PRIOR_COUNT[0] * np.log(noise) + PRIOR_COUNT[1] * np.log1p(-noise)
        return float(-_log_likelihood(kept, float(noise), n_classes).sum() - met)

    # Bounds: beyond a noise of one half an annotation would speak against its class; sharpness is for numbers' sake.
    bounds = [(logit(1e-6), 0.0), (-5.0, 5.0)]
    found = minimize(loss, [logit(FIRST_NOISE), 0.0], method="Nelder-Mead", bounds=bounds, options={"xatol": 1e-3})
    return float(found.fun), float(expit(found.x[0])), float(np.exp(found.x[1]))
