"""A review: on real photographs with real recordings replayed, and in small."""

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.special import expit

from brainloop import loop
from brainloop.classifier.system import SYSTEMS
from brainloop.errors import SettingsError, StudyError
from brainloop.settings import Settings
from brainloop.study import Study
from brainloop.uses.review import (
    FURTHEST,
    Review,
    Trained,
    believe,
    open_review,
    piles,
    review_counts,
    write_sorted,
)
from brainloop.uses.sift import Sifted

SETTINGS = Settings(images=".", target="rose", use="review", model="m", observer="own")


@pytest.fixture(scope="module")
def flowers(shared, tmp_path_factory):
    """Photographs in two folders: 80 roses and 120 tulips to train on, 24 and 136 that come later."""
    folder = tmp_path_factory.mktemp("flowers")
    for name, (n_train, n_new) in {"roses": (80, 24), "tulips": (120, 136)}.items():
        files = sorted((shared / "data" / "images" / "flower_photos" / name).iterdir())
        for part, some in (("train", files[:n_train]), ("new", files[n_train : n_train + n_new])):
            (folder / part / name).mkdir(parents=True)
            for file in some:
                shutil.copy(file, folder / part / name)
    return folder


@pytest.fixture(scope="module")
def gtec(shared):
    return shared / "data" / "eeg" / "gtec-speller" / "sub-01_task-speller_eeg.fif"


@pytest.fixture(scope="module")
def model(flowers, gtec, shared, tmp_path_factory):
    """The folder of a study that was trained on a hundred looks."""
    folder = tmp_path_factory.mktemp("model") / "study"
    study = Study.create(
        folder, images=str(flowers / "train"), target="roses", recordings=(str(gtec),), decoder="lda", max_looks=100,
        backbone=str(shared / "backbones" / "mobilenetv2_100"), test_share=0.0,
    )  # fmt: skip
    list(loop.run(study))
    return folder


@pytest.fixture(scope="module")
def reviewed(flowers, gtec, model, tmp_path_factory):
    study = open_review(
        tmp_path_factory.mktemp("review") / "review", model, flowers / "new", observer="replay",
        recordings=(str(gtec),), decoder="lda", target_rate=0.15,
    )  # fmt: skip
    before = piles(study)
    list(loop.run(study))
    return study, before


def test_looks_at_what_the_model_is_unsure_of_find_what_it_missed(reviewed):
    study, before = reviewed
    alone, after = review_counts(study, before), review_counts(study)
    assert (after.images, after.open) == (160, 0)
    assert after.by_model + after.by_person == 160
    assert after.by_model > 16
    assert after.recall >= alone.recall
    assert after.recall >= 0.9
    assert after.precision >= 0.85
    assert 1000 < after.images_per_hour < 1e6


def test_the_queue_changes_as_evidence_comes(reviewed):
    study, before = reviewed
    waited = {one.path for one in before if one.sorted_by == "open"}
    seen = {one.path for one in piles(study) if one.looks}
    assert waited - seen, "the classifier went on learning, so that some that waited were never shown"


