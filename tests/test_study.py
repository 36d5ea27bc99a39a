import re
import shutil

import numpy as np
import pytest

from brainloop.errors import ImageError, SettingsError, StudyError
from brainloop.parts import calibration_part
from brainloop.presentation.block import Block, Response
from brainloop.settings import Settings
from brainloop.study import Study

PARTS = ("pool", "test", "calibration", "aside", "unusable")


def create(tmp_path, photographs, **values):
    return Study.create(tmp_path / "study", images=photographs, target="rose", **values)


def parts(study):
    images = study.store.images()
    return {part: [image for image in images if image.part == part] for part in PARTS}


def test_a_quarter_of_each_class_is_set_aside_to_measure_on(tmp_path, photographs):
    found = parts(create(tmp_path, photographs))
    assert [image.label for image in found["test"]].count("rose") == 8
    assert (len(found["pool"]), len(found["test"])) == (120, 40)


@pytest.mark.parametrize("prevalence", [0.1, 0.4])
def test_thinning_reaches_the_stated_prevalence_in_pool_and_test(tmp_path, photographs, prevalence):
    found = parts(create(tmp_path, photographs, prevalence=prevalence))
    assert found["aside"]
    for part in ("pool", "test"):
        share = np.mean([image.label == "rose" for image in found[part]])
        assert share == pytest.approx(prevalence, abs=0.02)


def test_the_test_part_follows_from_the_seed(tmp_path, photographs):
    chosen = [parts(create(tmp_path / str(k), photographs, seed=seed))["test"] for k, seed in enumerate((0, 0, 1))]
    assert chosen[0] == chosen[1] != chosen[2]


def test_truth_is_there_to_measure_and_in_the_order_of_the_images(tmp_path, photographs):
    study = create(tmp_path, photographs)
    data = study.data()
    images = study.store.images()
    assert data.truth["rose"].tolist() == [images[k].label == "rose" for k in data.ids]
    assert data.pool.shape == (120, data.test.shape[1])
    np.testing.assert_array_equal(data.index(data.ids[[5, 2]]), [5, 2])


def test_a_study_opens_as_it_was_made(tmp_path, photographs):
    made = create(tmp_path, photographs, difficulty=0.5, max_looks=77)
    opened = Study.open(made.folder)
    assert opened.settings == made.settings
    assert opened.store.images() == made.store.images()
    assert opened.store.fact("versions")["numpy"] == np.__version__


def test_a_target_that_no_folder_has_is_refused_with_the_folders_there_are(tmp_path, photographs):
    with pytest.raises(SettingsError, match=re.escape("class folder 'tulip'") + r".*rose \(32\), sky \(128\)"):
        Study.create(tmp_path / "study", images=photographs, target="tulip")


def test_an_own_observer_needs_no_class_folders(tmp_path, photographs):
    study = Study.create(tmp_path / "study", images=photographs / "sky", target="clouds", observer="own")
    data = study.data()
    assert data.truth is None
    assert data.test_truth is None
    assert len(data.pool) == 128


def test_a_folder_that_holds_a_study_or_other_things_is_left_alone(tmp_path, photographs):
    create(tmp_path, photographs)
    with pytest.raises(StudyError, match="holds a study already"):
        create(tmp_path, photographs)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("mine")
    with pytest.raises(StudyError, match=r"holds chapter1\.txt"):
        Study.create(tmp_path / "thesis", images=photographs, target="rose")
    assert (tmp_path / "thesis" / "chapter1.txt").read_text() == "mine"


def test_a_creation_that_was_cut_short_is_made_anew(tmp_path, photographs):
    made = create(tmp_path, photographs)
    (made.folder / "study.toml").unlink()  # as a kill before the last step leaves it
    assert len(create(tmp_path, photographs).store.images()) == 160


def test_a_folder_without_a_study_is_refused_with_the_command_that_makes_one(tmp_path):
    with pytest.raises(StudyError, match="brainloop new"):
        Study.open(tmp_path)


def test_a_missing_image_folder_leaves_no_study_behind(tmp_path):
    with pytest.raises(ImageError):
        Study.create(tmp_path / "study", images=tmp_path / "nowhere", target="rose")
    with pytest.raises(StudyError):
        Study.open(tmp_path / "study")


def test_settings_that_made_what_is_there_cannot_change_but_others_can(tmp_path, photographs):
    study = create(tmp_path, photographs)
    toml = study.folder / "study.toml"
    toml.write_text(toml.read_text().replace("max_looks = 1000", "max_looks = 2000"))
    assert Study.open(study.folder).settings.max_looks == 2000
    toml.write_text(toml.read_text().replace("seed = 0", "seed = 1"))
    with pytest.raises(StudyError, match=r"seed cannot change.*it was seed = 0"):
        Study.open(study.folder)


def test_images_that_cannot_be_decoded_leave_the_pool_with_their_reason(tmp_path, photographs):
    folder = shutil.copytree(photographs, tmp_path / "photographs")
    whole = sorted((folder / "sky").iterdir())[7].read_bytes()
    (folder / "sky" / "torn.png").write_bytes(whole[:-300] + b"")
    (folder / "sky" / "gone.png").write_bytes(whole + b" ")
    study = Study.create(tmp_path / "study", images=folder, target="rose", test_share=0.0)
    (folder / "sky" / "gone.png").unlink()
    data = study.data()
    reasons = dict(study.store.skipped())
    assert set(reasons) == {"sky/torn.png", "sky/gone.png"}
    assert "truncated" in reasons["sky/torn.png"]
    assert "vanished" in reasons["sky/gone.png"]
    assert len(data.pool) == len(data.truth["rose"]) == len(data.ids) == 160


