import csv
import hashlib
import json
import re
import shutil
import time

import numpy as np
import pytest
from typer.testing import CliRunner

from brainloop import _files, cli_people, store
from brainloop import people as module
from brainloop.calibration import Calibrated, save_calibrated
from brainloop.classifier.system import SYSTEMS
from brainloop.eeg.bids import export_bids
from brainloop.eeg.erp import ERP
from brainloop.eeg.headset import Chunk, HeadsetInfo
from brainloop.eeg.recorder import Recorder, read_session
from brainloop.errors import SettingsError, StudyError
from brainloop.exports import export_study
from brainloop.loop import run
from brainloop.people import (
    CONSENT,
    EPILEPSY,
    VERSION,
    consent,
    erase_person,
    export_person,
    people,
    person_folder,
)
from brainloop.presentation.block import Response
from brainloop.report import write_report
from brainloop.study import Study
from brainloop.uses import training
from brainloop.uses.heard import total_evidence

HIM, HER = "Zaphod42", "Trillian"


class Box:
    """A source of samples: ten seconds of noise, handed over at once."""

    def __init__(self, seed):
        self.info = HeadsetInfo("lsl:box", "box", ("Cz", "Pz", "Oz"), (), 100.0)
        data = 1e-5 * np.random.default_rng(seed).normal(size=(3, 1000))
        self._left = [Chunk(np.arange(1000) / 100.0, data.astype(np.float32))]

    def pull(self):
        return self._left.pop() if self._left else Chunk(np.zeros(0), np.zeros((3, 0), dtype=np.float32))

    def close(self):
        pass


class Viewer:
    """An observer who tells the truth with noise, under a name."""

    soa = 0.2

    def __init__(self, name, truth):
        self.name, self._truth = name, truth
        self.facts = {"observer": "live", "recordings": [{"name": f"{name}/1", "person": name}]}

    def respond(self, block, start=0):
        noise = np.random.default_rng([len(self.name), block.number]).normal(size=len(block.images))
        score = noise + 2.0 * self._truth[list(block.images)]
        for k in range(start, len(block.images)):
            yield Response(score[k], 2.0 * score[k] - 2.0, None, block.onsets[k], f"{self.name}/1#{k}", self.name, "1")

    def recall(self, blocks):
        pass

    def erps(self):
        shape = (2, 1, 4)
        return {f"{self.name}/1": ERP(np.ones(shape), np.ones(shape), (3, 4), np.arange(4.0), ("Pz",))}


def record(study, name, seed):
    recorder = Recorder(study.folder / "people" / name / "s1", {"person": name, "session": "s1"}, Box(seed))
    recorder.start()
    recorder.event("press", 1.0, person=name)
    while recorder.status.samples < 1000:
        time.sleep(0.01)
    recorder.close()


def write_bids(study, name):
    root = study.folder / "recordings"
    export_bids(study.folder / "people" / name / "s1", root, person=name, session="s1")
    # What a kill would leave of another export, and what a lab may add by hand.
    shutil.copytree(study.folder / "people" / name / "s1", root / f".partial-{name}-s2")
    (root / "participants.tsv.partial").write_text(f"participant_id\nsub-{name}\n")
    (root / "phenotype").mkdir(exist_ok=True)
    table = root / "phenotype" / "handedness.tsv"
    if not table.exists():
        table.write_text("participant_id\thand\n")
    table.write_text(table.read_text() + f"sub-{name}\tleft\n")


@pytest.fixture(scope="module")
def original(tmp_path_factory, photographs):
    """A study that two people looked at in turn: he in rounds 1 and 3, she in 2 and 4."""
    folder = tmp_path_factory.mktemp("watched") / "study"
    study = Study.create(
        folder, images=photographs, target="rose", observer="live", looks_per_round=30, block_size=15, max_looks=200
    )
    for seed, name in enumerate((HIM, HER)):
        consent(study, name, consent=True, no_epilepsy=True)
        record(study, name, seed)
        write_bids(study, name)
        save_calibrated(Calibrated({"person": name, "auc": 0.8}), person_folder(study, name))
    truth = study.data().truth["rose"]
    for name in (HIM, HER, HIM, HER):
        next(run(study, Viewer(name, truth)))
        study.store.correct(int(study.data().ids[len(study.store.rounds())]), "rose", True, person=name)
    export_study(study, folder / "exports", ["labels", "model", "recordings"])
    write_report(study)
    study.store.close()
    return folder


@pytest.fixture
def study(original, tmp_path):
    return Study.open(shutil.copytree(original, tmp_path / "study"))


def traces(folder, name, samples):
    """Every file whose name or content betrays a person, in words or in samples."""
    found = []
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        if name in str(path.relative_to(folder)) or name.encode() in content or samples in content:
            found.append(str(path.relative_to(folder)))
    return found