def test_sorted_csv_says_all_of_every_image(reviewed):
    study, _ = reviewed
    with (study.folder / "sorted.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = piles(study)
    assert list(rows[0]) == ["path", "label", "posterior", "evidence", "looks", "sorted_by", "certainty"]
    assert [row["path"] for row in rows] == [one.path for one in found]
    assert {row["label"] for row in rows} == {"roses", "not roses"}
    for row, one in zip(rows, found, strict=True):
        assert float(row["posterior"]) == one.posterior
        assert float(row["certainty"]) == max(one.posterior, 1 - one.posterior)


def test_no_image_that_the_model_sorted_was_shown(reviewed):
    study, _ = reviewed
    shown = set(study.store.looks().image.tolist())
    for one in piles(study):
        assert (one.id in shown) == (one.looks > 0) == (one.sorted_by == "person")


def test_a_review_that_was_stopped_goes_on_to_the_same_end(reviewed, flowers, gtec, model, tmp_path):
    study, _ = reviewed
    again = open_review(
        tmp_path / "again", model, flowers / "new", observer="replay", recordings=(str(gtec),), decoder="lda",
        target_rate=0.15,
    )  # fmt: skip
    next(loop.run(again))
    again.store.close()
    again = open_review(tmp_path / "again", model, flowers / "new")
    list(loop.run(again))
    assert piles(again) == piles(study)


def test_a_review_does_not_depend_on_what_its_model_learns_later(reviewed, model, tmp_path):
    study, _ = reviewed
    found = piles(study)
    hidden = model.with_name("elsewhere")
    model.rename(hidden)
    try:
        assert piles(Study.open(study.folder)) == found
    finally:
        hidden.rename(model)


def test_what_a_person_says_at_leisure_is_not_shown_any_more(flowers, model, tmp_path):
    study = open_review(tmp_path / "review", model, flowers / "new", observer="live")
    waiting = [one for one in piles(study) if one.sorted_by == "open"]
    study.store.correct(waiting[0].id, "roses", is_target=False)
    after = next(one for one in piles(study) if one.id == waiting[0].id)
    assert (after.sorted_by, after.label, after.looks) == ("person", "not roses", 0)


def test_images_that_come_later_are_sorted_too(flowers, model, tmp_path):
    shutil.copytree(flowers / "new", tmp_path / "new")
    study = open_review(tmp_path / "review", model, tmp_path / "new", observer="live")
    n = len(piles(study))
    late = sorted((flowers / "train" / "roses").iterdir())[:3]
    for file in late:
        shutil.copy(file, tmp_path / "new")
    (tmp_path / "new" / "torn.jpg").write_bytes(late[0].read_bytes()[:2000])
    (tmp_path / "new" / "words.txt").write_text("no image")
    names = {file.name for file in late}
    assert study.grow({late[0].name}) == 1
    assert study.grow({*names, "torn.jpg", "words.txt"}) == 3  # a torn file looks well until it is decoded
    found = {one.path: one for one in piles(study)}
    assert len(found) == n + 3
    assert all(found[name].posterior > 0.2 for name in names)
    assert {"torn.jpg", "words.txt"} <= {path for path, _ in study.store.skipped()}
    assert study.grow(names) == 0
    write_sorted(study, piles(study))
    assert study.grow({"torn.jpg"}) == 0


def test_the_backbone_is_the_models_whatever_the_settings_say(flowers, model, tmp_path):
    study = open_review(tmp_path / "review", model, flowers / "new", observer="live", backbone="builtin")
    assert study.settings.backbone == Study.open(model).settings.backbone


def test_a_model_of_several_classes_sorts_for_one_of_them(shared, tmp_path):
    images, names = tmp_path / "images", ("airplane", "frog", "ship")
    for name in names:
        (images / name).mkdir(parents=True)
        for file in sorted((shared / "data" / "images" / "cifar10_32px" / name).iterdir())[:50]:
            shutil.copy(file, images / name)
    study = Study.create(
        tmp_path / "model", images=str(images), classes=names, observer="simulated", decoder="lda", max_looks=100,
    )  # fmt: skip
    list(loop.run(study))
    with pytest.raises(SettingsError, match="--target"):
        open_review(tmp_path / "review", tmp_path / "model", images, observer="live")
    review = open_review(tmp_path / "review", tmp_path / "model", images, "frog", observer="live")
    found = {one.path: one.posterior for one in piles(review)}
    frogs = [p for path, p in found.items() if path.startswith("frog/")]
    others = [p for path, p in found.items() if not path.startswith("frog/")]
    assert np.mean(frogs) > 2 * np.mean(others)


def test_a_folder_with_another_study_is_not_taken(flowers, model, tmp_path):
    with pytest.raises(SettingsError, match="another study"):
        open_review(model, model, flowers / "new", observer="live")
    with pytest.raises(SettingsError, match="knows 'oranges'"):
        open_review(tmp_path / "review", model, flowers / "new", "oranges", observer="live")
    with pytest.raises(StudyError, match="found no study"):
        open_review(tmp_path / "review", flowers, flowers / "new", observer="live")


def test_a_model_that_nobody_has_trained_is_refused(photographs, tmp_path):
    Study.create(tmp_path / "model", images=str(photographs), target="rose", observer="own")
    with pytest.raises(SettingsError, match="no trained study"):
        open_review(tmp_path / "review", tmp_path / "model", photographs, observer="own")


def test_a_model_that_sees_otherwise_now_is_refused(flowers, model, tmp_path):
    study = open_review(tmp_path / "review", model, flowers / "new", observer="live")
    data = study.data()
    study.store.note("backbone", "another")
    with pytest.raises(StudyError, match="backbone"):
        Review(study, data)


def test_belief_is_the_head_trained_on_old_and_new_evidence_together():
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(40, 3)), rng.normal(size=(30, 3))
    trained = Trained(old, np.where(old[:, 0] > 0, 3.0, -3.0))
    evidence = np.where(rng.random(30) < 0.5, rng.normal(size=30), 0.0)
    heard = Sifted(np.zeros(30), evidence, (evidence != 0).astype(int))
    found = believe(trained, new, heard, SETTINGS)
    told = evidence != 0
    head = SYSTEMS["brainloop"].learn(np.r_[old, new[told]], np.r_[trained.evidence, evidence[told]])
    np.testing.assert_allclose(found.posterior, head.log_odds(new) + evidence)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_a_stated_rate_is_the_mean_probability(rate):
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(200, 3)), rng.normal(size=(300, 3))
    trained = Trained(old, np.where(old[:, 0] > 1, 3.0, -3.0))
    nothing = Sifted(np.zeros(300), np.zeros(300), np.zeros(300, dtype=int))
    plain = believe(trained, new, nothing, SETTINGS)
    told = believe(trained, new, nothing, replace(SETTINGS, target_rate=rate))
    moved = told.log_odds - plain.log_odds
    np.testing.assert_allclose(moved, moved[0])
    assert abs(moved[0]) <= FURTHEST
    if abs(moved[0]) < FURTHEST:
        assert expit(told.posterior).mean() == pytest.approx(rate)


