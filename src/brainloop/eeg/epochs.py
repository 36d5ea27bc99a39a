"""Epochs keyed on timestamps: one path for a live stream and for a file.

`Epocher` is fed with timestamped samples and onsets and gives finished epochs; `cut` and `epoch_recording`
are that class fed with everything at once, so an epoch cut live and the epoch cut from the recording of it
are equal.
"""

import itertools
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.eeg.recordings import Recording
from brainloop.eeg.signal import CausalFilter, Signal
from brainloop.errors import RecordingError

__all__ = ["Epocher", "Epochs", "Rejection", "Trials", "cut", "epoch_recording"]

HISTORY = 10.0
"""How long a stream's samples are kept for onsets that are reported late, s."""

NOT_FINITE = -1
"""In place of the number of a stretch: a sample that holds NaN or infinity."""


class Rejection(StrEnum):
    """Why an epoch was rejected."""

    GAP = "gap"
    """A sample is missing, a timestamp jumps, or a boundary lies within the window."""
    OUTSIDE = "outside the recording"
    """The window begins before the first sample or ends after the last one."""
    SETTLING = "filter settling"
    """The window begins too soon after a start or a gap."""
    NOT_FINITE = "not finite"
    """The window holds NaN or infinity."""
    AMPLITUDE = "amplitude"
    """A channel's peak-to-peak value is above the limit."""
    GRADIENT = "gradient"
    """A channel's slope is above the limit."""
    FLAT = "flat"
    """A channel's peak-to-peak value is below the limit."""


@dataclass(frozen=True)
class Epochs:
    """Epochs of single presentations.

    Attributes
    ----------
    data : array of shape (n, n_channels, n_times)
        Filtered and decimated, V; zeros where rejected.
    onsets : array of shape (n,)
        As they were given, s.
    rejected : tuple of (Rejection or None), length n
        The reason, or None for an epoch that can be used.
    """

    data: FloatArray
    onsets: FloatArray
    rejected: tuple[Rejection | None, ...]

    @property
    def usable(self) -> BoolArray:
        """Whether each epoch can be used, shape (n,)."""
        return np.array([reason is None for reason in self.rejected], dtype=bool)


@dataclass(frozen=True)
class Trials:
    """Every presentation of a recording, in the order of its runs and onsets.

    Attributes
    ----------
    data : array of shape (n, n_channels, n_times)
        Filtered and decimated, V; zeros where rejected.
    is_target : bool array of shape (n,)
        Whether a target was shown.
    onsets : array of shape (n,)
        Within the run, s.
    runs : int array of shape (n,)
        Index of the run.
    rejected : tuple of (Rejection or None), length n
        The reason, or None for an epoch that can be used.
    times : array of shape (n_times,)
        Relative to the onset, s.
    channels : tuple of str
        Names of the channels.
    """

    data: FloatArray
    is_target: BoolArray
    onsets: FloatArray
    runs: IntArray
    rejected: tuple[Rejection | None, ...]
    times: FloatArray
    channels: tuple[str, ...]

    @property
    def usable(self) -> BoolArray:
        """Whether each epoch can be used, shape (n,)."""
        return np.array([reason is None for reason in self.rejected], dtype=bool)


