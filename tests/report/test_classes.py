import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax
from sklearn.metrics import confusion_matrix, precision_score, recall_score, roc_auc_score

from brainloop.errors import StudyError
from brainloop.evidence import add_up
from brainloop.loop import run
from brainloop.presentation.block import Response
from brainloop.report import figures, write_report
from brainloop.report.class_figures import CLASS_COLOURS, accuracy_figure, asked_figure, confusion_figure
from brainloop.report.class_findings import find_classes
from brainloop.report.classes import choose_classes, listed
from brainloop.report.html import render
from brainloop.store import Round
from brainloop.study import Study
from brainloop.uses.training import class_measures

LONG = "a species of which the Latin name goes on and on and on"
TEN = ("<b>rose", "\"&'", "$x$ _", LONG, *(f"kind {k}" for k in range(6)))


class Teller:
    """An observer that knows what every image is, or says nothing of use; `rejected` is its answer to every epoch."""

    soa, facts = 0.25, {"observer": "teller"}

    def __init__(self, truth=None, rejected=None):
        self.truth, self.rejected = truth, rejected

    def respond(self, block, start=0):
        noise = np.random.default_rng([7, block.number]).normal(size=len(block.images))
        for k in range(start, len(block.images)):
            L = 0.0 if self.rejected else float(noise[k])
            if self.truth is not None and not self.rejected:
                L += 3.0 if self.truth[block.target][block.images[k]] else -3.0
            score = np.nan if self.rejected else L
            yield Response(score, L, self.rejected, float(block.onsets[k]), f"me#{block.number}.{k}", "me", "today")

    def recall(self, blocks):
        pass

    def erps(self):
        return {}


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """Eleven class folders of 16 images of one colour each and noise, one folder of 2, and one file that is broken."""
    folder, rng = tmp_path_factory.mktemp("coloured"), np.random.default_rng(1)
    for k, name in enumerate((*TEN, "other", "few")):
        (folder / name).mkdir()
        colour = rng.integers(0, 256, 3)
        for number in range(2 if name == "few" else 16):
            pixels = (colour + rng.integers(-30, 31, (8, 8, 3))).clip(0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"<script>{k} {number}.png")
    (folder / "other" / "<i>broken.jpg").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def make(tmp_path_factory, coloured):
    """Make a study of several classes and run it; its teller is made of its truth."""

    def made(teller=None, **values):
        common = {"images": coloured, "classes": TEN, "looks_per_round": 100, "max_looks": 120, "block_size": 10}
        common |= {"observer": "own"} if teller else {"observer": "simulated", "decoder": "lda"}
        study = Study.create(tmp_path_factory.mktemp("study") / "s", **(common | values))
        list(run(study, teller and teller(study.data().truth)))
        return study

    return made


@pytest.fixture(scope="module")
def ten(make):
    return make(Teller)


@pytest.fixture(scope="module")
def two(make):
    """A simulated person, so that there are mean responses and a recording of which something is said."""
    return make(classes=TEN[:2], looks_per_round=20, max_looks=60)


@pytest.fixture(scope="module")
def without_truth(make, tmp_path_factory):
    flat, rng = tmp_path_factory.mktemp("flat"), np.random.default_rng(2)
    for number in range(40):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)).save(flat / f"{number}.png")
    return make(lambda _: Teller(), images=flat, classes=TEN[:3], max_looks=80)


@pytest.fixture(scope="module")
def without_test_part(make):
    return make(Teller, classes=TEN[:3], test_share=0.0, system="talk", max_looks=80)


@pytest.fixture(scope="module")
def with_few(make):
    return make(Teller, classes=("other", "few", TEN[0]), test_share=0.2, max_looks=80)


@pytest.fixture(scope="module")
def all_rejected(make):
    return make(lambda _: Teller(rejected="<i>amplitude"), classes=TEN[:2], max_looks=20)


