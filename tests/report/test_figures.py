import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from brainloop.eeg.erp import ERP, erp
from brainloop.errors import StudyError
from brainloop.report import figures
from brainloop.store import Round

ROUND = Round(1, 200, 0, 190, 60.0, 0.5, 0.4, 0.8, 0.7, 0.9, False)
ROUNDS = [
    ROUND,
    replace(ROUND, number=2, looks=400, viewing_s=120.0, machine_s=1.0, unsure=0.04, auc=0.9, auc_high=0.95),
]
RNG = np.random.default_rng(0)


def an_erp(n=30, channels=("Cz", "$x$", "--", "Oz", "Fz")):
    X = RNG.normal(size=(n, len(channels), 20)) * 1e-6
    return erp(X, np.arange(n) % 3 == 0, np.arange(20) / 62.5, tuple(channels))


def every_figure():
    truth = np.arange(90) % 5 == 0
    evidence = RNG.normal(size=90) + truth
    return {
        "auc": figures.auc_figure(ROUNDS),
        "auc-minutes": figures.auc_figure(ROUNDS, "minutes"),
        "auc-of-one-round": figures.auc_figure(ROUNDS[:1]),
        "unsure": figures.unsure_figure(ROUNDS, 0.9),
        "prevalence": figures.prevalence_figure([0.1, 0.4]),
        "scores": figures.score_figure(evidence, truth),
        "scores-without-truth": figures.score_figure(evidence, None),
        "one-score": figures.score_figure(evidence[:1], truth[:1]),
        "equal-scores": figures.score_figure(np.zeros(5), truth[:5]),
        "labels": figures.soft_label_figure(1 / (1 + np.exp(-evidence)), truth, 0.5),
        "labels-without-truth": figures.soft_label_figure(1 / (1 + np.exp(-evidence)), None, 0.5),
        "erp": figures.erp_figure(an_erp()),
        "erp-of-one-channel": figures.erp_figure(an_erp(channels=("TP9",))),
        "erp-of-one-class": figures.erp_figure(an_erp(n=1)),
    }


@pytest.fixture(scope="module")
def drawn():
    return {name: figures.svg(figure, name, f'what "{name}" <shows>') for name, figure in every_figure().items()}


def test_no_two_figures_share_an_id_and_no_reference_dangles(drawn):
    page = "".join(drawn.values())
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    references = set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', page))
    assert {a or b for a, b in references} <= set(ids)


def test_a_figure_asks_for_nothing_and_brings_no_style_of_its_own(drawn):
    for text in drawn.values():
        assert "http" not in text
        assert not re.search(r"<(style|script|image|metadata|!)", text)
        assert not re.search(r"url\((?!#)", text)


def test_a_figure_is_described_for_who_does_not_see_it(drawn):
    assert 'role="img" aria-label="what &quot;erp&quot; &lt;shows&gt;"' in drawn["erp"]


def test_a_figure_follows_the_page_from_light_to_dark(drawn):
    for text in drawn.values():
        bare = re.sub(r"var\(--[a-z]+, #[0-9a-f]{6}\)", "", text)
        assert set(re.findall(r"#[0-9a-f]{6}\b(?!-)", bare)) <= set(), "a colour that the page cannot change"
        assert "var(--ink, #1c2127)" in text


def test_the_same_study_gives_the_same_figure():
    first, second = (figures.svg(figures.auc_figure(ROUNDS), "x", "x") for _ in range(2))
    assert first == second


def test_the_talks_five_points_stand_beside_the_study():
    for over, column in (("looks", 0), ("minutes", 1)):
        axes = figures.auc_figure(ROUNDS, over).axes[0]
        talk, study = axes.lines
        np.testing.assert_array_equal(talk.get_xydata(), [(point[column], point[2]) for point in figures.TALK])
        expected = [r.looks if over == "looks" else (r.viewing_s + r.machine_s) / 60 for r in ROUNDS]
        np.testing.assert_allclose(study.get_xydata(), np.column_stack([expected, [0.8, 0.9]]))
        assert "other images" in talk.get_label()


def test_no_auc_leaves_the_axes_whatever_its_interval():
    low = replace(ROUND, auc=0.3, auc_low=0.1, auc_high=0.5)
    assert figures.auc_figure([low]).axes[0].get_ylim()[0] <= 0.1


def test_the_density_of_each_class_integrates_to_one():
    evidence = RNG.normal(size=500)
    axes = figures.score_figure(evidence, evidence > 0).axes[0]
    for patch in axes.patches:
        heights, edges, _ = patch.get_data()
        assert (heights * np.diff(edges)).sum() == pytest.approx(1, abs=0.02)


def test_the_midline_is_drawn_first_and_four_channels_at_most():
    mean = an_erp()
    assert [mean.channels[k] for k in figures.erp_channels(mean)] == ["Fz", "Cz", "Oz", "$x$"]
    muse = ERP(mean.mean, mean.half_width, mean.n, mean.times, ("TP9", "AF7", "AF8", "TP10", "AUX"))
    assert figures.erp_channels(muse) == [0, 1, 2, 3]


def test_a_png_of_the_auc_is_written_for_the_readme(simulated, tmp_path):
    with Image.open(figures.save_png(simulated, tmp_path / "docs" / "auc.png")) as picture:
        assert picture.format == "PNG"
        assert picture.width > 800


def test_a_png_without_an_auc_is_refused(without_truth, tmp_path):
    with pytest.raises(StudyError, match="AUC"):
        figures.save_png(without_truth, tmp_path / "auc.png")