class Epocher:
    """Filter a stream of samples and cut it around onsets as soon as each window is complete.

    A stretch is a run of samples whose timestamps follow each other by the sampling period, to half of it.
    Every gap, jump or sample that is not finite ends a stretch: the filter starts anew after it, and the
    epochs whose windows touch it are rejected. Samples that are not later than those before them are
    dropped, which makes a gap. Each onset finds its samples by timestamp: the sample nearest to it is time
    zero (at most half a period off, 2 ms at 250 Hz, which is less than the jitter of a display), so nothing
    that is missing before it can shift it.

    Parameters
    ----------
    sfreq : float
        Nominal sampling rate, Hz.
    n_channels : int
        Number of channels.
    signal : Signal
        Band, window and limits.
    """

    def __init__(self, sfreq: float, n_channels: int, signal: Signal) -> None:
        self._sfreq = sfreq
        self._n_channels = n_channels
        self._signal = signal
        self._window = signal.window(sfreq)
        self._n_times = len(signal.times(sfreq))
        self._filter = CausalFilter(sfreq, n_channels, signal)
        self._times = np.zeros(0)
        self._data = np.zeros((n_channels, 0))
        self._stretch = np.zeros(0, dtype=int)
        self._starts: list[float] = []  # of each stretch
        self._pending: list[float] = []
        self._dropped = False  # whether the last sample that came was not kept
        self._closed = False

    def push(self, times: FloatArray, data: FloatArray, onsets: FloatArray | tuple[float, ...] = ()) -> Epochs:
        """Take the next samples and onsets.

        Parameters
        ----------
        times : array of shape (n_samples,)
            Timestamp of each sample, s.
        data : array of shape (n_channels, n_samples)
            The samples, V.
        onsets : array of shape (n_onsets,)
            Onsets that became known, s, on the same clock; up to `HISTORY` seconds late.

        Returns
        -------
        Epochs
            Those that are complete now, in the order of their onsets.

        Raises
        ------
        RecordingError
            If the shapes do not fit.
        """
        times = np.asarray(times, dtype=float)
        data = np.asarray(data, dtype=float)
        if times.ndim != 1 or data.shape != (self._n_channels, len(times)):
            raise RecordingError(
                f"expected n timestamps with samples of shape ({self._n_channels}, n), got {times.shape} "
                f"and {data.shape}"
            )
        onsets = np.asarray(onsets, dtype=float)
        if not np.isfinite(onsets).all():
            raise RecordingError(f"expected onsets in seconds, got {onsets[~np.isfinite(onsets)][0]} among them")
        self._append(times, data)
        self._pending = sorted([*self._pending, *onsets.tolist()])
        finished = self._finished()
        self._forget()
        return finished

    def close(self) -> Epochs:
        """End the stream and give the onsets whose windows never became complete, rejected."""
        self._closed = True
        return self._finished()

    def _append(self, times: FloatArray, data: FloatArray) -> None:
        """Filter samples stretch by stretch and add them to those that are kept."""
        newest = self._times[-1] if len(self._times) else -np.inf
        known = np.where(np.isfinite(times), times, -np.inf)
        later = known > np.maximum.accumulate(np.concatenate([[newest], known]))[:-1]
        places = np.flatnonzero(later)
        # Whether the sample before each was kept too, be it in this chunk or in the last one.
        unbroken = np.concatenate([[not self._dropped], later])[:-1][places]
        if len(later):
            self._dropped = not later[-1]
        if len(places) == 0:
            return
        times, data = times[places], data[:, places]
        finite = np.asarray(np.isfinite(data).all(axis=0))
        previous_finite = bool(len(self._stretch)) and self._stretch[-1] != NOT_FINITE
        period = 1 / self._sfreq
        steps = np.diff(times, prepend=newest)
        follows = unbroken & (np.abs(steps - period) <= period / 2)
        follows &= finite & np.concatenate([[previous_finite], finite[:-1]])
        stretch = np.full(len(times), NOT_FINITE)
        filtered = np.zeros(data.shape)
        edges = [*np.flatnonzero(~follows), len(times)]
        if follows[0]:
            edges.insert(0, 0)
        for begin, end in itertools.pairwise(edges):
            if not finite[begin]:
                continue
            if not follows[begin]:
                self._filter = CausalFilter(self._sfreq, self._n_channels, self._signal)
                self._starts.append(float(times[begin]))
            stretch[begin:end] = len(self._starts) - 1
            filtered[:, begin:end] = self._filter(data[:, begin:end])
        self._times = np.concatenate([self._times, times])
        self._data = np.concatenate([self._data, filtered], axis=1)
        self._stretch = np.concatenate([self._stretch, stretch])

    def _finished(self) -> Epochs:
        """Cut the pending onsets that can be decided, and leave the others pending."""
        data, onsets, rejected, pending = [], [], [], []
        for onset in self._pending:
            epoch = self._cut(onset)
            if epoch is None and not self._closed:
                pending.append(onset)
                continue
            reason = epoch if isinstance(epoch, Rejection) else Rejection.OUTSIDE if epoch is None else None
            data.append(epoch if isinstance(epoch, np.ndarray) else np.zeros((self._n_channels, self._n_times)))
            onsets.append(onset)
            rejected.append(reason)
        self._pending = pending
        stacked = np.stack(data) if data else np.zeros((0, self._n_channels, self._n_times))
        return Epochs(stacked, np.array(onsets), tuple(rejected))

    def _cut(self, onset: float) -> FloatArray | Rejection | None:
        """Give the epoch, or why it is rejected, or None while its window is not complete."""
        after = int(np.searchsorted(self._times, onset))
        if after == len(self._times):  # the sample nearest to the onset may be still to come
            return None
        nearest = after - 1 if after and onset - self._times[after - 1] < self._times[after] - onset else after
        first, stop, step = self._window
        begin, end = nearest + first, nearest + stop
        if begin < 0:
            return Rejection.OUTSIDE
        if end > len(self._times):
            return None
        if abs(self._times[nearest] - onset) > 0.75 / self._sfreq:  # half of the longest step in a stretch
            return Rejection.OUTSIDE if nearest == 0 else Rejection.GAP
        stretch = self._stretch[begin:end]
        if (stretch == NOT_FINITE).any():
            return Rejection.NOT_FINITE
        if stretch[0] != stretch[-1]:
            return Rejection.GAP
        # A sample's own time rounds: half a period keeps the limit away from it.
        if self._times[begin] - self._starts[stretch[0]] < self._signal.settle - 0.5 / self._sfreq:
            return Rejection.SETTLING
        window = self._data[:, begin:end]
        swing = np.ptp(window, axis=1)
        if (swing > self._signal.max_amplitude).any():
            return Rejection.AMPLITUDE
        if np.abs(np.diff(window, axis=1)).max(initial=0.0) * self._sfreq > self._signal.max_gradient:
            return Rejection.GRADIENT
        if (swing < self._signal.min_amplitude).any():
            return Rejection.FLAT
        return window[:, ::step].copy()

    def _forget(self) -> None:
        """Drop the samples that no pending and no late onset can need."""
        if len(self._times) == 0:
            return
        oldest = min([self._times[-1] - HISTORY, *self._pending]) + min(self._signal.tmin, 0.0) - 1.0
        keep = int(np.searchsorted(self._times, oldest))
        self._times = self._times[keep:].copy()
        self._data = self._data[:, keep:].copy()
        self._stretch = self._stretch[keep:].copy()


