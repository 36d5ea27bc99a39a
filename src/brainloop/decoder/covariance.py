"""Covariance matrices that have an inverse: Ledoit and Wolf's shrinkage, weighted, and of many epochs at once."""

import numpy as np

from brainloop._types import FloatArray

__all__ = ["epoch_covariances", "shrunk_covariance"]


def shrunk_covariance(rows: FloatArray, weight: FloatArray) -> FloatArray:
    """Estimate the covariance of centred rows, shrunk towards a multiple of the identity.

    With equal weights it is `sklearn.covariance.ledoit_wolf` with ``assume_centered=True``.

    Parameters
    ----------
    rows : array of shape (n, d)
        Observations, centred.
    weight : array of shape (n,)
        Of each row, 0 or more; only their ratios count.

    Returns
    -------
    array of shape (d, d)
        Positive definite unless all rows are zero.

    References
    ----------
    Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices", J. Multivariate
    Analysis 88, theorem 3.2, the mean over rows replaced by the weighted mean.
    """
    weight = weight / weight.sum()
    empirical = np.asarray((rows * weight[:, None]).T @ rows)
    d = len(empirical)
    scale = np.trace(empirical) / d
    squared = (empirical**2).sum()
    error = (weight**2).sum() * (weight @ (rows**2).sum(axis=1) ** 2 - squared)
    distance = squared - d * scale**2
    shrinkage = min(error / distance, 1.0) if distance > 0 else 1.0
    empirical *= 1 - shrinkage
    empirical[np.diag_indices(d)] += shrinkage * scale
    return empirical


def epoch_covariances(X: FloatArray) -> FloatArray:
    """Estimate the spatial covariance of every epoch, each with its own shrinkage.

    Each is `sklearn.covariance.ledoit_wolf` of the epoch's samples, all computed at once: one by one they take longer
    than everything else that a Riemannian classifier does.

    Parameters
    ----------
    X : array of shape (n, d, n_times)
        Epochs; their mean over time is taken out.

    Returns
    -------
    array of shape (n, d, d)
        Positive definite.
    """
    X = X - X.mean(axis=2, keepdims=True)
    _, d, n_times = X.shape
    empirical = X @ X.transpose(0, 2, 1) / n_times
    scale = np.trace(empirical, axis1=1, axis2=2) / d
    squared = (empirical**2).sum(axis=(1, 2))
    error = (((X**2).sum(axis=1) ** 2).mean(axis=1) - squared) / n_times
    distance = squared - d * scale**2
    with np.errstate(divide="ignore", invalid="ignore"):
        shrinkage = np.where(distance > 0, np.minimum(error / distance, 1.0), 1.0)
    shrunk = empirical * (1 - shrinkage)[:, None, None]
    shrunk[:, np.arange(d), np.arange(d)] += (shrinkage * scale)[:, None]
    return np.asarray(shrunk)
