"""A decoder: a pipeline trained on a person's epochs, and the calibration of its scores to evidence."""

from typing import Any

import numpy as np

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.classifier.measure import auc_interval
from brainloop.decoder.pipelines import PIPELINES
from brainloop.decoder.split import in_blocks
from brainloop.errors import DecoderError, SettingsError
from brainloop.evidence import Calibration, Method

__all__ = ["Decoder"]

MIN_TARGETS = 20
"""Fewer give neither a mean response (its signal-to-noise grows with their square root) nor a calibration."""

N_BLOCKS = 5
"""Blocks in time for the out-of-fold scores: four fifths train each, close to what the final one has."""


class Decoder:
    """Epochs to scores to evidence, for one person.

    The calibration is learned on out-of-fold scores: the trials are split in five contiguous blocks in
    time, and each block is scored by a pipeline trained on the others without the epochs that overlap it.
    The pipeline that is kept is trained on all.

    Parameters
    ----------
    pipeline : {"xdawn_ts", "lda"}
        Name in `brainloop.decoder.pipelines.PIPELINES`.
    calibration : {"platt", "isotonic", "beta"}
        How scores become evidence.
    epoch : float
        Length of an epoch, s; what `Signal.duration` says.

    Attributes
    ----------
    pipeline_ : sklearn.pipeline.Pipeline
        Trained on all trials.
    calibration_ : Calibration
        From score to evidence.
    held_out_ : array of shape (n,)
        Out-of-fold score of each training trial.
    auc_, auc_low_ : float
        Area under the ROC curve of the out-of-fold scores, and the lower end of its 95 % bootstrap interval.
    shape_ : tuple of int
        (n_channels, n_times) of an epoch.
    n_targets_, n_nontargets_ : int
        Training trials of each class.
    """

    def __init__(self, pipeline: str = "xdawn_ts", calibration: Method = "platt", epoch: float = 0.9) -> None:
        self.pipeline = pipeline
        self.calibration = calibration
        self.epoch = epoch

    def fit(
        self,
        X: FloatArray,
        is_target: BoolArray,
        *,
        onsets: FloatArray,
        runs: IntArray | None = None,
        groups: IntArray | None = None,
    ) -> "Decoder":
        """Train and calibrate on usable epochs.

        Parameters
        ----------
        X : array of shape (n, n_channels, n_times)
            Epochs, V; without those that were rejected.
        is_target : bool array of shape (n,)
            Whether a target was shown.
        onsets : array of shape (n,)
            Within the run, s.
        runs : int array of shape (n,), optional
            Index of the run; one run where left out.
        groups : int array of shape (n,), optional
            Image of each trial: no image is then on both sides of an out-of-fold split.

        Returns
        -------
        Decoder
            Itself.

        Raises
        ------
        DecoderError
            If there are fewer than 20 targets or non-targets, or an epoch is rejected or holds NaN, or the
            shapes do not fit.
        SettingsError
            If the pipeline or the calibration is unknown.
        """
        if self.pipeline not in PIPELINES:
            raise SettingsError(f"expected a pipeline among {', '.join(PIPELINES)}, got {self.pipeline!r}")
        X = np.asarray(X, dtype=float)
        y = np.asarray(is_target, dtype=bool)
        onsets = np.asarray(onsets, dtype=float)
        runs = np.zeros(len(y), dtype=int) if runs is None else np.asarray(runs)
        _check_trials(X, y, onsets, runs, groups)
        held_out = np.full(len(y), np.nan)
        for train, test in in_blocks(onsets, runs, n_blocks=N_BLOCKS, purge=self.epoch):
            if groups is not None:
                train = train[~np.isin(np.asarray(groups)[train], np.asarray(groups)[test])]
            if not 0 < y[train].sum() < len(train):
                raise DecoderError(
                    f"{int(y[train].sum())} targets among the {len(train)} trials outside one of "
                    f"{N_BLOCKS} blocks in time: "
                    "spread the targets over the whole calibration, and the images over its targets"
                )
            held_out[test] = PIPELINES[self.pipeline]().fit(X[train], y[train]).decision_function(X[test])
        self.calibration_ = Calibration.fit(held_out, y, method=self.calibration)
        self.pipeline_: Any = PIPELINES[self.pipeline]().fit(X, y)
        self.held_out_ = held_out
        self.auc_, self.auc_low_, _ = auc_interval(y, held_out)
        self.shape_ = (X.shape[1], X.shape[2])
        self.n_targets_, self.n_nontargets_ = int(y.sum()), int((~y).sum())
        return self

    def score(self, X: FloatArray) -> FloatArray:
        """Score usable epochs.

        Parameters
        ----------
        X : array of shape (n, n_channels, n_times)
            Epochs, V, cut as those of `fit`; without those that were rejected.

        Returns
        -------
        array of shape (n,)
            Decision value; higher means more like a target.

        Raises
        ------
        DecoderError
            If the decoder is not trained, the epochs have another shape, are rejected ones, or hold NaN.
        """
        if not hasattr(self, "pipeline_"):
            raise DecoderError("this decoder is not trained: call fit first")
        X = np.asarray(X, dtype=float)
        if X.ndim != 3 or X.shape[1:] != self.shape_:
            raise DecoderError(
                f"expected epochs of {self.shape_[0]} channels x {self.shape_[1]} samples, as in "
                "training, got an array of shape "
                f"{X.shape}: cut them with the same channels, sampling rate and window"
            )
        if len(X) == 0:
            return np.zeros(0)
        _check_values(X)
        return np.asarray(self.pipeline_.decision_function(X), dtype=float)

    def evidence(self, scores: FloatArray) -> FloatArray:
        """Turn scores into evidence.

        Parameters
        ----------
        scores : array of shape (n,)
            From `score`.

        Returns
        -------
        array of shape (n,)
            Evidence, nats.

        Raises
        ------
        DecoderError
            If the decoder is not trained, or a score is not finite.
        """
        if not hasattr(self, "calibration_"):
            raise DecoderError("this decoder is not calibrated: call fit first")
        scores = np.asarray(scores, dtype=float)
        if not np.isfinite(scores).all():
            raise DecoderError(f"expected finite scores, got {int((~np.isfinite(scores)).sum())} that are not")
        return self.calibration_.evidence(scores)


