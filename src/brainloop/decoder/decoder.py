"""The brainwave decoder: an ensemble of members, blended, then calibrated to evidence."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin

from brainloop._blas import one_thread
from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.classifier.measure import auc_interval
from brainloop.decoder.clipping import SOFT_LIMIT, soft_clip
from brainloop.decoder.members import MEMBERS, METHODS, SOFTLY_CLIPPED, Fold, Model
from brainloop.decoder.split import in_blocks
from brainloop.eeg.layout import Layout
from brainloop.errors import DecoderError, SettingsError
from brainloop.evidence import Calibration, Method

__all__ = ["MIN_TARGETS", "N_BLOCKS", "PURGED", "BrainDecoder", "contributions", "in_time"]

MIN_TARGETS = 20
"""Fewer give neither a mean response (its signal-to-noise grows with their square root) nor a calibration."""

N_BLOCKS = 5
"""Blocks in time for the out-of-fold scores: four fifths train each, close to what the final members have."""

PURGED = 0.9
"""Trials whose onsets are nearer than this share an epoch's samples, s."""

UNIT_RATIO = 100.0
"""People and amplifiers differ by a factor of ten; millivolts and volts by a thousand."""

PURGED_TRIALS = 9
"""The same in trials, where onsets are not known: 0.9 s at ten a second, the fastest there is."""


