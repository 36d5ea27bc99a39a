import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_curve

from brainloop.errors import DecoderError, SettingsError
from brainloop.evidence import Calibration, add_up, disagreement, posterior, talk_score, youden

METHODS = ["platt", "isotonic", "beta"]


def gaussian_trials(n=4000, prevalence=0.15, d=1.5, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.random(n) < prevalence
    return rng.normal(size=n) + d * y, y


@pytest.mark.parametrize("method", METHODS)
def test_evidence_is_the_log_likelihood_ratio_of_two_gaussians(method):
    d = 1.5
    scores, y = gaussian_trials(n=40000, d=d)
    s = np.linspace(-0.5, 2.0, 11)
    truth = norm.logpdf(s, d) - norm.logpdf(s, 0)
    np.testing.assert_allclose(Calibration.fit(scores, y, method).evidence(s), truth, atol=0.35)


def test_platt_agrees_with_an_unpenalised_logistic_regression_on_many_trials():
    scores, y = gaussian_trials(n=20000)
    reference = LogisticRegression(C=1e9).fit(scores[:, None], y).decision_function(scores[:, None])
    np.testing.assert_allclose(Calibration.fit(scores, y).evidence(scores), reference - logit(y.mean()), atol=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_the_prevalence_of_the_calibration_session_leaves_no_trace_in_the_evidence(method):
    rare = Calibration.fit(*gaussian_trials(40000, 0.05), method)
    frequent = Calibration.fit(*gaussian_trials(40000, 0.5), method)
    s = np.array([0.0, 0.75, 1.5])
    np.testing.assert_allclose(rare.evidence(s), frequent.evidence(s), atol=0.35)


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 1000), n=st.integers(30, 200))
def test_evidence_never_falls_as_the_score_rises_and_is_always_finite(method, seed, n):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 5 == 0
    evidence = Calibration.fit(rng.normal(size=n) + y, y, method).evidence(np.linspace(-1e3, 1e3, 50))
    assert np.isfinite(evidence).all()
    assert (np.diff(evidence) >= -1e-12).all()


@pytest.mark.parametrize("method", METHODS)
def test_separable_trials_give_no_more_evidence_than_their_number_supports(method):
    y = np.arange(100) < 20
    evidence = Calibration.fit(np.where(y, 5.0, -5.0), y, method).evidence(np.array([-1e6, 1e6]))
    assert -np.log(21) - 1e-12 <= evidence[0] < -2
    assert 2 < evidence[1] <= np.log(81) + 1e-12


def test_a_score_that_orders_trials_the_wrong_way_round_carries_no_evidence():
    scores, y = gaussian_trials(500)
    np.testing.assert_allclose(Calibration.fit(-scores, y).evidence(scores), 0, atol=1e-9)


def same_map(one, other, atol=1e-9):
    s = np.linspace(-4, 6, 101)
    np.testing.assert_allclose(one.evidence(s), other.evidence(s), atol=atol)
    np.testing.assert_allclose(one.limits, other.limits)
    assert one.prevalence == pytest.approx(other.prevalence)


