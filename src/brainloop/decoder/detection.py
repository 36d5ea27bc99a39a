"""Alarms: when evidence over time says that something has happened."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from brainloop._types import FloatArray
from brainloop.errors import SettingsError

__all__ = ["REFRACTORY", "SPAN", "Alarm", "Detector", "detect", "pooled", "threshold_for"]

SPAN = 3
"""Windows that are pooled: 0.3 s at ten a second, for a response is not always as late as the mean one. On six
simulated people who are not those of the bench it found .76 of the hazards at two false alarms a minute; a single
window found .73, the mean evidence of three .74 and of four .69, and a cumulative sum .75."""

REFRACTORY = 1.0
"""Shortest time from one alarm to the next, s: a response is in every window that overlaps it."""


@dataclass(frozen=True)
class Alarm:
    """A detection.

    Attributes
    ----------
    time : float
        When it was raised, s.
    evidence : float
        Pooled, nats.
    """

    time: float
    evidence: float


def pooled(evidence: FloatArray) -> FloatArray:
    """Give the evidence that something began with one of the last three windows, nats.

    The likelihood of "at one of these, one as likely as another" is the mean of theirs: ``L = log(mean(exp(L_k)))``.

    Parameters
    ----------
    evidence : array of shape (n,)
        Of successive windows, nats.

    Returns
    -------
    array of shape (n,)
        Of each window and up to two before it.
    """
    if len(evidence) == 0:
        return np.zeros(0)
    before = np.concatenate([np.full(SPAN - 1, -np.inf), evidence])
    known = np.minimum(np.arange(len(evidence)) + 1, SPAN)
    return np.asarray(np.logaddexp.reduce(sliding_window_view(before, SPAN), axis=1) - np.log(known))


class Detector:
    """Raise an alarm when pooled evidence reaches a threshold, and then none for a while.

    Parameters
    ----------
    threshold : float
        Nats.
    refractory : float
        Shortest time from one alarm to the next, s.

    Raises
    ------
    SettingsError
        If the threshold is no number, or the time is below 0.
    """

    def __init__(self, threshold: float, refractory: float = REFRACTORY) -> None:
        if np.isnan(threshold) or not refractory >= 0:
            raise SettingsError(
                f"expected a threshold in nats and a refractory time of 0 s or more, got {threshold} and {refractory}"
            )
        self._threshold, self._refractory = threshold, refractory
        self._recent: deque[float] = deque(maxlen=SPAN)
        self._last = -np.inf

    def push(self, time: float, evidence: float) -> Alarm | None:
        """Take the evidence of the next window, known at `time`, s; give the alarm that it raises, if it does."""
        self._recent.append(evidence)
        total = float(np.logaddexp.reduce(list(self._recent)) - np.log(len(self._recent)))
        if total < self._threshold or time - self._last < self._refractory:
            return None
        self._last = time
        return Alarm(time, total)


def detect(times: FloatArray, evidence: FloatArray, threshold: float, refractory: float = REFRACTORY) -> list[Alarm]:
    """Find the alarms in evidence over time: `Detector` fed with everything at once.

    Parameters
    ----------
    times : array of shape (n,)
        When each window's evidence was known, s; increasing.
    evidence : array of shape (n,)
        Nats.
    threshold, refractory : float
        See `Detector`.
    """
    Detector(threshold, refractory)  # checks both
    alarms: list[Alarm] = []
    totals = pooled(evidence)
    for place in np.flatnonzero(totals >= threshold):
        if not alarms or times[place] - alarms[-1].time >= refractory:
            alarms.append(Alarm(float(times[place]), float(totals[place])))
    return alarms


def threshold_for(
    times: FloatArray,
    evidence: FloatArray,
    per_hour: float,
    events: Sequence[float] | FloatArray = (),
    answers: tuple[float, float] = (0.2, 2.0),
) -> float:
    """Find the lowest threshold with no more than so many false alarms an hour.

    Parameters
    ----------
    times, evidence : arrays of shape (n,)
        See `detect`.
    per_hour : float
        False alarms an hour, above 0.
    events : sequence of float
        When something did happen, s.
    answers : (float, float)
        An alarm so long after an event, s, is no false one.

    Returns
    -------
    float
        Of pooled evidence, nats.

    Raises
    ------
    SettingsError
        If the rate is not above 0, or there is no evidence.
    """
    if not per_hour > 0 or len(times) < 2:
        raise SettingsError(
            f"expected a rate of false alarms above 0 and two windows or more, got {per_hour} and {len(times)}"
        )
    allowed = per_hour * len(times) * float(np.median(np.diff(times))) / 3600  # windows may have been left out
    when = np.asarray(events, dtype=float)
    totals = pooled(evidence)
    # From the highest down: the first that is too many is one too far. With the refractory time the number may fall
    # again further down, where one alarm hides the next; such thresholds are no use.
    best = float(np.nextafter(totals.max(), np.inf))
    for candidate in np.unique(np.quantile(totals, 1 - np.geomspace(1 / len(totals), 1, 200)))[::-1]:
        after = np.array([alarm.time for alarm in detect(times, evidence, candidate)])[:, None] - when[None]
        if (~((after >= answers[0]) & (after <= answers[1])).any(axis=1)).sum() > allowed:
            break
        best = float(candidate)
    return best
