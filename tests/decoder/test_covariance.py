import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf

from brainloop.decoder.covariance import epoch_covariances, shrunk_covariance


def rows(n, d, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d))


@pytest.mark.parametrize(("n", "d"), [(200, 8), (20, 30), (1000, 2), (5, 1)])
def test_with_equal_weights_it_is_sklearns_ledoit_wolf(n, d):
    X = rows(n, d)
    reference, _ = ledoit_wolf(X, assume_centered=True)
    np.testing.assert_allclose(shrunk_covariance(X, np.full(n, 3.0)), reference, rtol=1e-10, atol=1e-12)


def test_a_row_of_weight_0_is_left_out():
    X = rows(100, 6)
    weight = np.arange(100) % 4 > 0
    X[weight == 0] *= 100
    reference, _ = ledoit_wolf(X[weight], assume_centered=True)
    np.testing.assert_allclose(shrunk_covariance(X, weight.astype(float)), reference, rtol=1e-10)


@given(st.integers(0, 1000))
def test_unequal_weights_shrink_more_as_they_are_worth_fewer_rows(seed):
    rng = np.random.default_rng(seed)
    X, weight = rows(60, 4, seed), rng.exponential(size=60) + 1e-3

    def largest_ratio(covariance):
        values = np.linalg.eigvalsh(covariance)
        return values[-1] / values[0]

    covariance = shrunk_covariance(X, weight)
    empirical = (X.T * weight) @ X / weight.sum()
    assert np.trace(covariance) == pytest.approx(np.trace(empirical))
    assert 0 < largest_ratio(covariance) <= largest_ratio(empirical) * (1 + 1e-9)
    np.testing.assert_allclose(shrunk_covariance(X, 7 * weight), covariance, rtol=1e-9, atol=1e-12)


def test_the_covariances_of_epochs_are_sklearns_each_with_its_own_shrinkage():
    X = np.stack([rows(57, 16, seed).T for seed in range(20)]) + 5
    references = [ledoit_wolf(epoch.T)[0] for epoch in X]
    np.testing.assert_allclose(epoch_covariances(X), references, rtol=1e-10, atol=1e-12)


def test_an_epoch_with_two_equal_channels_has_a_covariance_with_an_inverse():
    X = rows(57, 4).T
    covariance = epoch_covariances(np.concatenate([X, X[:1]])[None])[0]
    assert np.linalg.eigvalsh(covariance)[0] > 0
