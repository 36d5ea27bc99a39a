"""Responses: what an epoch looks like to a network that sees images too."""

from dataclasses import dataclass

import numpy as np

from brainloop._types import FloatArray
from brainloop.decoder.split import FIRST_SHARE, first_share
from brainloop.decoder.xdawn import mean_response, xdawn
from brainloop.eeg.epochs import Trials, epoch_recording
from brainloop.eeg.recordings import Recording
from brainloop.eeg.signal import Signal
from brainloop.errors import RecordingError

__all__ = ["N_NUMBERS", "ResponseMap", "responses"]

N_COMPONENTS = 2
"""Spatial filters, best first: the P300 and the visual response before it are about two components (Rivet et al. 2009,
and so they were in the recordings at hand)."""

N_WINDOWS = 9
"""Parts of an epoch that are averaged: 0.1 s each of the 0.9 s, as in Parra and Sajda's hierarchical discriminant."""

N_NUMBERS = N_COMPONENTS * N_WINDOWS
"""Of each response."""


@dataclass(frozen=True, eq=False)
class ResponseMap:
    """From epochs to the time course of their person's two best components, the same numbers for everybody.

    Parameters
    ----------
    filters : array, shape (n_components, n_channels)
        xDAWN filters, signed so that the mean response to targets less that to others is positive.
    mean, spread : array, shape (n_components, n_windows)
        Of the training epochs: what comes out is standardised by them.

    References
    ----------
    Rivet et al. (2009), "xDAWN algorithm to enhance evoked potentials", IEEE Trans. Biomed. Eng. 56.
    """

    filters: FloatArray
    mean: FloatArray
    spread: FloatArray

    @classmethod
    def fit(cls, X: FloatArray, is_target: FloatArray) -> "ResponseMap":
        """Learn from epochs of known class, (n, n_channels, n_times) and 0 or 1 (n,), that answer no image."""
        target, other = (mean_response(X, weight.astype(float)) for weight in (is_target, 1 - is_target))
        filters = xdawn(X, target, np.ones(len(X)), N_COMPONENTS)
        filters = filters * np.where((filters @ (target - other)).sum(axis=1) < 0, -1, 1)[:, None]
        windows = _windows(filters @ X)
        return cls(filters, windows.mean(axis=0), windows.std(axis=0) + 1e-30)

    def __call__(self, X: FloatArray) -> FloatArray:
        """Map epochs, (n, n_channels, n_times) -> (n, N_NUMBERS); a component that one channel lacks is 0."""
        seen = (_windows(self.filters @ X) - self.mean) / self.spread
        padded = np.zeros((len(X), N_COMPONENTS, N_WINDOWS))
        padded[:, : seen.shape[1]] = seen
        return padded.reshape(len(X), -1)


def _windows(components: FloatArray) -> FloatArray:
    """Average within each part of an epoch, (n, n_components, n_times) -> (n, n_components, n_windows)."""
    parts = np.array_split(np.arange(components.shape[2]), N_WINDOWS)
    return np.stack([components[:, :, part].mean(axis=2) for part in parts], axis=2)


def responses(recording: Recording) -> dict[str, FloatArray]:
    """Describe each epoch of a recording that may answer an image.

    As in `brainloop.observers.answers.decode`, the first 40 % in time train, purged by an epoch's length, and the rest
    answers.

    Parameters
    ----------
    recording : Recording
        Cut as the decoder's.

    Returns
    -------
    dict of str to array, shape (N_NUMBERS,)
        By the name that a `Response.source` has, ``recording#trial``; rejected epochs are left out.

    Raises
    ------
    RecordingError
        If no epoch of a class trains.
    """
    signal = Signal()
    trials: Trials = epoch_recording(recording, signal)
    first, rest = first_share(trials.onsets, trials.runs, share=FIRST_SHARE, purge=signal.duration)
    train, answering = first[trials.usable[first]], rest[trials.usable[rest]]
    is_target = trials.is_target[train].astype(float)
    if not 0 < is_target.sum() < is_target.size:
        raise RecordingError(
            f"{recording.name}: expected usable epochs of both classes in its first {FIRST_SHARE:.0%}, got "
            f"{is_target.sum():.0f} targets among {is_target.size}; add more"
        )
    seen = ResponseMap.fit(trials.data[train], is_target)(trials.data[answering])
    return {f"{recording.name}#{trial}": numbers for trial, numbers in zip(answering, seen, strict=True)}