STUDIES = ("ten", "two", "without_truth", "without_test_part", "with_few", "all_rejected")


@pytest.fixture(params=STUDIES)
def every_study(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def page(rendered, parsed):
    return lambda study: parsed(rendered(study))


def test_every_study_of_classes_gets_a_well_formed_page_that_asks_for_nothing(every_study, rendered, parsed):
    text = rendered(every_study)
    parsed(text).check_complete()
    assert len(text.encode()) < 4e6


def test_names_of_classes_and_files_are_text_and_nothing_else(ten, two, page):
    assert "Telling <b>rose and \"&' apart" in page(two).text
    assert f"Telling <b>rose, \"&', $x$ _, {LONG}, kind 0, kind 1, kind 2 and 3 more apart" in page(ten).text
    for k, name in enumerate(TEN):
        assert f"Surest of {name}" in page(ten).text
        assert f"<script>{k} " in page(ten).text
    assert not {"i", "b>rose"} & {tag for tag, _ in page(ten).tags}
    assert [words for tag, words in page(ten).said if tag == "b"] == ["The observer was handed in by a program."]


def test_findings_equal_what_the_study_measures_of_its_classes(ten):
    found, measured = find_classes(ten), class_measures(ten)
    np.testing.assert_array_equal(found.measures.confusion, measured.confusion)
    np.testing.assert_array_equal(found.looks_for, measured.asked)
    assert found.looks_for.sum() == found.last.looks == 120
    rows = found.rows()
    np.testing.assert_allclose([row.auc for row in rows], measured.auc)
    assert found.last.auc == pytest.approx(np.mean([row.auc for row in rows]))
    assert [row.looks for row in rows] == measured.asked.sum(axis=0).tolist()
    assert all(row.auc_low <= row.auc <= row.auc_high for row in rows)
    assert sum(row.said for row in rows) == sum(row.pool for row in rows) == len(found.pool)


def test_recall_precision_auc_and_confusion_are_those_of_scikit_learn(ten):
    found = find_classes(ten)
    truth, said = found.test_truth, found.test_logits.argmax(axis=1)
    rows = found.rows()
    np.testing.assert_allclose([row.recall for row in rows], recall_score(truth, said, average=None))
    precision = precision_score(truth, said, average=None, zero_division=np.nan)
    np.testing.assert_allclose([np.nan if row.precision is None else row.precision for row in rows], precision)
    shares = softmax(found.test_logits, axis=1)
    aucs = [roc_auc_score(truth == k, shares[:, k]) for k in range(len(TEN))]
    np.testing.assert_allclose([row.auc for row in rows], aucs)
    np.testing.assert_array_equal(found.measures.confusion, confusion_matrix(truth, said))
    assert found.last.accuracy == pytest.approx((truth == said).mean())
    assert [found.test[i].label for i in range(5)] == [TEN[truth[i]] for i in range(5)]


def test_an_answer_is_the_sum_of_all_looks_for_one_class_at_one_image(ten):
    found, data, looks = find_classes(ten), ten.data(), ten.store.looks()
    pairs = sorted(set(zip(data.index(looks.image).tolist(), map(TEN.index, looks.target), strict=True)))
    cells = data.index(looks.image) * len(TEN) + np.array([TEN.index(one) for one in looks.target])
    sums = add_up(cells, looks.evidence, data.ids.size * len(TEN))
    answers = found.answers
    np.testing.assert_allclose(answers.evidence, [sums[image * len(TEN) + k] for image, k in pairs])
    np.testing.assert_array_equal(answers.is_target, [data.truth[TEN[k]][image] for image, k in pairs])


def test_what_a_look_showed_is_judged_by_what_its_block_looked_for(ten):
    found, label = find_classes(ten), {image.id: image.label for image in ten.store.images()}
    shown = [label[image] == name for image, name in zip(found.looks.image, found.looks.target, strict=True)]
    np.testing.assert_array_equal(found.shown_target, shown)
    row = found.rows()[3]
    named = [one for one, name in zip(shown, found.looks.target, strict=True) if name == LONG]
    assert row.showed == pytest.approx(np.mean(named))


def test_the_headline_is_the_accuracy_with_its_interval_looks_and_minutes(ten, page):
    last, text = ten.store.rounds()[-1], page(ten).text
    assert f"{last.accuracy:.3f} accuracy, 95 % interval {last.accuracy_low:.3f} to {last.accuracy_high:.3f}" in text
    minutes = (last.viewing_s + last.machine_s) / 60
    assert f"after {last.looks} looks and {minutes:.1f} minutes, on 40 images that were never shown" in text
    assert "Who always says the most frequent of the 10 classes gets 0.100." in text


def test_the_table_of_classes_has_every_number_of_the_findings(ten, page):
    found, text = find_classes(ten), page(ten).text
    for row in found.rows():
        precision = "\N{EN DASH}" if row.precision is None else f"{row.precision:.1%}".replace("%", " %")
        assert (
            f"{row.name} 12 10.0 % {row.said} {row.looks} {100 * row.showed:.1f} % 4 {100 * row.recall:.1f} % "
            f"{precision} {row.auc:.3f} [{row.auc_low:.3f}, {row.auc_high:.3f}]"
        ) in text
    assert f"The mean AUC is {found.last.auc:.3f}." in text


def test_who_looked_and_how_it_learned_is_said(two, ten, without_test_part, page):
    assert "The observer is simulated. No person looked" in page(two).text
    assert "handed in by a program" in page(ten).text
    assert "Each block looked for one class, the one of which its answers promised most." in page(ten).text
    assert "brainloop bench classes" in page(ten).text
    assert "learned and asked in the talk's way" in page(without_test_part).text
    assert "by the classifier alone, softmax(z), as the talk has it" in page(without_test_part).text


def test_without_truth_nothing_is_measured_and_the_page_says_what_it_says(without_truth, page):
    found, shown = find_classes(without_truth), page(without_truth)
    assert "There is no accuracy here: no class folders have these names" in shown.text
    assert "Worst mistakes" not in shown.text
    assert "Confusion" not in shown.text
    assert "recall" not in shown.text
    assert not any({"right", "wrong"} & set(attributes.get("class", "").split()) for _, attributes in shown.tags)
    for row in found.rows():
        assert f"{row.name} {row.said} {row.looks}" in shown.text
        assert f"Surest of {row.name}" in shown.text
    assert sum(row.looks for row in found.rows()) == 80


def test_why_there_is_no_accuracy_is_said(without_test_part, with_few, page):
    assert "no image was kept aside to measure it on" in page(without_test_part).text
    assert "a class has no image among those kept aside" in page(with_few).text
    assert class_measures(with_few) is None


def test_rejected_epochs_and_skipped_files_are_listed_with_their_reasons(all_rejected, page):
    text = page(all_rejected).text
    assert "20 of 20 looks (100.0 %) gave no evidence: <i>amplitude (20)" in text
    assert "Every epoch was rejected" in text
    assert "<i>broken.jpg zero bytes" in text


def test_images_of_other_classes_are_counted_as_left_aside(two, page):
    parts = [image.part for image in two.store.images()]
    assert f"24 images in the pool of the 2 classes, 8 never shown, {parts.count('aside')} left aside" in page(two).text


def test_each_gallery_holds_what_its_name_says_surest_first(ten):
    found = find_classes(ten)
    galleries, p = choose_classes(found), softmax(found.asked, axis=1)
    for k, name in enumerate(TEN):
        own = galleries[f"sure-{k}"]
        assert own.of == (found.asked.argmax(axis=1) == k).sum()
        assert all(tile.said == name for tile in own.tiles)
        best = np.sort(p[found.asked.argmax(axis=1) == k, k])[::-1][: len(own.tiles)]
        np.testing.assert_allclose([tile.p for tile in own.tiles], best)
    np.testing.assert_allclose([tile.p for tile in galleries["unsure"].tiles], np.sort(p.max(axis=1))[:12])
    wrong = found.test_logits.argmax(axis=1) != found.test_truth
    assert galleries["mistakes"].of == wrong.sum()
    assert all(tile.said != tile.truth and tile.looks is None for tile in galleries["mistakes"].tiles)
    assert all(tile.truth == tile.image.label for gallery in galleries.values() for tile in gallery.tiles)


def test_a_tile_tells_the_evidence_for_each_class_that_was_looked_for(ten):
    found, data, looks = find_classes(ten), ten.data(), ten.store.looks()
    for tile in choose_classes(found)["unsure"].tiles:
        sums: dict[str, float] = {}
        for image, target, L in zip(looks.image, looks.target, looks.evidence, strict=True):
            if image == tile.image.id:
                sums[target] = sums.get(target, 0.0) + L
        assert dict(tile.evidence) == pytest.approx(sums)
        assert tile.looks == (looks.image == tile.image.id).sum()
    assert data.truth is not None


def test_the_report_lies_in_the_studys_folder_and_is_the_same_every_time(two, rendered):
    path = write_report(two)
    assert path == two.folder / "reports" / "report.html"
    assert path.read_text(encoding="utf-8") == rendered(two) == render(two)


@pytest.mark.parametrize(("use", "command"), [("audit", "brainloop audit"), ("review", "brainloop review")])
def test_an_audit_or_a_review_names_the_command_that_writes_what_it_found(two, use, command, tmp_path):
    study = Study.open(two.folder)
    changed = {"classes": (), "target": "x", "model": "m"} if use == "review" else {}
    study.settings = replace(study.settings, use=use, **changed)
    with pytest.raises(StudyError, match=command):
        write_report(study, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


ROUND = Round(1, 200, 0, 190, 60.0, 0.5, 0.4, 0.8, None, None, False, 0.6, 0.5, 0.7)
LATER = {"number": 2, "looks": 400, "viewing_s": 120.0, "accuracy": 0.8, "accuracy_low": 0.7, "accuracy_high": 0.9}
ROUNDS = [ROUND, replace(ROUND, **LATER)]


def drawings():
    rng = np.random.default_rng(0)
    for n in (2, 10, 60):
        names = [f"<{k}> {LONG}" if k % 2 else f"$ {k}" for k in range(n)]
        confusion = rng.integers(0, 9, (n, n))
        confusion[0] = 0  # a row without an image divides nothing by nothing
        yield f"confusion-{n}", confusion_figure(confusion, names)
        yield f"asked-{n}", asked_figure(rng.integers(0, 50, (n, n)), names)
    yield "accuracy", accuracy_figure(ROUNDS, "looks", 0.2)
    yield "accuracy-minutes", accuracy_figure(ROUNDS, "minutes", 0.2)
    yield "accuracy-of-one", accuracy_figure(ROUNDS[:1], "looks", 0.9)


@pytest.fixture(scope="module")
def drawn():
    return {name: figures.svg(figure, name, f"what {name} shows") for name, figure in drawings()}


def test_figures_of_classes_bring_nothing_with_them_and_every_colour_is_the_pages(drawn):
    page = "".join(drawn.values())
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert {a or b for a, b in re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', page)} <= set(ids)
    assert not re.search(r"<(style|script|image|metadata|!)|http|url\((?!#)", page)
    bare = re.sub(r"var\(--[a-z]+, #[0-9a-f]{6}\)", "", page)
    assert set(re.findall(r"#[0-9a-f]{6}\b(?!-)", bare)) == set()


def test_every_colour_of_a_figure_is_told_for_light_dark_and_print():
    text = Path(figures.__file__).with_name("style.css").read_text(encoding="utf-8")
    for role in figures.COLOURS:
        assert text.count(f"--{role}:") == 3
    assert len(set(CLASS_COLOURS)) == len(CLASS_COLOURS)


def test_the_confusion_matrix_has_true_classes_in_rows_with_counts_and_shares_of_the_row():
    axes = confusion_figure(np.array([[8, 2], [0, 5]]), ("cat", "dog")).axes[0]
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "8\n80 %", (1, 0): "2\n20 %", (0, 1): "0", (1, 1): "5\n100 %"}
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["cat", "dog"]
    assert axes.yaxis_inverted()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("said", "true")


def test_the_bars_of_a_round_are_stacked_to_all_its_looks():
    looks = np.array([[50, 0, 0], [20, 30, 10]])
    bars = asked_figure(looks, "abc").axes[0].patches
    heights = np.array([bar.get_height() for bar in bars]).reshape(3, 2)
    np.testing.assert_array_equal(heights.T, looks)
    tops = np.array([bar.get_y() + bar.get_height() for bar in bars]).reshape(3, 2)
    np.testing.assert_array_equal(tops.T, np.cumsum(looks, axis=1))


def test_accuracy_is_drawn_over_looks_and_over_minutes_and_never_leaves_the_axes():
    for over, x in (("looks", [200, 400]), ("minutes", [60.5 / 60, 120.5 / 60])):
        axes = accuracy_figure(ROUNDS, over, 0.2).axes[0]
        np.testing.assert_allclose(axes.lines[1].get_xydata(), np.column_stack([x, [0.6, 0.8]]))
        assert axes.get_ylim()[0] <= 0.2
    assert accuracy_figure([replace(ROUND, accuracy_low=0.01)], "looks", 0.5).axes[0].get_ylim()[0] <= 0.01


@pytest.mark.parametrize(
    ("n", "words"), [(2, "0 and 1"), (8, "0, 1, 2, 3, 4, 5, 6 and 7"), (9, "0, 1, 2, 3, 4, 5, 6 and 2 more")]
)
def test_classes_are_named_in_words(n, words):
    assert listed(tuple(map(str, range(n)))) == words


def test_a_png_of_one_auc_is_refused_where_there_are_several(ten, tmp_path):
    with pytest.raises(StudyError, match="AUC"):
        figures.save_png(ten, tmp_path / "auc.png")


def test_photographs_of_flowers_and_a_replayed_recording_give_a_page(shared, rendered, parsed, tmp_path):
    names = ("daisy", "roses", "tulips")
    for name in names:
        (tmp_path / "photographs" / name).mkdir(parents=True)
        for path in sorted((shared / "data" / "images" / "flower_photos" / name).iterdir())[:30]:
            (tmp_path / "photographs" / name / path.name).symlink_to(path)
    study = Study.create(
        tmp_path / "study", images=tmp_path / "photographs", classes=names, decoder="lda", max_looks=150,
        backbone=shared / "backbones" / "mobilenetv2_100",
        recordings=[shared / "data" / "eeg" / "gtec-speller" / "sub-01_task-speller_eeg.fif"],
    )  # fmt: skip
    last = list(run(study))[-1]
    page = parsed(rendered(study))
    page.check_complete()
    assert last.accuracy > 0.5
    assert f"{last.accuracy:.3f} accuracy, 95 % interval" in page.text
    assert "of a target if it is what its block looks for and of a non-target if not" in page.text
    assert "sub-01_task-speller: mean of" in page.text
    pictures = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert pictures
    assert all(uri.startswith("data:image/jpeg") for uri in pictures)


def test_a_real_browser_shows_it_whole_and_has_nothing_to_complain_of(ten, rendered, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine: the report is not opened in a real browser")
    path = tmp_path / "report.html"
    path.write_text(rendered(ten), encoding="utf-8")
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    shown = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", *quiet, "--enable-logging=stderr",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in shown.stderr
    assert "<footer>" in shown.stdout
    assert shown.stdout.count("<svg") == len(re.findall("<svg", rendered(ten)))