@pytest.mark.parametrize("method", METHODS)
def test_a_trial_of_weight_k_is_k_trials(method):
    scores, y = gaussian_trials(300)
    weight = np.random.default_rng(1).integers(0, 4, 300)
    repeated = Calibration.fit(np.repeat(scores, weight), np.repeat(y, weight), method)
    same_map(Calibration.fit(scores, y, method, weight.astype(float)), repeated, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_soft_label_is_a_share_of_a_target_and_the_rest_of_a_non_target(method):
    scores, y = gaussian_trials(300)
    quarters = np.where(y, 3, 0) + np.random.default_rng(2).integers(0, 2, 300)  # of a target, of four
    repeated = np.arange(4) < quarters[:, None]  # (300, 4)
    expected = Calibration.fit(np.repeat(scores, 4), repeated.ravel(), method)
    same_map(Calibration.fit(scores, quarters / 4, method, np.full(300, 4.0)), expected, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_honest_soft_labels_give_the_evidence_of_the_truth(method):
    rng = np.random.default_rng(3)
    soft = rng.beta(0.3, 0.9, 40000)
    y = rng.random(40000) < soft
    scores = rng.normal(size=40000) + 1.5 * y
    s = np.linspace(0, 1.5, 7)
    truth = norm.logpdf(s, 1.5) - norm.logpdf(s, 0)
    hard = Calibration.fit(scores, y, method).evidence(s)
    np.testing.assert_allclose(hard, truth, atol=0.3)
    # A soft label says no more of a trial than it does: the evidence is weaker, on the same side.
    weaker = Calibration.fit(scores, soft, method).evidence(s)
    assert np.corrcoef(weaker, truth)[0, 1] > 0.98
    assert (np.abs(weaker) <= np.abs(truth) + 0.3).all()


@pytest.mark.parametrize(
    ("truth", "weight"),
    [([0.5, 1.5, 0.0], None), ([0.5, np.nan, 0.0], None), ([0.0, 1.0, 0.0], [1.0, -1.0, 1.0]),
     ([0.0, 1.0, 0.0], [1.0, np.inf, 1.0]), ([0.0, 1.0, 0.0], [1.0, 1.0])],
)  # fmt: skip
def test_truths_that_are_no_probabilities_and_weights_that_are_none_are_refused(truth, weight):
    with pytest.raises(DecoderError, match="truths from 0 to 1, and a finite weight"):
        Calibration.fit(np.arange(3.0), np.array(truth), weight=None if weight is None else np.array(weight))


@pytest.mark.parametrize("truth", [[0.0, 1.0, 0.0, 1.0], [0.0, 0.5, 0.0, 1.0]])
def test_scores_that_are_not_finite_and_classes_of_no_weight_are_refused(truth):
    with pytest.raises(DecoderError, match="finite"):
        Calibration.fit(np.array([0.0, np.nan, 1.0, 2.0]), np.array(truth))
    with pytest.raises(DecoderError, match="both classes; 0 targets among 2 came"):
        Calibration.fit(np.arange(4.0), np.array(truth), weight=np.array([1.0, 0.0, 1.0, 0.0]))


@pytest.mark.parametrize(
    ("scores", "truth", "expected"),
    [
        ([1.0, 2.0], [True, True], "both classes"),
        ([1.0, np.nan, 2.0], [True, False, False], "finite"),
        ([1.0, 2.0], [True], "one score and one truth"),
    ],
)
def test_calibration_refuses_trials_that_cannot_calibrate(scores, truth, expected):
    with pytest.raises(DecoderError, match=expected):
        Calibration.fit(np.array(scores), np.array(truth))


def test_an_unknown_calibration_is_named_with_the_known_ones():
    with pytest.raises(SettingsError, match="platt, isotonic, beta"):
        Calibration.fit(np.array([0.0, 1.0]), np.array([False, True]), "histogram")


def test_evidence_of_several_looks_adds():
    total = add_up(np.array([2, 0, 2]), np.array([1.0, -0.5, 0.25]), 4)
    np.testing.assert_array_equal(total, [-0.5, 0, 1.25, 0])


def test_the_posterior_is_bayes_rule():
    prior, likelihood_target, likelihood_other = 0.2, 0.6, 0.1
    bayes = prior * likelihood_target / (prior * likelihood_target + (1 - prior) * likelihood_other)
    assert posterior(logit(prior), np.log(likelihood_target / likelihood_other)) == pytest.approx(bayes)


def test_the_talks_score_of_a_response_that_says_nothing_is_one_half():
    np.testing.assert_allclose(talk_score(np.array([0.0, 2.0])), [0.5, expit(2.0)])


def youden_index(scores, y, threshold):
    return (scores[y] >= threshold).mean() - (scores[~y] >= threshold).mean()


@pytest.mark.parametrize("decimals", [12, 1])
def test_youdens_threshold_is_where_the_roc_curve_is_farthest_above_chance(decimals):
    scores, y = gaussian_trials(400)
    scores = scores.round(decimals)
    false_alarms, hits, thresholds = roc_curve(y, scores, drop_intermediate=False)
    best = np.argmax(hits - false_alarms)
    threshold = youden(scores, y)
    assert youden_index(scores, y, threshold) == pytest.approx((hits - false_alarms)[best])
    # The curve's thresholds are scores; the midpoint lies between the best one and the next score below.
    assert threshold == pytest.approx((thresholds[best] + scores[scores < thresholds[best]].max()) / 2)


@given(
    st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.booleans()), min_size=2).filter(
        lambda trials: 0 < sum(is_target for _, is_target in trials) < len(trials)
    )
)
def test_no_threshold_is_better_than_youdens(trials):
    scores, y = np.array([s for s, _ in trials]), np.array([is_target for _, is_target in trials])
    found = youden_index(scores, y, youden(scores, y))
    assert all(found >= youden_index(scores, y, other) - 1e-12 for other in scores)
    assert scores.min() <= youden(scores, y) <= scores.max()


def test_scores_that_tell_nothing_or_lie_leave_every_trial_a_target():
    y = np.array([True, False, True, False])
    assert youden(np.full(4, 0.5), y) == 0.5
    assert youden(np.array([1.0, 2.0, 1.0, 2.0]), y) == 1.0


def test_youdens_threshold_needs_trials_of_both_classes():
    with pytest.raises(DecoderError, match="Youden's threshold expects held-out trials of both classes"):
        youden(np.array([1.0, 2.0]), np.array([True, True]))


def test_an_annotation_looks_wrong_where_classifier_and_evidence_speak_against_it():
    wrong = disagreement(np.array([1, -1]), np.array([-2.0, -2.0]), np.array([-1.0, -1.0]))
    np.testing.assert_array_equal(wrong, [3.0, -3.0])
