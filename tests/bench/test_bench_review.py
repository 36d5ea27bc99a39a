"""The bench of reviews: what it draws, and what it says."""

from dataclasses import replace

import numpy as np
import pytest

from brainloop.bench.review import CONFIDENCES, RATES, Sorting, _likeliest, _stream, bench_review, review_settings
from brainloop.bench.review_figures import draw
from brainloop.bench.review_markdown import tables
from brainloop.errors import SettingsError


@pytest.fixture(scope="module")
def figures(photographs, recordings, tmp_path_factory):
    settings = replace(review_settings("builtin"), decoder="lda", looks_per_image=2)
    return bench_review(photographs, [recordings], settings, [0], tmp_path_factory.mktemp("cache"))


def test_every_way_is_scored_alike(figures):
    assert set(figures["settings"]["classes"]) == {"rose", "sky"}
    for one in (figures, *figures["rates"]):
        for way in ("review", "model", "brain", "by_hand"):
            assert 0 <= one[way]["f1"] <= 1
            assert set(one[way]) == set(figures["review"])
    assert figures["model"]["images_per_hour"] is None
    assert figures["model"]["looks_per_image"] == 0
    assert figures["brain"]["looks_per_image"] == 1


def test_the_curve_goes_from_fast_to_thorough(figures):
    assert [row["confidence"] for row in figures["curve"]] == list(CONFIDENCES)
    looks = [row["looks_per_image"] for row in figures["curve"]]
    assert looks[0] <= looks[-1]


def test_the_tables_have_a_row_for_each_rate_and_way(figures):
    lines = tables(figures).splitlines()
    assert sum(line.startswith("| 12% |") for line in lines) == 4
    assert sum(line.startswith("|---") for line in lines) == 3
    assert len({line.count("|") for line in lines if line}) <= 2


def test_the_figure_is_drawn_and_small(figures, tmp_path):
    assert 5_000 < draw(figures, tmp_path / "uses" / "review.png").stat().st_size < 200_000


def test_one_seed_gives_one_result(figures, photographs, recordings, tmp_path):
    settings = replace(review_settings("builtin"), decoder="lda", looks_per_image=2)
    again = bench_review(photographs, [recordings], settings, [0], tmp_path)
    assert {**again, "machine": 0} == {**figures, "machine": 0}


def test_no_image_of_the_stream_has_trained_and_the_rate_is_kept():
    vectors = np.random.default_rng(0).normal(size=(600, 8))
    truth = np.arange(600) % 4 == 0
    for rate in RATES:
        stream = _stream(vectors, truth, rate, replace(review_settings("builtin"), seed=3))
        assert stream.truth.mean() == pytest.approx(rate, abs=0.01)
        both = np.concatenate([stream.trained.features, stream.features])
        assert len(np.unique(both, axis=0)) == len(both)


def test_a_single_source_is_cut_where_it_calls_as_many_as_there_are():
    log_odds = np.random.default_rng(0).normal(-5, 1, 200)
    assert (_likeliest(log_odds, 0.12) > 0).sum() == 24


def test_a_perfect_sorting_scores_one():
    truth = np.array([True, False, False, True])
    found = Sorting.of(np.where(truth, 1.0, -1.0), truth, np.array([1, 0, 0, 3]), 7.2)
    assert (found.precision, found.recall, found.f1) == (1, 1, 1)
    assert (found.looks, found.silent, found.images_per_hour) == (1, 0.5, 2000)


def test_a_folder_with_too_few_images_is_refused(photographs, recordings, tmp_path):
    with pytest.raises(SettingsError, match="two class folders or more"):
        bench_review(photographs / "rose", [recordings], review_settings("builtin"), [0], tmp_path)
