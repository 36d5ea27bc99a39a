import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, confusion_matrix, roc_auc_score

from brainloop.classifier.measure import auc_interval, expected_auc, measure_classes, wilson_interval


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=60))
def test_the_auc_is_scikit_learns_ties_included(pairs):
    truth, scores = np.array([t for t, _ in pairs]), np.array([s for _, s in pairs], dtype=float)
    if 0 < truth.sum() < truth.size:
        measured = auc_interval(truth, scores, n_resamples=50)
        assert measured.value == pytest.approx(roc_auc_score(truth, scores))
        assert 0 <= measured.low <= measured.high <= 1


def test_the_interval_is_as_wide_as_a_bootstrap_by_hand():
    rng = np.random.default_rng(0)
    truth = np.arange(300) < 60
    scores = rng.normal(size=300) + truth
    values = []
    for _ in range(1000):
        draw = np.concatenate([rng.choice(60, 60), 60 + rng.choice(240, 240)])
        values.append(roc_auc_score(truth[draw], scores[draw]))
    measured = auc_interval(truth, scores)
    np.testing.assert_allclose([measured.low, measured.high], np.quantile(values, [0.025, 0.975]), atol=0.01)


@given(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), min_size=2, max_size=12))
def test_the_expected_auc_is_that_of_every_pair_of_a_target_and_another(probabilities):
    p = np.array(probabilities)
    pairs = right = 0.0
    for i in range(len(p)):
        for j in range(len(p)):
            if i != j:
                weight = p[i] * (1 - p[j])
                pairs += weight
                right += weight * (1.0 if p[i] > p[j] else 0.5 if p[i] == p[j] else 0.0)
    expected = expected_auc(p)
    if pairs < 1e-12:
        assert expected is None
    else:
        assert expected == pytest.approx(right / pairs)


def test_classes_are_measured_as_scikit_learn_measures_them():
    rng = np.random.default_rng(0)
    truth = rng.integers(4, size=200)
    logits = 1.5 * np.eye(4)[truth] + rng.normal(size=(200, 4))
    found = measure_classes(truth, logits)
    np.testing.assert_array_equal(found.confusion, confusion_matrix(truth, logits.argmax(axis=1)))
    assert found.accuracy == accuracy_score(truth, logits.argmax(axis=1))
    each = roc_auc_score(np.eye(4)[truth], softmax(logits, axis=1), average=None)
    np.testing.assert_allclose(found.auc, each)


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (3, 7), (480, 500), (500, 500)])
def test_the_interval_of_a_share_is_wilsons(hits, n):
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson_interval(hits / n, n), (expected.low, expected.high), atol=1e-6)