def _check_trials(X: FloatArray, y: BoolArray, onsets: FloatArray, runs: IntArray, groups: IntArray | None) -> None:
    if X.ndim != 3 or not len(X) == len(y) == len(onsets) == len(runs):
        raise DecoderError(
            f"expected n epochs of shape (n, n_channels, n_times) with n labels, onsets and runs, got shapes "
            f"{X.shape}, {y.shape}, {onsets.shape}, {runs.shape}"
        )
    if groups is not None and len(groups) != len(y):
        raise DecoderError(f"expected a group for each of {len(y)} epochs, got {len(groups)}")
    counts = {"targets": int(y.sum()), "non-targets": int((~y).sum())}
    few = {what: count for what, count in counts.items() if count < MIN_TARGETS}
    if few:
        raise DecoderError(
            f"training needs {MIN_TARGETS} usable epochs of each class or more, got {counts['targets']} "
            "targets and "
            f"{counts['non-targets']} non-targets: show {MIN_TARGETS - min(few.values())} more "
            f"{min(few, key=few.__getitem__)}, "
            "or see why epochs were rejected"
        )
    _check_values(X)


def _check_values(X: FloatArray) -> None:
    """Refuse what would be scored without meaning: NaN, and the zeros that stand for a rejected epoch."""
    broken = np.flatnonzero(~np.isfinite(X).all(axis=(1, 2)))
    if len(broken):
        raise DecoderError(
            f"expected finite epochs, got NaN or infinity in {len(broken)} of {len(X)}, the first at "
            f"index {broken[0]}: "
            "reject them before they come here"
        )
    empty = np.flatnonzero(~X.any(axis=(1, 2)))
    if len(empty):
        raise DecoderError(
            f"got only zeros in {len(empty)} of {len(X)} epochs, the first at index {empty[0]}: "
            "those are rejected epochs; leave them out (a rejected epoch has evidence 0)"
        )
