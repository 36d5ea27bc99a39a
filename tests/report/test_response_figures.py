import re

import matplotlib
import numpy as np
import pytest
from matplotlib.image import AxesImage
from scipy.ndimage import gaussian_filter1d

from brainloop.eeg.erp import erp
from brainloop.eeg.positions import template_positions
from brainloop.report import response_figures as figures
from brainloop.report.figures import svg

TIMES = np.arange(57) / 62.5
CHANNELS = ("Fz", "Cz", "Pz", "Oz", "C3", "C4", "PO7", "PO8")
RNG = np.random.default_rng(0)


def epochs(channel=2, at=25, size=8e-6, n=200, channels=CHANNELS):
    is_target = np.arange(n) % 5 == 0
    X = np.random.default_rng(1).normal(size=(n, len(channels), len(TIMES))) * 2e-6
    X[is_target, channel, at] += size
    return X, is_target


def an_erp(channels=CHANNELS, **planted):
    X, is_target = epochs(channels=channels, **planted)
    return erp(X, is_target, TIMES, tuple(channels))


def every_figure():
    mean, (X, is_target) = an_erp(), epochs()
    peak = figures.p300(mean)
    few = an_erp(channels=("TP9", "$AF7$", "AF8", "TP10"))
    return {
        "channels": figures.channels_figure(mean),
        "many-channels": figures.channels_figure(an_erp(channels=[f"{k}$" for k in range(30)])),
        "one-channel": figures.channels_figure(an_erp(channels=["--"], channel=0)),
        "map": figures.map_figure(mean, template_positions(CHANNELS), peak),
        "few-electrodes": figures.map_figure(few, template_positions(["TP9", "AF7", "AF8", "TP10"]), peak),
        "trials": figures.trials_figure(X[:, 2], is_target, RNG.normal(size=200), TIMES, "$Pz$", 0.4),
        "trials-without-a-peak": figures.trials_figure(X[:, 2], is_target, RNG.normal(size=200), TIMES, "Pz", None),
        "matrix": figures.matrix_figure(mean),
    }


@pytest.fixture(scope="module")
def drawn():
    return {name: svg(figure, name, f'what "{name}" <shows>') for name, figure in every_figure().items()}


