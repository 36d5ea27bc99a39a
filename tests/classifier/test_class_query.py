from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from brainloop.classifier.class_query import CLASS_QUERIES, ask
from brainloop.classifier.head import train_head
from brainloop.classifier.query import Belief
from brainloop.errors import SettingsError

K = 3


@pytest.fixture
def belief():
    rng = np.random.default_rng(0)
    truth = rng.integers(K, size=120)
    features = np.eye(K)[truth] @ rng.normal(size=(K, 6)) + 0.7 * rng.normal(size=(120, 6))
    evidence = np.zeros((120, K))
    for image in range(60):
        k = rng.integers(K)
        evidence[image, k] = rng.normal(1.5 if truth[image] == k else -1.5)
    head = train_head(features[:60], evidence[:60])
    return Belief(features, head, evidence)


@pytest.mark.parametrize("name", CLASS_QUERIES)
def test_a_query_chooses_as_many_images_as_asked_for_and_none_twice(belief, name):
    for k in range(K):
        promise, choose = CLASS_QUERIES[name](belief, k, 20, np.random.default_rng(1), None)
        images = choose()
        assert len(images) == len(set(images.tolist())) == 20
        assert np.isfinite(promise)


@pytest.mark.parametrize("name", set(CLASS_QUERIES) - {"random"})
def test_no_image_is_asked_about_whose_class_is_sure(belief, name):
    logits = belief.log_odds if name == "least_confident" else belief.posterior
    sure = softmax(logits, axis=1).max(axis=1) >= 0.8
    images = CLASS_QUERIES[name](belief, 0, 120, np.random.default_rng(1), 0.8).images()
    assert images.size
    assert not sure[images].any()


def test_least_certain_asks_where_the_posterior_of_the_class_is_nearest_to_even(belief):
    p = softmax(belief.posterior, axis=1)[:, 2]
    promise, choose = CLASS_QUERIES["least_certain"](belief, 2, 10, np.random.default_rng(1), None)
    images = choose()
    np.testing.assert_array_equal(np.sort(images), np.sort(np.argsort(np.abs(p - 0.5))[:10]))
    assert promise == pytest.approx((p * (1 - p))[images].sum())


def test_the_class_that_is_looked_for_is_the_one_that_promises_most(belief):
    for name in CLASS_QUERIES:
        _, k = ask(name, belief, 10, np.random.default_rng(1))
        promises = [CLASS_QUERIES[name](belief, one, 10, np.random.default_rng(1), None).promise for one in range(K)]
        assert k == int(np.argmax(promises))


def test_the_first_look_is_the_one_that_lowers_the_pools_variance_most(belief):
    """Every look is tried out: the covariance after it by the Sherman-Morrison formula, the variance by the trace."""
    covariance, p = belief.head.covariance, softmax(belief.log_odds, axis=1)
    q = softmax(belief.posterior, axis=1)
    design = np.column_stack([belief.features, np.ones(len(p))])
    whole = sum(
        np.kron(np.diag(share) - np.outer(share, share), np.outer(row, row))
        for share, row in zip(p, design, strict=True)
    )
    left = np.empty(len(p))
    for image, (share, row) in enumerate(zip(p, design, strict=True)):
        others = np.where(np.arange(K) == 1, 0, share)
        towards = np.eye(K)[1] - others / others.sum()
        g = np.kron(towards, row)
        told = 0.25 * q[image, 1] * (1 - q[image, 1])
        after = covariance - told * np.outer(covariance @ g, g @ covariance) / (1 + told * g @ covariance @ g)
        left[image] = np.trace(after @ whole)
    images = CLASS_QUERIES["variance_reduction"](belief, 1, 5, np.random.default_rng(1), None).images()
    assert images[0] == left.argmin()


def test_variance_reduction_needs_a_posterior(belief):
    head = train_head(belief.features[:60], belief.evidence[:60], regularisation="cross_validation")
    with pytest.raises(SettingsError, match="laplace"):
        CLASS_QUERIES["variance_reduction"](
            Belief(belief.features, head, belief.evidence), 0, 5, np.random.default_rng(1), None
        )


@pytest.mark.parametrize("name", CLASS_QUERIES)
def test_what_others_are_looking_at_is_asked_about_for_no_class(belief, name):
    pending = np.arange(10, 90, 3)
    for k in range(K):
        images = CLASS_QUERIES[name](replace(belief, pending=pending), k, 120, np.random.default_rng(1), None).images()
        assert images.size
        assert not set(images.tolist()) & set(pending.tolist())


def test_looks_under_way_take_their_part_of_the_promise(belief):
    alone = CLASS_QUERIES["variance_reduction"](belief, 0, 10, np.random.default_rng(1), None)
    busy = replace(belief, pending=np.sort(alone.images()))
    beside = CLASS_QUERIES["variance_reduction"](busy, 0, 10, np.random.default_rng(1), None)
    assert beside.promise < alone.promise
