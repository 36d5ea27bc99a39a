"""Every export is read back by the program that it is for, and says there what the study says."""

import csv
import logging
from pathlib import PurePosixPath

import datasets
import mlcroissant
import pyarrow.parquet
import pytest
from label_studio_sdk.label_interface import LabelInterface
from PIL import Image

from brainloop.exports import export_study, image_results
from brainloop.exports.folders import LEFT_OUT, folder_names, place
from brainloop.exports.labels import row
from brainloop.loop import run
from brainloop.study import Study

COPIED = ["imagefolder", "huggingface", "fiftyone", "croissant"]


@pytest.fixture(scope="module", params=["roses", "three"])
def exported(request, tmp_path_factory):
    study = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp("exported")
    export_study(study, folder, ["parquet", "labelstudio", *COPIED])
    return study, folder, {one.path: one for one in image_results(study) if one.decided is not None}


def load(folder):
    """Load as a person would; the copy that datasets makes of its tables goes with the folder."""
    return datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=str(folder.parent / "cache"))["train"]


def test_parquet(exported):
    study, folder, _ = exported
    table = pyarrow.parquet.read_table(folder / "labels.parquet")
    assert table.to_pylist() == [row(one) for one in image_results(study)]
    assert str(table.schema.field("looks").type) == "int64"
    assert table.column_names[:3] == ["path", "label", "certainty"]


def test_class_folders(exported):
    _, folder, known = exported
    loaded = load(folder / "imagefolder")
    assert len(loaded) == len(known) == 90
    names = loaded.features["label"].names
    assert sorted(names) == sorted({one.decided for one in known.values()})
    for name in names:
        files = {path.name for path in (folder / "imagefolder" / name).iterdir()}
        assert files == {PurePosixPath(one.path).name for one in known.values() if one.decided == name}


def test_hugging_face(exported):
    study, folder, known = exported
    loaded = load(folder / "huggingface")
    assert len(loaded) == 90
    for record in loaded:
        image = record.pop("image")
        assert record == row(known[record["path"]])
        with Image.open(study.folder / study.settings.images / record["path"]) as original:
            assert image.size == original.size
            assert image.tobytes() == original.tobytes()


def test_croissant(exported, caplog):
    _, folder, known = exported
    with caplog.at_level(logging.WARNING, "absl"):
        dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant" / "croissant.json"))
    # Whose images these are, and under what licence, nobody has said.
    assert not [
        line
        for line in caplog.text.splitlines()
        if "Property" in line and "license" not in line and "citeAs" not in line
    ]
    assert "not standard" not in caplog.text
    records = list(dataset.records("images"))
    assert len(records) == 90
    for record in records:
        said = {key.removeprefix("images/"): value for key, value in record.items()}
        expected = row(known[said["path"].decode()])
        assert isinstance(said.pop("image"), Image.Image)
        assert said.pop("file_name").decode() == PurePosixPath(expected["path"]).name
        for name, value in said.items():
            assert (value.decode() if isinstance(value, bytes) else value) == expected[name]


def test_label_studio(exported, read_json):
    study, folder, known = exported
    interface = LabelInterface((folder / "labelstudio" / "config.xml").read_text(encoding="utf-8"))
    interface.validate()
    tasks = read_json(folder / "labelstudio" / "tasks.json")
    assert len(tasks) == 90
    for task in tasks:
        one = known[task["data"]["path"]]
        # Its check of a whole task calls that of a prediction without one; so each is checked by itself.
        assert interface.validate_task({"data": task["data"]})
        (prediction,) = task["predictions"]
        assert interface.validate_prediction(prediction, return_errors=True) == []
        assert prediction["score"] == one.certainty
        assert prediction["result"][0]["value"]["choices"] == [one.decided]
        assert task["data"]["image"] == f"/data/local-files/?d={one.path}"
    assert study.settings.images in (folder / "labelstudio" / "README.txt").read_text(encoding="utf-8")
    wrong = {**tasks[0]["predictions"][0], "result": [{**tasks[0]["predictions"][0]["result"][0], "to_name": "x"}]}
    assert not interface.validate_prediction(wrong), "it does look at what it is given"


