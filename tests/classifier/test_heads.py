"""The contract of every head, under every rule and regularisation, binary and of three classes."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import log_loss, roc_auc_score

from brainloop._files import save_tensors
from brainloop.classifier.features import FEATURES
from brainloop.classifier.heads import HEADS, load_head
from brainloop.classifier.regularisation import BIAS_PRIOR
from brainloop.errors import SettingsError, StudyError
from brainloop.labels import RULES

WAYS = ["laplace", "cross_validation"]  # `better` is one of the two
every_head = pytest.mark.parametrize("kind", HEADS)
every_rule = pytest.mark.parametrize("rule", RULES)
either_way = pytest.mark.parametrize("regularisation", WAYS)
both_tasks = pytest.mark.parametrize("n_classes", [2, 3])


def answers(is_target, rng, d=2.0):
    """Evidence as a calibrated decoder gives it, whose scores of the two classes lie `d` standard deviations apart."""
    return d * (rng.normal(size=is_target.shape) + d * is_target) - d * d / 2


def clouds(kind, n_classes, n=240, seed=0):
    """Features of three clouds 4 standard deviations apart, evidence, and the class of each image.

    Two classes: the first cloud against the rest. Three: each image was looked at once, for one class at random.
    """
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    X = 4 * np.eye(3, 12)[y] + rng.normal(size=(n, 12)) + 5
    features = FEATURES[HEADS[kind][0]].fit(X, 12)(X)
    if n_classes == 2:
        return features, answers(y == 0, rng), y == 0
    evidence = answers(np.eye(3)[y], rng) * np.eye(3)[rng.integers(3, size=n)]
    return features, evidence, y


@every_head
@every_rule
@either_way
@both_tasks
def test_a_head_learns_from_noisy_evidence_what_it_was_not_shown(kind, rule, regularisation, n_classes):
    features, evidence, y = clouds(kind, n_classes)
    head = HEADS[kind][1](features[:140], evidence[:140], rule=rule, regularisation=regularisation)
    said = head.log_odds(features[140:])
    # The evidence itself has AUC .92, and names the class it was asked about with .84; Bayes' rule is right on .997.
    if n_classes == 2:
        assert roc_auc_score(y[140:], said) > 0.93
    else:
        assert (said.argmax(axis=1) == y[140:]).mean() > 0.84


@every_head
@every_rule
@either_way
@both_tasks
def test_a_head_is_deterministic_comes_back_from_disk_and_gives_probabilities(
    kind, rule, regularisation, n_classes, tmp_path
):
    features, evidence, _ = clouds(kind, n_classes, n=40)
    train = HEADS[kind][1]
    head, again = (train(features, evidence, rule=rule, regularisation=regularisation, seed=3) for _ in range(2))
    head.save(tmp_path / "head.safetensors")
    loaded = load_head(tmp_path / "head.safetensors")
    assert type(loaded) is type(head)
    for other in (again, loaded, type(head).load(tmp_path / "head.safetensors")):
        for call in ("log_odds", "variance", "probability"):
            np.testing.assert_array_equal(getattr(other, call)(features), getattr(head, call)(features))
        np.testing.assert_equal([other.penalty, other.log_evidence], [head.penalty, head.log_evidence])

    probability = head.probability(features)
    assert probability.shape == head.log_odds(features).shape == head.variance(features).shape == evidence.shape
    assert (probability > 0).all()
    assert (probability < 1).all()
    if n_classes == 3:
        np.testing.assert_allclose(probability.sum(axis=1), 1)
    if regularisation == "laplace":
        assert np.isfinite(head.log_evidence)
        assert (head.variance(features) > 0).all()
    else:
        assert np.isnan(head.log_evidence)
        assert head.covariance is None
        plain = expit(head.log_odds(features)) if n_classes == 2 else softmax(head.log_odds(features), axis=1)
        np.testing.assert_allclose(probability, plain)


@every_head
@either_way
@both_tasks
def test_single_precision_features_give_single_precision_answers(kind, regularisation, n_classes):
    features, evidence, _ = clouds(kind, n_classes, n=60)
    head = HEADS[kind][1](features, evidence, regularisation=regularisation)
    for call in ("log_odds", "variance", "probability"):
        answer = getattr(head, call)(features.astype(np.float32))
        assert answer.dtype == np.float32
        np.testing.assert_allclose(answer, getattr(head, call)(features), rtol=1e-3, atol=1e-4)


@every_head
@every_rule
@pytest.mark.parametrize("regularisation", [*WAYS, "better"])
@both_tasks
def test_without_a_usable_response_the_head_is_the_priors(kind, rule, regularisation, n_classes):
    features, evidence, _ = clouds(kind, n_classes, n=20)
    head = HEADS[kind][1](features[:0], evidence[:0], rule=rule, regularisation=regularisation)
    mean = BIAS_PRIOR[rule][0] if n_classes == 2 else 0.0
    np.testing.assert_allclose(head.log_odds(features), mean, atol=1e-4)


@every_head
@both_tasks
def test_images_without_evidence_change_nothing_under_the_posterior_rule(kind, n_classes):
    features, evidence, _ = clouds(kind, n_classes, n=60)
    fresh, _, _ = clouds(kind, n_classes, n=30, seed=1)
    head = HEADS[kind][1](features, evidence)
    more = HEADS[kind][1](np.vstack([features, fresh]), np.concatenate([evidence, np.zeros((30, *evidence.shape[1:]))]))
    np.testing.assert_allclose(more.log_odds(fresh), head.log_odds(fresh), atol=0.02)


@every_head
@pytest.mark.parametrize("regularisation", [*WAYS, "better"])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_first_few_looks_already_make_a_head(kind, regularisation, n):
    features, evidence, _ = clouds(kind, 2, n=20)
    head = HEADS[kind][1](features[:n], evidence[:n], regularisation=regularisation)
    assert np.isfinite(head.probability(features)).all()


@every_head
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": "soft"}, "rule: expected one of posterior, talk, hard; 'soft' came"),
        ({"regularisation": "none"}, "regularisation: expected one of laplace, cross_validation, better; 'none' came"),
        ({"evidence": np.zeros(3)}, r"one evidence for each image; features \(20, 12\) and evidence \(3,\) came"),
        ({"features": np.zeros(20)}, r"features of shape \(n_images, n_features\)"),
        ({"evidence": np.zeros((20, 1))}, "two classes or more"),
        ({"evidence": np.zeros((20, 2, 2))}, "two classes or more"),
        ({"evidence": np.full(20, np.nan)}, "finite features and evidence"),
        ({"features": np.full((20, 12), np.inf)}, "finite features and evidence"),
    ],
)
def test_what_a_head_cannot_be_trained_on_is_refused(kind, change, message):
    features, evidence, _ = clouds(kind, 2, n=20)
    arguments = {"features": features, "evidence": evidence} | change
    with pytest.raises(SettingsError, match=message):
        HEADS[kind][1](**arguments)


@every_head
@both_tasks
def test_probabilities_are_calibrated_where_the_model_is_right(kind, n_classes):
    rng = np.random.default_rng(5)
    features = rng.normal(size=(12_000, 8)) / np.sqrt(8)
    weights = 3 * rng.normal(size=(8, n_classes))
    y = (features @ weights + rng.gumbel(size=(12_000, n_classes))).argmax(axis=1)
    truth = y == 1 if n_classes == 2 else np.eye(n_classes)[y] == 1
    head = HEADS[kind][1](features[:2000], answers(truth[:2000], rng, d=3.0))
    said, was = head.probability(features[2000:]).ravel(), truth[2000:].ravel()
    level = np.minimum((said * 10).astype(int), 9)
    errors = [abs(said[level == k].mean() - was[level == k].mean()) * (level == k).mean() for k in np.unique(level)]
    # 2,000 looks leave log-odds of 8 features uncertain by about .15, a probability by .03; bins of 1,000 by .01.
    assert sum(errors) < 0.04


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@both_tasks
def test_moderation_costs_no_likelihood_where_data_are_few(kind, n_classes):
    plain, moderated = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        features = rng.normal(size=(1000, 20)) / np.sqrt(20)
        weights = 4 * rng.normal(size=(20, n_classes))
        y = (features @ weights + rng.gumbel(size=(1000, n_classes))).argmax(axis=1)
        truth = y == 1 if n_classes == 2 else np.eye(n_classes)[y] == 1
        head = HEADS[kind][1](features[:100], answers(truth[:100], rng, d=3.0))
        z = head.log_odds(features[100:])
        plain.append(log_loss(y[100:], expit(z) if n_classes == 2 else softmax(z, axis=1)))
        moderated.append(log_loss(y[100:], head.probability(features[100:])))
    assert np.mean(moderated) <= np.mean(plain) + 1e-3


def test_another_kind_of_model_is_not_taken_for_a_head(tmp_path):
    save_tensors(tmp_path / "head.safetensors", {"mean": np.ones(2)}, {"features": "linear"})
    with pytest.raises(StudyError, match=r"expected a head \(linear, mlp\)"):
        load_head(tmp_path / "head.safetensors")


@pytest.mark.parametrize("content", [None, b"", b"not a model"])
def test_a_missing_or_broken_model_file_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "head.safetensors").write_bytes(content)
    with pytest.raises(StudyError, match=r"head\.safetensors.*run the study again"):
        load_head(tmp_path / "head.safetensors")
