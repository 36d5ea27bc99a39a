"""How good a decoder is on trials it was not trained on: separation, calibration, seconds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.classifier.measure import auc_interval
from brainloop.decoder.decoder import BrainDecoder
from brainloop.decoder.members import Fold
from brainloop.eeg.layout import Layout
from brainloop.errors import DecoderError

__all__ = [
    "SPLITS",
    "Ece",
    "Scored",
    "balanced_accuracy",
    "ece",
    "ece_interval",
    "score_folds",
    "score_trials",
    "scoring_ms",
]

SPLITS = ("blocks", "time", "session", "person")
"""What may be held out: blocks in time, the later part, a session, a person."""

N_BINS = 15
"""Of equal mass; the number that Guo et al. (2017) made customary."""

N_TIMED = 20
"""Epochs that are scored one at a time, to take the time."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Trials with the scores of decoders that were trained on others.

    Attributes
    ----------
    trials : int array of shape (n,)
        Index of each trial, in the order it was scored: fold after fold.
    is_target : bool array of shape (n,)
        Whether each showed a target.
    score : array of shape (n,)
        Standardised by the out-of-fold scores of its own decoder, so that those of several folds can be pooled.
    evidence : array of shape (n,)
        Nats.
    probability : array of shape (n,)
        Of a target, at the prevalence of its decoder's training trials.
    members : dict of array of shape (n,)
        Standardised score of each member, by name.
    fit_s : float
        Mean time of a fit with its calibration, s.
    score_ms : float
        Median time from one epoch to its evidence, ms.
    """

    trials: IntArray
    is_target: BoolArray
    score: FloatArray
    evidence: FloatArray
    probability: FloatArray
    members: dict[str, FloatArray]
    fit_s: float
    score_ms: float

    def summary(self) -> dict[str, Any]:
        """Measure the trials, ready for JSON.

        Returns
        -------
        dict
            `n`, `n_targets`; `auc` and its 95 % interval `ci`; `balanced_accuracy` at evidence above 0; `ece`, its
            95 % interval `ece_ci`, and `ece_chance`, what a perfectly calibrated decoder would show on so many
            trials; `members`, the AUC of each alone, where there are several.

        Raises
        ------
        DecoderError
            If a class is missing.
        """
        n_targets = int(self.is_target.sum())
        if not 0 < n_targets < self.is_target.size:
            raise DecoderError(
                f"expected scored trials of both classes, got {n_targets} targets among {self.is_target.size}: "
                "test on a longer part of the recording"
            )
        auc = auc_interval(self.is_target, self.score)
        calibration = ece_interval(self.probability, self.is_target)
        figures = {
            "n": int(self.is_target.size),
            "n_targets": n_targets,
            "auc": auc.value,
            "ci": [auc.low, auc.high],
            "balanced_accuracy": balanced_accuracy(self.evidence, self.is_target),
            "ece": calibration.value,
            "ece_ci": [calibration.low, calibration.high],
            "ece_chance": calibration.chance,
        }
        if len(self.members) > 1:
            alone = {name: auc_interval(self.is_target, score).value for name, score in self.members.items()}
            figures["members"] = alone
        return figures


class Ece(NamedTuple):
    """Expected calibration error, its 95 % bootstrap interval, and what perfect calibration would show by chance."""

    value: float
    low: float
    high: float
    chance: float


def score_folds(
    X: FloatArray,
    y: BoolArray,
    onsets: FloatArray,
    runs: IntArray,
    folds: Sequence[Fold],
    *,
    method: str,
    random_state: int = 0,
    layout: Layout | None = None,
    progress: Progress = no_progress,
) -> Scored:
    """Train a decoder for each fold, and score what the fold holds out.

    Each decoder is calibrated on out-of-fold scores of its own training trials: nothing of what it is tested on is
    known to it.

    Parameters
    ----------
    X : array of shape (n, n_channels, n_times)
        Usable epochs, V.
    y : bool array of shape (n,)
        Whether each showed a target.
    onsets : array of shape (n,)
        Within the run, s.
    runs : int array of shape (n,)
        Index of the run.
    folds : sequence of (train, test)
        Indices in time, one pair or more, as `brainloop.decoder.split` gives them.
    method : str
        Name in `brainloop.decoder.members.METHODS`.
    random_state : int
        See `BrainDecoder`.
    layout : Layout, optional
        Of the epochs.
    progress : Progress
        Called with (folds done, folds).

    Returns
    -------
    Scored
        All that the folds hold out.

    Raises
    ------
    DecoderError
        If a fold has too few trials to train on; see `BrainDecoder.fit`.
    SettingsError
        If the method is unknown.
    """
    parts = []
    for number, (train, test) in enumerate(folds):
        progress(number, len(folds))
        decoder = BrainDecoder(method, random_state=random_state)
        begun = perf_counter()
        decoder.fit(X[train], y[train], onsets=onsets[train], runs=runs[train], layout=layout)
        parts.append(score_trials(decoder, X, y, test, fit_s=perf_counter() - begun, layout=layout))
    progress(len(folds), len(folds))
    return Scored(
        trials=np.concatenate([part.trials for part in parts]),
        is_target=np.concatenate([part.is_target for part in parts]),
        score=np.concatenate([part.score for part in parts]),
        evidence=np.concatenate([part.evidence for part in parts]),
        probability=np.concatenate([part.probability for part in parts]),
        members={name: np.concatenate([part.members[name] for part in parts]) for name in parts[0].members},
        fit_s=float(np.mean([part.fit_s for part in parts])),
        score_ms=float(np.median([part.score_ms for part in parts])),
    )


def score_trials(
    decoder: BrainDecoder, X: FloatArray, y: BoolArray, trials: IntArray, *, fit_s: float, layout: Layout | None = None
) -> Scored:
    """Score trials by a trained decoder.

    Parameters
    ----------
    decoder : BrainDecoder
        Trained on other trials.
    X : array of shape (n, n_channels, n_times)
        Usable epochs, V.
    y : bool array of shape (n,)
        Whether each showed a target.
    trials : int array
        Indices of those to score, one or more.
    fit_s : float
        How long the training took, s.
    layout : Layout, optional
        Of the epochs.

    Returns
    -------
    Scored
        Of these trials, in this order.
    """
    tested = X[trials]
    members = decoder.member_scores(tested, layout)
    score = np.mean(list(members.values()), axis=0)
    evidence = decoder.calibration_.evidence(score)
    return Scored(
        trials=trials,
        is_target=np.asarray(y, dtype=bool)[trials],
        score=score,
        evidence=evidence,
        probability=np.asarray(expit(evidence + logit(decoder.prevalence_))),
        members=members,
        fit_s=fit_s,
        score_ms=scoring_ms(partial(decoder.evidence, layout=layout), tested),
    )


def scoring_ms(evidence: Callable[[FloatArray], FloatArray], X: FloatArray) -> float:
    """Take the time from one epoch to its evidence.

    Parameters
    ----------
    evidence : callable
        Of a trained decoder.
    X : array of shape (n, n_channels, n_times)
        Usable epochs, one or more, V; they are scored one at a time.

    Returns
    -------
    float
        Median of twenty, ms.
    """
    times = []
    for epoch in X[np.arange(N_TIMED + 1) % len(X)]:
        begun = perf_counter()
        evidence(epoch[None])
        times.append(perf_counter() - begun)
    return 1000 * float(np.median(times[1:]))  # the first may load a library


def balanced_accuracy(evidence: ArrayLike, is_target: ArrayLike) -> float:
    """Mean of the shares of targets with evidence above 0 and of non-targets without; both classes must be there."""
    called, truth = np.asarray(evidence) > 0, np.asarray(is_target, dtype=bool)
    return float((called[truth].mean() + (~called[~truth]).mean()) / 2)


def ece(probability: ArrayLike, is_target: ArrayLike, n_bins: int = N_BINS) -> float:
    """Measure the expected calibration error, in bins of equal mass.

    Trials are sorted by probability and cut into bins of equal numbers; the error is the mean over trials of how far
    their bin's mean probability is from its share of targets.

    Parameters
    ----------
    probability : array of shape (n,)
        Of a target, for each trial.
    is_target : bool array of shape (n,)
        The truth.
    n_bins : int
        Number of bins; as many as there are trials where those are fewer.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    DecoderError
        If there is no trial, shapes differ, or a probability is not between 0 and 1.

    References
    ----------
    Naeini, Cooper and Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian binning", AAAI; bins
    of equal mass as in Nguyen and O'Connor (2015), "Posterior calibration and exploratory analysis for natural
    language processing models", EMNLP. Outcomes of tied probabilities are shared between them, so that the order of
    trials has no say.
    """
    p, y = _check(probability, is_target)
    return float(_ece(p, np.arange(p.size)[None], y[None], n_bins)[0])


def ece_interval(
    probability: ArrayLike, is_target: ArrayLike, n_bins: int = N_BINS, *, seed: int = 0, n_resamples: int = 1000
) -> Ece:
    """Measure the expected calibration error with a bootstrap over trials.

    The error is a sum of distances, which noise can only lengthen: on few trials even perfect probabilities seem
    miscalibrated (`chance`), and a resample, noisier than the sample, more so than the sample. That excess of the
    resamples' mean is taken off the interval.

    Parameters
    ----------
    probability, is_target, n_bins
        See `ece`.
    seed : int
        Of the resampling.
    n_resamples : int
        Bootstrap samples; fewer, though 200 or more, where there are more than 5,000 trials.

    Returns
    -------
    Ece
        Value, percentile interval less the bootstrap's bias (Efron and Tibshirani 1993, ch. 10), not below 0; and
        the mean of what the same probabilities show where they are true.

    Raises
    ------
    DecoderError
        As `ece`.
    """
    p, y = _check(probability, is_target)
    n_resamples = min(n_resamples, max(200, 5_000_000 // p.size))
    rng = np.random.default_rng(seed)
    value = ece(p, y, n_bins)
    drawn = rng.integers(0, p.size, (n_resamples, p.size))
    resampled = _ece(p, drawn, y[drawn], n_bins)
    low, high = np.maximum(np.quantile(resampled, [0.025, 0.975]) - (resampled.mean() - value), 0)
    same = np.broadcast_to(np.arange(p.size), drawn.shape)
    chance = _ece(p, same, rng.random(drawn.shape) < p, n_bins).mean()
    return Ece(value, float(low), float(high), float(chance))


def _ece(p: FloatArray, drawn: IntArray, y: BoolArray, n_bins: int) -> FloatArray:
    """Errors (n_samples,) of samples: indices into the probabilities `p`, and outcomes, both (n_samples, n)."""
    values, level = np.unique(p, return_inverse=True)
    levels = level[drawn]
    n_samples, n = levels.shape
    cell = (levels + values.size * np.arange(n_samples)[:, None]).ravel()
    counts = np.bincount(cell, minlength=n_samples * values.size)
    hits = np.bincount(cell, weights=y.ravel(), minlength=n_samples * values.size)
    excess = np.tile(values, n_samples) - hits / np.maximum(counts, 1)  # probability less share of targets
    in_order = np.repeat(excess, counts).reshape(n_samples, n)
    edges = [part[0] for part in np.array_split(np.arange(n), min(n_bins, n))]
    return np.asarray(np.abs(np.add.reduceat(in_order, edges, axis=1)).sum(axis=1) / n)


def _check(probability: ArrayLike, is_target: ArrayLike) -> tuple[FloatArray, BoolArray]:
    p, y = np.asarray(probability, dtype=float), np.asarray(is_target, dtype=bool)
    if p.ndim != 1 or p.shape != y.shape or not p.size:
        raise DecoderError(
            f"a calibration error expects one probability and one truth a trial; {p.shape} and {y.shape} came"
        )
    if not ((p >= 0) & (p <= 1)).all():
        raise DecoderError(f"a calibration error expects probabilities from 0 to 1; {p.min():g} to {p.max():g} came")
    return p, y
