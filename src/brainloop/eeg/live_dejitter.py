"""Timestamps of a live stream without the jitter of its transport, and with its gaps."""

from collections import deque

import numpy as np

from brainloop._types import FloatArray, IntArray

__all__ = ["LiveDejitter"]

MEMORY = 20.0
"""How much of the past the line is fitted to, s."""

HOLD = 0.3
"""How long stamps that are off the line are waited with, s: six packets of a Bluetooth headset, and less than the
filter needs to settle after a gap, so that no epoch waits for it."""

LEAST = 0.75
"""A step of less than this share of a period is never a loss: one lost sample is a step of one period."""

SCALE = 6.0
"""A stamp is off the line beyond this many times the mean jitter; with an exponential tail, one in 400 is."""


class LiveDejitter:
    """A recursive fit of a line to the timestamps of a regular stream, which starts anew where samples are missing.

    A packet that is stamped late is late alone; lost samples delay all that come after them. So samples whose stamps
    are off the line are held back until either a stamp is on it again (they were late: the line gives their times) or
    `HOLD` seconds of them agree (samples are missing: a new line begins with them). A loss that is smaller than the
    jitter shows only in the mean of many stamps, and is found up to a second after it. Offline,
    `brainloop.eeg.dejitter` does the same with all timestamps at hand.

    Parameters
    ----------
    sfreq : float
        Nominal sampling rate, Hz.

    Notes
    -----
    The gains are those of the least-squares line through n points, with n growing up to `MEMORY` seconds and fixed from
    there on (Brookner 1998).

    References
    ----------
    Brookner (1998), "Tracking and Kalman Filtering Made Easy", chapters 1.2.6 and 1.2.10.
    """

    def __init__(self, sfreq: float) -> None:
        self._nominal = self._period = 1 / sfreq
        self._hold = max(8, round(HOLD * sfreq))
        self._most = round(MEMORY * sfreq)
        self._n = 0  # points that the line is fitted to; 0 before there is one
        self._line = 0.0  # time of the last sample that was given
        self._newest = -np.inf
        self._held: list[float] = []
        self._places: list[int] = []  # of each held sample, in periods after the last that was given
        self._errors: deque[float] = deque(maxlen=self._hold)
        self._jitter = 0.0  # mean distance from the line
        self._level = self._swing = 0.0  # mean error of the last moments, and its usual size

    def __call__(self, stamps: FloatArray, lost: IntArray | None = None) -> FloatArray:
        """Take the next timestamps, and give the times of the samples that are decided, the oldest first.

        Parameters
        ----------
        stamps : array of shape (n_samples,)
            As they came, s.
        lost : array of shape (n_samples,) or None
            How many samples are known to be missing before each.

        Returns
        -------
        array of shape (n_decided,)
            Steps of a period, to a quarter of it, but where samples are missing; NaN for a sample that is not later
            than one before it, as when a clock is set back.
        """
        times: list[float] = []
        missing = [0] * len(stamps) if lost is None else lost.tolist()
        for stamp, before in zip(stamps.tolist(), missing, strict=True):
            self._places.append((self._places[-1] if self._places else 0) + before + 1)
            self._held.append(stamp)
            if self._n == 0:
                if len(self._held) == self._hold:
                    times += self._begin()
                continue
            error = stamp - (self._line + self._places[-1] * self._period)
            if abs(error) <= max(LEAST * self._nominal, SCALE * self._jitter):
                times += self._follow(error)
            elif len(self._held) >= self._hold and (self._agree() or len(self._held) >= 3 * self._hold):
                times += self._begin()
        decided = np.array(times)
        later = decided > np.maximum.accumulate(np.concatenate([[self._newest], decided]))[:-1]
        if later.any():
            self._newest = float(decided[later][-1])
        return np.asarray(np.where(later, decided, np.nan))

    def _offsets(self) -> FloatArray:
        """Give what each held stamp says of the line."""
        return np.asarray(np.array(self._held) - np.array(self._places) * self._period)

    def _agree(self) -> bool:
        """Whether the held stamps lie on a line of their own."""
        before, after = np.array_split(self._offsets()[-self._hold :], 2)
        off = abs(float(np.median(after) - np.median(before)))
        return off <= max(LEAST * self._nominal, SCALE * self._jitter)

    def _begin(self) -> list[float]:
        """Draw a line through the held stamps."""
        places = np.array(self._places)
        offsets = self._offsets()[-self._hold :]
        zero = float(np.median(offsets))
        jitter = float(np.abs(offsets - zero).mean())
        if self._n == 0 and jitter < self._nominal / 2:  # stamps this true tell the rate at once
            self._period = float(np.polyfit(places, self._held, 1)[0])
            zero = float(np.median(self._offsets()))
        self._n = 2 * self._hold
        times = zero + places * self._period
        self._line = float(times[-1])
        self._jitter = max(self._jitter, jitter)
        self._level, self._swing = 0.0, max(self._swing, self._jitter)
        self._errors.clear()
        self._held.clear()
        self._places.clear()
        return list(times)

    def _follow(self, error: float) -> list[float]:
        """Give the held samples their places on the line, and move the line towards the last stamp."""
        period, n = self._period, self._n
        times = [self._line + place * period for place in self._places]
        self._held.clear()
        self._places.clear()
        # A quarter of a period at most, so that no correction looks like a gap.
        step = 4 / n * error
        times[-1] += min(max(step, -self._nominal / 4), self._nominal / 4)
        self._line = times[-1]
        self._period += min(max(6 / n**2 * error, -1e-3 * self._nominal), 1e-3 * self._nominal)
        self._n = min(n + 1, self._most)
        self._jitter += (abs(error) - self._jitter) / n
        self._errors.append(error)
        self._level += (error - self._level) / self._hold
        usual = max(LEAST * self._nominal, SCALE * self._swing)
        self._swing += (abs(self._level) - self._swing) / n
        if abs(self._level) > usual:
            shift = float(np.median(self._errors))
            self._line += shift
            times[-1] += shift
            self._n, self._level = 2 * self._hold, 0.0
            self._errors.clear()
        return times
