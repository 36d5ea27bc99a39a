"""A person who watches a drive and presses a key at a hazard."""

from collections import deque
from math import erf, exp, log, sqrt

from brainloop.driving.watcher import Heard
from brainloop.observers.keys import GUESS

__all__ = ["KeyWatcher"]

MEDIAN, SPREAD = GUESS[0], 0.31
"""Of reaction times, log-normal: the median, s, as at photographs, and the standard deviation of the logarithm, such
that that of the times is .15 s. A hazard unfolds where a photograph is there at once, so times spread wider."""

HIT_RATE = 0.9
"""Share of hazards that get a press."""

FALSE_RATE = 1 / 30
"""Presses that answer nothing, 1/s."""

QUANTILE = 1.96
"""Standard deviations of the logarithm between which 95 % of reaction times are."""

PERIOD = 0.5
"""A stretch without a hazard is told of in pieces of this length, s."""

UNDER_WAY = 0.2
"""A press takes no longer than this from the key to here, s."""


class KeyWatcher:
    r"""A person with a key, pressed at each hazard as soon as it is seen.

    A hazard begins somewhere in a stretch of `w` seconds, each instant as likely as any other, or it does not. If it
    does, it causes a press with probability `h`, after a reaction time with density `g`; presses that answer nothing
    come at a rate of `f` a second anyway. So a press at `p` says of the stretch of the 95 % of reaction times before
    it, ``q`` to ``Q`` and ``w = Q - q`` long, that a hazard began there, by

    ``L = log((1 - h) + h / f * (1 / w) * integral of g over w) = log(1 - h + .95 h / (f w))``,

    3.8 nats, and a stretch that no press answers, by the time that 95 % would have come, that none did, by

    ``L = log(1 - .95 h)``,

    -1.9 nats. (As in `observers.keys`, where several images may have caused one press.) A press whose stretch overlaps
    that of the press before, as of a key that is held, says nothing more: stretches never overlap, so that what is
    said of them adds.

    Every press that counts is an alarm.
    """

    def __init__(self) -> None:
        self._soon, self._late = MEDIAN * exp(-QUANTILE * SPREAD), MEDIAN * exp(QUANTILE * SPREAD)
        inside = erf(QUANTILE / sqrt(2))
        width = self._late - self._soon
        self._of_press = log(1 - HIT_RATE + HIT_RATE * inside / (FALSE_RATE * width))
        self._of_silence = log(1 - HIT_RATE * inside)
        # Pressed in another thread than the drive's; a deque's ends are safe for that.
        self._pressed: deque[float] = deque()
        self.begin()

    def begin(self) -> None:
        """Begin to watch another drive; see `Watcher.begin`."""
        self._pressed.clear()
        self._now = self._told = 0.0
        self._presses: list[float] = []
        self._alarms: list[float] = []

    def press(self, time: float) -> None:
        """Be told of a press, s from the start of the drive."""
        self._pressed.append(time)

    def see(self, time: float, hazard: bool) -> None:  # noqa: ARG002 -- the person sees for themselves
        """Be told what time it is; see `Watcher.see`."""
        self._now = time

    def heard(self) -> list[Heard]:
        """Give what presses, and their absence, said since; see `Watcher.heard`."""
        said = []
        while self._pressed and self._pressed[0] <= self._now:
            press = self._pressed.popleft()
            if not self._presses or press - self._presses[-1] >= self._late - self._soon:
                self._presses.append(press)
                self._alarms.append(press)
                said.append(Heard(self._now, press - self._late, press - self._soon, self._of_press))
        while self._told + PERIOD + self._late + UNDER_WAY <= self._now:
            begin, end = self._told, self._told + PERIOD
            if not any(begin + self._soon < press < end + self._late for press in self._presses):
                said.append(Heard(self._now, begin, end, self._of_silence))
            self._told = end
        return said

    def alarms(self) -> list[float]:
        """Give the presses that counted since the last call, s."""
        alarms, self._alarms = self._alarms, []
        return alarms