def cut(times: FloatArray, data: FloatArray, onsets: FloatArray, sfreq: float, signal: Signal) -> Epochs:
    """Filter a whole stream and cut it around its onsets.

    Parameters
    ----------
    times : array of shape (n_samples,)
        Timestamp of each sample, s.
    data : array of shape (n_channels, n_samples)
        The samples, V.
    onsets : array of shape (n,)
        In any order, s.
    sfreq : float
        Nominal sampling rate, Hz.
    signal : Signal
        Band, window and limits.

    Returns
    -------
    Epochs
        One for each onset, in the order given.
    """
    onsets = np.asarray(onsets, dtype=float)
    epocher = Epocher(sfreq, len(data), signal)
    parts = [epocher.push(times, data, onsets), epocher.close()]
    found = np.concatenate([part.onsets for part in parts])
    epochs = np.concatenate([part.data for part in parts])
    rejected = [reason for part in parts for reason in part.rejected]
    place = np.empty(len(onsets), dtype=int)
    place[np.argsort(onsets, kind="stable")] = np.argsort(found, kind="stable")
    return Epochs(epochs[place], onsets, tuple(rejected[i] for i in place))


def epoch_recording(recording: Recording, signal: Signal) -> Trials:
    """Cut every presentation of a recording; each run is filtered by itself.

    Parameters
    ----------
    recording : Recording
        As `brainloop.eeg.recordings.read_recordings` gives it.
    signal : Signal
        Band, window and limits.

    Returns
    -------
    Trials
        Of all runs, in order.
    """
    parts = [cut(run.times, run.data, run.onsets, recording.sfreq, signal) for run in recording.runs]
    return Trials(
        data=np.concatenate([part.data for part in parts]),
        is_target=np.concatenate([run.is_target for run in recording.runs]),
        onsets=np.concatenate([part.onsets for part in parts]),
        runs=np.repeat(np.arange(len(parts)), [len(part.onsets) for part in parts]),
        rejected=tuple(reason for part in parts for reason in part.rejected),
        times=signal.times(recording.sfreq),
        channels=recording.channels,
    )
