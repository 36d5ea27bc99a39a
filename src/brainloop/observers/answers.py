"""Recordings, decoded once: the epochs that can answer presentations, each with its evidence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from brainloop._types import BoolArray, FloatArray, Progress, no_progress
from brainloop.classifier.measure import auc_interval
from brainloop.decoder.decoder import BrainDecoder
from brainloop.decoder.split import FIRST_SHARE, first_share
from brainloop.eeg.epochs import epoch_recording
from brainloop.eeg.erp import ERP, erp
from brainloop.eeg.layout import Layout
from brainloop.eeg.recordings import Recording
from brainloop.eeg.signal import Signal
from brainloop.errors import DecoderError, RecordingError, SettingsError
from brainloop.evidence import Calibration, Method, talk_score, youden
from brainloop.presentation.block import Response

__all__ = ["TRAINING_SHARE", "Answer", "Answers", "Decoded", "decode"]

TRAINING_SHARE = FIRST_SHARE
"""Share of a recording, in time, that trains and calibrates the decoder; the rest answers."""


@dataclass(frozen=True)
class Answer:
    """An epoch's response, kept with the class that evoked it."""

    is_target: bool
    response: Response


@dataclass(frozen=True, eq=False)
class Decoded:
    """One recording after its decoder.

    Parameters
    ----------
    epochs : tuple of Answer
        The epochs that answer, in time; rejected ones too.
    scores : array, shape (n_trials,)
        Held-out scores of the calibration trials.
    is_target : array of bool, shape (n_trials,)
        The truth of each calibration trial.
    calibration : Calibration
        From score to evidence, learned on those trials.
    facts : dict
        Name, trials, rates and AUCs, for a report; ready for JSON.
    erp : ERP
        Mean responses over all usable epochs.
    """

    epochs: tuple[Answer, ...]
    scores: FloatArray
    is_target: BoolArray
    calibration: Calibration
    facts: dict[str, Any]
    erp: ERP

    def degraded(self, noise: float, rng: np.random.Generator) -> "Decoded":
        """Decode worse; see `Answers.degraded`."""
        sd = noise * self.scores.std()
        held_out = self.scores + sd * rng.standard_normal(self.scores.size)
        calibration = Calibration.fit(held_out, self.is_target, self.calibration.method)
        scores = np.array([epoch.response.score for epoch in self.epochs])
        scores += sd * rng.standard_normal(scores.size)
        usable = np.array([epoch.response.rejected is None for epoch in self.epochs], dtype=bool)
        evidence = np.zeros(scores.size)
        evidence[usable] = calibration.evidence(scores[usable])
        epochs = tuple(
            replace(epoch, response=replace(epoch.response, score=float(scores[k]), evidence=float(evidence[k])))
            for k, epoch in enumerate(self.epochs)
        )
        truth = np.array([epoch.is_target for epoch in self.epochs], dtype=bool)
        calibrated = auc_interval(self.is_target, held_out)
        aucs = {
            "auc_calibration": calibrated.value,
            "auc_calibration_low": calibrated.low,
            "auc": _auc(truth[usable], scores[usable]),
        }
        return Decoded(epochs, held_out, self.is_target, calibration, self.facts | aucs, self.erp)


@dataclass(frozen=True, eq=False)
class Answers:
    """What recordings can answer, all together; `Replay` deals it.

    Parameters
    ----------
    recordings : tuple of Decoded
        Each with its own decoder and calibration.
    """

    recordings: tuple[Decoded, ...]

    @property
    def epochs(self) -> tuple[Answer, ...]:
        """The answering epochs of all recordings."""
        return tuple(epoch for recording in self.recordings for epoch in recording.epochs)

    @property
    def soa(self) -> float:
        """The recordings' median onset to onset, s: their responses were evoked at that rate."""
        return round(float(np.median([recording.facts["soa"] for recording in self.recordings])), 4)

    @property
    def facts(self) -> list[dict[str, Any]]:
        """What a report should say of each recording."""
        return [recording.facts for recording in self.recordings]

    @property
    def erps(self) -> dict[str, ERP]:
        """Mean responses of each recording, by its name."""
        return {recording.facts["name"]: recording.erp for recording in self.recordings}

    @property
    def auc(self) -> float | None:
        """AUC of the evidence of all usable epochs together; None where a class has none."""
        return _auc(*self._usable())

    def degraded(self, noise: float, *, seed: int) -> "Answers":
        """Put a worse decoder in place of each recording's: one whose scores are noisy.

        Gaussian noise is added to every raw score, of calibration trials and of answering epochs alike, and the
        calibration is learned anew: the evidence is weaker, yet honest. One seed gives the same draws at every level
        of noise, scaled.

        Parameters
        ----------
        noise : float
            Standard deviation of the noise, in standard deviations of the recording's held-out scores; 0 or more.
        seed : int
            Of the noise.

        Returns
        -------
        Answers
            The same epochs with other scores, evidence and AUCs.

        Raises
        ------
        SettingsError
            If the noise is negative or not finite.
        """
        if not 0 <= noise < np.inf:
            raise SettingsError(f"expected noise of 0 or more standard deviations, finite; got {noise}")
        rng = np.random.default_rng(seed)
        return Answers(tuple(recording.degraded(noise, rng) for recording in self.recordings))

    def label_threshold(self) -> float:
        """Find Youden's threshold on the talk's score ``c = sigmoid(L)``, on the held-out calibration trials.

        The answering epochs have no say in it. See `brainloop.evidence.youden`.
        """
        evidence = np.concatenate([one.calibration.evidence(one.scores) for one in self.recordings])
        return youden(talk_score(evidence), np.concatenate([one.is_target for one in self.recordings]))

    def error_rate(self) -> float:
        """Balanced error rate of ``c >= .5`` over the usable epochs: the mean of miss and false-alarm rate.

        Raises
        ------
        RecordingError
            If a class has no usable epoch.
        """
        truth, evidence = self._usable()
        if not 0 < truth.sum() < truth.size:
            raise RecordingError(
                f"an error rate expects usable epochs of both classes; {truth.sum()} targets among {truth.size} are "
                f"left after the first {TRAINING_SHARE:.0%} of the recordings; add more"
            )
        called_target = talk_score(evidence) >= 0.5
        return float((np.mean(~called_target[truth]) + np.mean(called_target[~truth])) / 2)

    def _usable(self) -> tuple[BoolArray, FloatArray]:
        usable = [epoch for epoch in self.epochs if epoch.response.rejected is None]
        truth = np.array([epoch.is_target for epoch in usable], dtype=bool)
        return truth, np.array([epoch.response.evidence for epoch in usable], dtype=float)