def test_no_two_figures_share_an_id_and_no_reference_dangles(drawn):
    page = "".join(drawn.values())
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert {a or b for a, b in re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', page)} <= set(ids)


def test_a_figure_asks_for_nothing_but_the_picture_in_it(drawn):
    for text in drawn.values():
        assert "http" not in text
        assert not re.search(r"<(style|script|metadata|!)", text)
        assert all(address.startswith(("#", "data:image/png")) for address in re.findall(r'href="([^"]*)"', text))


def test_only_what_lies_on_a_picture_keeps_its_colour_on_a_dark_page(drawn):
    for name, text in drawn.items():
        bare = re.sub(r"var\(--[a-z]+, #[0-9a-f]{6}\)", "", text)
        kept = set(re.findall(r"#[0-9a-f]{6}\b(?!-)", bare))
        allowed = {"trials": {figures.LIGHT_INK}, "few-electrodes": None}.get(name, set())
        assert allowed is None or kept <= allowed


def test_the_p300_is_found_where_and_when_it_was_planted():
    peak = figures.p300(an_erp(channel=6, at=30))
    assert peak[:2] == (6, 30)
    assert peak.value == pytest.approx(8e-6, abs=1.5e-6)


def test_a_negative_wave_is_no_p300_though_its_channel_is_the_strongest():
    mean = an_erp(channel=6, at=30, size=-8e-6)
    assert figures.p300(mean)[:2] != (6, 30)
    assert figures.p300(mean).value > 0
    assert figures.strongest(mean)[0] == 6


def test_a_difference_before_a_p300_can_be_is_not_taken_for_one():
    peak = figures.p300(an_erp(at=10))
    assert 0.25 <= TIMES[peak.sample] <= 0.6


def test_without_both_classes_there_is_no_p300():
    X, _ = epochs()
    assert figures.p300(erp(X, np.zeros(len(X), dtype=bool), TIMES, CHANNELS)) is None


def test_the_channel_that_tells_most_comes_first_and_twenty_are_drawn_in_their_order():
    mean = an_erp(channels=[f"E{k}" for k in range(30)], channel=25)
    assert figures.strongest(mean)[0] == 25
    drawn = figures.drawn_channels(mean)
    assert len(drawn) == 20
    assert 25 in drawn
    assert drawn == sorted(drawn)
    titles = [axes.get_title() for axes in figures.channels_figure(mean).axes]
    assert titles == [f"E{k}" for k in drawn]


def test_every_channel_shows_the_means_and_their_intervals():
    mean = an_erp()
    axes = figures.channels_figure(mean).axes[2]
    lines = [line.get_ydata() for line in axes.lines[:2]]
    np.testing.assert_allclose(lines, 1e6 * mean.mean[:, 2])
    band = axes.collections[1].get_paths()[0].vertices
    top = np.array([band[np.isclose(band[:, 0], x), 1].max() for x in 1e3 * TIMES])
    np.testing.assert_allclose(top, 1e6 * (mean.mean[1, 2] + mean.half_width[1, 2]))


def test_the_head_is_seen_from_above_with_the_nose_up():
    places = dict(zip(CHANNELS, figures.on_the_page(template_positions(CHANNELS)), strict=True))
    assert np.hypot(*places["Cz"]) < 0.15
    assert places["Fz"][1] > places["Cz"][1] > places["Pz"][1] > places["Oz"][1]
    assert places["C3"][0] < 0 < places["C4"][0]
    np.testing.assert_allclose(places["PO7"] * [-1, 1], places["PO8"], atol=0.05)
    ears = figures.on_the_page(template_positions(["TP9", "TP10", "Fpz", "Oz"]))
    assert (np.hypot(*ears.T) < 1.05).all()


def test_eight_electrodes_make_a_map_and_fewer_give_their_values():
    mean, positions = an_erp(), template_positions(CHANNELS)
    peak = figures.p300(mean)
    whole = figures.map_figure(mean, positions, peak).axes[0]
    assert len(whole.images) == 1
    assert whole.get_title() == "peak, 400 ms"
    positions[3] = np.nan
    part = figures.map_figure(mean, positions, peak).axes[0]
    assert not part.images
    texts = [text.get_text() for text in part.texts]
    assert "Oz" not in texts
    assert f"{1e6 * peak.value:.1f}" in texts
    assert figures.map_figure(mean, np.full((8, 3), np.nan), peak) is None


def test_single_trials_are_sorted_by_score_and_their_classes_stand_beside_them():
    X, is_target = epochs()
    score = RNG.normal(size=200) + 2 * is_target
    figure = figures.trials_figure(X[:, 2], is_target, score, TIMES, "Pz", 0.4)
    image, ticks = figure.axes[:2]
    order = np.argsort(-score)
    shown = next(child for child in image.get_children() if isinstance(child, AxesImage))
    expected = gaussian_filter1d(1e6 * X[order, 2], figures.smoothing(200), axis=0)
    np.testing.assert_allclose(shown.get_array(), expected)
    targets = ticks.lines[0].get_ydata()
    np.testing.assert_array_equal(np.unique(targets), np.flatnonzero(is_target[order]) + 1)


def test_the_matrix_is_the_difference_of_the_means():
    mean = an_erp()
    axes = figures.matrix_figure(mean).axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), 1e6 * (mean.mean[1] - mean.mean[0]))
    assert [label.get_text() for label in axes.get_yticklabels()] == list(CHANNELS)


def test_zero_is_the_lightest_shade_and_signs_are_told_apart_by_hue():
    rgb = figures.DIVERGING(np.linspace(0, 1, 101))[:, :3]
    light = rgb @ [0.2126, 0.7152, 0.0722]
    assert light.argmax() == 50
    assert (np.diff(light[:51]) >= -1e-9).all()
    assert (np.diff(light[50:]) <= 1e-9).all()
    assert rgb[20, 2] > rgb[20, 0]
    assert rgb[80, 0] > rgb[80, 2]


def test_drawing_leaves_the_users_matplotlib_as_it_was():
    before = dict(matplotlib.rcParams)
    figures.matrix_figure(an_erp())
    assert dict(matplotlib.rcParams) == before
