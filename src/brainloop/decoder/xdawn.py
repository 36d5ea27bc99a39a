"""xDAWN: the spatial filters in which the mean response stands out most."""

import numpy as np
from scipy.linalg import eigh

from brainloop._types import FloatArray
from brainloop.decoder.covariance import shrunk_covariance
from brainloop.decoder.lda import Linear, discriminant, halved

__all__ = ["N_FILTERS", "mean_response", "train_xdawn_lda", "xdawn"]

N_FILTERS = 4
"""A class; as pyRiemann's default and MOABB's benchmark have it."""


def mean_response(X: FloatArray, weight: FloatArray) -> FloatArray:
    """Give the weighted mean of epochs (n, n_channels, n_times), shape (n_channels, n_times)."""
    return np.asarray(np.tensordot(weight / weight.sum(), X, axes=1))


def xdawn(X: FloatArray, response: FloatArray, weight: FloatArray, n_filters: int = N_FILTERS) -> FloatArray:
    """Find the filters that maximise the power of a mean response over the power of the whole signal.

    Parameters
    ----------
    X : array of shape (n, n_channels, n_times)
        Epochs.
    response : array of shape (n_channels, n_times)
        Mean response of a class.
    weight : array of shape (n,)
        Of each epoch in the signal's covariance.
    n_filters : int
        How many, at most the number of channels.

    Returns
    -------
    array of shape (n_filters, n_channels)
        Best first, each of length 1.

    References
    ----------
    Rivet et al. (2009), "xDAWN algorithm to enhance evoked potentials", IEEE Trans. Biomed. Eng. 56, eq. 10, with
    epochs that overlap taken as they are.
    """
    n, n_channels, n_times = X.shape
    samples = X.transpose(0, 2, 1).reshape(n * n_times, n_channels)
    signal = shrunk_covariance(samples, np.repeat(weight, n_times))
    _, filters = eigh(response @ response.T / n_times, signal)  # ascending
    best = filters[:, ::-1][:, :n_filters].T
    return np.asarray(best / np.linalg.norm(best, axis=1, keepdims=True))


def train_xdawn_lda(X: FloatArray, y: FloatArray, weight: FloatArray) -> Linear:
    """Train shrinkage LDA behind the xDAWN filters of the response to targets; together they are linear.

    Parameters
    ----------
    X : array of shape (n, n_channels, n_times)
        Epochs.
    y, weight : arrays of shape (n,)
        Probability of a target, and weight, of each trial.
    """
    filters = xdawn(X, mean_response(X, weight * y), weight)
    features = halved(filters @ X)
    weights, bias = discriminant(features.reshape(len(X), -1), y, weight)
    return Linear(filters.T @ weights.reshape(features.shape[1:]), bias)
