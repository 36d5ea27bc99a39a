"""The classifier that doubts annotations: nothing of the truth, all of the likelihood."""

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, minimize
from scipy.special import expit, log_softmax, logsumexp

from brainloop.errors import SettingsError
from brainloop.labels import posterior_loss
from brainloop.uses import doubt as room
from brainloop.uses.doubt import Doubt, doubt


def blobs(n=400, n_classes=4, share=0.15, apart=2.2, seed=0):
    """Features in four blobs, their classes, and annotations of which a share is wrong."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % n_classes
    features = rng.normal(size=(n, 8)) + apart * np.eye(8)[truth]
    features -= features.mean(axis=0)
    features /= np.sqrt((features**2).sum(axis=1).mean())
    given = truth.copy()
    wrong = rng.choice(n, round(share * n), replace=False)
    given[wrong] = (truth[wrong] + rng.integers(1, n_classes, wrong.size)) % n_classes
    return features, truth, given


def test_the_loss_is_the_posterior_rule_for_annotations_as_evidence():
    rng, noise, n_classes = np.random.default_rng(1), 0.2, 3
    logits, given = rng.normal(size=(20, n_classes)), rng.integers(0, n_classes, 20)
    evidence = np.zeros_like(logits)
    evidence[np.arange(20), given] = np.log((1 - noise) * (n_classes - 1) / noise)
    ours = -room._log_likelihood(log_softmax(logits, axis=1)[np.arange(20), given], noise, n_classes)
    np.testing.assert_allclose(ours, posterior_loss(logits, evidence).value - np.log(noise / (n_classes - 1)))


def test_training_ends_where_an_independent_minimiser_does():
    features, _, given = blobs(n=60, n_classes=3)
    design = np.column_stack([features, np.ones(len(features))])
    noise, penalty = 0.1, 1.0

    def objective(theta):
        p = np.exp(log_softmax(design @ theta.reshape(9, 3), axis=1))
        said = np.full((3, 3), noise / 2) + (1 - 1.5 * noise) * np.eye(3)  # p(annotation | class)
        pull = np.r_[np.full(8, penalty), 1e-2][:, None]
        return -np.log((p @ said)[np.arange(60), given]).sum() + 0.5 * (pull * theta.reshape(9, 3) ** 2).sum()

    found = room._train(design, given, noise, penalty, np.zeros((9, 3)))
    reference = minimize(objective, np.zeros(27), method="BFGS", options={"gtol": 1e-6})
    assert objective(found.ravel()) == pytest.approx(reference.fun, abs=1e-3)
    assert np.abs(approx_fprime(found.ravel(), objective)).max() < 0.1


def test_no_image_has_a_say_about_its_own_annotation(monkeypatch):
    features, _, given = blobs(n=100)
    seen, train = [], room._train

    def watch(design, *others):
        seen.append(design[:, :-1])
        return train(design, *others)

    monkeypatch.setattr(room, "_train", watch)
    doubt(features, given, 4)
    fold = room.folds(given, seed=0)
    for number, rows in enumerate(seen):
        np.testing.assert_array_equal(rows, features[fold != number % 5])


def test_noise_is_estimated_and_the_log_odds_are_calibrated():
    features, truth, given = blobs(n=2000, share=0.15)
    found, wrong = doubt(features, given, 4), given != truth
    assert found.noise == pytest.approx(0.15, abs=0.03)
    p = expit(found.log_odds)
    assert p.sum() == pytest.approx(wrong.sum(), rel=0.15)
    for low, high in ((0.1, 0.5), (0.5, 0.9), (0.9, 1.0)):
        between = (p > low) & (p <= high)
        assert p[between].mean() == pytest.approx(wrong[between].mean(), abs=0.12)


def test_clean_annotations_are_hardly_doubted():
    features, _, given = blobs(share=0.0, apart=4.0)
    found = doubt(features, given, 4)
    assert found.noise < 0.02
    assert (found.log_odds < 0).all()


@drawn(st.integers(2, 6), st.floats(1e-6, 0.5), st.integers(0, 10_000))
def test_the_log_odds_are_bayes_rule(n_classes, noise, seed):
    rng = np.random.default_rng(seed)
    log_p, given = log_softmax(5 * rng.normal(size=(7, n_classes)), axis=1), rng.integers(0, n_classes, 7)
    found, evidence = Doubt(given, log_p, noise), rng.normal(size=7)
    said = np.where(np.arange(n_classes) == given[:, None], np.log1p(-noise), np.log(noise / (n_classes - 1)))
    said = said + np.where(np.arange(n_classes) == given[:, None], 0, evidence[:, None])  # a look: not the given class
    joint = log_p + said
    posterior = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    rows = np.arange(7)
    np.testing.assert_allclose(expit(found.log_odds + evidence), 1 - posterior[rows, given], atol=1e-9)
    np.testing.assert_allclose(found.certainty(evidence), posterior[rows, found.other], atol=1e-9)
    gain = joint[rows, found.other] - joint[rows, given]
    np.testing.assert_allclose(found.change_log_odds(evidence), gain, atol=1e-9)


def test_one_seed_gives_one_result():
    features, _, given = blobs()
    np.testing.assert_array_equal(
        doubt(features, given, 4, seed=3).log_probability, doubt(features, given, 4, seed=3).log_probability
    )


@pytest.mark.parametrize(("n", "n_classes"), [(40, 1), (6, 2)])
def test_one_class_or_a_handful_of_images_is_refused(n, n_classes):
    with pytest.raises(SettingsError, match="doubt expects"):
        doubt(np.zeros((n, 3)), np.arange(n) % n_classes, n_classes)
