"""The clock of a screen and ours, brought together by a hundred pings."""

from dataclasses import dataclass

import numpy as np

from brainloop._types import FloatArray
from brainloop.errors import SettingsError

__all__ = ["ClockOffset", "estimate", "jump"]

MIN_PINGS = 10

DRIFT = 1e-4
"""By how much two clocks may part, s a second: the quartz of each is good for 50 millionths."""


@dataclass(frozen=True)
class ClockOffset:
    """How to read the time of a screen on our clock.

    Attributes
    ----------
    offset : float
        What is added to the screen's time, s.
    rtt : float
        Round trip of the fastest ping, s.
    """

    offset: float
    rtt: float

    def to_server(self, ms: float) -> float:
        """Give a time of the screen, ms, on our clock, s."""
        return ms / 1e3 + self.offset

    @property
    def bound(self) -> float:
        """By how much the offset is off at most, s."""
        return self.rtt / 2


def estimate(pings: FloatArray) -> ClockOffset:
    """Estimate the offset of two clocks from pings.

    The fastest ping waited least, so that the server's stamp lies nearest to its middle (Cristian 1989, "Probabilistic
    clock synchronization", Distrib. Comput. 3; the filter of NTP, RFC 5905).

    Parameters
    ----------
    pings : array of shape (n, 3)
        When each left the screen, ms of the screen's clock; when the server had it, s of its own; when the answer was
        back, ms of the screen's.

    Returns
    -------
    ClockOffset
        Of the fastest ping.

    Raises
    ------
    SettingsError
        If there are fewer than 10, or a time is not finite, or an answer came before its question.
    """
    pings = np.asarray(pings, dtype=float)
    if pings.ndim != 2 or pings.shape[1:] != (3,) or len(pings) < MIN_PINGS:
        raise SettingsError(f"expected {MIN_PINGS} pings or more of three times each, got an array of {pings.shape}")
    sent, server, received = pings.T
    if not np.isfinite(pings).all() or (received < sent).any():
        raise SettingsError("expected pings whose answers came after their questions, at finite times")
    fastest = int(np.argmin(received - sent))
    middle = (sent[fastest] + received[fastest]) / 2e3
    return ClockOffset(float(server[fastest] - middle), float(received[fastest] - sent[fastest]) / 1e3)


def jump(before: ClockOffset, after: ClockOffset, elapsed: float) -> float:
    """Give by how much one of two clocks was set anew between two estimates, s.

    Parameters
    ----------
    before, after : ClockOffset
        Estimates of the same pair of clocks.
    elapsed : float
        From one to the other, s.

    Returns
    -------
    float
        The change of the offset beyond what the bounds of both and 100 millionths of drift explain; 0 within these.
        Onsets between two estimates with a jump are not known.
    """
    change = after.offset - before.offset
    explained = before.bound + after.bound + DRIFT * abs(elapsed)
    return float(np.sign(change) * max(0.0, abs(change) - explained))
