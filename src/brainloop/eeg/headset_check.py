"""Is the headset on the head? Quality of each channel, mains, and how well samples and timestamps come."""

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from brainloop._types import FloatArray, Progress, no_progress
from brainloop.eeg.headset import Chunk, Headset, HeadsetInfo
from brainloop.eeg.quality import RATE, band_pass, find_faults
from brainloop.eeg.signal import Signal
from brainloop.errors import RecordingError

__all__ = ["ChannelQuality", "Check", "Mains", "check_headset", "find_mains", "quality"]

POLL = 0.01
"""Between two looks at the headset, s."""

LEAST = 3.0
"""Without interruption, before channels are judged, s; the first of them is the filter's, to settle."""

RAILED = (0.5e-3, 0.1)
"""A channel is railed where more than this share of its samples lies on one value, that far from zero or further, V: an
amplifier at the end of its range. A working one has noise, and lies on no value twice in a row."""

MAINS = (50.0, 60.0)
"""Frequencies of the world's mains, Hz."""

STANDS_OUT = 3.0
"""How many times the amplitude beside it that at a mains frequency must be, in the median channel, to be mains."""


@dataclass(frozen=True)
class ChannelQuality:
    """What an EEG channel is good for.

    Attributes
    ----------
    name : str
        The channel.
    verdict : {"good", "flat", "noisy", "railed"}
        Flat: no contact, no values, or bridged with another one. Noisy: loose, or moving. Railed: beyond its range.
    uv : float
        Standard deviation from 0.5 to 15 Hz, microvolts.
    why : str
        A few words; empty for a good one.
    """

    name: str
    verdict: Literal["good", "flat", "noisy", "railed"]
    uv: float
    why: str = ""


@dataclass(frozen=True)
class Mains:
    """Hum of the mains.

    Attributes
    ----------
    hz : float
        50 or 60.
    uv : tuple of float
        Amplitude in each EEG channel, microvolts.
    """

    hz: float
    uv: tuple[float, ...]


@dataclass(frozen=True)
class Check:
    """What `check_headset` found.

    Attributes
    ----------
    info : HeadsetInfo
        The headset.
    samples : int
        That came.
    rate : float
        That was measured between gaps, Hz.
    delay : float
        Median time from a sample's timestamp to its arrival, s; far from zero if the headset's clock is another one.
    jitter : float
        Standard deviation of that time, s.
    gaps : int
        Steps of the timestamps of more than a period and a half.
    lost_s : float
        What is missing in them, s.
    mains : Mains or None
        None where no mains stand out, or the rate is too low to see them.
    channels : tuple of ChannelQuality
        One for each EEG channel; none where too little came without interruption.
    """

    info: HeadsetInfo
    samples: int
    rate: float
    delay: float
    jitter: float
    gaps: int
    lost_s: float
    mains: Mains | None
    channels: tuple[ChannelQuality, ...]


def check_headset(headset: Headset, seconds: float = 10.0, progress: Progress = no_progress) -> Check:
    """Watch a headset for a while.

    Parameters
    ----------
    headset : Headset
        Open, and pulled from by nobody else.
    seconds : float
        How long, s.
    progress : callable
        Called with the tenths of a second that are done, and how many there will be.

    Raises
    ------
    RecordingError
        If no samples come, or the headset is gone.
    """
    chunks: list[Chunk] = []
    begin = time.monotonic()
    while (done := time.monotonic() - begin) < seconds:
        chunk = headset.pull()
        if len(chunk.times):
            chunks.append(chunk)
        progress(int(10 * done), int(10 * seconds))
        time.sleep(POLL)
    info = headset.info
    if sum(len(chunk.times) for chunk in chunks) < 2:
        raise RecordingError(
            f"no samples came from {info.name} in {seconds:g} s: see to its battery and radio, and that its app is "
            "streaming"
        )
    # What waited in the buffer before we looked tells nothing about how long samples take.
    delays = np.array([chunk.arrived - chunk.times[-1] for chunk in chunks[1:] or chunks])
    times = np.concatenate([chunk.times for chunk in chunks])
    data = np.concatenate([chunk.data for chunk in chunks], axis=1)
    steps = np.diff(times)
    regular = steps[steps <= 1.5 / info.sfreq]
    missing = steps[steps > 1.5 / info.sfreq] - 1 / info.sfreq
    whole = Chunk(times, data)
    return Check(
        info=info,
        samples=len(times),
        rate=1 / float(regular.mean()) if len(regular) else float("nan"),
        delay=float(np.median(delays)),
        jitter=float(delays.std()),
        gaps=len(missing),
        lost_s=float(missing.sum()),
        mains=find_mains(whole, info),
        channels=quality(whole, info),
    )


