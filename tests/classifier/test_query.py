import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from brainloop.classifier.query import confidence, has_converged, least_confident, random_images, unsure, unsure_share


def rng(seed=0):
    return np.random.default_rng(seed)


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=50))
def test_confidence_is_the_larger_of_the_two_class_probabilities(log_odds):
    p = expit(np.array(log_odds))
    np.testing.assert_allclose(confidence(np.array(log_odds)), np.maximum(p, 1 - p), atol=1e-12)


@given(st.lists(st.floats(-6, 6), min_size=1, max_size=60), st.integers(1, 70), st.integers(0, 9))
def test_the_least_confident_come_first_and_only_below_the_threshold(log_odds, n, seed):
    log_odds = np.array(log_odds)
    log_odds = np.append(log_odds, np.full(60, 9.0))  # sure targets, so that few are missed
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


def test_a_classifier_that_would_miss_most_targets_it_expects_is_unsure_of_everything():
    base_rate = np.append(np.full(99, -2.5), 3.0)  # expects 8.5 targets, points at one
    assert confidence(base_rate).min() > 0.9
    assert unsure(base_rate).all()
    assert unsure_share(base_rate) == 1
    assert least_confident(np.array([-9.0, -5.0, -3.0]), 2, rng()).tolist() == [2, 1]


def test_a_classifier_that_tells_targets_from_others_is_unsure_of_what_lies_between():
    sharp = np.concatenate([np.full(90, -5.0), np.full(8, 4.0), [0.0, 1.0]])  # misses .6 of the 9.1 it expects
    np.testing.assert_array_equal(np.flatnonzero(unsure(sharp)), [98, 99])


def test_the_unsure_share_counts_confidences_below_the_threshold():
    assert unsure_share(np.array([0.0, 5.0, -5.0, 0.1])) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("shares", "converged"),
    [([], False), ([0.01], False), ([0.01, 0.04], True), ([0.01, 0.05], False), ([0.01, 0.2, 0.04], False)],
)
def test_convergence_takes_two_rounds_running_under_five_percent(shares, converged):
    assert has_converged(shares) is converged
