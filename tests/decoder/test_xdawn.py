import numpy as np
from pyriemann.spatialfilters import Xdawn
from scipy.linalg import eigh

from brainloop.decoder.covariance import shrunk_covariance
from brainloop.decoder.lda import discriminant, halved
from brainloop.decoder.xdawn import mean_response, train_xdawn_lda, xdawn


def signal_covariance(X, weight=None):
    samples = X.transpose(0, 2, 1).reshape(-1, X.shape[1])
    return shrunk_covariance(samples, np.ones(len(samples)) if weight is None else np.repeat(weight, X.shape[2]))


def power(response):
    return response @ response.T / response.shape[1]


def test_the_filters_are_pyriemanns_with_the_same_covariance_up_to_their_signs(scaled):
    X, y, weight = scaled
    reference = Xdawn(4, classes=[1], estimator=power, baseline_cov=signal_covariance(X)).fit(X, y.astype(int)).filters_
    filters = xdawn(X, mean_response(X, y), weight)
    np.testing.assert_allclose(np.abs((filters * reference).sum(axis=1)), 1, atol=1e-6)


def test_the_first_filter_has_the_largest_ratio_of_response_to_signal(scaled):
    X, y, weight = scaled
    response, signal = mean_response(X, y), signal_covariance(X)
    filters = xdawn(X, response, weight)
    ratios = np.array([np.mean((f @ response) ** 2) / (f @ signal @ f) for f in filters])
    assert (np.diff(ratios) <= 0).all()
    rng = np.random.default_rng(0)
    others = rng.normal(size=(1000, X.shape[1]))
    assert max(np.mean((f @ response) ** 2) / (f @ signal @ f) for f in others) <= ratios[0]
    np.testing.assert_allclose(ratios, eigh(power(response), signal)[0][::-1][:4], rtol=1e-8)


def test_a_mean_response_is_the_weighted_mean_of_epochs(scaled):
    X, y, _ = scaled
    np.testing.assert_allclose(mean_response(X, 3 * y), X[y == 1].mean(axis=0), atol=1e-12)


def test_lda_behind_the_filters_is_one_linear_score_of_the_epoch(scaled):
    X, y, weight = scaled
    filters = xdawn(X, mean_response(X, y), weight)
    features = halved(filters @ X).reshape(len(X), -1)
    weights, bias = discriminant(features, y, weight)
    np.testing.assert_allclose(train_xdawn_lda(X, y, weight).score(X), features @ weights + bias, rtol=1e-8, atol=1e-8)


def test_fewer_channels_than_filters_give_as_many_filters_as_channels(scaled):
    X, y, weight = scaled
    assert xdawn(X[:, :3], mean_response(X[:, :3], y), weight).shape == (3, 3)
