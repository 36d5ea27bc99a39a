import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

from brainloop.labels import RULES, hard_loss, posterior_loss, soft_labels, talk_loss

nats = st.floats(-20, 20)
three_logits = arrays(float, (1, 3), elements=st.floats(-6, 6))
three_answers = arrays(float, (1, 3), elements=st.just(0.0) | st.floats(0.1, 6) | st.floats(-6, -0.1))


def test_soft_labels_are_the_talks_formulas():
    scores = np.array([0.9, 0.5, 0.3])
    label, weight = soft_labels(np.log(scores / (1 - scores)), 0.5)
    np.testing.assert_array_equal(label, [1, 1, 0])
    np.testing.assert_allclose(weight, [0.9, 0.5, 0.7])


def test_the_label_threshold_moves_the_label_and_with_it_the_weight():
    label, weight = soft_labels(np.array([0.0]), 0.6)
    assert label[0] == 0
    assert weight[0] == pytest.approx(0.5)


def test_the_talks_loss_is_scikit_learns_weighted_cross_entropy():
    rng = np.random.default_rng(0)
    z, evidence = rng.normal(size=50), 2 * rng.normal(size=50)
    label, weight = soft_labels(evidence)
    reference = log_loss(label, expit(z), sample_weight=weight) * weight.sum()
    assert talk_loss(z, evidence).value.sum() == pytest.approx(reference)


def test_the_hard_loss_is_scikit_learns_cross_entropy_at_its_threshold():
    rng = np.random.default_rng(0)
    z, evidence = rng.normal(size=50), 2 * rng.normal(size=50)
    label, _ = soft_labels(evidence, 0.7)
    assert hard_loss(z, evidence, 0.7).value.mean() == pytest.approx(log_loss(label, expit(z)))


def test_the_posterior_loss_is_minus_the_log_likelihood_of_the_response():
    f1, f0, p = 0.7, 0.2, 0.3
    loss = posterior_loss(np.log([p / (1 - p)]), np.log([f1 / f0])).value
    assert loss[0] == pytest.approx(-np.log((p * f1 + (1 - p) * f0) / f0))


@pytest.mark.parametrize("rule", RULES)
@given(z=nats, evidence=nats)
def test_gradient_and_curvature_are_the_derivatives_of_the_loss(rule, z, evidence):
    def at(x):
        return RULES[rule](np.array([x]), np.array([evidence]), 0.5)

    step = 1e-4
    slope = (at(z + step).value - at(z - step).value) / (2 * step)
    bend = (at(z + step).gradient - at(z - step).gradient) / (2 * step)
    np.testing.assert_allclose(at(z).gradient, slope, atol=1e-6)
    np.testing.assert_allclose(at(z).curvature, bend, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
@given(logits=three_logits, evidence=three_answers)
def test_the_derivatives_for_several_classes_are_those_of_the_loss(rule, logits, evidence):
    step = 1e-4
    for k, way in enumerate(np.eye(3)):
        above, below = (RULES[rule](logits + sign * step * way, evidence, 0.5) for sign in (1, -1))
        here = RULES[rule](logits, evidence, 0.5)
        np.testing.assert_allclose(here.gradient[:, k], (above.value - below.value) / (2 * step), atol=1e-6)
        np.testing.assert_allclose(here.curvature[:, k], (above.gradient - below.gradient) / (2 * step), atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
@given(logits=three_logits, evidence=three_answers, shift=nats)
def test_what_all_logits_share_changes_no_loss(rule, logits, evidence, shift):
    here, there = (RULES[rule](z, evidence, 0.5).value for z in (logits, logits + shift))
    np.testing.assert_allclose(here, there, atol=1e-9)


@given(logits=three_logits, evidence=three_answers)
def test_each_class_that_was_looked_for_is_a_weighted_yes_or_no(logits, evidence):
    p = softmax(logits, axis=1)
    label, weight = soft_labels(evidence)
    each = -np.where(label == 1, np.log(p), np.log1p(-p)) * (evidence != 0)
    np.testing.assert_allclose(talk_loss(logits, evidence).value, (weight * each).sum(axis=1), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(hard_loss(logits, evidence).value, each.sum(axis=1), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_no_loss_overflows_for_log_odds_far_out(rule):
    z = np.array([-800.0, 800.0, -800.0, 800.0])
    evidence = np.array([-50.0, -50.0, 50.0, 50.0])
    several = np.column_stack([z, np.zeros(4), -z]), np.column_stack([evidence, np.zeros(4), evidence])
    for loss in (RULES[rule](z, evidence, 0.5), RULES[rule](*several, 0.5)):
        assert all(np.isfinite(part).all() for part in loss)


@given(nats)
def test_a_response_without_evidence_teaches_the_posterior_rule_nothing(z):
    assert posterior_loss(np.array([z]), np.zeros(1)).gradient == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("rule", RULES)
@given(logits=three_logits)
def test_classes_that_nobody_looked_for_teach_no_rule_anything(rule, logits):
    loss = RULES[rule](logits, np.zeros((1, 3)), 0.5)
    for part in loss:
        np.testing.assert_allclose(part, 0, atol=1e-12)


def test_the_posterior_loss_of_two_classes_is_the_binary_loss():
    rng = np.random.default_rng(1)
    z, evidence = rng.normal(size=20), rng.normal(size=20)
    two = posterior_loss(np.column_stack([z, np.zeros(20)]), np.column_stack([evidence, np.zeros(20)]))
    binary = posterior_loss(z, evidence)
    np.testing.assert_allclose(two.value, binary.value, atol=1e-12)
    np.testing.assert_allclose(two.gradient[:, 0], binary.gradient, atol=1e-12)
    np.testing.assert_allclose(two.curvature[:, 0, 0], binary.curvature, atol=1e-12)
