import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import BaseEstimator
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from brainloop.decoder.lda import discriminant, halved, train_lda


class Pooled(BaseEstimator):
    """The covariance of both classes around their means, whichever class it is asked for."""

    def __init__(self, covariance=None):
        self.covariance = covariance

    def fit(self, _):
        self.covariance_ = self.covariance
        return self


def residuals(features, y):
    return features - np.where(y[:, None], features[y].mean(axis=0), features[~y].mean(axis=0))


def test_its_score_is_sklearns_lda_with_the_same_covariance(scaled, first, rest):
    X, y, weight = scaled
    features = halved(X).reshape(len(X), -1)
    covariance, _ = ledoit_wolf(residuals(features, first.y), assume_centered=True)
    reference = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=Pooled(covariance))
    reference.fit(features, first.y)
    new = rest.X / np.sqrt((first.X**2).mean())
    np.testing.assert_allclose(
        train_lda(X, y, weight).score(new), reference.decision_function(halved(new).reshape(len(new), -1)), rtol=1e-7
    )


def test_each_two_samples_are_averaged_and_an_odd_last_one_is_left_out(session):
    X = session.X[:5]
    assert X.shape[2] == 57
    np.testing.assert_allclose(halved(X), X[:, :, :56].reshape(5, 8, 28, 2).mean(axis=3), rtol=1e-12)


def test_the_score_of_two_gaussians_is_their_log_odds():
    rng = np.random.default_rng(0)
    mean, covariance = np.array([1.0, -0.5]), np.array([[1.0, 0.6], [0.6, 2.0]])
    y = rng.random(40000) < 0.2
    features = rng.multivariate_normal([0, 0], covariance, len(y)) + np.outer(y, mean)
    weights, bias = discriminant(features, y.astype(float), np.ones(len(y)))
    points = rng.normal(size=(50, 2))
    target, other = (multivariate_normal(centre, covariance).logpdf(points) for centre in (mean, [0, 0]))
    np.testing.assert_allclose(points @ weights + bias, target - other + np.log(0.2 / 0.8), atol=0.1)


def test_a_trial_of_weight_2_counts_twice_in_the_means_and_the_prior():
    rng = np.random.default_rng(1)
    features, y = rng.normal(size=(20000, 3)) * [1, 2, 3], (np.arange(20000) % 5 == 0).astype(float)
    features[:, 0] += y
    weight = rng.integers(0, 4, 20000).astype(float)
    one = discriminant(features, y, weight)
    other = discriminant(*(np.repeat(a, weight.astype(int), axis=0) for a in (features, y, np.ones(20000))))
    # Only the shrinkage differs: repeated rows seem to be worth more than they are.
    np.testing.assert_allclose(one[0], other[0], rtol=0.01, atol=1e-4)
    np.testing.assert_allclose(one[1], other[1], rtol=0.01)


def test_soft_labels_that_are_honest_cost_little_of_the_direction():
    rng = np.random.default_rng(2)
    n = 20000
    soft = rng.beta(0.5, 0.5, n)
    y = rng.random(n) < soft
    features = rng.normal(size=(n, 2)) + np.outer(y, [1.0, 0.0])
    weights, _ = discriminant(features, soft, np.ones(n))
    known, _ = discriminant(features, y.astype(float), np.ones(n))
    assert weights @ known / np.linalg.norm(weights) / np.linalg.norm(known) > 0.99


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_the_score_rises_with_the_share_of_targets(label):
    rng = np.random.default_rng(3)
    features, y = rng.normal(size=(400, 3)), (np.arange(400) % 4 == 0).astype(float)
    _, plain = discriminant(features, y, np.ones(400))
    _, weighted = discriminant(features, y, np.where(y == label, 2.0, 1.0))
    assert (weighted > plain) == bool(label)
