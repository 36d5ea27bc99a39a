"""How the AUC grows: with the trials of a calibration, and with repeated looks."""

from dataclasses import dataclass

import numpy as np

from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.classifier.measure import auc_interval
from brainloop.decoder.decoder import MIN_TARGETS
from brainloop.decoder.evaluation import score_folds
from brainloop.decoder.split import first_share
from brainloop.eeg.layout import Layout
from brainloop.errors import DecoderError

__all__ = ["Point", "calibration_curve", "looks_curve"]

SHARE = 0.5
"""Of the trials, in time, that may train; the rest is tested, the same at every point."""

MIN_GROUPS = 5
"""Targets left after looks are grouped: the AUC of fewer is that of single ones."""


@dataclass(frozen=True)
class Point:
    """AUC at one abscissa, with its 95 % interval.

    Attributes
    ----------
    x : int
        Calibration trials, or looks.
    n_targets, n_nontargets : int
        Tested: trials, or groups of looks.
    auc, low, high : float
        Area under the ROC curve.
    """

    x: int
    n_targets: int
    n_nontargets: int
    auc: float
    low: float
    high: float


def calibration_curve(
    X: FloatArray,
    is_target: BoolArray,
    onsets: FloatArray,
    runs: IntArray,
    *,
    purge: float,
    method: str,
    random_state: int = 0,
    layout: Layout | None = None,
    n_points: int = 5,
    progress: Progress = no_progress,
) -> list[Point]:
    """Train on more and more of a recording's first half, and test on the second.

    Parameters
    ----------
    X : array of shape (n, n_channels, n_times)
        Usable epochs, V.
    is_target : bool array of shape (n,)
        Whether each showed a target.
    onsets : array of shape (n,)
        Within the run, s.
    runs : int array of shape (n,)
        Index of the run.
    purge : float
        Length of an epoch, s: none that overlaps the second half trains.
    method, random_state
        See `BrainDecoder`.
    layout : Layout, optional
        Of the epochs.
    n_points : int
        At most; their numbers of trials grow by one factor from the fewest that hold 20 targets to all of the half.
    progress : Progress
        Called with (points done, points).

    Returns
    -------
    list of Point
        Over the number of trials trained on, the first ones in time; intervals are a bootstrap over the tested trials.

    Raises
    ------
    DecoderError
        If the first half has fewer than 20 targets, or the second lacks a class.
    """
    train, rest = first_share(onsets, runs, share=SHARE, purge=purge)
    targets, tested = np.cumsum(is_target[train]), int(is_target[rest].sum())
    if not targets.size or targets[-1] < MIN_TARGETS or not 0 < tested < len(rest):
        raise DecoderError(
            f"expected {MIN_TARGETS} targets or more in the first half of the trials and both classes in the second, "
            f"got {int(targets[-1]) if targets.size else 0}, and {tested} targets among {len(rest)}: "
            "record more to see how calibration grows"
        )
    fewest = int(np.searchsorted(targets, MIN_TARGETS)) + 1
    sizes = np.unique(np.geomspace(fewest, len(train), n_points).round().astype(int)).tolist()
    points = []
    for number, size in enumerate(sizes):
        progress(number, len(sizes))
        scored = score_folds(
            X, is_target, onsets, runs, [(train[:size], rest)], method=method, random_state=random_state, layout=layout
        )
        points.append(Point(size, tested, len(rest) - tested, *auc_interval(scored.is_target, scored.score)))
    progress(len(sizes), len(sizes))
    return points


def looks_curve(
    evidence: FloatArray, is_target: BoolArray, *, most: int = 10, n_draws: int = 20, seed: int = 0
) -> list[Point]:
    """Add up the evidence of several trials of a class, as though they were looks at one image.

    Parameters
    ----------
    evidence : array of shape (n,)
        Of single trials that the decoder was not trained on, nats.
    is_target : bool array of shape (n,)
        Whether each showed a target.
    most : int
        Looks at most; fewer where under 5 groups of a class would be left.
    n_draws : int
        Times that the trials are dealt into groups, without replacement.
    seed : int
        Of the dealing.

    Returns
    -------
    list of Point
        Over the number of looks: AUC and ends of its bootstrap interval over groups, each the mean over the draws.
    """
    rng = np.random.default_rng(seed)
    classes = evidence[is_target], evidence[~is_target]
    points = []
    for looks in range(1, most + 1):
        sizes = [len(members) // looks for members in classes]
        if min(sizes) < MIN_GROUPS:
            break
        truth = np.repeat([True, False], sizes)
        measured = []
        for _ in range(n_draws if looks > 1 else 1):
            sums = [
                rng.permutation(members)[: size * looks].reshape(size, looks).sum(axis=1)
                for members, size in zip(classes, sizes, strict=True)
            ]
            measured.append(auc_interval(truth, np.concatenate(sums), n_resamples=200))
        points.append(Point(looks, *sizes, *np.mean(measured, axis=0).tolist()))
    return points
