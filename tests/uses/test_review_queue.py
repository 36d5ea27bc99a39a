"""The queue of a review, on arrays."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from brainloop.settings import Settings
from brainloop.uses.review_queue import choose, is_sure, plan
from brainloop.uses.sift import Sifted

POSTERIORS = st.lists(st.floats(-12, 12), min_size=1, max_size=120).map(np.array)


def settings(**values):
    return Settings(images=".", target="rose", use="review", model="m", observer="own", **values)


@given(POSTERIORS, st.sampled_from([0.6, 0.8, 0.9, 0.99]))
def test_what_is_sure_is_expected_to_reach_the_confidence_in_precision_and_recall(posterior, threshold):
    sure, probability = is_sure(posterior, threshold), expit(posterior)
    called = sure & (posterior > 0)
    assert (probability[called] >= threshold).all()
    missed = probability[sure & ~called].sum()
    assert missed <= (1 - threshold) * probability.sum() + 1e-9


def test_where_all_images_are_equally_unlikely_to_be_targets_they_are_not_all_let_through():
    sure = is_sure(np.full(200, logit(0.05)), 0.9)
    assert 0 < sure.sum() <= 20


@given(POSTERIORS, st.integers(1, 60), st.integers(0, 2**31))
def test_a_choice_has_no_image_twice_and_always_one_that_waits(posterior, n, seed):
    waiting = ~is_sure(posterior, 0.9)
    if not waiting.any():
        return
    chosen = choose(posterior, waiting, np.zeros(posterior.size, dtype=int), n, np.random.default_rng(seed))
    assert 0 < chosen.size <= n
    assert np.unique(chosen).size == chosen.size
    assert waiting[chosen].any()


def test_targets_stay_rare_where_there_are_enough_images_that_are_none():
    rng = np.random.default_rng(0)
    posterior = np.concatenate([rng.normal(0, 1, 40), rng.normal(-6, 1, 400)])
    waiting = np.arange(440) < 40
    chosen = choose(posterior, waiting, np.zeros(440, dtype=int), 50, rng)
    assert expit(posterior)[chosen].mean() <= 0.2
    assert waiting[chosen].sum() >= 15  # of 40 that are targets about half, ten may be in fifty


def test_images_that_wait_and_are_hardly_targets_take_the_place_of_fillers():
    posterior = np.concatenate([np.full(10, 0.0), np.full(100, logit(0.12)), np.full(100, -8.0)])
    waiting = np.arange(210) < 110
    chosen = choose(posterior, waiting, np.zeros(210, dtype=int), 50, np.random.default_rng(0))
    assert waiting[chosen].all()


def test_the_fillers_are_those_that_were_seen_least():
    posterior, looks = np.concatenate([[0.0], np.full(30, -6.0)]), np.arange(31)
    chosen = choose(posterior, np.arange(31) == 0, looks, 50, np.random.default_rng(0))
    assert set(chosen.tolist()) == {0, 1, 2}  # one half of a target, at most a fifth of three images


def test_an_image_that_may_be_the_only_target_is_shown_though_nothing_can_dilute_it():
    posterior = np.array([0.5, 4.0, 5.0])
    chosen = choose(posterior, np.array([True, False, False]), np.zeros(3, dtype=int), 50, np.random.default_rng(0))
    assert chosen.tolist() == [0]


def test_a_plan_is_cut_into_blocks_and_keeps_likely_targets_apart():
    posterior = np.concatenate([np.full(12, 1.0), np.full(200, -6.0)])
    belief = Sifted(posterior, np.zeros(212), np.zeros(212, dtype=int))
    orders = plan(belief, np.arange(212) < 12, 60, settings(block_size=25), 0.2, np.random.default_rng(0))
    assert [order.size for order in orders] == [22, 22]  # each is a target at .73: 44 images for a fifth of them
    for order in orders:
        places = np.flatnonzero(order < 12)
        assert np.diff(places).min() >= 3  # half a second at 5 Hz


def test_without_composition_only_what_waits_is_shown_and_the_least_sure_first():
    posterior = np.array([3.0, 0.1, -0.5, -9.0])
    belief = Sifted(posterior, np.zeros(4), np.zeros(4, dtype=int))
    waiting = np.array([True, True, True, False])
    (order,) = plan(belief, waiting, 2, settings(compose=False), 0.2, np.random.default_rng(0))
    assert set(order.tolist()) == {1, 2}


def test_nothing_is_planned_when_nothing_waits():
    belief = Sifted(np.full(3, -9.0), np.zeros(3), np.zeros(3, dtype=int))
    assert plan(belief, np.zeros(3, dtype=bool), 50, settings(), 0.2, np.random.default_rng(0)) == []