class BrainDecoder(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Single-trial EEG to evidence: the talk's "brainwaves classification network", as a scikit-learn classifier.

    Every member is trained on all trials and, for the calibration, five times on four fifths of them: the trials are
    split in contiguous blocks in time, and each block is scored by members that saw neither it nor what overlaps it.
    Scores are standardised by those out-of-fold scores, member by member, and averaged with equal weights, which few
    trials cannot better; the blend is calibrated to evidence on them too.

    Parameters
    ----------
    method : str
        Name in `brainloop.decoder.members.METHODS`: "ensemble", or one of the baselines.
    calibration : {"platt", "isotonic", "beta"}
        How scores become evidence.
    random_state : int
        Of the networks' first weights, batches and dropout.

    Attributes
    ----------
    classes_ : array of shape (2,)
        Labels of non-targets and targets, as `y` has them; [0, 1] for soft ones.
    members_ : dict of Model
        Trained on all trials, by name.
    centre_, spread_ : dict of float
        Mean and standard deviation of each member's out-of-fold scores.
    calibration_ : Calibration
        From score to evidence.
    held_out_ : array of shape (n_held_out,)
        Out-of-fold score of each trial that a fold holds out, in order: after `fit`, of all.
    auc_, auc_low_ : float
        Area under the ROC curve of the out-of-fold scores, and the lower end of its 95 % bootstrap interval.
    contributions_ : dict of dict
        Of each member, by name: `auc`, that of its own out-of-fold scores, and `without`, that of the blend without it
        (None for a single member).
    prevalence_ : float
        Share of targets among the trials.
    scale_ : float
        Root mean square of the training epochs, V where those were in V.
    layout_ : Layout or None
        What `fit` was given.
    limits_ : array of shape (n_channels,) or None
        Where each channel is softly clipped, see `brainloop.decoder.clipping`; None for single decoders.
    alignment_ : array of shape (n_channels, n_channels) or None
        What is done to epochs before all else: see `brainloop.decoder.transfer`.
    n_targets_, n_nontargets_ : int
        Trials of each class that count.

    Notes
    -----
    Epochs may come in any one unit: scores do not depend on it. Evidence is in nats.
    """

    def __init__(self, method: str = "ensemble", calibration: Method = "platt", random_state: int = 0) -> None:
        self.method = method
        self.calibration = calibration
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        onsets: ArrayLike | None = None,
        runs: ArrayLike | None = None,
        layout: Layout | None = None,
        progress: Progress = no_progress,
    ) -> Self:
        """Train and calibrate.

        Parameters
        ----------
        X : array of shape (n, n_channels, n_times)
            Epochs in the order they were recorded, without those that were rejected.
        y : array of shape (n,)
            Two labels, of which the greater is the target's; or, as floats in [0, 1], the probability that a target
            was shown (soft labels).
        groups : array of shape (n,), optional
            Image of each trial: no image is then on both sides of an out-of-fold split.
        sample_weight : array of shape (n,), optional
            How many trials each counts for.
        onsets : array of shape (n,), optional
            Within the run, s. Where left out, nine trials at each edge of a fold are left out of training.
        runs : int array of shape (n,), optional
            Index of the run; one run where left out.
        layout : Layout, optional
            Channels, rate, window and band of the epochs: kept, and held against those of epochs to score.
        progress : Progress
            Called with (members trained, members).

        Returns
        -------
        BrainDecoder
            Itself.

        Raises
        ------
        DecoderError
            If there are fewer than 20 targets or non-targets, an epoch is rejected or holds NaN, a channel is
            constant, or shapes do not fit.
        SettingsError
            If the method or the calibration is unknown.
        """
        X = _epochs(X)
        classes, soft = _soft_labels(y)
        weight = np.ones(len(soft)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        _check_trials(X, soft, weight, layout)
        times, run = in_time(len(X), onsets, runs)
        folds = _folds(times, run, soft, weight, None if groups is None else np.asarray(groups))
        self.fit_folds(X, soft, weight, folds, layout=layout, progress=progress)
        self.classes_ = classes
        return self

    def fit_folds(
        self,
        X: FloatArray,
        y: FloatArray,
        weight: FloatArray,
        folds: Sequence[Fold],
        *,
        layout: Layout | None = None,
        alignment: FloatArray | None = None,
        progress: Progress = no_progress,
    ) -> Self:
        """Train every member for every fold and on all trials; calibrate on the trials that folds hold out.

        Parameters
        ----------
        X : array of shape (n, n_channels, n_times)
            Epochs, aligned.
        y, weight : arrays of shape (n,)
            Probability of a target, and weight, of each trial.
        folds : sequence of (train, test)
            Indices; no trial is in two test parts, and 20 targets and non-targets are in one.
        layout : Layout, optional
            See `fit`.
        alignment : array of shape (n_channels, n_channels), optional
            Map of epochs to score into the space of `X`; the identity where left out.
        progress : Progress
            See `fit`.

        Returns
        -------
        BrainDecoder
            Itself.
        """
        if self.method not in METHODS:
            raise SettingsError(f"expected a method among {', '.join(METHODS)}, got {self.method!r}")
        _check_trials(X, y, weight, layout)
        self.classes_ = np.array([0, 1])
        self.alignment_ = alignment
        self.layout_ = layout
        self.shape_ = X.shape[1:]
        self.scale_ = float(np.sqrt((X**2).mean()))
        held_out = np.concatenate([test for _, test in folds])
        self.prevalence_ = float(np.average(y[held_out], weights=weight[held_out]))
        self.n_targets_ = round(float(y[weight > 0].sum()))
        self.n_nontargets_ = int((weight > 0).sum()) - self.n_targets_
        names = METHODS[self.method]
        self.limits_ = SOFT_LIMIT * np.sqrt((X**2).mean(axis=(0, 2))) if self.method in SOFTLY_CLIPPED else None
        X = self._scaled(X)
        models = self._train(X, y, weight, folds, progress)
        self.members_: dict[str, Model] = {name: models[name][-1] for name in names}
        columns = np.empty((len(held_out), len(names)))
        with one_thread():
            for number, name in enumerate(names):
                pairs = zip(folds, models[name], strict=False)
                columns[:, number] = np.concatenate([model.score(X[test]) for (_, test), model in pairs])
        centre = np.average(columns, axis=0, weights=weight[held_out])
        spread = np.sqrt(np.average((columns - centre) ** 2, axis=0, weights=weight[held_out])) + 1e-12
        self.centre_ = dict(zip(names, centre.tolist(), strict=True))
        self.spread_ = dict(zip(names, spread.tolist(), strict=True))
        columns = ((columns - centre) / spread)[np.argsort(held_out)]  # in the order of the trials
        held_out = np.sort(held_out)
        self.held_out_ = columns.mean(axis=1)
        # Of mean 1: a person's own trials, which weigh more than others', are still no more than they are.
        counted = weight[held_out] / weight[held_out].mean()
        self.calibration_ = Calibration.fit(self.held_out_, y[held_out], self.calibration, counted)
        there = counted > 0
        likely = _likely(y[held_out][there])
        self.auc_, self.auc_low_, _ = auc_interval(likely, self.held_out_[there])
        self.contributions_ = contributions(dict(zip(names, columns[there].T, strict=True)), likely)
        return self

    def _train(
        self, X: FloatArray, y: FloatArray, weight: FloatArray, folds: Sequence[Fold], progress: Progress
    ) -> dict[str, Sequence[Model]]:
        """Train all members, two at a time: each by itself is too small for two processors."""
        names = METHODS[self.method]
        progress(0, len(names))
        with one_thread(), ThreadPoolExecutor(2) as pool:
            seed = self.random_state
            training = {name: pool.submit(MEMBERS[name], X, y, weight, folds, seed=seed) for name in names}
            for done, _ in enumerate(as_completed(training.values()), 1):
                progress(done, len(names))
            return {name: one.result() for name, one in training.items()}

    def decision_function(self, X: ArrayLike, layout: Layout | None = None) -> FloatArray:
        """Score usable epochs.

        Parameters
        ----------
        X : array of shape (n, n_channels, n_times)
            Epochs, cut as those of `fit` and in the same unit; without those that were rejected.
        layout : Layout, optional
            Of these epochs: channels are then found by name, and another rate, window or band is refused. Needed
            where the decoder was trained with one and the channels are in another order.

        Returns
        -------
        array of shape (n,)
            Mean of the members' standardised scores; higher means more like a target.

        Raises
        ------
        DecoderError
            If the decoder is not trained; or the epochs have another shape, layout or unit, are rejected ones, or
            hold NaN.
        """
        return self._blend(self.member_scores(X, layout))

    def member_scores(self, X: ArrayLike, layout: Layout | None = None) -> dict[str, FloatArray]:
        """Score usable epochs by every member, each standardised, shape (n,); see `decision_function`."""
        if not hasattr(self, "calibration_"):
            raise DecoderError("this decoder is not trained: call fit first")
        X = self._scaled(self._checked(_epochs(X), layout))
        with one_thread():
            return {
                name: (model.score(X) - self.centre_[name]) / self.spread_[name] if len(X) else np.zeros(0)
                for name, model in self.members_.items()
            }

    def evidence(self, X: ArrayLike, layout: Layout | None = None) -> FloatArray:
        """Give the evidence of usable epochs, nats, shape (n,); see `decision_function`."""
        scores = self.decision_function(X, layout)
        return self.calibration_.evidence(scores)

    def predict_proba(self, X: ArrayLike, layout: Layout | None = None) -> FloatArray:
        """Give the probabilities of both classes at the prevalence of the training trials, shape (n, 2)."""
        target = expit(self.evidence(X, layout) + logit(self.prevalence_))
        return np.stack([1 - target, target], axis=1)

    def predict(self, X: ArrayLike, layout: Layout | None = None) -> Any:
        """Give the label that each epoch speaks for: the target's where its evidence is positive, shape (n,).

        The prior is left out, as in the talk's score: at 10 % targets, the likelier label is nearly always "no".
        """
        return self.classes_[(self.evidence(X, layout) > 0).astype(int)]

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Measure the area under the ROC curve: an accuracy would praise whoever never sees a target."""
        from sklearn.metrics import roc_auc_score

        truth = np.asarray(y) == self.classes_[1]
        return float(roc_auc_score(truth, self.decision_function(X), sample_weight=sample_weight))

    def _blend(self, scores: Mapping[str, FloatArray]) -> FloatArray:
        return np.asarray(np.mean(list(scores.values()), axis=0))

    def _scaled(self, X: FloatArray) -> FloatArray:
        """Clip softly where the method does, and bring to about unit variance."""
        return (X if self.limits_ is None else soft_clip(X, self.limits_)) / self.scale_

    def _checked(self, X: FloatArray, layout: Layout | None) -> FloatArray:
        if layout is not None and self.layout_ is not None:
            places = self.layout_.places(layout)
            if X.shape[1] != len(layout.channels):
                raise DecoderError(
                    f"expected epochs of {len(layout.channels)} channels, as their layout says, got an array of shape "
                    f"{X.shape}: give the layout of these very epochs"
                )
            X = X[:, places]
        if X.shape[1:] != self.shape_:
            raise DecoderError(
                f"expected epochs of {self.shape_[0]} channels x {self.shape_[1]} samples, as in training, got an "
                f"array of shape {X.shape}: cut them with the same channels, sampling rate and window"
            )
        if len(X) == 0:
            return X
        _check_values(X)
        if self.alignment_ is not None:
            X = self.alignment_ @ X
        ratio = float(np.sqrt((X**2).mean())) / self.scale_
        if not 1 / UNIT_RATIO < ratio < UNIT_RATIO:
            raise DecoderError(
                f"expected epochs of about the size of those of training ({self.scale_:.2g} root mean square), got "
                f"{ratio * self.scale_:.2g}: give them in the same unit, volts for instance"
            )
        return X


def _epochs(X: ArrayLike) -> FloatArray:
    X = np.asarray(X, dtype=float)
    if X.ndim != 3:
        raise DecoderError(f"expected epochs of shape (n, n_channels, n_times), got an array of shape {X.shape}")
    return X


def _soft_labels(y: ArrayLike) -> tuple[Any, FloatArray]:
    """Give the two labels, and the probability of a target a trial."""
    y = np.asarray(y)
    if y.ndim != 1:
        raise DecoderError(f"expected one label a trial, got an array of shape {y.shape}")
    if y.dtype.kind == "f" and ((y > 0) & (y < 1)).any():
        if not ((y >= 0) & (y <= 1)).all():
            raise DecoderError(f"expected soft labels from 0 to 1, got {y.min():g} to {y.max():g}")
        return np.array([0, 1]), y.astype(float)
    classes = np.unique(y)
    if len(classes) != 2:
        raise DecoderError(
            f"expected trials of two classes, got {len(classes)}: {', '.join(map(repr, classes[:5].tolist()))}; a "
            f"calibration needs {MIN_TARGETS} targets or more among non-targets"
        )
    return classes, (y == classes[1]).astype(float)


def _likely(soft: FloatArray) -> BoolArray:
    """Call a trial a target, for an AUC; soft labels that never reach one half are parted at their mean."""
    called = soft >= 0.5
    return called if 0 < called.sum() < len(called) else soft > soft.mean()


def in_time(n: int, onsets: ArrayLike | None, runs: ArrayLike | None) -> tuple[FloatArray, IntArray]:
    """Give onsets and runs of `n` trials; where unknown, as though they came at the fastest rate in one run."""
    times = np.arange(n) * (PURGED / (PURGED_TRIALS + 0.5)) if onsets is None else np.asarray(onsets, dtype=float)
    run = np.zeros(n, dtype=int) if runs is None else np.asarray(runs)
    if not len(times) == len(run) == n:
        raise DecoderError(f"expected an onset and a run for each of {n} epochs, got {len(times)} and {len(run)}")
    return times, run


def _folds(onsets: FloatArray, runs: IntArray, soft: FloatArray, weight: FloatArray, groups: Any | None) -> list[Fold]:
    if groups is not None and len(groups) != len(soft):
        raise DecoderError(f"expected a group for each of {len(soft)} epochs, got {len(groups)}")
    folds = []
    for train, test in in_blocks(onsets, runs, n_blocks=N_BLOCKS, purge=PURGED):
        kept = train if groups is None else train[~np.isin(groups[train], groups[test])]
        targets, others = weight[kept] @ soft[kept], weight[kept] @ (1 - soft[kept])
        if not (targets >= 1 and others >= 1):
            raise DecoderError(
                f"{targets:.0f} targets among the {len(kept)} trials outside one of {N_BLOCKS} blocks in time: "
                "spread the targets over the whole calibration, and the images over its targets"
            )
        folds.append((kept, test))
    return folds


def contributions(members: Mapping[str, FloatArray], is_target: BoolArray) -> dict[str, dict[str, Any]]:
    """Give each member's AUC alone (`auc`), and that of the blend `without` it (None for a single member)."""
    from sklearn.metrics import roc_auc_score

    total = np.sum(list(members.values()), axis=0)
    return {
        name: {
            "auc": float(roc_auc_score(is_target, scores)),
            "without": float(roc_auc_score(is_target, total - scores)) if len(members) > 1 else None,
        }
        for name, scores in members.items()
    }


def _check_trials(X: FloatArray, soft: FloatArray, weight: FloatArray, layout: Layout | None) -> None:
    if not len(X) == len(soft) == len(weight):
        raise DecoderError(
            f"expected a label and a weight for each epoch, got {len(X)} epochs, {len(soft)} labels and {len(weight)} "
            "weights"
        )
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise DecoderError("expected finite weights of 0 or more")
    if layout is not None and X.shape[1:] != (len(layout.channels), layout.n_times):
        raise DecoderError(
            f"expected epochs of {len(layout.channels)} channels x {layout.n_times} samples, as the layout says, got "
            f"an array of shape {X.shape}"
        )
    counted = weight > 0
    counts = {"targets": float(soft[counted].sum()), "non-targets": float((1 - soft[counted]).sum())}
    few = {what: count for what, count in counts.items() if count < MIN_TARGETS}
    if few:
        missing = min(few, key=few.__getitem__)
        raise DecoderError(
            f"training needs {MIN_TARGETS} usable epochs of each class or more, got {counts['targets']:.0f} targets "
            f"and {counts['non-targets']:.0f} non-targets: show {MIN_TARGETS - few[missing]:.0f} more {missing}, or "
            "see why epochs were rejected"
        )
    _check_values(X)
    constant = np.flatnonzero(np.ptp(X, axis=2).max(axis=0) == 0)
    if len(constant):
        names = [layout.channels[k] if layout else f"number {k}" for k in constant]
        raise DecoderError(
            f"the channel{'s' if len(names) > 1 else ''} {', '.join(names)} never change{'' if len(names) > 1 else 's'}"
            ": see to the electrode, and leave the channel out"
        )


def _check_values(X: FloatArray) -> None:
    """Refuse what would be scored without meaning: NaN, and the zeros that stand for a rejected epoch."""
    broken = np.flatnonzero(~np.isfinite(X).all(axis=(1, 2)))
    if len(broken):
        raise DecoderError(
            f"expected finite epochs, got NaN or infinity in {len(broken)} of {len(X)}, the first at index "
            f"{broken[0]}: reject them before they come here"
        )
    empty = np.flatnonzero(~X.any(axis=(1, 2)))
    if len(empty):
        raise DecoderError(
            f"got only zeros in {len(empty)} of {len(X)} epochs, the first at index {empty[0]}: "
            "those are rejected epochs; leave them out (a rejected epoch has evidence 0)"
        )