def decode(
    recordings: Sequence[Recording],
    *,
    decoder: str = "ensemble",
    calibration: Method = "platt",
    progress: Progress = no_progress,
) -> Answers:
    """Train a decoder on the first part of each recording and decode the rest.

    The first 40 % in time, purged by an epoch's length, train and calibrate; each epoch of the rest becomes an answer.

    Parameters
    ----------
    recordings : sequence of Recording
        Each gets its own decoder.
    decoder, calibration : str
        See `BrainDecoder`, whose `method` the decoder is.
    progress : Progress
        Called with (recordings decoded, recordings).

    Returns
    -------
    Answers
        Of all recordings, in their order.

    Raises
    ------
    RecordingError, DecoderError
        If a recording cannot train a decoder.
    """
    decoded = []
    for number, recording in enumerate(recordings):
        progress(number, len(recordings))
        decoded.append(_decode(recording, decoder, calibration))
    progress(len(recordings), len(recordings))
    return Answers(tuple(decoded))


def _decode(recording: Recording, method: str, calibration: Method) -> Decoded:
    signal = Signal()
    trials = epoch_recording(recording, signal)
    first, rest = first_share(trials.onsets, trials.runs, share=TRAINING_SHARE, purge=signal.duration)
    usable = trials.usable
    train = first[usable[first]]
    decoder = BrainDecoder(method, calibration)
    try:
        decoder.fit(
            trials.data[train],
            trials.is_target[train],
            onsets=trials.onsets[train],
            runs=trials.runs[train],
            layout=Layout.of(recording.channels, recording.sfreq, signal),
        )
    except DecoderError as error:
        raise DecoderError(f"{recording.name}, its first {TRAINING_SHARE:.0%}: {error}") from error
    answering = rest[usable[rest]]
    scores = np.full(len(usable), np.nan)
    scores[answering] = decoder.decision_function(trials.data[answering])
    evidence = np.zeros(len(usable))
    evidence[answering] = decoder.calibration_.evidence(scores[answering])
    epochs = tuple(
        Answer(
            bool(trials.is_target[trial]),
            Response(
                score=float(scores[trial]), evidence=float(evidence[trial]),
                rejected=None if usable[trial] else str(trials.rejected[trial]),
                onset=0.0, source=f"{recording.name}#{trial}", person=recording.person, session=recording.session,
            ),
        )
        for trial in rest
    )  # fmt: skip
    earlier = [run.onsets[-1] - run.onsets[0] for run in recording.runs[: trials.runs[first].max()]]
    here = trials.onsets[first[trials.runs[first] == trials.runs[first].max()]]
    facts = {
        "name": recording.name, "person": recording.person, "channels": list(recording.channels),
        "sfreq": recording.sfreq, "soa": recording.soa, "training_trials": int(train.size),
        "calibration_s": float(sum(earlier) + np.ptp(here)), "answering_trials": int(rest.size),
        "rejected_share": float(1 - usable.mean()), "auc_calibration": decoder.auc_,
        "auc_calibration_low": decoder.auc_low_, "auc": _auc(trials.is_target[answering], scores[answering]),
    }  # fmt: skip
    mean = erp(trials.data[usable], trials.is_target[usable], trials.times, trials.channels)
    return Decoded(epochs, decoder.held_out_, trials.is_target[train], decoder.calibration_, facts, mean)


def _auc(truth: BoolArray, scores: FloatArray) -> float | None:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, scores)) if 0 < truth.sum() < truth.size else None
