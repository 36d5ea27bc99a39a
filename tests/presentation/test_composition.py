import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit

from brainloop.errors import SettingsError
from brainloop.presentation.composition import Composition, compose, deal

LIKELY_APART = 0.5


def a_pool(n=1000, prevalence=0.12, seed=0):
    """Probabilities as a half-trained classifier gives them: most images surely not targets, some unsure."""
    rng = np.random.default_rng(seed)
    is_target = rng.random(n) < prevalence
    log_odds = rng.normal(size=n) * 1.5 + np.where(is_target, 0.5, -4)
    return 1 / (1 + np.exp(-log_odds)), log_odds


def composed(seed=0, n_looks=200, block_size=50, soa=0.2, n=1000):
    probability, log_odds = a_pool(n, seed=seed)
    rng = np.random.default_rng(seed)
    unsure = np.flatnonzero(np.abs(log_odds) < logit(0.9))
    queried = unsure[np.argsort(np.abs(log_odds[unsure]))][:n_looks]
    return compose(queried, probability, n_looks, block_size, soa, rng), probability, queried


@settings(deadline=None)
@given(st.integers(0, 500), st.sampled_from([0.1, 0.15, 0.2, 0.3]), st.integers(5, 60))
def test_no_image_comes_twice_and_likely_targets_are_half_a_second_apart(seed, soa, block_size):
    blocks, probability, _ = composed(seed, soa=soa, block_size=block_size)
    shown = np.concatenate(blocks)
    assert shown.size == len(set(shown.tolist())) == 200
    assert max(block.size for block in blocks) <= block_size
    gap = int(np.ceil(LIKELY_APART / soa - 1e-9))
    for block in blocks:
        likely = np.flatnonzero(probability[block] >= 0.5)
        if (likely.size - 1) * gap + 1 <= block.size:
            assert (np.diff(likely) * soa >= LIKELY_APART - 1e-9).all()


@settings(deadline=None)
@given(st.integers(0, 500))
def test_the_expected_prevalence_of_a_round_is_within_range(seed):
    blocks, probability, _ = composed(seed)
    assert 0.10 <= probability[np.concatenate(blocks)].mean() <= 0.20


def test_the_expected_prevalence_is_even_over_the_blocks():
    blocks, probability, _ = composed()
    assert np.ptp([probability[block].mean() for block in blocks]) < 0.05


def test_the_most_wanted_images_are_shown_first_and_the_others_wait():
    blocks, probability, queried = composed()
    shown = np.concatenate(blocks)
    wanted = np.isin(queried, shown)
    assert 0 < wanted.sum() < queried.size
    assert wanted[: wanted.sum()].all()
    fillers = shown[~np.isin(shown, queried)]
    assert probability[fillers].max() < 0.1


def test_sure_targets_join_where_everything_queried_is_surely_no_target():
    probability = np.full(1000, 0.01)
    probability[:100] = 0.97
    queried = np.arange(200, 260)
    blocks = compose(queried, probability, 200, 50, 0.2, np.random.default_rng(0))
    assert 0.10 <= probability[np.concatenate(blocks)].mean() <= 0.20
    assert np.isin(queried, np.concatenate(blocks)).all()


def test_where_all_are_likely_targets_they_lie_as_far_apart_as_may_be():
    blocks = compose(np.arange(40), np.full(40, 0.9), 40, 20, 0.2, np.random.default_rng(0))
    assert sorted(np.concatenate(blocks).tolist()) == list(range(40))


@given(st.integers(0, 50))
def test_one_seed_gives_one_composition(seed):
    for first, second in zip(composed(seed, n=300)[0], composed(seed, n=300)[0], strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_pool_smaller_than_a_round_is_shown_once():
    blocks = compose(np.arange(3), np.full(8, 0.15), 200, 50, 0.2, np.random.default_rng(0))
    assert sorted(np.concatenate(blocks).tolist()) == list(range(8))


@given(st.integers(1, 300), st.integers(1, 60))
def test_dealing_loses_no_image_and_fills_blocks_evenly(n, block_size):
    blocks = deal(np.arange(n), block_size, np.zeros(n))
    assert sorted(np.concatenate(blocks).tolist()) == list(range(n))
    sizes = [block.size for block in blocks]
    assert max(sizes) <= block_size
    assert max(sizes) - min(sizes) <= 1


def test_impossible_rules_are_refused():
    with pytest.raises(SettingsError, match="low < high"):
        Composition(prevalence=(0.3, 0.1))
    with pytest.raises(SettingsError, match="block_size"):
        deal(np.arange(3), 0, np.zeros(3))