def test_fiftyone(exported, read_json):
    """Its own importer wants a MongoDB; this is the format that it documents, as that importer reads it.

    https://docs.voxel51.com/user_guide/import_datasets.html#fiftyoneimageclassificationdataset
    """
    _, folder, known = exported
    labels = read_json(folder / "fiftyone" / "labels.json")
    assert set(labels) == {"classes", "labels"}
    files = {path.stem: path for path in (folder / "fiftyone" / "data").iterdir()}
    assert set(files) == set(labels["labels"])
    for label in labels["labels"].values():
        assert set(label) == {"label", "confidence", "attributes"}
        one = known[label["attributes"]["path"]]
        assert label["label"] in labels["classes"]
        assert (label["label"], label["confidence"]) == (one.decided, one.certainty)
        assert label["attributes"]["looks"] == one.looks


HOSTILE = ["../up", "a/b", "A/B", "con", ".hidden", "x" * 300, "trailing. ", "not ../up", "r\xf6te <rose>", "..", ""]


def test_every_class_has_a_folder_that_stays_within_and_no_other_class_has():
    folders = folder_names(HOSTILE)
    assert len({folder.casefold() for folder in folders.values()}) == len(HOSTILE)
    for folder in folders.values():
        assert folder == folder.strip(". ")
        assert not set(folder) & set('/\\:<>|?*"')
        assert len(folder) <= 110
    assert folder_names(["roses", "not roses"]) == {"roses": "roses", "not roses": "not roses"}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, photographs, viewer):
    """A study of two classes with names that mean something to a file system, or to XML and JSON-LD."""
    root = tmp_path_factory.mktemp("hostile") / "images"
    names = ('a "b" & <c>', "d e:f,\u00e9")
    for name, folder in zip(names, ("rose", "sky"), strict=True):
        (root / name).mkdir(parents=True)
        (root / name / "deep er").mkdir()
        for number, file in enumerate(sorted((photographs / folder).glob("*.png"))[:30]):
            where = root / name / ("deep er" if number % 2 else "")
            (where / f"{number // 2} %41.png").write_bytes(file.read_bytes())
    study = Study.create(
        root.parent / "a study", images=root, classes=names, observer="own", looks_per_round=40, max_looks=40,
    )  # fmt: skip
    list(run(study, viewer(study.data().truth)))
    return study


def test_odd_names_of_classes_and_files_come_through_every_reader(hostile, tmp_path, read_json):
    export_study(hostile, tmp_path, ["labelstudio", *COPIED])
    known = {one.path: one for one in image_results(hostile) if one.decided is not None}
    loaded = load(tmp_path / "huggingface")
    assert {record["path"]: record["label"] for record in loaded} == {path: one.decided for path, one in known.items()}
    assert len(load(tmp_path / "imagefolder")) == len(known) == 60
    dataset = mlcroissant.Dataset(jsonld=str(tmp_path / "croissant" / "croissant.json"))
    records = list(dataset.records("images"))
    assert {one["images/path"].decode() for one in records} == set(known)
    interface = LabelInterface((tmp_path / "labelstudio" / "config.xml").read_text(encoding="utf-8"))
    for task in read_json(tmp_path / "labelstudio" / "tasks.json"):
        assert interface.validate_prediction(task["predictions"][0], return_errors=True) == []
        assert "%2541" in task["data"]["image"], "a name is quoted, as it stands in an address"
    assert len(read_json(tmp_path / "fiftyone" / "labels.json")["labels"]) == 60


def test_an_image_that_is_gone_is_named_and_the_rest_goes_on(roses, tmp_path):
    results = [one for one in image_results(roses) if one.decided is not None][:4]
    gone = [results[0], results[2]]
    hidden = {roses.folder / roses.settings.images / one.path for one in gone}
    for path in hidden:
        path.rename(path.with_suffix(".hidden"))
    try:
        placed = place(roses, results, tmp_path / "out", by_class=False)
    finally:
        for path in hidden:
            path.with_suffix(".hidden").rename(path)
    assert [one.result for one in placed] == [results[1], results[3]]
    with (tmp_path / "out" / LEFT_OUT).open(newline="", encoding="utf-8") as file:
        assert [(line["path"], line["reason"]) for line in csv.DictReader(file)] == [
            (one.path, "No such file or directory") for one in gone
        ]
