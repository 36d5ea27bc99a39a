import csv

import numpy as np
import pytest
from PIL import Image

from brainloop.errors import BrainloopError, SettingsError
from brainloop.studio.creation import class_folders, create, studies_in
from brainloop.study import Study


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Twelve images of each of three classes."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for name in ("cat", "dog", "hen"):
        (folder / name).mkdir()
        for k in range(12):
            Image.fromarray(rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)).save(folder / name / f"{k}.png")
    return folder


def made(home, **values):
    study = create(home, values)
    study.store.close()
    return study.settings


def test_one_thing_and_several_classes_make_studies_that_a_person_looks_at(images, tmp_path):
    one = made(tmp_path, name="one", images=str(images), target=" cat ", soa=0.15)
    several = made(tmp_path, name="several", images=str(images), classes=["cat", " hen "])
    assert (one.use, one.target, one.observer, one.soa) == ("train", "cat", "live", 0.15)
    assert (several.use, several.classes, several.observer) == ("train", ("cat", "hen"), "live")


def test_an_audit_takes_the_classes_of_its_annotations_or_those_that_are_chosen(images, tmp_path):
    file = tmp_path / "labels.csv"
    with file.open("w", newline="") as table:
        rows = [[f"{name}/{k}.png", name] for name in ("cat", "dog") for k in range(12)]
        csv.writer(table).writerows([["path", "label"], *rows])
    every = made(tmp_path, name="every", use="audit", images=str(images), annotations=str(file))
    folders = made(tmp_path, name="folders", use="audit", images=str(images), classes=["hen"])
    assert (every.use, every.classes, every.annotations) == ("audit", ("cat", "dog"), str(file))
    assert (folders.classes, folders.annotations, folders.observer) == (("hen",), None, "live")


def test_a_review_takes_the_target_of_its_classifier_or_one_of_its_classes(images, tmp_path):
    made(tmp_path, name="one", images=str(images), target="cat")
    made(tmp_path, name="several", images=str(images), classes=["cat", "dog"])
    for name in ("one", "several"):
        (tmp_path / name / "models" / "head-001.safetensors").touch()
    review = made(tmp_path, name="r1", use="review", images=str(images), model=str(tmp_path / "one"), target_rate=0.1)
    assert (review.use, review.target, review.target_rate) == ("review", "cat", 0.1)
    with pytest.raises(BrainloopError, match="cat, dog"):
        made(tmp_path, name="r2", use="review", images=str(images), model=str(tmp_path / "several"))
    of_dogs = made(tmp_path, name="r2", use="review", images=str(images), model=str(tmp_path / "several"), target="dog")
    assert of_dogs.target == "dog"
    with pytest.raises(SettingsError, match="holds a study already"):
        made(tmp_path, name="r2", use="review", images=str(images), model=str(tmp_path / "one"))


@pytest.mark.parametrize(
    "values",
    [
        {"name": "../x", "target": "cat"},
        {"name": ".x", "target": "cat"},
        {"name": "x"},
        {"name": "x", "classes": "cat"},
        {"name": "x", "classes": [1, 2]},
        {"name": "x", "classes": ["cat"]},
        {"name": "x", "use": "drive", "target": "cat"},
        {"name": "x", "use": "review", "target": "cat"},
        {"name": "x", "use": "audit", "classes": ["cow"]},
        {"name": "x", "use": "audit", "annotations": 3},
    ],
)
def test_values_that_make_no_study_are_refused_and_leave_nothing(images, tmp_path, values):
    with pytest.raises(SettingsError):
        create(tmp_path, {"images": str(images), **values})
    assert not any(tmp_path.iterdir())


def test_studies_are_listed_with_what_they_are_for_and_whether_they_can_sort(images, tmp_path):
    made(tmp_path, name="b", images=str(images), classes=["cat", "dog"])
    made(tmp_path, name="a", use="audit", images=str(images))
    (tmp_path / "b" / "models" / "head-001.safetensors").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.toml").write_text("classes = [")
    first, second, third = studies_in(tmp_path)
    assert (first["name"], first["use"], first["names"], first["trained"]) == (
        "a",
        "audit",
        ["cat", "dog", "hen"],
        False,
    )
    assert (second["name"], second["use"], second["names"], second["trained"]) == ("b", "train", ["cat", "dog"], True)
    assert (third["name"], third["names"]) == ("broken", [])
    assert Study.open(tmp_path / "b").settings.classes == ("cat", "dog")


def test_class_folders_are_listed_by_name_without_opening_an_image(images, tmp_path):
    assert class_folders(str(images)) == [{"name": name, "images": 12} for name in ("cat", "dog", "hen")]
    (tmp_path / "secret").mkdir(mode=0o000)
    (tmp_path / "a file").touch()
    for folder in (tmp_path / "nowhere", tmp_path / "a file", "\0"):
        with pytest.raises(SettingsError, match="expected a folder on this computer"):
            class_folders(str(folder))
