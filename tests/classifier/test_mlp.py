import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.metrics import roc_auc_score

from brainloop.classifier.head import train_head
from brainloop.classifier.mlp import N_INPUTS, Mlp, _Network, train_mlp
from brainloop.labels import RULES


def some(n_classes, n=30, d=4, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, d))
    return features, 2 * rng.normal(size=(n,) if n_classes == 2 else (n, n_classes))


def ring(n=300, seed=0):
    """Targets in the middle, others around them: no line tells them apart."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.4
    angle, radius = rng.uniform(0, 2 * np.pi, n), np.where(y, 0.3, 1.2) + 0.1 * rng.normal(size=n)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), y


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_back_propagation_is_the_gradient_of_the_loss(rule, n_classes):
    features, evidence = some(n_classes)
    network = _Network(rule, 0.5, 4, 1 if n_classes == 2 else 3, 0)
    theta = 0.3 * np.random.default_rng(1).normal(size=5 * 16 + 21 * network.n_outputs)
    _, slope = network._sum(theta, features, evidence)
    reference = approx_fprime(theta, lambda t: network.loss(t, features, evidence), 1e-6)
    np.testing.assert_allclose(slope, reference, atol=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_variance_is_that_of_the_network_made_linear_in_its_parameters(n_classes):
    features, evidence = some(n_classes)
    mlp = train_mlp(features, evidence)
    network = _Network("posterior", 0.5, 4, 1 if n_classes == 2 else 3, 0)
    theta = np.concatenate([mlp.hidden.ravel(), mlp.output.ravel()])

    def logits(t):
        z = Mlp(*network.layers(t), None, 0.0, 0.0).log_odds(features[:1])[0]
        return z if n_classes == 2 else z - z.mean()

    jacobian = np.atleast_2d(approx_fprime(theta, logits, 1e-6))
    variance = np.diag(jacobian @ mlp.covariance @ jacobian.T)
    np.testing.assert_allclose(np.ravel(mlp.variance(features[:1])), variance, rtol=1e-3)


def test_the_network_learns_what_no_line_tells_apart():
    features, y = ring()
    rng = np.random.default_rng(1)
    evidence = 3 * (rng.normal(size=300) + 3 * y) - 4.5
    linear, network = (train(features[:200], evidence[:200]) for train in (train_head, train_mlp))
    assert roc_auc_score(y[200:], network.log_odds(features[200:])) > 0.95
    assert roc_auc_score(y[200:], linear.log_odds(features[200:])) < 0.7


def test_where_evidence_is_weak_the_network_is_a_linear_head():
    rng = np.random.default_rng(2)
    features = rng.normal(size=(400, 10)) / np.sqrt(10)
    y = features[:, 0] > 0.4
    evidence = rng.normal(size=400) + y - 0.5
    network, linear = (
        train(features[:200], evidence[:200]).log_odds(features[200:]) for train in (train_mlp, train_head)
    )
    assert np.corrcoef(network, linear)[0, 1] > 0.95


def test_features_after_the_sixty_fourth_are_not_used():
    features, evidence = some(2, d=N_INPUTS + 6)
    mlp = train_mlp(features, evidence)
    assert mlp.hidden.shape == (1 + N_INPUTS, 16)
    changed = features.copy()
    changed[:, N_INPUTS:] = 9
    np.testing.assert_array_equal(mlp.log_odds(changed), mlp.log_odds(features))


def test_another_seed_starts_from_other_weights():
    features, y = ring(100)
    first, other = (train_mlp(features, np.where(y, 3.0, -3.0), seed=seed) for seed in (0, 1))
    assert not np.array_equal(first.hidden, other.hidden)
