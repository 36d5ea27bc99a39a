import numpy as np
import pytest
from scipy.special import expit, logit

from brainloop.exports import image_results
from brainloop.exports.results import ClassResult
from brainloop.study import Study
from brainloop.uses.heard import CORRECTION, total_evidence


def test_before_the_first_round_evidence_is_known_and_no_probability(tmp_path, photographs):
    study = Study.create(tmp_path / "study", images=photographs, target="rose", observer="live")
    image = next(one for one in study.store.images() if one.part == "pool")
    study.store.correct(image.id, "rose", True)
    results = image_results(study)
    assert len(results) == 160
    one = results[image.id]
    assert (one.evidence, one.looks, one.correction, one.said) == (CORRECTION, 0, True, "rose")
    assert one.by_class == {"rose": ClassResult(None, None, CORRECTION)}
    assert {(each.probability, each.decided, each.certainty) for each in results} == {(None, None, None)}
    assert not list((study.folder / "embeddings").glob("*")), "to say so, nothing has to be embedded"


def test_every_image_is_told_by_classifier_and_evidence(scripted):
    results, looks, data = image_results(scripted), scripted.store.looks(), scripted.data()
    assert [one.id for one in results] == list(range(160))
    assert sum(one.looks for one in results) == looks.image.size
    by_hand = np.zeros(160)
    for image, evidence in zip(looks.image, looks.evidence, strict=True):
        by_hand[image] += evidence
    np.testing.assert_allclose([one.evidence for one in results], by_hand)
    alone = scripted.head().probability(scripted.features(data)[0])
    pool = [results[number] for number in data.ids]
    np.testing.assert_allclose([one.classifier for one in pool], alone)
    np.testing.assert_allclose([one.probability for one in pool], expit(logit(alone) + by_hand[data.ids]), rtol=1e-5)
    tested = [one for one in results if one.part == "test"]
    test = scripted.head().probability(scripted.features(data)[1])
    np.testing.assert_allclose([one.classifier for one in tested], test)
    assert {one.classifier for one in results if one.part == "calibration"} == {None}
    for one in pool:
        assert one.decided == ("rose" if one.probability >= 0.5 else "not rose")
        assert one.certainty == pytest.approx(max(one.probability, 1 - one.probability))


def test_a_correction_stands_in_place_of_the_looks(scripted):
    image = int(scripted.store.looks().image[1])
    scripted.store.correct(image, "rose", False)
    try:
        result = image_results(scripted)[image]
    finally:
        scripted.store.correct(image, "rose", None)
    assert (result.evidence, result.correction, result.said) == (-CORRECTION, False, "rose")


def test_of_several_classes_posteriors_add_up_and_the_likeliest_is_the_label(three):
    data = three.data()
    evidence, _ = total_evidence(three, data)
    log_p = np.log(three.head().probability(three.features(data)[0]).astype(float))
    by_hand = np.exp(log_p + evidence)
    by_hand /= by_hand.sum(axis=1, keepdims=True)
    results = image_results(three)
    for row, number in enumerate(data.ids):
        one = results[number]
        np.testing.assert_allclose([one.by_class[name].posterior for name in three.settings.names], by_hand[row])
        np.testing.assert_allclose([one.by_class[name].evidence for name in three.settings.names], evidence[row])
        assert one.decided == one.name == three.settings.names[by_hand[row].argmax()]
        assert one.certainty == one.probability == pytest.approx(by_hand[row].max())
    known = [one for one in results if one.part == "pool" and one.looks]
    assert np.mean([one.decided == one.label for one in known]) > 0.6
