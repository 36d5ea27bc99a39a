from collections import Counter

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

from brainloop.classifier.head import train_head
from brainloop.classifier.measure import measure_classes
from brainloop.errors import SettingsError
from brainloop.loop import run
from brainloop.observers.oracle import Oracle
from brainloop.prediction import predict
from brainloop.settings import Settings
from brainloop.study import Study
from brainloop.uses.heard import CORRECTION, corrections, total_evidence
from brainloop.uses.training import class_measures

CLASSES = ("red", "green", "blue")


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """150 small images in three class folders, and a fourth folder that nobody asks about."""
    folder = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(0)
    tints = {"red": (50, 0, 0), "green": (0, 50, 0), "blue": (0, 0, 50), "grey": (0, 0, 0)}
    for number in range(160):
        label = "grey" if number % 16 == 15 else CLASSES[number % 3]
        pixels = rng.integers(60, 200, (16, 16, 3)) + np.array(tints[label])
        (folder / label).mkdir(exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / label / f"{number:03d}.png")
    return folder


@pytest.fixture
def study(tmp_path, colours):
    return Study.create(
        tmp_path / "study", images=colours, classes=CLASSES, looks_per_round=20, block_size=20, max_looks=120,
        observer="own",
    )  # fmt: skip


def look(study):
    return list(run(study, Oracle(study.data().truth, soa=0.2)))


def test_images_of_other_classes_stay_aside_and_every_class_has_its_test_part(study):
    parts = Counter((image.label, image.part) for image in study.store.images())
    assert {part for (label, part) in parts if label == "grey"} == {"aside"}
    for name in CLASSES:
        assert parts[name, "test"] == round(0.25 * (parts[name, "pool"] + parts[name, "test"]))


def test_a_block_looks_for_one_class_and_its_evidence_is_about_that_class_alone(study):
    look(study)
    looks, data = study.store.looks(), study.data()
    for block in np.unique(looks.block):
        members = np.flatnonzero(looks.block == block)
        (target,) = {looks.target[k] for k in members}
        truth = data.truth[target][data.index(looks.image[members])]
        np.testing.assert_array_equal(looks.evidence[members] > 0, truth)
    evidence, seen = total_evidence(study, data)
    asked = {
        (int(data.index(np.array([image]))[0]), CLASSES.index(target))
        for image, target in zip(looks.image, looks.target, strict=True)
    }
    assert {(int(i), int(k)) for i, k in np.argwhere(evidence)} == asked
    assert set(seen.tolist()) == {image for image, _ in asked}


def test_each_class_is_looked_for_once_before_any_promise_counts(study):
    look(study)
    first = [block.target for block, _ in study.store.blocks()][: len(CLASSES)]
    assert first == list(CLASSES)


def test_the_head_is_that_of_the_k_class_likelihood_and_is_measured_on_images_never_shown(study):
    rounds = look(study)
    data = study.data()
    features, test = study.features(data)
    evidence, seen = total_evidence(study, data)
    expected = train_head(features[seen], evidence[seen])
    np.testing.assert_allclose(study.head().weight, expected.weight)
    found = class_measures(study)
    truth = np.column_stack([data.test_truth[name] for name in CLASSES]).argmax(axis=1)
    again = measure_classes(truth, study.head().log_odds(test))
    np.testing.assert_array_equal(found.confusion, again.confusion)
    assert rounds[-1].accuracy == found.accuracy > 0.8
    assert rounds[-1].auc == pytest.approx(again.auc.mean())
    assert rounds[-1].accuracy_low < rounds[-1].accuracy <= rounds[-1].accuracy_high
    shown = set(study.store.looks().image.tolist())
    assert not shown & {image.id for image in study.store.images() if image.part == "test"}
    np.testing.assert_array_equal(found.asked.sum(axis=1), np.bincount(study.store.looks().round)[1:])


def test_a_study_that_was_interrupted_comes_to_the_same_end(study, tmp_path):
    other = Study.create(tmp_path / "other", study.settings)
    rounds = run(other, Oracle(other.data().truth, soa=0.2))
    next(rounds)
    rounds.close()
    look(study)
    look(other)
    np.testing.assert_array_equal(study.head().weight, other.head().weight)
    assert [block for block, _ in study.store.blocks()] == [block for block, _ in other.store.blocks()]


def test_a_correction_is_about_the_class_that_it_names(study):
    look(study)
    data = study.data()
    image = int(data.ids[3])
    study.store.correct(image, "green", False)
    rows, said = corrections(study, data)
    np.testing.assert_array_equal(rows, [3])
    np.testing.assert_allclose(said, [[0, -CORRECTION, 0]])
    np.testing.assert_allclose(total_evidence(study, data)[0][3], [0, -CORRECTION, 0])


def test_predictions_name_the_likeliest_class_with_the_probability_of_each(study, colours):
    look(study)
    predictions, _ = predict(study, colours)
    assert len(predictions) == 160
    data = study.data()
    by_path = {one.path: one for one in predictions}
    image = next(image for image in study.store.images() if image.id == data.ids[0])
    features, _ = study.features(data)
    one = by_path[image.path]
    assert one.label == max(one.classes, key=one.classes.get)
    np.testing.assert_allclose(list(one.classes.values()), study.head().probability(features[:1])[0], atol=1e-5)
    z = study.head().log_odds(features[:1])[0].astype(float)
    p = softmax(z)[CLASSES.index(one.label)]
    assert one.log_odds == pytest.approx(np.log(p / (1 - p)), abs=1e-3)


def test_a_class_without_a_folder_is_named(tmp_path, colours):
    with pytest.raises(SettingsError, match=r"class folder 'red' and 'tulip'.*blue"):
        Study.create(tmp_path / "study", images=colours, classes=("red", "tulip"), observer="live")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "either a target"),
        ({"target": "red", "classes": CLASSES}, "either a target"),
        ({"classes": ("red",)}, "two or more"),
        ({"classes": ("red", "red")}, "differ"),
        ({"classes": CLASSES, "prevalence": 0.1}, "not thinned out"),
        ({"use": "audit", "target": "red"}, "audit expects the classes"),
        ({"use": "review", "target": "red"}, "model"),
        ({"target": "red", "model": "elsewhere"}, "model"),
    ],
)
def test_what_does_not_go_together_is_refused(values, expected):
    with pytest.raises(SettingsError, match=expected):
        Settings(images="photos", **values)


def test_five_flowers_are_learned_from_a_real_recording(tmp_path, shared):
    flowers = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    study = Study.create(
        tmp_path / "study", images=shared / "data/images/flower_photos", classes=flowers,
        backbone=str(shared / "backbones/mobilenetv2_100"), decoder="lda", max_looks=500, looks_per_round=100,
        recordings=(str(shared / "data/eeg/gtec-speller"),),
    )  # fmt: skip
    rounds = list(run(study))
    assert rounds[-1].looks == 500
    assert rounds[-1].accuracy > 0.65  # a fifth by chance
    assert set(study.store.looks().target) == set(flowers)
