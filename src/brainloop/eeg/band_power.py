"""Power of the EEG's rhythms in a second of signal, and the two indices that are made of it."""

import numpy as np

from brainloop._types import FloatArray
from brainloop.errors import SettingsError

__all__ = ["ALPHA", "BANDS", "BETA", "FAST", "SLOW", "THETA", "asymmetry", "band_powers", "engagement", "swing"]

BANDS = {"slow": (1.0, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 13.0), "beta": (13.0, 30.0), "fast": (30.0, 45.0)}
"""Hz, the upper edge excluded: theta, alpha and beta as they are usually drawn, `slow` where blinks and movements are,
`fast` where muscles are and mains are not."""

SLOW, THETA, ALPHA, BETA, FAST = range(len(BANDS))

HIGHEST = max(high for _, high in BANDS.values())


def band_powers(segment: FloatArray, sfreq: float) -> FloatArray:
    """Estimate the power in each band from one segment: a modified periodogram (Welch 1967).

    A straight line is taken out of every channel first, which is the offset and the drift of its electrode. The mean
    over half overlapping segments is Welch's estimate, and what `scipy.signal.welch` gives.

    Parameters
    ----------
    segment : array of shape (n_channels, n)
        V; a second, for bins of 1 Hz.
    sfreq : float
        Sampling rate, Hz.

    Returns
    -------
    array of shape (n_channels, n_bands)
        Power in each of `BANDS`, V^2.

    Raises
    ------
    SettingsError
        If the sampling rate is too low for the highest band.

    References
    ----------
    Welch (1967), "The use of fast Fourier transform for the estimation of power spectra", IEEE Trans. Audio
    Electroacoust. 15.
    """
    from scipy import fft  # late, as it takes a part of a second

    n = segment.shape[1]
    taper = _taper(n)
    frequencies = fft.rfftfreq(n, 1 / sfreq)
    # Twice, as half of a real signal's power is at negative frequencies; 0 and the highest frequency are in no band.
    powers = 2 * np.abs(_spectrum(segment, sfreq)) ** 2 / (n * np.square(taper).sum())
    # Half a bin of room, as a bin's own frequency rounds.
    edges = np.searchsorted(frequencies, np.array(list(BANDS.values())) - 0.01)
    return np.stack([powers[:, begin:end].sum(axis=1) for begin, end in edges], axis=1)


def swing(segment: FloatArray, sfreq: float) -> FloatArray:
    """Give each channel's largest peak-to-peak value as `band_powers` sees it: tapered, and without mains.

    Parameters
    ----------
    segment : array of shape (n_channels, n)
        V.
    sfreq : float
        Sampling rate, Hz.

    Returns
    -------
    array of shape (n_channels,)
        V.
    """
    from scipy import fft  # late, as it takes a part of a second

    n = segment.shape[1]
    below = fft.rfftfreq(n, 1 / sfreq) < HIGHEST
    return np.asarray(np.ptp(fft.irfft(_spectrum(segment, sfreq) * below, n, axis=1), axis=1))


def engagement(powers: FloatArray) -> float:
    """Give the log of the engagement index, beta / (alpha + theta), as the mean over channels.

    Parameters
    ----------
    powers : array of shape (n_channels, n_bands)
        As `band_powers` gives them, in any unit.

    References
    ----------
    Pope, Bogart and Bartolome (1995), "Biocybernetic system evaluates indices of operator engagement in automated
    task", Biol. Psychol. 40. The mean of logs, rather than one ratio for all channels, lets none outweigh the others by
    its amplitude.
    """
    return float(np.mean(np.log(powers[:, BETA]) - np.log(powers[:, ALPHA] + powers[:, THETA])))


def asymmetry(powers: FloatArray) -> float:
    """Give the alpha asymmetry, ln(alpha right) - ln(alpha left).

    Parameters
    ----------
    powers : array of shape (2, n_bands)
        As `band_powers` gives them, in any unit: of the left channel, then of the right one.

    References
    ----------
    Coan and Allen (2004), "Frontal EEG asymmetry as a moderator and mediator of emotion", Biol. Psychol. 67.
    """
    left, right = np.log(powers[:, ALPHA])
    return float(right - left)


def _taper(n: int) -> FloatArray:
    """Make a Hann window of `n` samples, periodic, as spectra want it."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n))


def _spectrum(segment: FloatArray, sfreq: float) -> FloatArray:
    from scipy import fft  # late, as it takes a part of a second

    if not sfreq > 2 * HIGHEST:
        raise SettingsError(
            f"expected a sampling rate above {2 * HIGHEST:g} Hz for rhythms up to {HIGHEST:g} Hz, got {sfreq:g} Hz: "
            "record faster"
        )
    n = segment.shape[1]
    line = np.linspace(-1.0, 1.0, n)
    level = segment.mean(axis=1, keepdims=True)
    slope = (segment * line).sum(axis=1, keepdims=True) / np.square(line).sum()
    return np.asarray(fft.rfft((segment - level - slope * line) * _taper(n), axis=1))
