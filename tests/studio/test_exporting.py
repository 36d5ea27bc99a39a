from dataclasses import replace

from brainloop.exports import WHAT
from brainloop.settings import Settings
from brainloop.studio.exporting import GROUPS, OURS, choices, made

TRAIN = Settings(images="x", target="cat", observer="live")
AUDIT = Settings(images="x", classes=("cat",), use="audit", observer="live")
REVIEW = replace(TRAIN, use="review", model="m")


def test_every_export_there_is_has_a_group_and_is_offered_by_a_use():
    assert {name for names in GROUPS.values() for name in names} == set(WHAT) | set(OURS)
    offered = {use.use: [one["name"] for one in choices(use)] for use in (TRAIN, AUDIT, REVIEW)}
    assert set(offered["train"]) == (set(WHAT) | {"report"})
    assert offered["audit"] == ["amended", "recordings"]
    assert offered["review"] == ["sorted", "recordings"]


def test_a_choice_is_called_by_its_files_and_said_in_a_line():
    by_name = {one["name"]: one for one in choices(TRAIN)}
    assert by_name["labels"]["title"] == "labels.csv"
    assert by_name["imagefolder"]["title"] == "imagefolder.zip"
    assert all(one["title"] and one["what"] and "/" not in one["title"] for one in by_name.values())


def test_files_are_known_by_the_choice_that_made_them(tmp_path):
    assert made(TRAIN, tmp_path / "none") == []
    for name in ("head.safetensors", "onnx.zip", "labels.csv", "mine.txt"):
        (tmp_path / name).touch()
    assert {path.name: by for path, by in made(TRAIN, tmp_path)} == {
        "head.safetensors": "model",
        "onnx.zip": "onnx",
        "labels.csv": "labels",
        "mine.txt": None,
    }
    for name in ("my labels-amended.csv", "findings.csv", "audit.html"):
        (tmp_path / name).touch()
    assert [path.name for path, by in made(AUDIT, tmp_path) if by == "amended"] == [
        "audit.html",
        "findings.csv",
        "my labels-amended.csv",
    ]
