"""Event-related potentials: the mean response to each class, with its interval."""

from dataclasses import dataclass

import numpy as np

from brainloop._types import BoolArray, FloatArray
from brainloop.errors import SettingsError

__all__ = ["ERP", "erp"]


@dataclass(frozen=True)
class ERP:
    """Mean epochs of non-targets (index 0) and targets (index 1).

    Attributes
    ----------
    mean : array of shape (2, n_channels, n_times)
        V.
    half_width : array of shape (2, n_channels, n_times)
        Half of the 95 % interval of the mean, 1.96 standard errors, V; NaN for a class of fewer than two
        epochs.
    n : tuple of int
        Epochs of each class.
    times : array of shape (n_times,)
        Relative to the onset, s.
    channels : tuple of str
        Names of the channels.
    """

    mean: FloatArray
    half_width: FloatArray
    n: tuple[int, int]
    times: FloatArray
    channels: tuple[str, ...]


def erp(X: FloatArray, is_target: BoolArray, times: FloatArray, channels: tuple[str, ...]) -> ERP:
    """Average the epochs of each class.

    Parameters
    ----------
    X : array of shape (n, n_channels, n_times)
        Usable epochs, V.
    is_target : bool array of shape (n,)
        Whether a target was shown.
    times : array of shape (n_times,)
        Relative to the onset, s.
    channels : tuple of str
        Names of the channels.

    Returns
    -------
    ERP
        A class without epochs has a mean of NaN.

    Raises
    ------
    SettingsError
        If the shapes do not fit.
    """
    if X.shape != (len(is_target), len(channels), len(times)):
        raise SettingsError(
            f"expected epochs of shape ({len(is_target)}, {len(channels)}, {len(times)}) for these labels, "
            f"channels and times, got {X.shape}"
        )
    mean = np.full((2, *X.shape[1:]), np.nan)
    half_width = np.full((2, *X.shape[1:]), np.nan)
    members = [X[~is_target], X[is_target]]
    for k, epochs in enumerate(members):
        if len(epochs):
            mean[k] = epochs.mean(axis=0)
        if len(epochs) > 1:
            half_width[k] = 1.96 * epochs.std(axis=0, ddof=1) / np.sqrt(len(epochs))
    return ERP(mean, half_width, (len(members[0]), len(members[1])), times, channels)
