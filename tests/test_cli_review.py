"""The commands of a review, as a person gives them."""

import csv
import json
import shutil

import pytest
import typer
from typer.testing import CliRunner

from brainloop import cli_review, loop
from brainloop.cli_bench import bench
from brainloop.errors import SettingsError
from brainloop.study import Study

APP = typer.Typer()
APP.callback()(lambda: None)
cli_review.add_commands(APP)


def review(*words):
    return CliRunner().invoke(APP, ["review", *map(str, words)])


@pytest.fixture(scope="module")
def model(photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "study"
    study = Study.create(
        folder, images=str(photographs), target="rose", observer="simulated", decoder="lda", max_looks=50
    )
    list(loop.run(study))
    return folder


@pytest.fixture
def come(photographs, tmp_path):
    """A folder with four of the photographs, and what brings more of them."""
    files = sorted(photographs.rglob("*.png"))
    folder = tmp_path / "new"

    def bring(n):
        for _ in range(n):
            file = files.pop()
            (folder / file.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / file.parent.name)

    return folder, bring


def sorted_paths(folder):
    with (folder / "sorted.csv").open(newline="", encoding="utf-8") as file:
        return {row["path"] for row in csv.DictReader(file)}


def test_for_a_person_the_sure_images_are_sorted_and_the_studio_is_next(model, come, tmp_path):
    folder, bring = come
    bring(12)
    done = review(model, folder, "--out", tmp_path / "review")
    assert done.exit_code == 0, done.output
    assert "12 images: " in done.output
    assert f"brainloop studio {tmp_path / 'review'}" in done.output
    assert len(sorted_paths(tmp_path / "review")) == 12


def test_a_recording_answers_at_once_and_the_command_may_be_given_again(model, photographs, recordings, tmp_path):
    words = (model, photographs, "--out", tmp_path / "review", "--recordings", recordings, "--looks", 2)
    done = review(*words)
    assert done.exit_code == 0, done.output
    assert "0 wait" in done.output
    assert "images an hour" in done.output
    assert "precision" in done.output
    again = review(*words)
    assert again.output == done.output


def test_a_folder_that_is_watched_is_sorted_as_images_come(model, come, tmp_path, monkeypatch):
    folder, bring = come
    acts = iter([lambda: bring(1), lambda: bring(3), *[lambda: None] * 4, lambda: bring(5), *[lambda: None] * 3])

    def sleep(_seconds):
        act = next(acts, None)
        if act is None:
            raise KeyboardInterrupt
        act()

    monkeypatch.setattr(cli_review, "sleep", sleep)
    done = review(model, folder, "--out", tmp_path / "review", "--watch")
    assert done.exit_code == 130, done.output
    assert "4 images: " in done.output
    assert "9 images: " in done.output
    assert "has every image that had come" in done.output
    assert len(sorted_paths(tmp_path / "review")) == 9


def test_a_review_for_something_the_model_does_not_know_says_what_it_knows(model, photographs, tmp_path):
    done = review(model, photographs, "--out", tmp_path / "review", "--target", "tulip")
    assert isinstance(done.exception, SettingsError)
    assert "'tulip'" in str(done.exception)
    assert not (tmp_path / "review" / "study.toml").exists()


def test_the_bench_takes_several_recordings_after_one_flag_and_prints_its_tables(photographs, recordings, tmp_path):
    files = sorted(recordings.iterdir())
    words = ["--images", photographs, "--recordings", files[0].parent, "--backbone", "builtin", "--seeds", 1]
    done = CliRunner().invoke(bench, ["review", *map(str, words), "--json", str(tmp_path / "review.json")])
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "review.json").read_text(encoding="utf-8"))
    assert {"review", "model", "brain", "rates"} <= set(figures)
    assert [row["rate"] for row in figures["rates"]] == [0.05, 0.12, 0.3]
    assert done.output.count("| review |") == 3
    again = CliRunner().invoke(bench, ["review", *map(str, words), "no such file", "--json", str(tmp_path / "x.json")])
    assert "no such file" in str(again.exception)
    assert not (tmp_path / "x.json").exists()
