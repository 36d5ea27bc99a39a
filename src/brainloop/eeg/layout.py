"""What an epoch's rows and columns are, so that a decoder never scores what it was not trained on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from brainloop._types import IntArray
from brainloop.eeg.signal import Signal
from brainloop.errors import DecoderError

__all__ = ["Layout"]

SAME_RATE = 0.03
"""Relative difference of sampling rates that is let pass: 250 and 256 Hz, 15 ms apart at the end of an epoch."""


@dataclass(frozen=True)
class Layout:
    """Channels, sampling and band of epochs.

    Attributes
    ----------
    channels : tuple of str
        One a row.
    rate : float
        Samples a second in an epoch, Hz.
    tmin : float
        First sample relative to the onset, s.
    n_times : int
        Samples.
    low, high : float
        The band, Hz.
    """

    channels: tuple[str, ...]
    rate: float
    tmin: float
    n_times: int
    low: float
    high: float

    @classmethod
    def of(cls, channels: tuple[str, ...], sfreq: float, signal: Signal) -> "Layout":
        """Give the layout of the epochs that `signal` cuts from these channels, sampled at `sfreq` Hz."""
        times = signal.times(sfreq)
        return cls(channels, sfreq / signal.window(sfreq)[2], float(times[0]), len(times), signal.low, signal.high)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Layout":
        """Make it again from `to_dict`."""
        return cls(**(dict(values) | {"channels": tuple(values["channels"])}))

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, ready for JSON."""
        return asdict(self) | {"channels": list(self.channels)}

    def places(self, other: "Layout") -> IntArray:
        """Find each of this layout's channels among those of other epochs.

        Parameters
        ----------
        other : Layout
            Of the epochs to be scored; more channels than these, in any order, will do.

        Returns
        -------
        int array of shape (n_channels,)
            Row of each channel; names are the same without regard to case.

        Raises
        ------
        DecoderError
            If a channel is missing, or rate, window or band differ; by name.
        """
        there = {name.casefold(): place for place, name in reversed(list(enumerate(other.channels)))}
        missing = [name for name in self.channels if name.casefold() not in there]
        if missing:
            raise DecoderError(
                f"expected the channels {', '.join(self.channels)}, as in training; {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not among those that came: {', '.join(other.channels)}. "
                "Record with the same electrodes, or train on the channels that both have (--channels)"
            )
        for what, here, came, unit, same in (
            ("sampling rate", self.rate, other.rate, "Hz", abs(self.rate - other.rate) <= SAME_RATE * self.rate),
            ("window's start", self.tmin, other.tmin, "s", abs(self.tmin - other.tmin) <= 0.5 / self.rate),
            ("number of samples", self.n_times, other.n_times, "samples", self.n_times == other.n_times),
            ("lower corner", self.low, other.low, "Hz", np.isclose(self.low, other.low)),
            ("upper corner", self.high, other.high, "Hz", np.isclose(self.high, other.high)),
        ):
            if not same:
                raise DecoderError(
                    f"expected epochs with the {what} of training, {here:g} {unit}, got {came:g} {unit}: "
                    "cut them with the signal settings that the decoder was trained with"
                )
        return np.array([there[name.casefold()] for name in self.channels])
