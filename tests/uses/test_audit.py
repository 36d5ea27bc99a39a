"""The audit: from annotations with mistakes to annotations with fewer."""

import csv

import numpy as np
import pytest
from scipy.special import expit

from brainloop import loop
from brainloop.errors import SettingsError, StudyError
from brainloop.settings import Settings
from brainloop.study import Study
from brainloop.uses.audit import Audit, Suspicion, audit_settings, plan, shortlist
from brainloop.uses.audit_findings import changes, findings, write
from brainloop.uses.doubt import Doubt

SETTINGS = Settings(images="x", classes=("a", "b"), use="audit", observer="own")


def doubted(n=200, seed=0):
    """Two classes, alternating; how likely each annotation is wrong is drawn, mostly hardly."""
    rng = np.random.default_rng(seed)
    right = 1 / (1 + np.exp(-rng.normal(2, 3, n)))
    given = np.arange(n) % 2
    p = np.where(given[:, None] == np.arange(2), right[:, None], 1 - right[:, None])
    return Doubt(given, np.log(p), 0.1)


def suspicion(of=None, **changed):
    of = doubted() if of is None else of
    n = of.given.size
    values = {
        "shortlisted": shortlist(of, 0.2, (0, 1)), "evidence": np.zeros(n), "looks": np.zeros(n, dtype=np.int64),
        "told": np.zeros(n, dtype=bool),
    }  # fmt: skip
    return Suspicion(log_odds=of.log_odds, doubt=of, **values | changed)


def test_the_shortlist_is_the_least_believable_share_of_each_class_that_is_audited():
    of = doubted()
    chosen = shortlist(of, 0.2, (0,))
    own = of.given == 0
    assert chosen.sum() == 20
    assert not chosen[~own].any()
    assert of.log_odds[chosen].min() >= of.log_odds[own & ~chosen].max()


def test_a_round_looks_for_one_class_among_believable_fillers_of_that_class():
    known = suspicion()
    blocks = plan(known, ("a", "b"), 1, 50, SETTINGS, 0.2)
    assert len({block.target for block in blocks}) == 1
    images = np.array([image for block in blocks for image in block.images])
    k = ("not a", "not b").index(blocks[0].target)
    assert (known.doubt.given[images] == k).all()
    assert known.shortlisted[images].any()
    assert not known.shortlisted[images].all()
    assert expit(known.posterior[images]).mean() <= 0.2 + 1e-9
    assert all(len(set(block.images)) == len(block.images) for block in blocks)


def test_all_of_the_shortlist_is_looked_at_once_and_no_image_more_often_than_it_may():
    known, number = suspicion(), 0
    rng, asked = np.random.default_rng(0), np.zeros(known.looks.size, dtype=np.int64)
    while blocks := plan(known, ("a", "b"), number + 1, 50, SETTINGS, 0.2):
        number += 1
        for image in (image for block in blocks for image in block.images):
            asked[image] += known.unsure(SETTINGS)[image]
            known.looks[image] += 1
            known.evidence[image] += rng.normal()
    assert (known.looks[known.shortlisted] >= 1).all()
    assert asked.max() == SETTINGS.looks_per_image
    assert not known.unsure(SETTINGS).any()


def test_what_nobody_looked_at_is_never_changed_however_sure_the_classifier_is():
    assert (suspicion().doubt.log_odds > 0).any()
    assert not suspicion().wrong.any()
    assert not suspicion().right(0.9).any()


def test_looks_confirm_or_clear_and_a_persons_word_stands():
    sure = Doubt(np.array([0, 0, 0]), np.log([[0.01, 0.99], [0.99, 0.01], [0.999, 0.001]]), 0.1)
    known = suspicion(
        sure, evidence=np.array([-9.0, 0.5, 4.6]), looks=np.array([1, 1, 0]), told=np.array([0, 0, 1]) > 0
    )
    assert known.wrong.tolist() == [False, False, True]
    assert known.right(0.9).tolist() == [True, True, False]
    assert not known.unsure(SETTINGS)[2]


@pytest.fixture(scope="module")
def labels(photographs, tmp_path_factory):
    """A table of the photographs' classes, every eighth of them wrong."""
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    rows = []
    for number, file in enumerate(sorted(photographs.rglob("*.png"))):
        truth = file.parent.name
        wrong = {"rose": "sky", "sky": "rose"}[truth] if number % 8 == 0 else truth
        rows.append((f"{truth}/{file.name}", wrong))
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    return path


@pytest.fixture(scope="module")
def audited(photographs, recordings, labels, tmp_path_factory):
    """An audit of the photographs by the synthetic wearer's recordings, at its end."""
    settings = audit_settings(photographs, annotations=labels, recordings=(str(recordings),), decoder="lda")
    study = Study.create(tmp_path_factory.mktemp("audit") / "study", settings)
    rounds = list(loop.run(study))
    return study, rounds