def test_two_processes_cannot_run_one_study(tmp_path, photographs):
    study = create(tmp_path, photographs)
    with study.running(), pytest.raises(StudyError, match="another process"), Study.open(study.folder).running():
        pass


def test_an_image_that_was_looked_at_is_never_silently_dropped(tmp_path, photographs):
    folder = shutil.copytree(photographs, tmp_path / "photographs")
    study = Study.create(tmp_path / "study", images=folder, target="rose")
    shown = next(image for image in study.store.images() if image.part == "pool")
    study.store.plan([Block(1, 1, (shown.id,), 0.2)])
    study.store.answer(1, 0, Response(1.0, 1.0, None, 0.0, "a", "b", "c"))
    kept = study.image_path(shown).read_bytes()
    study.image_path(shown).unlink()
    with pytest.raises(StudyError, match=f"{shown.path}.*put them back"):
        study.data()
    study.image_path(shown).write_bytes(kept)
    assert shown.id in study.data().ids


def test_an_image_folder_that_is_away_for_a_moment_costs_nothing(tmp_path, photographs):
    folder = shutil.copytree(photographs, tmp_path / "photographs")
    study = Study.create(tmp_path / "study", images=folder, target="rose")
    folder.rename(tmp_path / "away")
    with pytest.raises(StudyError, match="put it back"):
        study.data()
    (tmp_path / "away").rename(folder)
    assert len(study.data().pool) == 120


def test_a_study_goes_on_from_another_working_folder(tmp_path, photographs, monkeypatch):
    monkeypatch.chdir(photographs.parent)
    study = Study.create(tmp_path / "study", images=photographs.name, target="rose")
    monkeypatch.chdir(tmp_path)
    assert len(Study.open(study.folder).data().pool) == 120


def test_a_creation_killed_while_the_store_is_made_is_made_anew(tmp_path, photographs):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "store.sqlite-journal").write_bytes(b"half a journal")
    assert len(create(tmp_path, photographs).store.images()) == 160


def test_a_lost_store_is_named_and_not_replaced_by_an_empty_one(tmp_path, photographs):
    study = create(tmp_path, photographs)
    study.store.close()
    for file in study.folder.glob("store.sqlite*"):
        file.unlink()
    with pytest.raises(StudyError, match=r"store\.sqlite is not this study's store"):
        Study.open(study.folder)


def test_another_backbone_than_the_first_is_refused(tmp_path, photographs):
    study = create(tmp_path, photographs)
    study.data()
    study.store.note("backbone", "what it was before someone changed its weights")
    with pytest.raises(StudyError, match="not the one that this study began with"):
        Study.open(study.folder).data()


def test_a_folder_with_a_question_mark_in_its_name_holds_its_own_store(tmp_path, photographs):
    study = Study.create(tmp_path / "what?cars#1", images=photographs, target="rose")
    assert (study.folder / "store.sqlite").stat().st_size > 0
    assert not (tmp_path / "what").exists()


def test_a_live_study_sets_images_apart_for_calibration_and_changes_nothing_else(tmp_path, photographs):
    plain, live = (
        parts(create(tmp_path / observer, photographs, observer=observer)) for observer in ("simulated", "live")
    )
    assert live["test"] == plain["test"]
    calibration = {image.id for image in live["calibration"]}
    assert [image for image in plain["pool"] if image.id not in calibration] == live["pool"]
    labels = [image.label for image in live["calibration"]]
    assert (labels.count("rose"), labels.count("sky")) == (6, 24)  # a quarter of the 24 and of the 96 in the pool


@pytest.mark.parametrize(
    ("n_targets", "n_others", "expected"),
    [(400, 4000, (40, 293)), (80, 4000, (20, 147)), (400, 400, (40, 100)), (3, 100, (0, 0))],
)
def test_what_is_set_apart_has_a_calibrations_prevalence_as_far_as_the_pool_can_spare_it(n_targets, n_others, expected):
    truth = np.random.default_rng(0).permutation(np.arange(n_targets + n_others + 50) < n_targets)
    pool = np.sort(np.concatenate([np.flatnonzero(truth), np.flatnonzero(~truth)[:n_others]]))
    chosen = calibration_part(truth, pool, Settings("photos", "rose", seed=3))
    assert (truth[chosen].sum(), (~truth[chosen]).sum()) == expected
    assert np.isin(chosen, pool).all()
    assert (np.diff(chosen) > 0).all()
    other = calibration_part(truth, pool, Settings("photos", "rose", seed=4))
    assert expected == (0, 0) or not np.array_equal(chosen, other)


def test_a_live_study_needs_no_class_folders(tmp_path, photographs):
    study = Study.create(tmp_path / "study", images=photographs / "sky", target="clouds", observer="live")
    assert {image.part for image in study.store.images()} == {"pool"}
