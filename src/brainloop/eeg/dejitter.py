"""Timestamps of a regular stream, freed of the jitter of its transport; lost samples stay gaps."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from brainloop._types import FloatArray, IntArray

__all__ = ["dejitter"]

SPAN = 1.0
"""How much of the stream is looked at on either side of a step, s: some thirty packets of a Bluetooth headset."""

RATE_SPAN = 10.0
"""Distance of the samples whose timestamps are compared for the rate, s: 30 ms of jitter are .3 % of it."""


def dejitter(stamps: FloatArray, sfreq: float) -> tuple[FloatArray, float]:
    """Lay the timestamps of a regular stream on straight lines, one from each loss of samples to the next.

    A packet that comes late delays its own stamps and no others; samples that are lost delay all stamps after them. So
    a step in the stamps counts as a loss where the median of what comes after it lies more than half a sampling period
    off the median of what comes before, and more than five standard deviations of such differences elsewhere in the
    stream. A line is fitted to each stretch between losses, all with one slope, as pyxdf does with breaks of a second
    or more; it would draw a line right through shorter ones.

    Parameters
    ----------
    stamps : array of shape (n_samples,)
        As received, on one clock, s; at least two.
    sfreq : float
        Nominal sampling rate, Hz.

    Returns
    -------
    times : array of shape (n_samples,)
        Each sample's time, s: regular between losses.
    rate : float
        The rate that was measured, Hz.
    """
    n, index = len(stamps), np.arange(len(stamps))
    apart = min(n - 1, round(RATE_SPAN * sfreq))
    period = float(np.median(stamps[apart:] - stamps[:-apart])) / apart
    losses = _losses(stamps - index * period, sfreq)
    edges = np.concatenate([[0], losses, [n]])
    stretch = np.repeat(np.arange(len(edges) - 1), np.diff(edges))
    counts = np.diff(edges)
    mean_index = (np.bincount(stretch, index) / counts)[stretch]
    mean_stamp = (np.bincount(stretch, stamps - stamps[0]) / counts)[stretch] + stamps[0]
    off = index - mean_index
    slope = float(off @ (stamps - mean_stamp) / (off @ off)) if off.any() else period
    return mean_stamp + slope * off, 1 / slope if slope > 0 else np.inf


def _losses(delay: FloatArray, sfreq: float) -> IntArray:
    """Find the samples before which others are missing, given each stamp's delay against a regular stream, s."""
    half = 0.5 / sfreq
    span = max(1, round(SPAN * sfreq))
    delay = delay.copy()
    losses: list[int] = []
    while True:
        steps = np.diff(delay)
        places = np.flatnonzero(np.abs(steps) > half) + 1
        places = places[~np.isin(places, losses)]
        if len(places) == 0:
            break
        before, after = _levels(delay, places, span)
        quiet = np.subtract(*_levels(delay, np.arange(1, len(delay), max(1, len(delay) // 1000)), span))
        noise = 1.4826 * float(np.median(np.abs(quiet - np.median(quiet))))
        # Near the ends, the medians are of fewer values.
        fewer = np.sqrt(span / np.clip(np.minimum(places, len(delay) - places), 1, span))
        found = np.flatnonzero(np.abs(after - before) > np.maximum(half, 5 * noise * fewer))
        if len(found) == 0:
            break
        # One loss shifts the medians of all places around it: one of them is taken, and the rest are looked at again
        # without it.
        lost = np.zeros(len(delay))
        for group in np.split(found, np.flatnonzero(np.diff(places[found]) > span) + 1):
            best = group[np.abs(after - before)[group].argmax()]
            begin, end = max(0, places[group[0]] - span), places[group[-1]] + span
            beyond = np.sign((delay[begin:end] - (before[best] + after[best]) / 2) * (after[best] - before[best]))
            # The place with most values on the lower side before it and on the upper side after it.
            taken = group[np.cumsum(beyond)[places[group] - begin - 1].argmin()]
            losses.append(int(places[taken]))
            # Without jitter a step is the loss itself; with it, the medians know better.
            lost[places[taken]] = steps[places[taken] - 1] if noise < half / 10 else after[best] - before[best]
        delay -= np.cumsum(lost)
    return np.array(sorted(losses), dtype=int)


def _levels(delay: FloatArray, places: IntArray, span: int) -> tuple[FloatArray, FloatArray]:
    """Median of up to `span` values before each place, and of as many from it on."""
    padded = np.concatenate([np.full(span, np.nan), delay, np.full(span, np.nan)])
    windows = sliding_window_view(padded, span)
    skip = max(1, span // 64)  # samples of a packet are late together
    parts = np.array_split(places, 1 + len(places) // 20_000)  # a bounded copy at a time
    before = np.concatenate([_median(windows[:, ::-skip][part]) for part in parts])
    after = np.concatenate([_median(windows[:, ::skip][part + span]) for part in parts])
    return before, after


def _median(rows: FloatArray) -> FloatArray:
    """Median of each row without its NaN: `numpy.nanmedian`, but fast."""
    ordered = np.sort(rows, axis=1)  # NaN last
    return np.asarray(ordered[np.arange(len(rows)), (np.isfinite(rows).sum(axis=1) - 1) // 2])
