import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.special import expit
from sklearn.metrics import log_loss

from brainloop.labels import RULES, posterior_loss, posterior_loss_multiclass, soft_labels, talk_loss

nats = st.floats(-20, 20)


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


def test_the_posterior_loss_is_minus_the_log_likelihood_of_the_response():
    f1, f0, p = 0.7, 0.2, 0.3
    loss = posterior_loss(np.log(p / (1 - p)), np.log(f1 / f0)).value
    assert loss == pytest.approx(-np.log((p * f1 + (1 - p) * f0) / f0))


@pytest.mark.parametrize("rule", RULES)
@given(z=nats, evidence=nats)
def test_gradient_and_curvature_are_the_derivatives_of_the_loss(rule, z, evidence):
    def at(x):
        return RULES[rule](np.array([x]), np.array([evidence]))

    step = 1e-4
    slope = (at(z + step).value - at(z - step).value) / (2 * step)
    bend = (at(z + step).gradient - at(z - step).gradient) / (2 * step)
    np.testing.assert_allclose(at(z).gradient, slope, atol=1e-6)
    np.testing.assert_allclose(at(z).curvature, bend, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_no_loss_overflows_for_log_odds_far_out(rule):
    z = np.array([-800.0, 800.0, -800.0, 800.0])
    loss = RULES[rule](z, np.array([-50.0, -50.0, 50.0, 50.0]))
    assert all(np.isfinite(part).all() for part in loss)


@given(nats)
def test_a_response_without_evidence_teaches_the_posterior_rule_nothing(z):
    assert posterior_loss(np.array([z]), np.zeros(1)).gradient == pytest.approx(0, abs=1e-12)


def test_the_loss_of_two_classes_is_the_binary_loss():
    rng = np.random.default_rng(1)
    z, evidence = rng.normal(size=20), rng.normal(size=20)
    value, gradient = posterior_loss_multiclass(
        np.column_stack([z, np.zeros(20)]), np.column_stack([evidence, np.zeros(20)])
    )
    binary = posterior_loss(z, evidence)
    np.testing.assert_allclose(value, binary.value, atol=1e-12)
    np.testing.assert_allclose(gradient[:, 0], binary.gradient, atol=1e-12)


def test_the_gradient_of_the_loss_of_several_classes_is_its_derivative():
    rng = np.random.default_rng(2)
    logits, evidence = rng.normal(size=4), np.array([0, 1.5, 0, 0])
    _, gradient = posterior_loss_multiclass(logits[None], evidence[None])
    slope = approx_fprime(logits, lambda x: posterior_loss_multiclass(x[None], evidence[None])[0][0])
    np.testing.assert_allclose(gradient[0], slope, atol=1e-6)
