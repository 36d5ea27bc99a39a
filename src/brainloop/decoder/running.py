"""Running detection: evidence over time from EEG as it comes, without being told when anything happened."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brainloop._types import FloatArray
from brainloop.decoder.decoder import BrainDecoder
from brainloop.decoder.detection import threshold_for
from brainloop.eeg.epochs import Epocher, Rejection, cut
from brainloop.eeg.layout import Layout
from brainloop.eeg.preparation import Preparation
from brainloop.eeg.signal import Signal
from brainloop.errors import DecoderError, SettingsError

__all__ = ["EVERY", "RunningDecoder", "RunningEvidence", "Trained", "fit_running"]

EVERY = 0.1
"""From one window to the next, s: the wave that follows a hazard is several times as wide."""

GAP = 10.0
"""After a longer gap the windows go on as from a start, s; those of a shorter one are given, rejected."""

AWAY = 0.9, 1.2
"""A window that begins so long before or after an event, s, or longer, holds nothing of the response to it."""

FALSE_ALARMS = 120.0
"""An hour, at the threshold that training suggests: two a minute."""


@dataclass(frozen=True)
class RunningEvidence:
    """What one window of running EEG says.

    Attributes
    ----------
    time : float
        End of the window, s: when it is known.
    onset : float
        Beginning of the window, s.
    evidence : float
        For an event at `onset` and against none, nats; 0 where the window was rejected.
    rejected : Rejection or None
        Why.
    """

    time: float
    onset: float
    evidence: float
    rejected: Rejection | None


class RunningDecoder:
    """Slide a decoder's window over a stream.

    Windows begin at every whole multiple of `every` on the clock of the samples. Each passes through the same objects
    as the epoch of a presentation does, `Preparation`, `CausalFilter`, `Epocher` and `BrainDecoder`, one at a time: its
    evidence is that of an epoch cut there offline, to the last bit, however the stream is cut into chunks.

    Parameters
    ----------
    decoder : BrainDecoder
        As `fit_running` trains it.
    channels : sequence of str
        Of the stream, in its order.
    sfreq : float
        Nominal sampling rate, Hz.
    signal : Signal, optional
        Band, window and limits; those of every other epoch where left out.
    preparation : Preparation, optional
        Learned in calibration; the channels are taken as they are where left out.
    every : float
        From one window to the next, s.

    Raises
    ------
    RecordingError
        If the stream lacks channels that the preparation reads.
    SettingsError
        If `every` is not above 0.
    """

    def __init__(
        self,
        decoder: BrainDecoder,
        channels: Sequence[str],
        sfreq: float,
        signal: Signal | None = None,
        *,
        preparation: Preparation | None = None,
        every: float = EVERY,
    ) -> None:
        if not every > 0:
            raise SettingsError(f"expected windows more than 0 s apart, got every={every} s")
        signal = signal or Signal()
        self._decoder = decoder
        self._preparation = (preparation or Preparation.identity(channels)).on(channels)
        self._layout = Layout.of(self._preparation.outputs, sfreq, signal)
        self._epocher = Epocher(sfreq, len(self._preparation.outputs), signal)
        self._newest = -np.inf
        self.length, self.every = signal.tmax, every

    def push(self, times: FloatArray, data: FloatArray) -> list[RunningEvidence]:
        """Take the next samples, and give what the windows say that are complete with them.

        Parameters
        ----------
        times : array of shape (n_samples,)
            Timestamp of each, s.
        data : array of shape (n_channels, n_samples)
            V.

        Raises
        ------
        RecordingError
            If there is not a timestamp for each sample.
        DecoderError
            If the windows are not those that the decoder was trained on.
        """
        times = np.asarray(times, dtype=float)
        prepared = self._preparation(np.asarray(data, dtype=float))
        epochs = self._epocher.push(times, prepared, self._onsets(times))
        return [
            RunningEvidence(onset + self.length, onset, self._evidence(epoch) if reason is None else 0.0, reason)
            for epoch, onset, reason in zip(epochs.data, epochs.onsets.tolist(), epochs.rejected, strict=True)
        ]

    def _evidence(self, epoch: FloatArray) -> float:
        # By itself: a product of many epochs rounds otherwise than that of one.
        return float(self._decoder.evidence(epoch[None], self._layout)[0])

    def _onsets(self, times: FloatArray) -> FloatArray:
        """Give the points of the grid that these samples reach, each once."""
        reached = np.maximum.accumulate(np.concatenate([[self._newest], times[np.isfinite(times)]]))
        if len(reached) == 1:
            return np.zeros(0)
        self._newest = float(reached[-1])
        before, after = reached[:-1], reached[1:]
        first = np.where(after - before > GAP, np.ceil(after / self.every), np.floor(before / self.every) + 1)
        last = np.floor(after / self.every)
        spans = [np.arange(first[k], last[k] + 1) for k in np.flatnonzero(last >= first)]
        return self.every * np.concatenate([np.zeros(0), *spans])


@dataclass(frozen=True, eq=False)
class Trained:
    """What `fit_running` learned.

    Attributes
    ----------
    decoder : BrainDecoder
        From window to evidence; its `auc_` is that of windows at events against windows away from them.
    threshold : float
        Of pooled evidence, nats, at which there were two false alarms a minute in what was held out.
    """

    decoder: BrainDecoder
    threshold: float


def fit_running(
    times: FloatArray,
    data: FloatArray,
    events: Sequence[float] | FloatArray,
    *,
    channels: Sequence[str],
    sfreq: float,
    signal: Signal | None = None,
    method: str = "lda",
) -> Trained:
    """Train a decoder for running EEG on a stretch of it whose events are known.

    Windows that begin at an event are the targets; the others are all windows of the running grid that hold nothing of
    a response. They are what a running decoder meets, in number too: so it is with them that scores are calibrated.

    Parameters
    ----------
    times : array of shape (n_samples,)
        Timestamp of each sample, s.
    data : array of shape (n_channels, n_samples)
        Prepared EEG, V.
    events : sequence of float
        When each began, s; 20 or more.
    channels : sequence of str
        Of `data`.
    sfreq : float
        Nominal sampling rate, Hz.
    signal : Signal, optional
        Band, window and limits.
    method : str
        Of `BrainDecoder`. Of those without a network shrinkage LDA is the quickest, and none was better on simulated
        people.

    Raises
    ------
    DecoderError
        If there is no EEG, or fewer than 20 usable events or windows away from them.
    """
    signal = signal or Signal()
    when = np.sort(np.asarray(events, dtype=float))
    known = times[np.isfinite(times)]
    if len(known) == 0:
        raise DecoderError("expected EEG with timestamps in seconds to train on, got none: record again")
    grid = EVERY * np.arange(np.ceil(known.min() / EVERY), np.floor(known.max() / EVERY) + 1)
    near = np.searchsorted(when, grid - AWAY[1]) < np.searchsorted(when, grid + AWAY[0], side="right")
    onsets = np.concatenate([when, grid[~near]])
    is_event = np.arange(len(onsets)) < len(when)
    order = np.argsort(onsets, kind="stable")
    epochs = cut(times, data, onsets[order], sfreq, signal)
    usable, is_event = epochs.usable, is_event[order]
    decoder = BrainDecoder(method).fit(
        epochs.data[usable],
        is_event[usable].astype(int),
        onsets=epochs.onsets[usable],
        layout=Layout.of(tuple(channels), sfreq, signal),
    )
    others = ~is_event[usable]
    evidence = decoder.calibration_.evidence(decoder.held_out_[others])
    threshold = threshold_for(epochs.onsets[usable][others], evidence, FALSE_ALARMS)
    return Trained(decoder, threshold)
