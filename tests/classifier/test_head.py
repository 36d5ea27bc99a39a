import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, softmax
from scipy.stats import multivariate_normal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from brainloop.classifier.features import Projection
from brainloop.classifier.head import held_out_loss, moderated, train_head
from brainloop.classifier.regularisation import BIAS_PRIOR, PENALTIES
from brainloop.labels import RULES


@pytest.fixture(scope="module")
def two_clouds():
    rng = np.random.default_rng(0)
    y = rng.random(600) < 0.3
    X = rng.normal(size=(600, 30)) * np.linspace(3, 0.3, 30) + 4 * y[:, None] * (np.arange(30) < 3)
    return Projection.fit(X)(X), y


def noisy_evidence(y, d=2.0, seed=1):
    return d * (np.random.default_rng(seed).normal(size=y.shape) + d * y) - d * d / 2


@pytest.mark.parametrize("rule", RULES)
def test_with_sure_evidence_every_rule_is_penalised_logistic_regression(two_clouds, rule, monkeypatch):
    monkeypatch.setitem(BIAS_PRIOR, rule, (0.0, 10.0))  # scikit-learn's intercept has no prior of its own
    features, y = two_clouds
    head = train_head(features, np.where(y, 40.0, -40.0), rule=rule)
    design = np.column_stack([features, np.full(len(y), 10 * np.sqrt(head.penalty))])
    reference = LogisticRegression(C=1 / head.penalty, fit_intercept=False, tol=1e-10, max_iter=10000).fit(design, y)
    np.testing.assert_allclose(head.log_odds(features), reference.decision_function(design), atol=1e-3)


def test_with_sure_evidence_of_three_classes_the_posterior_rule_is_multinomial_regression(monkeypatch):
    monkeypatch.setitem(BIAS_PRIOR, "posterior", (0.0, 10.0))
    rng = np.random.default_rng(1)
    y = rng.integers(3, size=200)
    features = (rng.normal(size=(200, 5)) + 2 * np.eye(3, 5)[y]) / 3
    head = train_head(features, np.where(np.eye(3)[y] == 1, 40.0, -40.0))
    design = np.column_stack([features, np.full(200, 10 * np.sqrt(head.penalty))])
    reference = LogisticRegression(C=1 / head.penalty, fit_intercept=False, tol=1e-10, max_iter=10000).fit(design, y)
    np.testing.assert_allclose(head.log_odds(features), reference.decision_function(design), atol=1e-3)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_newton_finds_the_minimum_that_a_general_optimiser_finds(two_clouds, rule, n_classes):
    features, y = two_clouds[0][:150, :6], two_clouds[1][:150]
    truth = y if n_classes == 2 else np.column_stack([y, ~y & (features[:, 1] > 0), ~y & (features[:, 1] <= 0)])
    evidence = noisy_evidence(truth)
    head = train_head(features, evidence, rule=rule)
    mean, sd = BIAS_PRIOR[rule]
    mean = mean if n_classes == 2 else 0.0

    def objective(theta):
        weight, bias = theta[: features.shape[1]], theta[-1]
        z = features @ weight + bias
        loss = RULES[rule](z if n_classes == 3 else z[:, 0], evidence, 0.5).value.sum()
        return loss + 0.5 * head.penalty * (weight**2).sum() + 0.5 * ((bias - mean) ** 2).sum() / sd**2

    columns = 1 if n_classes == 2 else 3
    ours = np.vstack([head.weight.reshape(6, columns), np.reshape(head.bias, (1, columns))])
    found = minimize(lambda t: objective(t.reshape(ours.shape)), ours.ravel(), method="BFGS", options={"gtol": 1e-6})
    np.testing.assert_allclose(found.x.reshape(ours.shape), ours, atol=2e-3)
    assert objective(ours) <= found.fun + 1e-8


def test_the_posterior_rule_starts_from_rare_targets(two_clouds):
    features, _ = two_clouds
    head = train_head(features[:5], np.zeros(5))
    np.testing.assert_allclose(expit(head.log_odds(features)), 0.15, atol=0.01)


