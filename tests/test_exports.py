import csv
from zipfile import ZipFile

import numpy as np
import pytest
from scipy.special import expit, logit

from brainloop.classifier.features import load_features
from brainloop.classifier.heads import load_head
from brainloop.errors import SettingsError, StudyError
from brainloop.exports import ImageResult, export_study, image_results
from brainloop.loop import CORRECTION, run
from brainloop.presentation.block import Response
from brainloop.study import Study


class Viewer:
    """An observer who tells the truth with noise; every fifth epoch is rejected."""

    soa = 0.2

    def __init__(self, truth):
        self._truth = truth
        self.facts = {"observer": "live", "recordings": []}

    def respond(self, block, start=0):
        score = np.random.default_rng(block.number).normal(size=len(block.images))
        score += 2.0 * self._truth[list(block.images)]
        for k in range(start, len(block.images)):
            lost = k % 5 == 0
            yield Response(
                float("nan") if lost else score[k], 0.0 if lost else 2 * score[k] - 2, "gap" if lost else None,
                block.onsets[k], f"Ada/1#{k}", "Ada", "1",
            )  # fmt: skip

    def recall(self, blocks):
        pass

    def erps(self):
        return {}


@pytest.fixture(scope="module")
def study(tmp_path_factory, photographs):
    study = Study.create(
        tmp_path_factory.mktemp("exports") / "study", images=photographs, target="rose", observer="live",
        looks_per_round=30, max_looks=60,
    )  # fmt: skip
    list(run(study, Viewer(study.data().truth)))
    subject = study.folder / "recordings" / "sub-Ada" / "eeg"
    subject.mkdir(parents=True)
    (subject / "sub-Ada_eeg.eeg").write_bytes(bytes(1000))
    return study


def test_before_the_first_round_evidence_is_known_and_no_probability(tmp_path, photographs):
    study = Study.create(tmp_path / "study", images=photographs, target="rose", observer="live")
    image = next(one for one in study.store.images() if one.part == "pool")
    study.store.correct(image.id, True)
    results = image_results(study)
    assert len(results) == 160
    assert results[image.id] == ImageResult(image.id, image.path, "pool", image.label, None, None, CORRECTION, 0, True)
    assert {one.probability for one in results} == {None}
    assert not list((study.folder / "embeddings").glob("*")), "to say so, nothing has to be embedded"


def test_every_image_is_told_by_classifier_and_evidence(study):
    results, looks, data = image_results(study), study.store.looks(), study.data()
    assert [one.id for one in results] == list(range(160))
    assert sum(one.looks for one in results) == looks.image.size
    by_hand = np.zeros(160)
    for image, evidence in zip(looks.image, looks.evidence, strict=True):
        by_hand[image] += evidence
    np.testing.assert_allclose([one.evidence for one in results], by_hand)
    alone = study.head().probability(study.features(data)[0])
    pool = [results[number] for number in data.ids]
    np.testing.assert_allclose([one.classifier for one in pool], alone)
    np.testing.assert_allclose([one.probability for one in pool], expit(logit(alone) + by_hand[data.ids]), rtol=1e-5)
    tested = [one for one in results if one.part == "test"]
    np.testing.assert_allclose([one.classifier for one in tested], study.head().probability(study.features(data)[1]))
    assert {one.classifier for one in results if one.part == "calibration"} == {None}


def test_a_correction_stands_in_place_of_the_looks(study):
    image = int(study.store.looks().image[1])
    study.store.correct(image, False)
    try:
        result = image_results(study)[image]
    finally:
        study.store.correct(image, None)
    assert (result.evidence, result.correction) == (-CORRECTION, False)


def test_labels_come_back_from_their_table(study, tmp_path):
    (path,) = export_study(study, tmp_path, ["labels"])
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row, one in zip(rows, image_results(study), strict=True):
        assert row["path"] == one.path
        assert float(row["evidence"]) == one.evidence
        assert row["probability"] == ("" if one.probability is None else repr(one.probability))


def test_the_exported_model_says_what_the_study_says_in_the_words_of_its_own_help(study, tmp_path):
    files = export_study(study, tmp_path, ["model"])
    assert [path.name for path in files] == ["head.safetensors", "features.safetensors", "model.txt"]
    said = files[2].read_text()
    code = [line.strip() for line in said.splitlines() if line.startswith("    ")]
    names = {"embeddings": study.data().pool}
    exec("\n".join(code).replace('Path("', f'Path("{tmp_path}/'), names)
    np.testing.assert_array_equal(names["probability"], study.head().probability(study.features(study.data())[0]))
    assert load_head(files[0]).penalty == study.head().penalty
    assert load_features(files[1]) is not None


def test_recordings_are_zipped_as_they_lie(study, tmp_path):
    (path,) = export_study(study, tmp_path, ["recordings"])
    with ZipFile(path) as archive:
        assert archive.namelist() == ["recordings/sub-Ada/eeg/sub-Ada_eeg.eeg"]
        assert archive.read(archive.namelist()[0]) == bytes(1000)
    assert [entry.name for entry in tmp_path.iterdir()] == ["recordings.zip"]


def test_what_is_not_there_is_refused_before_anything_is_written(tmp_path, photographs, study):
    fresh = Study.create(tmp_path / "study", images=photographs, target="rose", observer="live")
    out = tmp_path / "out"
    with pytest.raises(StudyError, match="no recording"):
        export_study(fresh, out, ["labels", "recordings"])
    with pytest.raises(StudyError, match="no round is over yet"):
        export_study(fresh, out, ["labels", "model"])
    with pytest.raises(SettingsError, match="expected some of labels, model, recordings to export, got passwords"):
        export_study(study, out, ["labels", "passwords"])
    assert not out.exists()
    assert [path.name for path in export_study(fresh, out, ["labels"])] == ["labels.csv"]
