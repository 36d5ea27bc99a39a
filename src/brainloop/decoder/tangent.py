"""xDAWN covariances in the tangent space of a Riemannian manifold, with logistic regression."""

from dataclasses import dataclass

import numpy as np

from brainloop._types import FloatArray
from brainloop.decoder.covariance import epoch_covariances
from brainloop.decoder.xdawn import mean_response, xdawn

__all__ = ["Tangent", "train_xdawn_ts"]


@dataclass(frozen=True, eq=False)
class Tangent:
    """A score that is linear in the logarithm of an epoch's covariance with the mean responses.

    Attributes
    ----------
    filters : array of shape (n_filters, n_channels)
        xDAWN filters of both classes.
    responses : array of shape (n_filters, n_times)
        Mean response to each class through its own filters.
    whitener : array of shape (2 n_filters, 2 n_filters)
        Inverse square root of the Riemannian mean of the training covariances.
    weights : array of shape (n_filters (2 n_filters + 1),)
        Of the tangent vector.
    bias : array of shape ()
        Added.
    """

    filters: FloatArray
    responses: FloatArray
    whitener: FloatArray
    weights: FloatArray
    bias: FloatArray

    def score(self, X: FloatArray) -> FloatArray:
        """Score epochs (n, n_channels, n_times): log-odds under the model, shape (n,)."""
        covariances = _covariances(X, self.filters, self.responses)
        return np.asarray(_tangent(covariances, self.whitener) @ self.weights + self.bias)


def train_xdawn_ts(X: FloatArray, y: FloatArray, weight: FloatArray) -> Tangent:
    """Train xDAWN covariances + tangent space + logistic regression, the best for P300 in MOABB's table.

    Each epoch, through four xDAWN filters a class, is stacked on the mean responses of both classes; their covariance
    is mapped to the tangent space at the Riemannian mean, where a linear classifier does. Without the mean response to
    non-targets the Muse recordings (four channels) lose .05 of AUC.

    Parameters
    ----------
    X : array of shape (n, n_channels, n_times)
        Epochs.
    y, weight : arrays of shape (n,)
        Probability of a target, and weight, of each trial.

    References
    ----------
    Barachant and Congedo (2014), "A plug and play P300 BCI using information geometry", arXiv:1409.0107.
    Chevallier et al. (2024), "The largest EEG-based BCI reproducibility study", arXiv:2404.15319.
    """
    from pyriemann.geometry.mean import mean_riemann
    from sklearn.linear_model import LogisticRegression

    filters, responses = [], []
    for share in (weight * (1 - y), weight * y):
        response = mean_response(X, share)
        filters.append(xdawn(X, response, weight))
        responses.append(filters[-1] @ response)
    both, prototypes = np.concatenate(filters), np.concatenate(responses)
    covariances = _covariances(X, both, prototypes)
    values, vectors = np.linalg.eigh(mean_riemann(covariances, sample_weight=weight))
    whitener = (vectors / np.sqrt(values)) @ vectors.T
    tangent = _tangent(covariances, whitener)
    # A trial with a soft label is two trials: a target of weight y and a non-target of weight 1 - y.
    shares = np.concatenate([weight * (1 - y), weight * y]) / weight[weight > 0].mean()
    there = shares > 0
    label = np.repeat([0, 1], len(y))[there]
    regression = LogisticRegression(C=1.0, max_iter=1000).fit(
        np.concatenate([tangent, tangent])[there], label, sample_weight=shares[there]
    )
    return Tangent(both, prototypes, whitener, regression.coef_[0], np.asarray(regression.intercept_[0]))


def _covariances(X: FloatArray, filters: FloatArray, responses: FloatArray) -> FloatArray:
    prototypes = np.broadcast_to(responses, (len(X), *responses.shape))
    return epoch_covariances(np.concatenate([prototypes, filters @ X], axis=1))


def _tangent(covariances: FloatArray, whitener: FloatArray) -> FloatArray:
    """Upper triangle of the logarithm of whitened covariances, off-diagonal entries times the root of 2."""
    values, vectors = np.linalg.eigh(whitener @ covariances @ whitener)
    logarithm = (vectors * np.log(values)[:, None, :]) @ vectors.transpose(0, 2, 1)
    rows, columns = np.triu_indices(covariances.shape[1])
    return np.asarray(logarithm[:, rows, columns] * np.where(rows == columns, 1.0, np.sqrt(2.0)))