def test_the_log_evidence_and_the_covariance_are_the_posteriors_where_the_loss_is_quadratic_enough():
    rng = np.random.default_rng(3)
    features, evidence = rng.normal(size=(60, 1)), 0.5 * rng.normal(size=60)
    head = train_head(features, evidence, rule="talk")
    w = np.linspace(-3, 3, 201)
    grid = np.stack(np.meshgrid(w, w, indexing="ij"), axis=-1).reshape(-1, 2)
    z = grid[:, :1] * features[:, 0] + grid[:, 1:]  # (n_grid, n)
    losses = RULES["talk"](z.ravel(), np.tile(evidence, len(grid)), 0.5).value.reshape(z.shape)
    prior = multivariate_normal(np.zeros(2), np.diag([1 / head.penalty, BIAS_PRIOR["talk"][1] ** 2])).logpdf(grid)
    joint = prior - losses.sum(axis=1)
    mass = np.exp(joint - joint.max())
    marginal = np.log(mass.sum() * (w[1] - w[0]) ** 2) + joint.max()
    assert head.log_evidence == pytest.approx(marginal, abs=0.1)
    np.testing.assert_allclose(head.covariance, np.cov(grid.T, aweights=mass), rtol=0.1, atol=1e-3)
    np.testing.assert_allclose(head.variance(features), np.cov(z.T, aweights=mass).diagonal(), rtol=0.1)
    average = (expit(z) * mass[:, None]).sum(axis=0) / mass.sum()
    np.testing.assert_allclose(head.probability(features), average, atol=0.01)


def test_the_variance_of_logits_is_that_of_draws_from_the_posterior():
    rng = np.random.default_rng(2)
    y = rng.integers(3, size=80)
    features = (rng.normal(size=(80, 4)) + 2 * np.eye(3, 4)[y]) / 2.5
    head = train_head(features, noisy_evidence(np.eye(3)[y]))
    theta = rng.multivariate_normal(np.zeros(15), head.covariance, size=20_000).reshape(-1, 3, 5)
    logits = np.einsum("nd,skd->snk", np.column_stack([features[:10], np.ones(10)]), theta)
    spread = (logits - logits.mean(axis=2, keepdims=True)).var(axis=0)
    np.testing.assert_allclose(head.variance(features[:10]), spread, rtol=0.06)
    whole = softmax(head.log_odds(features[:10]) + logits, axis=2).mean(axis=0)
    np.testing.assert_allclose(head.probability(features[:10]), whole, atol=0.05)


def test_a_moderated_probability_is_the_average_over_the_posterior():
    z, sd = np.array([-4.0, -1.0, 0.0, 0.5, 3.0]), np.array([2.0, 1.0, 3.0, 0.1, 2.0])
    draws = z + sd * np.random.default_rng(0).normal(size=(100_000, 5))
    np.testing.assert_allclose(moderated(z, sd**2), expit(draws).mean(axis=0), atol=0.02)


def test_evidence_that_says_nothing_is_met_with_the_strongest_penalty(two_clouds):
    features, _ = two_clouds
    noise = np.random.default_rng(4).normal(size=len(features))
    assert train_head(features, noise, rule="talk").penalty > 50


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("regularisation", ["laplace", "cross_validation"])
def test_the_held_out_loss_is_that_of_new_images(two_clouds, rule, regularisation):
    features, y = two_clouds
    evidence = noisy_evidence(y)
    measured = held_out_loss(features[:300], evidence[:300], rule=rule, regularisation=regularisation)
    head = train_head(features[:300], evidence[:300], rule=rule, regularisation=regularisation)
    new = RULES[rule](head.log_odds(features[300:]), evidence[300:], 0.5).value
    within = 3 * np.hypot(new.std() / np.sqrt(300), new.std() / np.sqrt(300))
    assert measured == pytest.approx(new.mean(), abs=within)


def test_the_better_of_the_two_regularisations_is_the_one_of_lower_held_out_loss(two_clouds):
    features, y = two_clouds
    chosen = set()
    for seed in range(8):
        evidence = noisy_evidence(y[:80], d=1.0, seed=seed)
        ways = ("laplace", "cross_validation")
        losses = [held_out_loss(features[:80], evidence, rule="talk", regularisation=way, seed=seed) for way in ways]
        best = ways[int(np.argmin(losses))]
        better = train_head(features[:80], evidence, rule="talk", regularisation="better", seed=seed)
        expected = train_head(features[:80], evidence, rule="talk", regularisation=best, seed=seed)
        np.testing.assert_array_equal(better.weight, expected.weight)
        chosen.add(best)
    assert chosen == set(ways)


def test_cross_validation_chooses_as_scikit_learn_would(two_clouds, monkeypatch):
    monkeypatch.setitem(BIAS_PRIOR, "hard", (0.0, 10.0))
    features, y = two_clouds[0][:200], noisy_evidence(two_clouds[1][:200]) > 0
    head = train_head(features, np.where(y, 1.0, -1.0), rule="hard", regularisation="cross_validation")
    fold = np.random.default_rng(0).permutation(200) % 5
    splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(5)]
    losses = [
        -cross_val_score(
            LogisticRegression(C=1 / p, solver="newton-cholesky"), features, y, cv=splits, scoring="neg_log_loss"
        ).mean()
        for p in PENALTIES
    ]
    assert head.penalty == PENALTIES[int(np.argmin(losses))]
