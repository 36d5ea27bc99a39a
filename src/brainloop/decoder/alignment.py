"""Alignment without labels: every person's epochs in a space where their own mean covariance is the identity."""

from typing import Literal

import numpy as np

from brainloop._types import FloatArray
from brainloop.errors import SettingsError

__all__ = ["Alignment", "whitener"]

Alignment = Literal["euclidean", "riemannian"]


def whitener(X: FloatArray, alignment: Alignment = "riemannian") -> FloatArray:
    """Find the symmetric map that makes the mean spatial covariance of epochs the identity.

    People differ in skull, electrodes and amplitude; what is left after it is the same for all to a good part. The
    symmetric root keeps each channel as near to itself as can be, so that patterns of people with the same montage
    still fall on each other.

    Parameters
    ----------
    X : array of shape (n, n_channels, n_times)
        Epochs of one person; their labels are not needed.
    alignment : {"euclidean", "riemannian"}
        The mean of the epochs' covariances: arithmetic, or of least squared Riemannian distance, which a few loud
        epochs move less.

    Returns
    -------
    array of shape (n_channels, n_channels)
        To be multiplied on the left of each epoch.

    Raises
    ------
    SettingsError
        If the alignment is unknown.

    References
    ----------
    He and Wu (2020), "Transfer learning for brain-computer interfaces: a Euclidean space data alignment approach", IEEE
    Trans. Biomed. Eng. 67.
    Zanini et al. (2018), "Transfer learning: a Riemannian geometry framework with applications to brain-computer
    interfaces", IEEE Trans. Biomed. Eng. 65.
    """
    if alignment == "euclidean":
        mean = np.einsum("nct,ndt->cd", X, X, optimize=True) / (len(X) * X.shape[2])
    elif alignment == "riemannian":
        from pyriemann.geometry.mean import mean_riemann

        from brainloop.decoder.covariance import epoch_covariances

        scale = np.sqrt((X**2).mean())  # the mean's iterations stop at an absolute size
        mean = mean_riemann(epoch_covariances(X / scale)) * scale**2
    else:
        raise SettingsError(f"expected an alignment among euclidean, riemannian, got {alignment!r}")
    values, vectors = np.linalg.eigh(mean)
    # Average references and interpolated channels leave directions without power: those must not be blown up.
    return np.asarray((vectors / np.sqrt(values + 1e-3 * values.mean())) @ vectors.T)
