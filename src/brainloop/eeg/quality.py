"""Channels that hold no EEG of their own: flat, noisy, bridged, or without values."""

from collections.abc import Sequence

import numpy as np

from brainloop._types import BoolArray, FloatArray

__all__ = ["band_pass", "find_faults"]

BAND = (0.5, 15.0)
"""Where event-related potentials lie, Hz; the limits below were measured in it."""

RATE = 100
"""Samples a second that are looked at, more than enough for the band. Windows of one second are compared, and medians
taken over them: a blink, a movement or a loose minute moves no median."""

MAX_WINDOWS = 1000
"""Windows looked at, evenly over the session: as many as a quarter of an hour has."""

FLAT = 0.5e-6
"""Standard deviation below which a channel is flat, V: the noise that an amplifier may add by itself (IFCN standard,
Nuwer et al. 1998). The quietest channel of the recordings at hand, a dry electrode on the forehead, has 1.9 uV."""

NOISY = 5.0
"""How many times the median channel's standard deviation makes a channel noisy. The channels at hand, which all
decode well together, reach 2.5 times; the criterion of PREP (Bigdely-Shamlo et al. 2015), five robust deviations from
the median channel, would take a channel of eight from two of three people there."""


def band_pass(data: FloatArray, sfreq: float) -> FloatArray:
    """Filter channels to `BAND` and take `RATE` samples a second of them.

    Parameters
    ----------
    data : array of shape (n_channels, n_samples)
        V; NaN where there is no value.
    sfreq : float
        Sampling rate, Hz.

    Returns
    -------
    array of shape (n_channels, n_slow)
        V; NaN where there was none.
    """
    from scipy import signal as sps

    low, high = BAND[0], min(BAND[1], 0.45 * sfreq)
    sos = np.concatenate(
        [
            sps.butter(order, corner, kind, fs=sfreq, output="sos")
            for order, corner, kind in ((2, low, "highpass"), (4, high, "lowpass"))
        ]
    )  # a steeper high-pass would take two thirds of a blink away
    places = np.arange(0, data.shape[1], sfreq / RATE).astype(int)
    slow = np.empty((len(data), len(places)))
    for row, channel in zip(slow, data, strict=True):
        known = np.isfinite(channel)
        offset = np.median(channel[known]) if known.any() else 0.0
        row[:] = np.where(known, sps.sosfilt(sos, np.where(known, channel - offset, 0.0)), np.nan)[places]
    return slow


def find_faults(runs: Sequence[FloatArray], channels: Sequence[str]) -> dict[str, str]:
    """Find the channels of a session that cannot be used, by the greater part of its time.

    A channel that is bad for a smaller part of the session stays: the epochs it spoils are rejected one by one. Labels
    play no part in it, so it may look at the whole session before that is split into training and test.

    Parameters
    ----------
    runs : sequence of array of shape (n_channels, n_samples)
        As `band_pass` gives them, V.
    channels : sequence of str
        Their names.

    Returns
    -------
    dict of str to str
        What is wrong, by channel: 'flat (0.02 uV)', 'noisy (9.1 times the median channel)', 'bridged with Pz (they
        differ by 0.10 uV)', 'without values in 80 % of its time'. Of bridged channels the first stays.

    Notes
    -----
    Electrodes are bridged by gel or sweat where the potential between them is flat (Tenke and Kayser 2001; Alschuler et
    al. 2014): where it is below what two amplifiers add.

    References
    ----------
    Alschuler, Tenke, Bruder and Kayser (2014), "Identifying electrode bridging from electrical distance distributions",
    Clin. Neurophysiol. 125.
    Bigdely-Shamlo et al. (2015), "The PREP pipeline", Front. Neuroinform. 9.
    Nuwer et al. (1998), "IFCN standards for digital recording of clinical EEG", Electroencephalogr. Clin.
    Neurophysiol. 106.
    Tenke and Kayser (2001), "A convenient method for detecting electrolyte bridges in multichannel EEG and ERP
    recordings", Clin. Neurophysiol. 112.
    """
    windows = _windows(runs)
    if len(windows) == 0:
        return {}
    whole: BoolArray = np.all(np.isfinite(windows), axis=2)  # (n_windows, n_channels)
    faults = {
        name: f"without values in {1 - share:.0%} of its time".replace("%", " %")
        for name, share in zip(channels, whole.mean(axis=0), strict=True)
        if share < 0.5
    }
    left = [i for i, name in enumerate(channels) if name not in faults]
    windows = windows[np.all(whole[:, left], axis=1)][:, left]
    if len(windows) == 0:
        return faults
    spread = windows.std(axis=2)
    typical = np.median(spread, axis=0)
    faults |= {channels[i]: f"flat ({1e6 * s:.2f} uV)" for i, s in zip(left, typical, strict=True) if s < FLAT}
    alive = typical >= FLAT
    left, windows, spread = [i for i, a in zip(left, alive, strict=True) if a], windows[:, alive], spread[:, alive]
    if not left:
        return faults
    ratio = np.median(spread / np.median(spread, axis=1, keepdims=True), axis=0)
    for i, times in zip(left, ratio, strict=True):
        if times > NOISY:
            faults[channels[i]] = f"noisy ({times:.1f} times the median channel)"
    return faults | _bridges(windows, [channels[i] for i in left])


def _windows(runs: Sequence[FloatArray]) -> FloatArray:
    """Cut runs into windows of a second, shape (n_windows, n_channels, RATE), and keep `MAX_WINDOWS` of them."""
    cut = [run[:, : run.shape[1] // RATE * RATE].reshape(len(run), -1, RATE).swapaxes(0, 1) for run in runs]
    every = max(1, -(-sum(len(part) for part in cut) // MAX_WINDOWS))
    return np.concatenate([part[::every] for part in cut])


def _bridges(windows: FloatArray, channels: Sequence[str]) -> dict[str, str]:
    centred = windows - windows.mean(axis=2, keepdims=True)
    faults: dict[str, str] = {}
    for i, name in enumerate(channels):
        # One channel against all before it at a time: all pairs at once take too much memory.
        apart = np.median((centred[:, :i] - centred[:, [i]]).std(axis=2), axis=0)
        for other, distance in zip(channels, apart, strict=False):
            if distance < np.sqrt(2) * FLAT and other not in faults:
                faults[name] = f"bridged with {other} (they differ by {1e6 * distance:.2f} uV)"
                break
    return faults
