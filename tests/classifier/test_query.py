from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from brainloop.classifier.head import train_head
from brainloop.classifier.query import (
    QUERIES,
    TOLD,
    Belief,
    confidence,
    has_converged,
    k_means,
    knows_a_target,
    least_certain,
    least_confident,
    promised,
    random_images,
    unsure_share,
    variance_reduction,
)
from brainloop.errors import SettingsError


def rng(seed=0):
    return np.random.default_rng(seed)


def a_belief(log_odds, evidence=None):
    """A belief whose head gives exactly these log-odds: one feature, of weight 1."""
    log_odds = np.asarray(log_odds, dtype=float)
    belief = Belief(log_odds[:, None], None, np.zeros(log_odds.size) if evidence is None else np.asarray(evidence))
    belief.__dict__["log_odds"] = log_odds
    return belief


def a_trained_belief(n=60, seed=0):
    features = rng(seed).normal(size=(n, 4))
    evidence = np.where(np.arange(n) % 3 == 0, rng(seed + 1).normal(size=n), 0.0)
    return Belief(features, train_head(features[::3], evidence[::3]), evidence)


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("n", [1, 13, 60, 99])
@pytest.mark.parametrize("threshold", [None, 0.9])
def test_every_query_gives_images_of_the_pool_none_twice_and_no_more_than_asked(name, n, threshold):
    belief = a_trained_belief()
    chosen = QUERIES[name](belief, n, rng(), threshold)
    assert chosen.size <= min(n, 60)
    assert threshold is not None or chosen.size == min(n, 60)
    assert len(set(chosen.tolist())) == chosen.size
    assert chosen.dtype.kind == "i"
    assert ((chosen >= 0) & (chosen < 60)).all()


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_follows_from_its_seed_and_changes_nothing(name):
    belief = a_trained_belief()
    before = belief.features.copy(), belief.evidence.copy(), belief.log_odds.copy()
    np.testing.assert_array_equal(*(QUERIES[name](belief, 9, rng(5), None) for _ in range(2)))
    for was, now in zip(before, (belief.features, belief.evidence, belief.log_odds), strict=True):
        np.testing.assert_array_equal(was, now)


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=50))
def test_confidence_is_the_larger_of_the_two_class_probabilities(log_odds):
    p = expit(np.array(log_odds))
    np.testing.assert_allclose(confidence(np.array(log_odds)), np.maximum(p, 1 - p), atol=1e-12)


@given(st.lists(st.floats(-6, 6), min_size=1, max_size=60), st.integers(1, 70), st.integers(0, 9))
def test_the_least_confident_come_first_and_only_below_the_threshold(log_odds, n, seed):
    chosen = least_confident(a_belief(log_odds), n, rng(seed), 0.9)
    certainty = confidence(np.array(log_odds))
    assert len(set(chosen.tolist())) == chosen.size == min(n, (certainty < 0.9).sum())
    assert (np.diff(certainty[chosen]) >= 0).all()
    if chosen.size:
        assert certainty[chosen].max() <= np.delete(certainty, chosen).min(initial=1)


@given(st.lists(st.tuples(st.floats(-6, 6), st.floats(-6, 6)), min_size=1, max_size=60), st.integers(1, 70))
def test_the_least_certain_are_those_of_classifier_and_evidence_together(pairs, n):
    log_odds, evidence = np.array(pairs).T
    together = least_certain(a_belief(log_odds, evidence), n, rng(), 0.9)
    np.testing.assert_array_equal(together, least_confident(a_belief(log_odds + evidence), n, rng(), 0.9))


def test_variance_reduction_chooses_what_a_search_over_whole_posteriors_chooses():
    belief = a_trained_belief(seed=3)
    gradients = np.column_stack([belief.features, np.ones(60)])
    weight = expit(belief.log_odds) * expit(-belief.log_odds)
    told = TOLD * expit(belief.posterior) * expit(-belief.posterior)
    precision, expected = np.linalg.inv(belief.head.covariance), []
    for _ in range(7):
        left = {
            i: weight
            @ np.einsum("ij,jk,ik->i", gradients, np.linalg.inv(precision + told[i] * np.outer(g, g)), gradients)
            for i, g in enumerate(gradients)
            if i not in expected
        }
        expected.append(min(left, key=left.get))
        precision += told[expected[-1]] * np.outer(gradients[expected[-1]], gradients[expected[-1]])
    assert variance_reduction(belief, 7, rng()).tolist() == expected


