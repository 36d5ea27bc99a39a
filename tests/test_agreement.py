import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, ndtri
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from brainloop.agreement import FEWEST, KNOWN_LOOKS, TARGETS, _auc, reestimate
from brainloop.evidence import add_up

D = float(np.sqrt(2) * ndtri(0.75))  # of an AUC of .75


def people(seed, kinds, n=1000, prevalence=0.12, d=D):
    """Looks of several people at each of n images: calibrated, or at random, or so from half-way on."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < prevalence
    image, person, evidence = [], [], []
    for number, kind in enumerate(kinds):
        order = rng.permutation(n)
        says = d * (rng.normal(size=n) + d * truth[order]) - d * d / 2
        asleep = slice({"good": n, "random": 0, "dozes": n // 2}[kind], n)
        says[asleep] = rng.permutation(says[asleep])
        image.append(order)
        person.append(np.full(n, number))
        evidence.append(says)
    image, person, evidence = (np.concatenate(parts) for parts in (image, person, evidence))
    return truth, image, person, stretches(person), evidence


def stretches(person, length=100):
    stretch, number = np.zeros(person.size, dtype=np.int64), 0
    for one in range(person.max() + 1):
        own = np.flatnonzero(person == one)
        stretch[own] = number + np.arange(own.size) // length
        number += -(-own.size // length)
    return stretch


def auc(truth, image, evidence):
    return roc_auc_score(truth, add_up(image, evidence, truth.size))


def test_calibrated_people_keep_their_calibration_about():
    found = [reestimate(*people(seed, ["good"] * 4, n=2000)[1:]).people for seed in range(8)]
    assert abs(np.mean([one.gain for one in found]) - 1) < 0.08
    assert abs(np.mean([one.offset for one in found])) < 0.1


def test_whoever_answers_at_random_counts_for_next_to_nothing_and_the_others_for_what_they_are():
    truth, image, person, stretch, evidence = people(1, ["good", "random", "good", "good"], n=4000)
    found = reestimate(image, person, stretch, evidence)
    assert found.people.gain[1] < 0.15
    assert found.people.gain[[0, 2, 3]] == pytest.approx(1, abs=0.35)
    three = person != 1
    assert auc(truth, image, found.evidence) > auc(truth, image[three], evidence[three]) - 0.01
    assert auc(truth, image, found.evidence) > auc(truth, image, evidence) + 0.02


def test_whoever_dozes_off_half_way_counts_until_then():
    truth, image, person, stretch, evidence = people(2, ["good", "good", "good", "dozes"], n=4000)
    found = reestimate(image, person, stretch, evidence)
    own = np.unique(stretch[person == 3])
    awake, asleep = own[:18], own[-18:]
    assert found.stretches.gain[awake].mean() > 2 * found.stretches.gain[asleep].mean()
    assert auc(truth, image, found.evidence) > auc(truth, image, evidence) + 0.01


def test_a_classifier_tells_which_of_two_people_answers_at_random():
    truth, image, person, stretch, evidence = people(3, ["good", "random"])
    says = 1.5 * (np.random.default_rng(4).normal(size=truth.size) + 1.5 * truth) - 1.5**2 / 2 + logit(0.12)
    gain = reestimate(image, person, stretch, evidence, says).people.gain
    assert gain[0] > 0.8 > 0.4 > gain[1]


def test_against_known_truth_the_line_is_fishers_discriminant():
    truth, image, person, stretch, evidence = people(5, ["good", "good"], n=3000)
    evidence = np.where(person == 0, 2.0 * evidence - 0.7, evidence)
    known = np.where(truth, 50.0, -50.0)
    own = person == 0
    found = reestimate(image, person, stretch, evidence, known)
    fisher = LinearDiscriminantAnalysis().fit(evidence[own, None], truth[image[own]])
    slope = float(fisher.coef_[0, 0])
    # The calibration stands beside it with as many looks as it counts for.
    targets = truth.sum() * (~truth).sum() / truth.size
    weight = KNOWN_LOOKS * TARGETS * (1 - TARGETS)
    assert found.people.gain[0] == pytest.approx((targets * slope + weight) / (targets + weight), rel=0.01)
    assert found.people.auc[0, 0] == pytest.approx(roc_auc_score(truth[image[own]], evidence[own]))
    assert found.people.auc[1, 0] < found.people.auc[0, 0] < found.people.auc[2, 0]


def test_the_auc_of_evidence_in_two_heaps_is_that_by_truth_too():
    rng = np.random.default_rng(7)
    truth = rng.random(20_000) < 0.12
    pressed = rng.random(truth.size) < np.where(truth, 0.8, 0.05)
    log_odds = 2.0 * (rng.normal(size=truth.size) + 2.0 * truth) - 2.0**2 / 2 + logit(0.12)
    auc, low, high = _auc(np.where(pressed, 2.8, -1.6), expit(log_odds))
    assert auc == pytest.approx(roc_auc_score(truth, pressed), abs=0.01)
    assert low < auc < high
    assert high - low < 0.05


def test_the_auc_by_agreement_is_that_by_truth():
    found, real = [], []
    for seed in range(12):
        truth, image, person, stretch, evidence = people(seed, ["good"] * 4, n=2000)
        found.append(reestimate(image, person, stretch, evidence).people.auc)
        real += [roc_auc_score(truth[image[person == k]], evidence[person == k]) for k in range(4)]
    found = np.array(found)
    assert found[:, 0].mean() == pytest.approx(np.mean(real), abs=0.015)
    inside = (found[:, 1] < 0.75) & (found[:, 2] > 0.75)
    assert inside.mean() > 0.8


def test_one_who_is_alone_or_has_hardly_looked_keeps_the_calibration_to_the_last_bit():
    _, image, person, stretch, evidence = people(6, ["good"])
    alone = reestimate(image, person, stretch, evidence, np.zeros(1000))
    np.testing.assert_array_equal(alone.evidence, evidence)
    np.testing.assert_array_equal(alone.stretches.gain, 1)
    few = FEWEST - 1
    image, person = np.append(image, np.arange(few)), np.append(person, np.ones(few, dtype=np.int64))
    evidence = np.append(evidence, np.random.default_rng(0).normal(size=few))
    both = reestimate(image, person, stretches(person), evidence)
    np.testing.assert_array_equal(both.evidence[-few:], evidence[-few:])
    assert both.people.gain[1] == 1
    assert both.people.offset[1] == 0


def test_of_no_looks_nothing_comes():
    none = np.zeros(0, dtype=np.int64)
    found = reestimate(none, none, none, np.zeros(0))
    assert found.evidence.size == found.people.gain.size == found.stretches.gain.size == 0


def test_what_a_person_says_of_an_image_twice_does_not_speak_for_them():
    rng = np.random.default_rng(7)
    _, image, person, _, evidence = people(8, ["good", "good", "good"], n=1500)
    # The fourth answers at random, but the same at every look at an image.
    whim = rng.normal(size=1500)
    image = np.concatenate([image, *[rng.permutation(1500) for _ in range(4)]])
    person = np.concatenate([person, np.full(6000, 3)])
    evidence = np.concatenate([evidence, D * whim[image[4500:]]])
    found = reestimate(image, person, stretches(person), evidence)
    assert found.people.gain[3] < 0.15


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n_people=st.integers(2, 4), n=st.integers(20, 150), known=st.booleans())
def test_neither_the_order_of_people_nor_that_of_images_matters(seed, n_people, n, known):
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["good", "random", "dozes"], n_people).tolist()
    truth, image, person, stretch, evidence = people(seed, kinds, n=n)
    says = np.where(truth, 1.0, -1.0) + rng.normal(size=n) if known else None
    found = reestimate(image, person, stretch, evidence, says)
    assert np.isfinite(found.evidence).all()
    assert (found.stretches.gain >= 0).all()
    other_image, other_person = rng.permutation(n), rng.permutation(n_people)
    again_says = None
    if says is not None:
        again_says = np.empty(n)
        again_says[other_image] = says
    again_person = other_person[person]
    again = reestimate(other_image[image], again_person, stretches(again_person), evidence, again_says)
    np.testing.assert_allclose(again.evidence, found.evidence, atol=1e-6)
    np.testing.assert_allclose(again.people.gain[other_person], found.people.gain, atol=1e-6)
