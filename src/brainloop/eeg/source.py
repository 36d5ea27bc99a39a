"""What one file of a recording holds, before anything is chosen, repaired or cut."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brainloop._types import FloatArray
from brainloop.errors import RecordingError

__all__ = ["Event", "Source", "is_eye", "one_line"]

SPREAD_LIMITS = (1e-8, 50e-3)
"""Median absolute deviation of EEG, V: less is below an amplifier's noise, more is beyond its range."""


@dataclass(frozen=True)
class Event:
    """Something that a file says happened: `onset` and `duration` in s on the clock of its samples, and a name."""

    onset: float
    duration: float
    name: str


@dataclass(frozen=True)
class Source:
    """The EEG of one file, with its eye channels and its events.

    Attributes
    ----------
    path : Path
        The file.
    eeg, eog : tuple of str
        Names of the EEG and of the eye channels.
    data : array of shape (n_eeg + n_eog, n_samples)
        EEG channels, then eye channels, V; NaN where the file has no value.
    positions : array of shape (n_eeg, 3)
        Of the EEG channels, m, MNE's head frame; NaN where the file has none.
    bad : frozenset of str
        Channels that the file marks bad.
    times : array of shape (n_samples,)
        Timestamp of each sample, s; the first is 0.
    sfreq : float
        Nominal sampling rate, Hz.
    events : tuple of Event
        In any order.
    repairs : tuple of str
        What had to be mended in reading it, a sentence each.

    Raises
    ------
    RecordingError
        If there are no EEG channels or samples, or the values are no volts.
    """

    path: Path
    eeg: tuple[str, ...]
    eog: tuple[str, ...]
    data: FloatArray
    positions: FloatArray
    bad: frozenset[str]
    times: FloatArray
    sfreq: float
    events: tuple[Event, ...]
    repairs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.eeg:
            raise RecordingError(
                f"expected EEG channels in {self.path}, found none: give their type in the file or its data set"
            )
        some = self.data[: len(self.eeg), :: max(1, self.data.shape[1] // 10_000)]
        finite = [channel[np.isfinite(channel)] for channel in some]
        spreads = [float(np.median(np.abs(values - np.median(values)))) for values in finite if len(values)]
        if not spreads:
            raise RecordingError(f"{self.path} holds no EEG samples that are finite: record again")
        spread = float(np.median([s for s in spreads if s > 0] or [0.0]))
        low, high = SPREAD_LIMITS
        if spread > high or 0 < spread < low:
            raise RecordingError(
                f"expected EEG in volts, but that of {self.path} spreads by {spread:.3g} V: its unit is stored "
                "wrongly; correct the unit in the header, or the factor it was written with"
            )

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of all channels, in the order of `data`."""
        return self.eeg + self.eog

    def pick(self, eeg: Sequence[str], eog: Sequence[str]) -> "Source":
        """Give the same with these channels only, in this order; their names must be among its own."""
        rows = [self.channels.index(name) for name in (*eeg, *eog)]
        if rows == list(range(len(self.channels))):
            return self
        return replace(
            self, eeg=tuple(eeg), eog=tuple(eog), data=self.data[rows], positions=self.positions[rows[: len(eeg)]]
        )


def is_eye(name: str) -> bool:
    """Whether a channel is named as one that watches the eyes: most formats call every channel EEG."""
    return "eog" in name.casefold()


def one_line(error: object) -> str:
    """Give what somebody else's error or warning says, for a message of our own."""
    return " ".join(str(error).split())[:300] or type(error).__name__
