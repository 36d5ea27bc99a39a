import csv
from zipfile import ZipFile

import numpy as np
import pytest

from brainloop.classifier.features import load_features
from brainloop.classifier.heads import load_head
from brainloop.errors import BackboneError, SettingsError, StudyError
from brainloop.exports import WHAT, export_study, image_results
from brainloop.exports.export import FILES, WRITERS
from brainloop.study import Study


def test_all_that_can_be_written_has_a_line_and_a_writer():
    assert set(WHAT) == set(WRITERS)
    for name, line in WHAT.items():
        assert line.split(":")[0] == ", ".join(FILES.get(name, [f"{name}/"]))


def test_labels_come_back_from_their_table(scripted, tmp_path):
    (path,) = export_study(scripted, tmp_path, ["labels"])
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row, one in zip(rows, image_results(scripted), strict=True):
        assert (row["path"], row["part"], row["folder"]) == (one.path, one.part, one.label)
        assert (row["label"], int(row["looks"])) == (one.decided or "", one.looks)
        assert float(row["evidence"]) == one.evidence
        assert row["posterior"] == ("" if one.probability is None else repr(one.probability))


def test_the_exported_model_says_what_the_study_says_in_the_words_of_its_own_help(scripted, tmp_path):
    files = export_study(scripted, tmp_path, ["model"])
    assert [path.name for path in files] == ["head.safetensors", "features.safetensors", "model.txt"]
    said = files[2].read_text()
    code = [line.strip() for line in said.splitlines() if line.startswith("    ")]
    names = {"embeddings": scripted.data().pool}
    exec("\n".join(code).replace('Path("', f'Path("{tmp_path}/'), names)
    ours = scripted.head().probability(scripted.features(scripted.data())[0])
    np.testing.assert_array_equal(names["probability"], ours)
    assert load_head(files[0]).penalty == scripted.head().penalty
    assert load_features(files[1]) is not None


def test_recordings_are_zipped_as_they_lie(scripted, tmp_path):
    (path,) = export_study(scripted, tmp_path, ["recordings"])
    with ZipFile(path) as archive:
        assert archive.namelist() == ["recordings/sub-Ada/eeg/sub-Ada_eeg.eeg"]
        assert archive.read(archive.namelist()[0]) == bytes(1000)
    assert [entry.name for entry in tmp_path.iterdir()] == ["recordings.zip"]


def test_a_folder_can_come_as_one_file(scripted, tmp_path):
    assert export_study(scripted, tmp_path, ["labelstudio", "labels"], zipped=True) == [
        tmp_path / "labelstudio.zip", tmp_path / "labels.csv",
    ]  # fmt: skip
    with ZipFile(tmp_path / "labelstudio.zip") as archive:
        assert set(archive.namelist()) == {f"labelstudio/{name}" for name in ("tasks.json", "config.xml", "README.txt")}
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_not_there_is_refused_before_anything_is_written(tmp_path, photographs, scripted):
    fresh = Study.create(tmp_path / "study", images=photographs, target="rose", observer="live")
    out = tmp_path / "out"
    with pytest.raises(StudyError, match="no recording"):
        export_study(fresh, out, ["labels", "recordings"])
    for what in ("model", "onnx", "imagefolder", "croissant"):
        with pytest.raises(StudyError, match="no round is over yet"):
            export_study(fresh, out, ["labels", what])
    with pytest.raises(SettingsError, match=r"expected some of labels, .*recordings to export, got passwords"):
        export_study(scripted, out, ["labels", "passwords"])
    with pytest.raises(BackboneError, match=r"'builtin': it is no network.*--what model"):
        export_study(scripted, out, ["labels", "onnx"])
    assert not out.exists()
    assert [path.name for path in export_study(fresh, out, ["labels"])] == ["labels.csv"]


def test_nothing_is_overwritten_unless_told_to(scripted, tmp_path):
    (tmp_path / "labels.csv").write_text("mine")
    (tmp_path / "labelstudio").mkdir()
    (tmp_path / "labelstudio" / "mine").write_text("mine")
    for what in ("labels", "labelstudio"):
        with pytest.raises(SettingsError, match=rf"{what}.* is there already; .*--force"):
            export_study(scripted, tmp_path, ["model", what])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.csv", "labelstudio"]
    assert (tmp_path / "labels.csv").read_text() == "mine"
    export_study(scripted, tmp_path, ["labels", "labelstudio"], force=True)
    assert (tmp_path / "labels.csv").read_text() != "mine"
    assert not (tmp_path / "labelstudio" / "mine").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.csv", "labelstudio"]


def test_an_export_that_fails_leaves_what_was_there(scripted, tmp_path, monkeypatch):
    export_study(scripted, tmp_path, ["labelstudio"])
    before = (tmp_path / "labelstudio" / "tasks.json").read_bytes()

    def fail(job, folder):
        (folder / "tasks.json").write_text("half")
        raise OSError("no space left on device")

    monkeypatch.setitem(WRITERS, "labelstudio", fail)
    with pytest.raises(OSError, match="no space"):
        export_study(scripted, tmp_path, ["labelstudio"], force=True)
    assert (tmp_path / "labelstudio" / "tasks.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["labelstudio"]