def samples_of(study, name):
    return (study.folder / "people" / name / "s1" / "samples.f32").read_bytes()[4000:4064]


def test_everybody_is_listed_with_what_is_kept_of_them(study):
    (her, him) = people(study)
    assert (him.name, him.sessions, him.seconds, him.responses, him.corrections) == (HIM, 1, 10.0, 60, 2)
    assert her.name == HER
    assert him.consented is not None
    assert not him.decoder
    (person_folder(study, HIM) / "keys.json").write_text("{}")
    assert people(study)[1].decoder


def test_consent_keeps_the_words_that_were_read(study):
    agreed = consent(study, "Ford", consent=True, no_epilepsy=True)
    kept = json.loads((person_folder(study, "Ford") / "person.json").read_text())
    assert kept["consent"] == agreed.consent == CONSENT
    assert kept["epilepsy"] == EPILEPSY
    assert kept["at"].endswith("+00:00")
    assert "Ford" in [one.name for one in people(study)]


def test_other_words_are_another_version():
    words = hashlib.sha256((CONSENT + EPILEPSY).encode()).hexdigest()[:12]
    assert {1: "b31d18bf76ae"}[VERSION] == words, "the texts changed: raise VERSION, and add their hash here"


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("../up", {}, "letters (a to z) and digits"),
        ("sub-01", {}, "letters (a to z) and digits"),
        ("Zoë", {}, "letters (a to z) and digits"),
        ("", {}, "letters (a to z) and digits"),
        ("Ford", {"consent": False}, "expected Ford to consent"),
        ("Ford", {"no_epilepsy": False}, "no photosensitive epilepsy is known"),
        (HIM.lower(), {}, "differs by capitals only"),
    ],
)
def test_without_a_name_or_consent_nothing_is_written(study, name, values, expected):
    before = sorted(study.folder.rglob("*"))
    with pytest.raises(SettingsError, match=re.escape(expected)):
        consent(study, name, **{"consent": True, "no_epilepsy": True} | values)
    assert sorted(study.folder.rglob("*")) == before


def test_an_export_holds_everything_of_a_person_and_nothing_of_another(study, tmp_path):
    out = export_person(study, HIM, tmp_path / "copy")
    assert traces(out, HER, samples_of(study, HER)) == []
    theirs = read_session(out / "people" / HIM / "s1")
    np.testing.assert_array_equal(theirs.data, read_session(person_folder(study, HIM) / "s1").data)
    assert list(out.glob(f"recordings/sub-{HIM}/ses-s1/eeg/*.vhdr"))
    assert "left" in (out / "recordings" / "phenotype" / "handedness.tsv").read_text()
    with (out / "evidence.csv").open(newline="") as file:
        evidence = [float(row["evidence"]) for row in csv.DictReader(file)]
    looks = study.store.looks()
    assert evidence == looks.evidence[np.isin(looks.round, [1, 3])].tolist()
    assert len((out / "corrections.csv").read_text().splitlines()) == 3
    assert f"{len(evidence)} responses" in (out / "README.txt").read_text()


