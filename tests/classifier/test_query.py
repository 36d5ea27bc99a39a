import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from brainloop.classifier.query import (
    confidence,
    has_converged,
    knows_a_target,
    least_confident,
    random_images,
    unsure_share,
)


def rng(seed=0):
    return np.random.default_rng(seed)


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=50))
def test_confidence_is_the_larger_of_the_two_class_probabilities(log_odds):
    p = expit(np.array(log_odds))
    np.testing.assert_allclose(confidence(np.array(log_odds)), np.maximum(p, 1 - p), atol=1e-12)


@given(st.lists(st.floats(-6, 6), min_size=1, max_size=60), st.integers(1, 70), st.integers(0, 9))
def test_the_least_confident_come_first_and_only_below_the_threshold(log_odds, n, seed):
    log_odds = np.array(log_odds)
    chosen = least_confident(log_odds, n, rng(seed), threshold=0.9)
    certainty = confidence(log_odds)
    assert len(set(chosen.tolist())) == chosen.size == min(n, (certainty < 0.9).sum())
    assert (np.diff(certainty[chosen]) >= 0).all()
    if chosen.size:
        assert certainty[chosen].max() <= np.delete(certainty, chosen).min(initial=1)


def test_ties_are_broken_by_the_seed_alone():
    same = np.zeros(100)
    first, again, other = (least_confident(same, 10, rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_random_images_come_once_each():
    np.testing.assert_array_equal(np.sort(random_images(7, 99, rng())), np.arange(7))
    assert random_images(7, 3, rng()).size == 3


def test_a_classifier_knows_a_target_when_it_is_sure_of_one():
    base_rate = np.full(99, -2.5)
    assert confidence(base_rate).min() > 0.9
    assert not knows_a_target(base_rate)
    assert knows_a_target(np.append(base_rate, 2.2))


def test_without_a_threshold_sure_images_are_asked_about_too():
    sure = np.array([-9.0, -5.0, -3.0])
    assert least_confident(sure, 2, rng()).size == 0
    assert least_confident(sure, 2, rng(), threshold=None).tolist() == [2, 1]


def test_the_unsure_share_counts_confidences_below_the_threshold():
    assert unsure_share(np.array([0.0, 5.0, -5.0, 0.1])) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("shares", "converged"),
    [
        ([], False),
        ([0.01], False),
        ([0.01, 0.04], True),
        ([0.01, 0.05], False),
        ([0.01, 0.2, 0.04], False),
        ([0.3, 0.0], True),
    ],
)
def test_convergence_takes_two_rounds_running_under_five_percent(shares, converged):
    assert has_converged(shares) is converged
