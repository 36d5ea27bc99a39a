import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from brainloop.classifier.head import BIAS_PRIOR, Head, Projection, train_head
from brainloop.errors import SettingsError, StudyError
from brainloop.labels import RULES


@pytest.fixture(scope="module")
def two_clouds():
    rng = np.random.default_rng(0)
    y = rng.random(600) < 0.3
    return rng.normal(size=(600, 30)) * np.linspace(3, 0.3, 30) + 4 * y[:, None] * (np.arange(30) < 3), y


def noisy_evidence(y, d=2.0, seed=1):
    return d * (np.random.default_rng(seed).normal(size=y.size) + d * y) - d * d / 2


def test_the_projection_is_scikit_learns_pca_at_unit_mean_square_norm(two_clouds):
    X, _ = two_clouds
    projected = Projection.fit(X, 10)(X)
    reference = PCA(10, svd_solver="full").fit_transform(X)
    assert (projected**2).sum(axis=1).mean() == pytest.approx(1, rel=0.01)
    ratio = projected / reference
    np.testing.assert_allclose(ratio, ratio[0, 0] * np.sign(ratio[0] / ratio[0, 0]) * np.ones_like(ratio), rtol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_learns_from_noisy_evidence_and_generalises(two_clouds, rule):
    X, y = two_clouds
    head = train_head(Projection.fit(X[:400]), X[:400], noisy_evidence(y[:400]), rule=rule)
    assert roc_auc_score(y[400:], head.log_odds(X[400:])) > 0.85


@pytest.mark.parametrize("rule", RULES)
def test_with_sure_evidence_every_rule_is_penalised_logistic_regression(two_clouds, rule, monkeypatch):
    monkeypatch.setitem(BIAS_PRIOR, rule, (0.0, 10.0))  # scikit-learn's intercept has no prior of its own
    X, y = two_clouds
    projection = Projection.fit(X)
    head = train_head(projection, X, np.where(y, 40.0, -40.0), rule=rule)
    features = np.column_stack([projection(X), np.full(len(y), 10 * np.sqrt(head.penalty))])
    reference = LogisticRegression(C=1 / head.penalty, fit_intercept=False, tol=1e-8, max_iter=10000).fit(features, y)
    np.testing.assert_allclose(head.log_odds(X), reference.decision_function(features), atol=0.05)


def test_the_posterior_rule_starts_from_rare_targets(two_clouds):
    X, _ = two_clouds
    head = train_head(Projection.fit(X), X[:5], np.zeros(5))
    np.testing.assert_allclose(expit(head.log_odds(X)), 0.15, atol=0.01)


def test_the_log_evidence_is_the_marginal_likelihood_where_the_loss_is_quadratic_enough():
    # One feature, little evidence: integrate the likelihood times the prior on a grid, and compare.
    rng = np.random.default_rng(3)
    X = rng.normal(size=(60, 1))
    evidence = 0.5 * rng.normal(size=60)
    projection = Projection(np.zeros(1), np.ones((1, 1)))
    head = train_head(projection, X, evidence, rule="talk")
    w = np.linspace(-3, 3, 401)
    b = np.linspace(-3, 3, 401)
    grid = np.stack(np.meshgrid(w, b, indexing="ij"), axis=-1)
    z = grid[..., :1] * X[:, 0] + grid[..., 1:]
    likelihood = -RULES["talk"](z, evidence).value.sum(axis=-1)
    prior = multivariate_normal(np.zeros(2), np.diag([1 / head.penalty, BIAS_PRIOR["talk"][1] ** 2])).logpdf(grid)
    cell = (w[1] - w[0]) * (b[1] - b[0])
    marginal = np.log(np.exp(likelihood + prior - likelihood.max()).sum() * cell) + likelihood.max()
    assert head.log_evidence == pytest.approx(marginal, abs=0.1)


def test_evidence_that_says_nothing_is_met_with_the_strongest_penalty(two_clouds):
    X, _ = two_clouds
    noise = np.random.default_rng(4).normal(size=len(X))
    assert train_head(Projection.fit(X), X, noise, rule="talk").penalty > 50


@pytest.mark.parametrize("rule", RULES)
def test_the_same_evidence_gives_the_same_head_to_the_last_bit(two_clouds, rule):
    X, y = two_clouds
    first, second = (train_head(Projection.fit(X), X, noisy_evidence(y), rule=rule) for _ in range(2))
    np.testing.assert_array_equal(first.weight, second.weight)
    assert (first.bias, first.penalty, first.log_evidence) == (second.bias, second.penalty, second.log_evidence)


def test_a_head_and_a_projection_come_back_from_disk_as_they_were(two_clouds, tmp_path):
    X, y = two_clouds
    projection = Projection.fit(X)
    head = train_head(projection, X, noisy_evidence(y))
    projection.save(tmp_path / "projection.safetensors")
    head.save(tmp_path / "head.safetensors")
    again = Head.load(tmp_path / "head.safetensors")
    np.testing.assert_array_equal(again.weight, head.weight)
    assert (again.bias, again.penalty, again.log_evidence) == (head.bias, head.penalty, head.log_evidence)
    np.testing.assert_array_equal(Projection.load(tmp_path / "projection.safetensors")(X), projection(X))


@pytest.mark.parametrize("content", [None, b"", b"not a model"])
def test_a_missing_or_broken_model_file_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "head.safetensors").write_bytes(content)
    with pytest.raises(StudyError, match=r"head\.safetensors.*run the study again"):
        Head.load(tmp_path / "head.safetensors")


def test_an_unknown_rule_and_disagreeing_shapes_are_refused(two_clouds):
    X, _ = two_clouds
    projection = Projection.fit(X)
    with pytest.raises(SettingsError, match="posterior, talk"):
        train_head(projection, X, np.zeros(len(X)), rule="hard")
    with pytest.raises(SettingsError, match="one evidence for each embedding"):
        train_head(projection, X, np.zeros(3))


@pytest.mark.parametrize("rule", RULES)
def test_without_a_usable_response_the_head_is_the_priors(two_clouds, rule):
    X, _ = two_clouds
    head = train_head(Projection.fit(X), X[:0], np.zeros(0), rule=rule)
    np.testing.assert_allclose(head.log_odds(X), BIAS_PRIOR[rule][0], atol=1e-6)
