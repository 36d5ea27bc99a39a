"""Standard errors of paired gains, against closed forms."""

import numpy as np
import pytest

from brainloop.bench.statistics import Grid, plain, spread, standard_error


def test_with_one_cell_the_error_is_that_of_the_mean_over_seeds():
    values = np.random.default_rng(0).normal(size=(1, 12, 3))
    np.testing.assert_allclose(standard_error(values), values[0].std(axis=0, ddof=1) / np.sqrt(12))


def test_with_one_seed_the_error_is_that_of_the_mean_over_cells():
    values = np.random.default_rng(0).normal(size=(5, 1))
    assert standard_error(values) == pytest.approx(values.std(ddof=1) / np.sqrt(5))


def test_cells_that_differ_and_seeds_that_do_not_give_the_error_over_cells():
    values = np.repeat(np.array([[0.01], [0.03], [0.05]]), 20, axis=1)
    assert standard_error(values) == pytest.approx(0.02 / np.sqrt(3))


def test_what_a_seed_does_to_all_cells_alike_is_not_averaged_away_by_more_cells():
    seeds = np.random.default_rng(0).normal(size=8)
    few, many = (standard_error(np.tile(seeds, (n, 1))) for n in (2, 50))
    assert few == pytest.approx(many) == pytest.approx(seeds.std(ddof=1) / np.sqrt(8))


def test_the_error_covers_the_truth_where_cells_and_seeds_both_vary():
    rng = np.random.default_rng(0)
    runs = [rng.normal(size=(6, 1)) + rng.normal(size=(1, 6)) * 0.1 + rng.normal(size=(6, 6)) for _ in range(400)]
    # Two of the error's own; a t distribution of 5 degrees of freedom has 10 % beyond.
    assert np.mean([abs(run.mean()) < 2 * standard_error(run) for run in runs]) > 0.85


def test_one_cell_and_one_seed_have_neither_spread_nor_error():
    values = np.ones((1, 1, 2))
    assert plain(standard_error(values)) == plain(spread(values)) == [None, None]


def test_the_spread_is_within_cells_however_far_these_lie_apart():
    values = np.array([[0.8, 0.82], [0.1, 0.14]])
    assert spread(values) == pytest.approx((0.02 + 0.04) / 2 / np.sqrt(2))


def test_a_contrast_is_of_pairs():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(3, 4, 2))
    grid = Grid((("t", "a"), ("t", "b"), ("t", "c")), {"a": base, "b": base + 0.5})
    assert grid.gain("b", "a") == {"gain": [0.5, 0.5], "gain_se": [0, 0]}
    assert grid.alone(1).auc("a")["auc"] == plain(base[1].mean(axis=0))