def test_a_rate_that_is_far_off_does_not_make_targets_of_everything():
    old = np.random.default_rng(0).normal(size=(200, 3))
    trained = Trained(old, np.where(old[:, 0] > 1, 3.0, -3.0))
    nothing = Sifted(np.zeros(200), np.zeros(200), np.zeros(200, dtype=int))
    plain = believe(trained, old, nothing, SETTINGS).log_odds
    told = believe(trained, old, nothing, replace(SETTINGS, target_rate=0.9)).log_odds
    np.testing.assert_allclose(told, plain + FURTHEST)


def test_a_review_of_a_simulated_person_needs_no_recording(photographs, tmp_path):
    study = Study.create(
        tmp_path / "model", images=str(photographs), target="rose", observer="simulated", decoder="lda", max_looks=50,
    )  # fmt: skip
    list(loop.run(study))
    new = tmp_path / "new"
    for name, red in (("rose", 40), ("sky", 0)):
        (new / name).mkdir(parents=True)
        for number in range(10):
            pixels = np.random.default_rng([red, number]).integers(60, 200, (24, 24, 3))
            pixels += np.array([red, 0, 40 - red])
            Image.fromarray(pixels.astype(np.uint8)).save(new / name / f"{number}.png")
    review = open_review(
        tmp_path / "review", tmp_path / "model", new, observer="simulated", decoder="lda", looks_per_image=2
    )
    list(loop.run(review))
    counts = review_counts(review)
    assert counts.open == 0
    assert counts.images == 20
