"""Onsets in whole frames of a screen, and what is late."""

import numpy as np

from brainloop._types import FloatArray
from brainloop.errors import SettingsError

__all__ = ["drift", "frames", "lateness"]

TOLERANCE = 0.1
"""Relative difference between the SOA that was asked for and one in whole frames that is let pass."""


def frames(soa: float, refresh_hz: float) -> int:
    """Give the number of frames that comes closest to an SOA.

    Parameters
    ----------
    soa : float
        Onset to onset, s.
    refresh_hz : float
        Frames a second.

    Raises
    ------
    SettingsError
        If no whole number of frames comes within a tenth of it.
    """
    if not (np.isfinite(soa) and np.isfinite(refresh_hz) and soa > 0 and refresh_hz > 0):
        raise SettingsError(f"expected an SOA and a refresh rate above 0, got {soa} s and {refresh_hz} Hz")
    number = max(1, round(soa * refresh_hz))
    if abs(number / refresh_hz - soa) > TOLERANCE * soa:
        raise SettingsError(
            f"expected an SOA within a tenth of a whole number of frames of this screen of {refresh_hz:.1f} Hz, got "
            f"{1e3 * soa:.0f} ms; the nearest is {1e3 * number / refresh_hz:.0f} ms: make a study with that SOA"
        )
    return number


def lateness(planned: float, drawn: float, refresh_hz: float) -> str | None:
    """Say whether a presentation came too late to train anything: by more than half a frame.

    Parameters
    ----------
    planned, drawn : float
        When it should have come on and when it did, s.
    refresh_hz : float
        Frames a second.

    Returns
    -------
    str or None
        ``late``, or None. One that came too early is as far off, and called the same.
    """
    return "late" if abs(drawn - planned) > 0.5 / refresh_hz else None


def drift(onsets: FloatArray, soa: float, refresh_hz: float) -> float:
    """Give by how many frames a block's last onset is off its place, seen from the first.

    Parameters
    ----------
    onsets : array of shape (n,)
        Of successive presentations, s.
    soa : float
        Onset to onset as planned, s.
    refresh_hz : float
        Frames a second.
    """
    return float((onsets[-1] - onsets[0] - (len(onsets) - 1) * soa) * refresh_hz)
