"""Soft clipping: what is far outside a channel's usual range says less about the image than its size suggests."""

import numpy as np

from brainloop._types import FloatArray

__all__ = ["SOFT_LIMIT", "soft_clip"]

SOFT_LIMIT = 2.0
"""Where samples level off, in root mean squares of their channel or component.

On the design splits 1.5 and 3 do as well (docs/methods.md)."""


def soft_clip(X: FloatArray, limits: FloatArray) -> FloatArray:
    """Bend samples towards a limit: as they are near zero, never beyond it.

    Blinks and movements that do not reject an epoch would otherwise decide means, covariances and scores alone; this is
    Huber's remedy, sample by sample.

    Parameters
    ----------
    X : array of shape (n, n_channels, n_times)
        Epochs.
    limits : array of shape (n_channels,)
        Largest value that each channel can have.

    Returns
    -------
    array of shape (n, n_channels, n_times)
        ``limit * tanh(X / limit)``.

    References
    ----------
    Huber (1964), "Robust estimation of a location parameter", Annals of Mathematical Statistics 35.
    """
    return np.asarray(limits[:, None] * np.tanh(X / limits[:, None]))
