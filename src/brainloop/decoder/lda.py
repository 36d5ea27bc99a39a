"""Linear discriminant analysis of epochs, with shrinkage, weights and soft labels."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve

from brainloop._types import FloatArray
from brainloop.decoder.covariance import shrunk_covariance

__all__ = ["Linear", "discriminant", "halved", "train_lda"]


@dataclass(frozen=True, eq=False)
class Linear:
    """A score that is linear in the epoch.

    Attributes
    ----------
    weights : array of shape (n_channels, n_times // 2)
        Of the means of each two samples.
    bias : array of shape ()
        Added.
    """

    weights: FloatArray
    bias: FloatArray

    def score(self, X: FloatArray) -> FloatArray:
        """Score epochs (n, n_channels, n_times): log-odds under the model, shape (n,)."""
        return np.asarray(np.einsum("nct,ct->n", halved(X), self.weights, optimize=True) + self.bias)


def halved(X: FloatArray) -> FloatArray:
    """Mean of each two samples: half as much to estimate; linear decoders draw on the slow waves, which 31 Hz holds."""
    even = X.shape[2] // 2 * 2
    return np.asarray((X[:, :, 0:even:2] + X[:, :, 1:even:2]) / 2)


def train_lda(X: FloatArray, y: FloatArray, weight: FloatArray) -> Linear:
    """Train shrinkage LDA on every other sample of every channel.

    Parameters
    ----------
    X : array of shape (n, n_channels, n_times)
        Epochs.
    y : array of shape (n,)
        Probability that each showed a target; 0 or 1 where it is known.
    weight : array of shape (n,)
        Of each trial, 0 or more.

    References
    ----------
    Blankertz et al. (2011), "Single-trial analysis and classification of ERP components", NeuroImage 56.
    """
    features = halved(X)
    weights, bias = discriminant(features.reshape(len(X), -1), y, weight)
    return Linear(weights.reshape(features.shape[1:]), bias)


def discriminant(features: FloatArray, y: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Find the direction that tells two classes of one covariance apart, and its offset.

    A trial with label `y` counts as `y` of a target and `1 - y` of a non-target.

    Parameters
    ----------
    features : array of shape (n, d)
        One row a trial.
    y, weight : arrays of shape (n,)
        As in `train_lda`.

    Returns
    -------
    weights : array of shape (d,)
        Of the features.
    bias : array of shape ()
        So that the sum is the log-odds of a target, the prior of the trials included.
    """
    shares = np.stack([weight * (1 - y), weight * y])  # (2, n)
    priors = shares.sum(axis=1) / weight.sum()
    means = shares @ features / shares.sum(axis=1, keepdims=True)
    # A soft label's residual is around the mean that it expects; what labels leave open widens the covariance little.
    residuals = features - (y[:, None] * means[1] + (1 - y)[:, None] * means[0])
    covariance = shrunk_covariance(residuals, weight)
    weights = solve(covariance, means[1] - means[0], assume_a="pos")
    bias = np.log(priors[1] / priors[0]) - weights @ means.mean(axis=0)
    return np.asarray(weights), np.asarray(bias)
