import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from brainloop.decoder.curves import Point
from brainloop.decoder.evaluation import ece
from brainloop.report import decoding_figures as figures
from brainloop.report.figures import svg

RNG = np.random.default_rng(0)
IS_TARGET = np.arange(400) % 8 == 0
SCORE = RNG.normal(size=400) + 1.5 * IS_TARGET
MEMBERS = {f"member {k}": SCORE + RNG.normal(size=400) for k in range(5)}
POINTS = [Point(100, 20, 80, 0.7, 0.6, 0.8), Point(200, 20, 80, 0.8, 0.7, 0.9)]


def test_the_roc_legend_gives_the_areas_of_the_whole_and_of_each_member():
    axes = figures.roc_figure(IS_TARGET, SCORE, MEMBERS, "ensemble").axes[0]
    said = [text.get_text() for text in axes.get_legend().get_texts()]
    areas = {name: roc_auc_score(IS_TARGET, score) for name, score in {"ensemble": SCORE, **MEMBERS}.items()}
    assert sorted(said) == sorted(f"{name}  {area:.3f}" for name, area in areas.items())
    assert said[0].startswith("ensemble")
    x, y = axes.lines[-1].get_data()
    assert np.trapezoid(y, x) == pytest.approx(areas["ensemble"])


def test_a_decoder_of_one_member_has_one_curve():
    axes = figures.roc_figure(IS_TARGET, SCORE, {"lda": SCORE}, "lda").axes[0]
    assert len(axes.get_legend().get_texts()) == 1


def test_the_reliability_diagram_shows_the_bins_of_the_ece():
    probability = 1 / (1 + np.exp(-(SCORE - 2)))
    axes = figures.reliability_figure(probability, IS_TARGET).axes[0]
    said, share = axes.lines[1].get_data()
    assert len(said) == figures.N_BINS
    sizes = [len(part) for part in np.array_split(np.arange(400), figures.N_BINS)]
    assert np.average(np.abs(said - share), weights=sizes) == pytest.approx(ece(probability, IS_TARGET), abs=0.01)
    bars = [path.vertices[:, 1] for path in axes.collections[0].get_paths()]
    assert all(low - 1e-9 <= value <= high + 1e-9 for (low, high), value in zip(bars, share, strict=True))
    assert all(0 <= low < high <= 1 for low, high in bars)  # Wilson's interval has a width at 0 targets too


def test_members_are_drawn_alone_and_left_out_against_all_together():
    contributions = {"stem": {"auc": 0.8, "without": 0.83}, "xdawn_ts": {"auc": 0.85, "without": 0.81}}
    axes = figures.contribution_figure(contributions, 0.86, "ensemble").axes[0]
    whole, alone, without = axes.lines
    assert whole.get_xdata()[0] == 0.86
    assert list(alone.get_xdata()) == [0.8, 0.85]
    assert list(without.get_xdata()) == [0.83, 0.81]
    assert list(alone.get_ydata()) == [1, 0]  # the first on top


@pytest.mark.parametrize("draw", [figures.calibration_figure, figures.looks_figure])
@pytest.mark.parametrize("points", [POINTS, POINTS[:1]])
def test_a_curve_has_its_points_and_their_interval(draw, points):
    axes = draw(points).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [(point.x, point.auc) for point in points])
    spread = np.concatenate([path.vertices[:, 1] for path in axes.collections[0].get_paths()])
    assert spread.min() == points[0].low
    assert spread.max() == points[-1].high
    assert axes.get_xlabel()
    assert axes.get_ylabel() == "area under the ROC curve"


def test_every_figure_can_stand_in_a_page():
    contributions = {"$a$": {"auc": 0.8, "without": None}}
    for figure in (
        figures.roc_figure(IS_TARGET, SCORE, MEMBERS, "$m$"),
        figures.contribution_figure(contributions, 0.8, "one"),
        figures.looks_figure(POINTS),
    ):
        text = svg(figure, "x", "what <it> shows")
        assert 'aria-label="what &lt;it&gt; shows"' in text
        assert "http" not in text
