"""Blinks and eye movements, regressed out of the EEG."""

from collections.abc import Sequence

import numpy as np

from brainloop._types import BoolArray, FloatArray

__all__ = ["blink_matrix"]

FRONTAL = ("fp1", "fpz", "fp2", "af7", "af8")
"""Channels right above the eyes, which read a blink at ten times what the parietal ones do."""

MIN_CHANNELS = 16
"""Channels needed to regress by frontal ones: it takes one dimension out of the data, a sixteenth at most."""

MIN_MOVEMENTS = 10
"""Movements of the eyes needed to estimate by: a minute of anybody has as many."""

THRESHOLD = 4.0
"""Robust standard deviations above which an eye channel shows a movement of the eyes."""

MIN_AMPLITUDE = 40e-6
"""Smallest movement that counts, V: of a blink's 100 uV and more beside the eyes, the band leaves more than half."""


def blink_matrix(runs: Sequence[FloatArray], eeg: Sequence[str], eog: Sequence[str]) -> tuple[FloatArray, str | None]:
    """Estimate the matrix that takes eye movements out of the EEG.

    Regression (Gratton et al. 1983): each channel less the share of the eye channels that it reads. The shares are
    estimated where the eyes move only, as elsewhere the eye channels mostly read the brain (Croft and Barry 2000).
    Without eye channels, and with enough others, the mean of the frontal channels takes their place, estimated on
    blinks, which are positive in all of them. No labels are used.

    Parameters
    ----------
    runs : sequence of array of shape (n_eeg + n_eog, n_samples)
        Band-passed, V: EEG channels that are good, then eye channels.
    eeg, eog : sequence of str
        Their names.

    Returns
    -------
    matrix : array of shape (n_eeg, n_eeg + n_eog)
        From both kinds of channels to EEG without eye movements.
    said : str or None
        What was done, or None where nothing was.

    References
    ----------
    Croft and Barry (2000), "Removal of ocular artifact from the EEG: a review", Neurophysiol. Clin. 30.
    Gratton, Coles and Donchin (1983), "A new method for off-line removal of ocular artifact", Electroencephalogr. Clin.
    Neurophysiol. 55.
    """
    n_eeg = len(eeg)
    nothing = np.eye(n_eeg, n_eeg + len(eog))
    data = np.concatenate(runs, axis=1)
    data = data[:, np.isfinite(data).all(axis=0)]
    if eog:
        reading = np.eye(n_eeg + len(eog))[n_eeg:]  # (n_regressors, n_eeg + n_eog)
        moving = (np.abs(data[n_eeg:]) > _limits(data[n_eeg:])).any(axis=0)
        means = ", ".join(eog)
    else:
        frontal = [i for i, name in enumerate(eeg) if name.casefold() in FRONTAL]
        if not frontal or n_eeg < MIN_CHANNELS:
            return nothing, None
        reading = np.isin(np.arange(n_eeg), frontal)[None] / len(frontal)
        moving = (data[frontal] > _limits(data[frontal])).all(axis=0)
        means = f"the mean of {', '.join(eeg[i] for i in frontal)}"
    movements = _count(moving)
    if movements < MIN_MOVEMENTS:
        return nothing, None
    during = data[:, moving]
    shares = np.linalg.lstsq((reading @ during).T, during[:n_eeg].T, rcond=1e-6)[0].T  # (n_eeg, n_regressors)
    return nothing - shares @ reading, f"eye movements are regressed out by {means} ({movements} were found)"


def _limits(data: FloatArray) -> FloatArray:
    spread = 1.4826 * np.median(np.abs(data), axis=1, keepdims=True)
    return np.asarray(np.maximum(THRESHOLD * spread, MIN_AMPLITUDE))


def _count(moving: BoolArray) -> int:
    return int(np.count_nonzero(moving[1:] & ~moving[:-1]))