def test_variance_reduction_does_not_ask_the_same_thing_twice():
    rare, common = np.tile([0.0, 1.0], (5, 1)), np.tile([1.0, 0.0], (5, 1)) * np.linspace(0.9, 1.1, 5)[:, None]
    head = train_head(np.zeros((0, 2)), np.zeros(0))
    chosen = variance_reduction(Belief(np.vstack([rare, common]), head, np.zeros(10)), 2, rng())
    assert sorted(chosen // 5) == [0, 1]


def test_variance_reduction_needs_a_posterior():
    belief = a_trained_belief()
    flat = Belief(belief.features, train_head(belief.features, belief.evidence, regularisation="cross_validation"),
                  belief.evidence)  # fmt: skip
    with pytest.raises(SettingsError, match="needs a head with a posterior"):
        variance_reduction(flat, 3, rng())


def test_the_talk_asks_again_what_the_person_has_settled_and_we_do_not():
    belief = a_belief([0.0, 1.0, 2.0], [8.0, 0.0, 0.0])
    assert least_confident(belief, 1, rng()).tolist() == [0]
    assert least_certain(belief, 1, rng()).tolist() == [1]


def test_ties_are_broken_by_the_seed_alone():
    same = a_belief(np.zeros(100))
    first, again, other = (least_confident(same, 10, rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_random_images_come_once_each_and_first_those_that_nobody_looked_at():
    evidence = np.zeros(10)
    evidence[:7] = 1.0
    chosen = random_images(a_belief(np.zeros(10), evidence), 99, rng())
    np.testing.assert_array_equal(np.sort(chosen), np.arange(10))
    assert set(chosen[:3]) == {7, 8, 9}


def test_k_means_takes_one_image_of_each_cluster():
    centres = np.array([[0, 0], [9, 0], [0, 9], [9, 9]])
    features = np.repeat(centres, 5, axis=0) + rng().normal(scale=0.1, size=(20, 2))
    chosen = k_means(Belief(features, None, np.zeros(20)), 4, rng())
    np.testing.assert_array_equal(np.sort(chosen // 5), [0, 1, 2, 3])


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_k_means_fills_up_where_images_are_the_same():
    chosen = k_means(Belief(np.zeros((20, 2)), None, np.zeros(20)), 4, rng())
    assert len(set(chosen.tolist())) == 4


def test_a_classifier_knows_a_target_when_it_is_sure_of_one():
    base_rate = np.full(99, -2.5)
    assert confidence(base_rate).min() > 0.9
    assert not knows_a_target(base_rate)
    assert knows_a_target(np.append(base_rate, 2.2))


def test_without_a_threshold_sure_images_are_asked_about_too():
    sure = a_belief([-9.0, -5.0, -3.0])
    assert least_confident(sure, 2, rng(), 0.9).size == 0
    assert least_confident(sure, 2, rng(), None).tolist() == [2, 1]


def test_the_unsure_share_counts_confidences_below_the_threshold():
    assert unsure_share(np.array([0.0, 5.0, -5.0, 0.1])) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("shares", "converged"),
    [
        ([], False),
        ([0.01], False),
        ([0.01, 0.04], True),
        ([0.01, 0.05], False),
        ([0.01, 0.2, 0.04], False),
        ([0.3, 0.0], True),
    ],
)
def test_convergence_takes_two_rounds_running_under_five_percent(shares, converged):
    assert has_converged(shares) is converged


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("threshold", [None, 0.9])
def test_no_query_chooses_what_others_are_looking_at(name, threshold):
    belief, pending = a_trained_belief(), np.arange(0, 60, 4)
    chosen = QUERIES[name](replace(belief, pending=pending), 60, rng(), threshold)
    assert not set(chosen) & set(pending)
    assert threshold is not None or chosen.size == 45


@pytest.mark.parametrize("name", QUERIES)
def test_with_nothing_pending_a_query_chooses_as_without(name):
    belief = a_trained_belief()
    alone = QUERIES[name](belief, 20, rng(3), 0.9)
    empty = replace(belief, pending=np.array([], dtype=np.int64), telling=np.full(60, TOLD))
    np.testing.assert_array_equal(QUERIES[name](empty, 20, rng(3), 0.9), alone)


def test_four_who_ask_at_once_choose_what_one_would_ask_one_after_the_other():
    belief = a_trained_belief()
    alone = variance_reduction(belief, 40, rng())
    pending = np.array([], dtype=np.int64)
    for _ in range(4):
        chosen = variance_reduction(replace(belief, pending=np.sort(pending)), 10, rng())
        pending = np.concatenate([pending, chosen])
    assert set(pending) == set(alone)


def test_what_a_look_tells_is_weighed_image_by_image():
    belief = a_trained_belief()
    first = variance_reduction(belief, 1, rng())[0]
    telling = np.full(60, TOLD)
    telling[first] = TOLD / 100  # whoever asks has seen it already
    assert first not in variance_reduction(replace(belief, telling=telling), 5, rng())


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("threshold", [None, 0.9])
def test_what_others_are_looking_at_is_never_chosen_and_all_else_may_be(name, threshold):
    belief, pending = a_trained_belief(), np.arange(5, 45, 2)
    chosen = QUERIES[name](replace(belief, pending=pending), 60, rng(), threshold)
    assert not set(chosen.tolist()) & set(pending.tolist())
    assert threshold is not None or chosen.size == 60 - pending.size
    none_left = replace(belief, pending=np.arange(60))
    assert QUERIES[name](none_left, 9, rng(), threshold).size == 0


@pytest.mark.parametrize("name", set(QUERIES) - {"k_means"})
def test_pending_images_that_are_none_change_nothing(name):
    belief = a_trained_belief()
    nobody = replace(belief, pending=np.zeros(0, dtype=np.int64), telling=np.full(60, TOLD))
    np.testing.assert_array_equal(QUERIES[name](nobody, 20, rng(3), 0.9), QUERIES[name](belief, 20, rng(3), 0.9))


def test_four_who_ask_one_after_the_other_choose_what_one_would_choose_for_all_four():
    belief = a_trained_belief(n=300)
    one = variance_reduction(belief, 40, rng())
    four = np.zeros(0, dtype=np.int64)
    for seed in range(4):
        four = np.append(four, variance_reduction(replace(belief, pending=np.sort(four)), 10, rng(seed)))
    np.testing.assert_array_equal(four, one)


def test_what_is_promised_is_what_the_head_would_be_left_with():
    belief = a_trained_belief()
    gradients, told = belief.head.gradients(belief.features[:7]).astype(float), rng(1).random(7)
    left = promised(belief.head.covariance, gradients, told)
    precision = np.linalg.inv(belief.head.covariance) + (gradients.T * told) @ gradients
    np.testing.assert_allclose(left, np.linalg.inv(precision), rtol=1e-6, atol=1e-10)


def test_the_start_chooses_nothing_next_to_what_others_are_looking_at():
    centres = 10 * rng(2).normal(size=(8, 3))
    group = np.repeat(np.arange(8), 20)
    belief = Belief(centres[group] + 0.01 * rng(3).normal(size=(160, 3)), None, np.zeros(160))
    first = k_means(belief, 5, rng(4))
    second = k_means(replace(belief, pending=np.sort(first)), 3, rng(4))
    assert sorted(group[np.append(first, second)]) == list(range(8))


def test_of_two_equal_images_the_one_is_asked_about_of_which_a_look_tells_more():
    belief = a_trained_belief()
    twice = Belief(np.vstack([belief.features] * 2), belief.head, np.tile(belief.evidence, 2))
    telling = np.where(np.arange(120) < 60, 0.1, 0.3)
    chosen = variance_reduction(replace(twice, telling=telling), 10, rng())
    assert (chosen >= 60).all()