def test_an_audit_comes_to_its_end_and_says_how_well_it_tells(audited):
    study, rounds = audited
    assert rounds[-1].converged
    assert rounds[-1].unsure == 0
    assert rounds[-1].auc > 0.9
    assert set(study.store.looks().target) <= {"not rose", "not sky"}


def test_mistakes_are_found_and_hardly_anything_right_is_changed(audited):
    study, _ = audited
    found = findings(study)
    assert len(found) == 160
    truth = {image.path: image.label for image in study.store.images()}
    wrong = [one for one in found if one.given != truth[one.path]]
    left = [one for one in found if (one.other if one.verdict == "wrong" else one.given) != truth[one.path]]
    assert len(left) <= 0.6 * len(wrong)
    assert sum(one.verdict == "wrong" for one in found if one.given == truth[one.path]) <= 0.02 * len(found)
    assert all("looks say" in one.reason or "look says" in one.reason for one in found if one.looks)
    assert all(one.looks == 0 for one in found if one.verdict == "not looked at")
    assert all(0 <= one.certainty <= 1 for one in found)


def test_the_amended_table_has_the_changes_and_the_original_is_as_it_was(audited, labels, tmp_path):
    study, _ = audited
    before = labels.read_bytes()
    amended, table = write(study, tmp_path / "out")
    assert labels.read_bytes() == before
    rows = {row["path"]: row for row in csv.DictReader(amended.open())}
    wanted = {change.path: change for change in changes(findings(study))}
    assert len(rows) == 160
    for path, row in rows.items():
        if path in wanted:
            assert (row["label"], row["original_label"]) == (wanted[path].now, wanted[path].given)
            assert float(row["certainty"]) == pytest.approx(wanted[path].certainty, abs=1e-5)
            assert "nats" in row["reason"]
        else:
            assert row["original_label"] == ""
    assert len(list(csv.DictReader(table.open()))) == 160
    with pytest.raises(SettingsError, match="--force"):
        write(study, tmp_path / "out")
    assert write(study, tmp_path / "out", force=True) == [amended, table]


def test_an_audit_that_was_stopped_comes_to_the_same_end(audited, photographs, recordings, labels, tmp_path):
    whole, rounds = audited
    study = Study.create(tmp_path / "study", whole.settings)
    first = loop.run(study)
    assert [next(first), next(first)] != []
    first.close()
    again = Study.open(tmp_path / "study")
    rest = list(loop.run(again))
    assert len(rest) == len(rounds) - 2
    np.testing.assert_array_equal(again.store.looks().evidence, whole.store.looks().evidence)


def test_a_correction_decides(audited, tmp_path):
    whole, _ = audited
    study = Study.create(tmp_path / "study", whole.settings)
    one = next(image for image in study.store.images() if image.annotation == "sky" and image.label == "sky")
    study.store.correct(one.id, "not sky", True, "p")
    finding = next(found for found in findings(study) if found.id == one.id)
    assert finding.verdict == "wrong"
    assert "a person says it is not sky" in finding.reason
    assert not Audit(study, study.data()).believe().unsure(study.settings)[study.data().index(np.array([one.id]))]


def test_what_the_classifier_said_is_kept_for_these_very_annotations(audited):
    study, _ = audited
    path = study.models.path("doubt")
    written = path.read_bytes()
    assert Audit(study, study.data()).believe().doubt.given.size == 160
    assert path.read_bytes() == written


def test_class_folders_as_annotations_leave_a_replay_nothing_to_know(photographs, recordings):
    with pytest.raises(SettingsError, match="--observer live"):
        audit_settings(photographs, recordings=(str(recordings),))
    with pytest.raises(SettingsError, match="--observer live"):
        audit_settings(photographs, annotations=photographs, recordings=(str(recordings),))
    assert audit_settings(photographs, observer="live").classes == ("rose", "sky")


def test_of_one_class_that_is_audited_alone_the_others_still_teach(photographs, recordings, labels, tmp_path):
    settings = audit_settings(
        photographs, annotations=labels, classes=["sky"], recordings=(str(recordings),), decoder="lda"
    )
    study = Study.create(tmp_path / "study", settings)
    rounds = list(loop.run(study))
    assert set(study.store.looks().target) == {"not sky"}
    assert {one.given for one in findings(study)} == {"sky"}
    assert rounds[-1].auc > 0.9


def test_classes_that_nobody_gave_are_named(photographs, labels):
    with pytest.raises(SettingsError, match=r"rose \(\d+\), sky \(\d+\); 'tulip' came"):
        audit_settings(photographs, annotations=labels, classes=["tulip"], observer="live")


def test_findings_are_of_an_audit_alone(photographs, tmp_path):
    study = Study.create(tmp_path / "study", images=str(photographs), target="rose")
    with pytest.raises(StudyError, match="expected an audit"):
        findings(study)