def quality(chunk: Chunk, info: HeadsetInfo) -> tuple[ChannelQuality, ...]:
    """Judge the EEG channels by their last seconds.

    Parameters
    ----------
    chunk : Chunk
        The last four seconds or so, as `Recorder.recent` gives them; what lies before a gap plays no part.
    info : HeadsetInfo
        The headset that they come from.

    Returns
    -------
    tuple of ChannelQuality
        One for each EEG channel; none where fewer than `LEAST` seconds came without interruption.
    """
    eeg = _unbroken(chunk, info)
    if eeg.shape[1] < LEAST * info.sfreq:
        return ()
    slow = band_pass(eeg, info.sfreq)[:, RATE:]
    # Whole seconds, in which channels are compared.
    seconds = slow[:, slow.shape[1] % RATE :].reshape(len(slow), -1, RATE)
    spread = 1e6 * np.median(seconds.std(axis=2), axis=1)
    swing = np.median(np.ptp(seconds, axis=2), axis=1)
    faults = find_faults([slow[:, slow.shape[1] % RATE :]], info.channels)
    limit = Signal().max_amplitude
    judged = []
    for name, raw, uv, volts in zip(info.channels, eeg, spread.tolist(), swing.tolist(), strict=True):
        verdict: Literal["good", "flat", "noisy", "railed"] = "good"
        why = faults.get(name, "")
        if at := _rail(raw):
            verdict, why = "railed", f"at the end of its range ({1e3 * at:.2f} mV)"
        elif why:
            verdict = "noisy" if why.startswith("noisy") else "flat"
        elif volts > limit:
            verdict, why = "noisy", f"swings by {1e6 * volts:.0f} uV; above {1e6 * limit:.0f} uV epochs are rejected"
        judged.append(ChannelQuality(name, verdict, uv, why))
    return tuple(judged)


def find_mains(chunk: Chunk, info: HeadsetInfo) -> Mains | None:
    """Find the hum of the mains.

    Parameters
    ----------
    chunk : Chunk
        Two seconds or more; what lies before a gap plays no part.
    info : HeadsetInfo
        The headset that they come from.

    Returns
    -------
    Mains or None
        None where no mains stand out, or the rate is too low to see them.
    """
    eeg = _unbroken(chunk, info)
    eeg = eeg[:, -round(4 * info.sfreq) :]
    if eeg.shape[1] < 2 * info.sfreq:
        return None
    window = np.hanning(eeg.shape[1])
    there = np.isfinite(eeg).all(axis=1, keepdims=True)
    known = np.where(there, eeg - eeg.mean(axis=1, keepdims=True), 0.0)
    n = 4 * eeg.shape[1]  # fine enough for mains that are a tenth of a hertz off
    spectrum = 2 * np.abs(np.fft.rfft(known * window, n, axis=1)) / window.sum()  # a sine's amplitude, at its frequency
    frequencies = np.fft.rfftfreq(n, 1 / info.sfreq)
    found: dict[float, tuple[float, FloatArray]] = {}
    for hz in MAINS:
        if hz + 4 < info.sfreq / 2:
            off = np.abs(frequencies - hz)
            hum, beside = spectrum[:, off <= 1].max(axis=1), np.median(spectrum[:, (off > 1.5) & (off <= 4)], axis=1)
            # An amplitude of noise peaks at twice its median within so few bins.
            found[hz] = float(np.median(hum / np.maximum(beside, 1e-12)) / 2), 1e6 * hum
    if not found:
        return None
    best = max(found, key=lambda hz: found[hz][0])
    stands_out, uv = found[best]
    return Mains(best, tuple(uv.tolist())) if stands_out > STANDS_OUT else None


def _unbroken(chunk: Chunk, info: HeadsetInfo) -> FloatArray:
    """Give the EEG since the last gap, V."""
    gaps = np.flatnonzero(np.diff(chunk.times) > 1.5 / info.sfreq)
    return chunk.data[: len(info.channels), gaps[-1] + 1 if len(gaps) else 0 :].astype(float)


def _rail(channel: FloatArray) -> float:
    """Give the value that a channel is stuck at, V, or 0."""
    far, share = RAILED
    for end in (channel.max(), channel.min()):
        if abs(end) >= far and np.mean(channel == end) > share:
            return float(end)
    return 0.0
