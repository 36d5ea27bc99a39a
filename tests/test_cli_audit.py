"""The command `audit`: from a folder and a table to an amended table and a gallery."""

import csv

import pytest
import typer
from typer.testing import CliRunner

from brainloop.cli_audit import add_commands
from brainloop.errors import SettingsError, StudyError


def audit(*words):
    app = typer.Typer()
    add_commands(app)
    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["audit", *map(str, words)])


def table(images, path, n=None):
    """Write a CSV of the images' classes, every seventh of them wrong."""
    files = sorted(images.rglob("*.*"))[:n]
    names = sorted({file.parent.name for file in files})
    rows = [("file", "class")]
    for number, file in enumerate(files):
        k = names.index(file.parent.name)
        rows.append((f"{file.parent.name}/{file.name}", names[(k + 1) % len(names)] if number % 7 == 0 else names[k]))
    with path.open("w", newline="") as opened:
        csv.writer(opened).writerows(rows)
    return path


@pytest.fixture(scope="module")
def done(photographs, recordings, tmp_path_factory):
    """A finished audit: its folder, the command's words and what it printed."""
    folder = tmp_path_factory.mktemp("cli")
    words = [photographs, "--annotations", table(photographs, folder / "labels.csv"), "--out", folder / "study"]
    return folder, words, audit(*words, "--recordings", recordings, "--shortlist", 0.3)


def test_it_writes_the_amended_table_all_findings_and_a_gallery_that_needs_nothing_else(done):
    folder, _, printed = done
    assert printed.exit_code == 0, printed.output
    written = sorted(path.name for path in (folder / "study" / "exports").iterdir())
    assert written == ["audit.html", "findings.csv", "labels-amended.csv"]
    page = (folder / "study" / "exports" / "audit.html").read_text(encoding="utf-8")
    assert "Before: the least believable of what is annotated as rose" in page
    assert "After: changed to" in page
    assert "<script" not in page
    assert "http://" not in page.replace('http-equiv="', "")
    assert "https://" not in page
    assert "not looked at: " in printed.output


def test_what_was_written_is_not_written_over_without_force(done):
    _, words, _ = done
    again = audit(*words)
    assert isinstance(again.exception, SettingsError)
    assert "--force" in str(again.exception)
    assert audit(*words, "--force").exit_code == 0


def test_another_folder_of_images_is_not_taken_for_the_same_study(done, tmp_path):
    _, words, _ = done
    (tmp_path / "other").mkdir()
    refused = audit(tmp_path / "other", *words[1:], "--force")
    assert isinstance(refused.exception, StudyError)
    assert "holds another study" in str(refused.exception)


def test_a_person_is_sent_to_the_studio(photographs, tmp_path):
    said = audit(photographs, "--out", tmp_path / "study", "--observer", "live")
    assert said.exit_code == 0, said.output
    assert f"brainloop studio {tmp_path / 'study'}" in said.output
    assert not (tmp_path / "study" / "exports").exists()


def test_a_simulation_of_class_folders_is_refused_with_the_way_out(photographs, tmp_path):
    refused = audit(photographs, "--out", tmp_path / "study")
    assert isinstance(refused.exception, SettingsError)
    assert "--observer live" in str(refused.exception)
    assert not (tmp_path / "study").exists()


def test_real_photographs_with_a_real_recording(shared, tmp_path):
    images = tmp_path / "images"
    for name in ("frog", "ship", "truck"):
        source = sorted((shared / "data" / "images" / "cifar10_32px" / name).iterdir())[:70]
        (images / name).mkdir(parents=True)
        for file in source:
            (images / name / file.name).symlink_to(file)
    labels = table(images, tmp_path / "labels.csv")
    recording = next((shared / "data" / "eeg" / "gtec-speller").glob("sub-01*"))
    backbone = shared / "backbones" / "mobilenetv2_100"
    said = audit(
        images, "--annotations", labels, "--out", tmp_path / "study", "--recordings", recording, "--backbone", backbone,
        "--results", tmp_path / "found",
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    given = {row["file"]: row["class"] for row in csv.DictReader(labels.open())}
    now = {row["file"]: row["class"] for row in csv.DictReader((tmp_path / "found" / "labels-amended.csv").open())}
    assert given.keys() == now.keys()

    def errors(of):
        return sum(path.split("/")[0] != label for path, label in of.items())

    right = [path for path, label in given.items() if path.split("/")[0] == label]
    assert errors(now) <= 0.6 * errors(given)
    assert sum(now[path] != given[path] for path in right) <= 0.02 * len(right)
