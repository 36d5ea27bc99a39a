"""From the frame that draws an image to its light: what a light sensor on the corner of the screen saw."""

from dataclasses import dataclass

import numpy as np

from brainloop._types import FloatArray
from brainloop.eeg.recorder import Session
from brainloop.errors import RecordingError

__all__ = ["DisplayTiming", "display_timing", "find_edges", "measure_display"]

EARLIEST, LATEST = -0.02, 0.2
"""An edge this long after a frame may be its light, s: panels take 6 to 120 ms; a camera's or amplifier's clock may put
it a little before."""

SPREAD = 0.04
"""Delays of one display lie within this width, s: two frames at 60 Hz, and less than half of the shortest SOA."""

LEAST = 20
"""Flashes from which a standard deviation says anything: that of 20 is known to a sixth."""

HYSTERESIS = 0.25
"""How far light must go beyond the middle of dark and lit, as a share of their distance: ripple of mains or backlight
stays within."""

MARGIN = 2.0
"""Of a recording before and after what was shown, s, in which the sensor is dark."""


@dataclass(frozen=True, eq=False)
class DisplayTiming:
    """How long a display takes.

    Attributes
    ----------
    delays : array of shape (n,)
        From each frame that was drawn to the edge that was seen, s.
    missed : int
        Frames without an edge.
    """

    delays: FloatArray
    missed: int

    @property
    def offset(self) -> float:
        """Mean delay, s: what is to be added to a frame's time."""
        return float(self.delays.mean())

    @property
    def sd(self) -> float:
        """Standard deviation of the delays, s: what cannot be taken out."""
        return float(self.delays.std(ddof=1))


def find_edges(times: FloatArray, light: FloatArray) -> FloatArray:
    """Find where a screen's corner lights up.

    Dark is what the sensor reads for longest at a stretch, be it more or less than lit: between blocks the corner is
    dark. Otsu's threshold parts the two. An edge is where the reading passes the middle of their medians, between
    samples by interpolation, on its way from clearly dark to clearly lit; none is seen across a gap.

    Parameters
    ----------
    times : array of shape (n_samples,)
        Increasing, s.
    light : array of shape (n_samples,)
        What the sensor reads, in any unit.

    Returns
    -------
    array of shape (n_edges,)
        s, increasing.

    References
    ----------
    Otsu (1979), "A threshold selection method from gray-level histograms", IEEE Trans. Syst. Man Cybern. 9.
    """
    from skimage.filters import threshold_otsu

    light = np.asarray(light, dtype=float)
    low, high = np.quantile(light, [0.001, 0.999])  # without what touching the sensor does
    if not high > low:
        return np.zeros(0)
    light = light.clip(low, high)
    threshold = float(threshold_otsu(light))  # type: ignore[no-untyped-call]
    below, above = np.median(light[light <= threshold]), np.median(light[light > threshold])
    middle, reach = (below + above) / 2, HYSTERESIS * (above - below)

    clear = np.flatnonzero(np.abs(light - middle) >= reach)
    is_lit = light[clear] > middle
    turns = np.concatenate([[0], np.flatnonzero(np.diff(is_lit)) + 1, [len(clear) - 1]])
    if is_lit[turns[np.diff(times[clear[turns]]).argmax()]]:
        light, middle, is_lit = -light, -middle, ~is_lit
    rises = np.flatnonzero(is_lit[1:] & ~is_lit[:-1])
    first, last = clear[rises], clear[rises + 1]
    # Of several crossings in the ripple the last one counts: it is the one that was not undone.
    crossings = np.flatnonzero((light[:-1] < middle) & (light[1:] >= middle))
    at = crossings[np.searchsorted(crossings, last, side="left") - 1] if rises.size else rises
    edges = times[at] + (middle - light[at]) / (light[at + 1] - light[at]) * (times[at + 1] - times[at])
    steps = np.diff(times)
    gaps = np.concatenate([[0], np.cumsum(steps > 1.5 * np.median(steps))])
    return np.asarray(edges[gaps[first] == gaps[last]])


def display_timing(drawn: FloatArray, edges: FloatArray) -> DisplayTiming:
    """Give each frame its edge.

    Images that follow each other regularly could be matched an SOA too early or too late; the delay at which most
    frames have an edge is taken, which the first frame of each block decides.

    Parameters
    ----------
    drawn : array of shape (n_frames,)
        When frames that light the corner were drawn, increasing, s.
    edges : array of shape (n_edges,)
        As of `find_edges`, on the same clock.

    Returns
    -------
    DisplayTiming
        Of edges 20 ms before to 200 ms after their frames.

    Raises
    ------
    RecordingError
        If fewer than 20 frames have an edge.
    """
    edges = np.append(edges, np.inf)
    first, stop = (np.searchsorted(edges, drawn + limit, side="right") for limit in (EARLIEST, LATEST))
    candidates = [edges[a:b] - frame for frame, a, b in zip(drawn, first, stop, strict=True)]
    delays = np.sort(np.concatenate([np.zeros(0), *candidates]))
    within = np.searchsorted(delays, delays + SPREAD, side="right") - np.arange(len(delays))
    matched = np.zeros(0)
    if within.size:
        most = int(within.argmax())
        centre = delays[most : most + within[most]].mean()
        delay = edges[np.searchsorted(edges, drawn + centre - SPREAD / 2)] - drawn
        matched = delay[delay <= centre + SPREAD / 2]
    if len(matched) < LEAST:
        raise RecordingError(
            f"expected a flash of the light sensor after {LEAST} frames or more, found {len(matched)} after "
            f"{len(drawn)} frames ({len(edges) - 1} flashes in all). Tape the sensor over the patch in the corner, "
            "shade it from the room's light, name its channel, and record a block with the patch on"
        )
    return DisplayTiming(matched, len(drawn) - len(matched))


def measure_display(session: Session, channel: str | None = None) -> DisplayTiming:
    """Measure a display by a recording whose blocks had the patch on.

    Parameters
    ----------
    session : Session
        With events `block` that say ``"patch": true``, and their `presentation` events.
    channel : str or None
        The light sensor; None for the only auxiliary channel.

    Raises
    ------
    RecordingError
        If no block had the patch on, there is no such channel, or too few flashes are found.
    """
    blocks = {event.get("block") for event in session.events if event["event"] == "block" and event.get("patch")}
    drawn = np.array(
        sorted(
            event["t"] - (event.get("latency") or 0.0)  # the display's, as far as it was known then
            for event in session.events
            if event["event"] == "presentation" and event.get("block") in blocks and event.get("flaw") != "missed"
        )
    )
    if session.info is None or len(drawn) == 0:
        raise RecordingError("expected a recording of a headset with blocks whose patch was on; this one has none")
    names = session.info.channels + session.info.aux
    if channel is None and len(session.info.aux) == 1:
        channel = session.info.aux[0]
    if channel not in names:
        there = ", ".join(session.info.aux) or "none; the EEG channels are " + ", ".join(session.info.channels)
        came = "none was named" if channel is None else f"got {channel!r}"
        raise RecordingError(f"expected the light sensor's channel, {came}; auxiliary channels are: {there}")
    near = (session.times > drawn[0] - MARGIN) & (session.times < drawn[-1] + MARGIN)
    edges = find_edges(session.times[near], session.data[names.index(channel), near]) if near.sum() > 1 else np.zeros(0)
    return display_timing(drawn, edges)