def test_an_export_goes_into_a_new_folder_outside_of_the_study(study, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    for folder, expected in ((tmp_path / "full", "new or empty"), (study.folder / "x", "outside of the study")):
        with pytest.raises(SettingsError, match=expected):
            export_person(study, HIM, folder)
    with pytest.raises(StudyError, match=f"'Marvin'; it knows {HER}, {HIM}"):
        export_person(study, "Marvin", tmp_path / "copy")


def test_after_an_erasure_no_file_holds_a_name_or_a_sample_of_the_person(study):
    samples = samples_of(study, HIM)
    assert len(traces(study.folder, HIM, samples)) > 10
    others = read_session(person_folder(study, HER) / "s1").data
    erasure = erase_person(study, HIM)
    study.store.close()
    assert traces(study.folder, HIM, samples) == []
    went = dict(erasure.went)
    assert went["responses"] == "60"
    assert went["corrections"] == "2"
    assert went["heads trained with them"] == "4"
    assert went["rounds trained again without them"] == "2"
    assert went["raw recordings"] == "1, 0.2 min"
    assert {"exports", "reports", "consent", "files and rows of the BIDS data set"} <= set(went)
    (left,) = people(study)
    assert (left.name, left.responses, left.corrections, left.sessions) == (HER, 60, 2, 1)
    np.testing.assert_array_equal(read_session(person_folder(study, HER) / "s1").data, others)
    assert list(study.folder.glob(f"recordings/sub-{HER}/ses-s1/eeg/*.vhdr"))
    assert HER in (study.folder / "recordings" / "participants.tsv").read_text()
    with pytest.raises(StudyError, match=f"it knows {HER}"):
        erase_person(study, HIM)


def test_heads_are_trained_again_as_if_the_person_had_never_looked(study):
    looks = study.store.looks()
    data, hers = study.data(), np.isin(looks.round, [2, 4])
    erase_person(study, HIM)
    left = study.store.looks()
    np.testing.assert_array_equal(left.image, looks.image[hers])
    np.testing.assert_array_equal(left.evidence, looks.evidence[hers])
    np.testing.assert_array_equal(left.round, looks.round[hers] // 2)
    rounds = study.store.rounds()
    assert [(one.number, one.looks) for one in rounds] == [(1, 30), (2, 60)]
    assert sorted(path.name for path in study.folder.glob("models/head-*")) == [
        "head-001.safetensors", "head-002.safetensors",
    ]  # fmt: skip
    features, test = study.features(data)
    for number in (1, 2):
        evidence, seen = total_evidence(study, data, number)
        head = SYSTEMS["brainloop"].learn(features[seen], evidence[seen])
        np.testing.assert_array_equal(study.head(number).weight, head.weight)
    assert rounds[-1].auc == pytest.approx(auc(data.test_truth["rose"], study.head().log_odds(test)))
    # The study goes on as if it had always been so.
    assert next(run(study, Viewer(HER, data.truth["rose"]))).number == 3


def auc(truth, scores):
    from sklearn.metrics import roc_auc_score

    return roc_auc_score(truth, scores)


def test_with_the_last_person_the_heads_go(study):
    for name in (HIM, HER):
        erase_person(study, name)
    assert people(study) == []
    assert study.store.rounds() == []
    assert study.store.blocks() == []
    assert not list(study.folder.glob("models/head-*"))
    assert not (study.folder / "recordings").exists()
    assert next(run(study, Viewer("Ford", study.data().truth["rose"]))).number == 1


def test_an_erasure_does_not_wait_for_images_that_are_not_there(study, photographs, tmp_path):
    shutil.move(photographs, tmp_path / "elsewhere")
    try:
        samples = samples_of(study, HIM)
        went = dict(erase_person(study, HIM).went)
    finally:
        shutil.move(tmp_path / "elsewhere", photographs)
    assert "not yet, the next run does it first" in went["rounds trained again without them"]
    study.store.close()
    assert traces(study.folder, HIM, samples) == []
    assert study.store.rounds() == []
    rounds = run(study, Viewer(HER, Study.open(study.folder).data().truth["rose"]))
    assert [next(rounds).number for _ in range(2)] == [1, 2]


class Kill(BaseException):
    pass


def test_an_erasure_that_is_cut_short_anywhere_is_finished_by_another(original, tmp_path, monkeypatch):
    """Every call that changes the disk may be the last."""
    steps = cut = 0
    samples = samples_of(Study.open(original), HIM)

    def perhaps(function):
        def call(*arguments, **named):
            nonlocal steps
            steps += 1
            if steps == cut:
                raise Kill
            return function(*arguments, **named)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", perhaps(shutil.rmtree))
        patched.setattr(module, "write_whole", perhaps(_files.write_whole))
        patched.setattr(store.Store, "_rewrite", perhaps(store.Store._rewrite))
        patched.setattr(store.Store, "close_round", perhaps(store.Store.close_round))
        patched.setattr(training, "learn", perhaps(training.learn))
        patched.setattr(module, "forget", perhaps(module.forget))
        ended = 0
        while not ended:
            cut, steps = cut + 1, 0
            study = Study.open(shutil.copytree(original, tmp_path / str(cut)))
            try:
                erase_person(study, HIM)
                ended = cut
            except Kill:
                assert HIM in [one.name for one in people(study)], f"cut at step {cut}, it claims to be done"
                study.store.close()
                steps = -1000
                erase_person(again := Study.open(study.folder), HIM)
                again.store.close()
            study.store.close()
            assert traces(study.folder, HIM, samples) == [], f"cut at step {cut}"
            assert [one.looks for one in study.store.rounds()] == [30, 60]
            study.store.close()
    assert ended > 8


def test_the_commands_list_copy_and_erase_and_ask_before_they_do(study, tmp_path):
    def call(*words, **named):
        return CliRunner().invoke(cli_people.people, [words[0], str(study.folder), *words[1:]], **named)

    listed = call("list").output
    assert re.search(rf"{HIM} .* 0\.2 min +no +60 +2", listed)
    assert call("export", HIM, "--out", str(tmp_path / "copy")).exit_code == 0
    assert (tmp_path / "copy" / "evidence.csv").exists()
    refused = call("erase", HIM, input="n\n")
    assert refused.exit_code == 1
    assert len(people(study)) == 2
    erased = call("erase", HIM, "--yes")
    assert "  responses: 60\n" in erased.output
    assert [one.name for one in people(study)] == [HER]
