"""The command as the issue spells it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from brainloop.bench import preparation
from brainloop.cli import app
from brainloop.errors import SettingsError


def bench_talk(*words):
    return CliRunner().invoke(app, ["bench", "talk", *map(str, words)])


@pytest.mark.parametrize(
    "recordings", [["--recordings", "a", "b", "c"], ["--recordings", "a", "--recordings", "b", "--recordings", "c"]]
)
def test_several_recordings_follow_one_flag_or_one_flag_each(recordings, tmp_path, monkeypatch):
    def look(tasks, paths, settings, *others, **more):
        raise SettingsError(f"{tasks} {sorted(map(str, paths))} compose {settings.compose}")

    monkeypatch.setattr(preparation, "prepare", look)
    words = ["--task", "x:y", "--task", "x:z", *recordings, "--backbone", "builtin", "--compose", "on"]
    assert str(bench_talk(*words, "--out", tmp_path).exception) == "['x:y', 'x:z'] ['a', 'b', 'c'] compose True"


def test_one_experiment_is_written_with_the_four_systems(photographs, recordings, tmp_path):
    done = bench_talk(
        "--task", f"{photographs}:rose", "--recordings", recordings, "--backbone", "builtin",
        "--seeds", 1, "--first-seed", 7, "--only", "confidence", "--out", tmp_path,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    written = [Path(line).name for line in done.output.split()]
    assert written == ["talk.json", "talk.md", "headline.png", "07-confidence.png"]
    figures = json.loads((tmp_path / "talk.json").read_text(encoding="utf-8"))
    assert figures["checkpoints"] == [200, 400, 589, 718, 795]
    assert list(figures["experiments"]) == ["confidence"]
    assert figures["settings"]["seeds"] == [7]
    assert figures["systems"]["talk"]["sd"] == [None] * 5


def test_mistakes_cost_nothing(tmp_path):
    words = ["--task", "x:y", "--recordings", "z", "--backbone", "builtin", "--out", tmp_path]
    assert "'eleven' came" in str(bench_talk(*words, "--only", "eleven").exception)
    assert bench_talk(*words, "--compose", "maybe").exit_code == 2
    assert not list(tmp_path.iterdir())
