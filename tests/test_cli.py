"""The commands, as a person types them, on a study that one module makes and the others use."""

import contextlib
import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from brainloop.cli import app, main
from brainloop.study import Study

NEW = ["--target", "rose", "--decoder", "lda", "--looks-per-round", "30", "--block-size", "15", "--max-looks", "60"]


def brainloop(*words, expect=0):
    done = subprocess.run(
        [sys.executable, "-m", "brainloop", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def study(tmp_path_factory, photographs):
    folder = tmp_path_factory.mktemp("cli") / "roses"
    said = brainloop("new", folder, photographs, *NEW)
    assert "120 images in the pool part, 40 images in the test part" in said
    said = brainloop("run", folder)
    assert re.search(r"^ +2 +60 ", said, re.MULTILINE)
    return folder


def test_status_shows_the_rounds(study):
    said = brainloop("status", study)
    assert "looking for 'rose'" in said
    assert "60 presentations answered, 0 of them in the open round" in said
    assert re.search(r"^ +1 +30 +30 .* s +\d+\.\d% +[01]\.\d{3} \[[01]\.\d{3}, [01]\.\d{3}\]$", said, re.MULTILINE)


def test_embed_finds_everything_embedded_already(study):
    before = (study / "embeddings").stat().st_mtime
    assert "160 embeddings" in brainloop("embed", study)
    assert (study / "embeddings").stat().st_mtime == before


def test_report_writes_one_html_file(study, tmp_path):
    brainloop("report", study, "--out", tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")


def test_predict_writes_csv_and_parquet_surest_targets_first(study, photographs, tmp_path):
    brainloop("predict", study, photographs, "--out", tmp_path / "all.csv")
    with (tmp_path / "all.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 160
    probability = [float(row["probability"]) for row in rows]
    assert probability == sorted(probability, reverse=True)
    assert sum(row["path"].startswith("rose/") for row in rows[:32]) > 16
    brainloop("predict", study, photographs, "--out", tmp_path / "all.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "all.parquet").column("path").to_pylist() == [
        row["path"] for row in rows
    ]


def test_predict_lists_what_it_could_not_use_and_goes_on(study, photographs, tmp_path):
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "good.png").write_bytes(next((photographs / "rose").iterdir()).read_bytes())
    (tmp_path / "mixed" / "empty.jpg").touch()
    said = brainloop("predict", study, tmp_path / "mixed", "--out", tmp_path / "mixed.csv")
    assert "1 file was skipped" in said
    assert "empty.jpg: zero bytes" in said
    assert len((tmp_path / "mixed.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "nowhere"], "StudyError: expected a study at nowhere"),
        (["new", "study", "nowhere", "--target", "rose"], "nowhere"),
        (["predict", "STUDY", "PHOTOS", "--out", "x.txt"], r"SettingsError: expected .*\.csv or \.parquet"),
        (["new", "study", "PHOTOS", "--target", "tulip"], "class folder 'tulip'"),
        (["new", "study", "PHOTOS", "--target", "rose", "--recordings", "no.fif"], "RecordingError: .*no.fif"),
        (["new", "study", "PHOTOS", "--target", "rose", "--backbone", "no.onnx"], "BackboneError: .*no.onnx"),
        (["new", "PHOTOS/rose/000.png", "PHOTOS", "--target", "rose"], "found a file"),
        (["predict", "STUDY", "PHOTOS", "--out", "PHOTOS/rose/000.png/x.csv"], "Error: "),
    ],
)
def test_a_mistake_is_one_message_without_a_traceback(study, photographs, tmp_path, monkeypatch, words, expected):
    monkeypatch.chdir(tmp_path)
    words = [word.replace("STUDY", str(study)).replace("PHOTOS", str(photographs)) for word in words]
    said = brainloop(*words, expect=1)
    assert re.search(expected, said)
    assert "Traceback" not in said


def test_on_a_terminal_every_row_has_a_line_of_its_own(photographs, recordings, tmp_path):
    brainloop("new", tmp_path / "seen", photographs, *NEW, "--recordings", recordings)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "brainloop", "run", str(tmp_path / "seen")]
    process = subprocess.Popen(
        command, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # a closed terminal is an error to read from
        while chunk := os.read(ours, 65536):
            shown += chunk
    os.close(ours)
    assert process.wait() == 0
    text = re.sub(r"\x1b\[(?!2K)[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert re.search(r"sub-01_task-rsvp: 8 channels, \d+ calibration trials, decoder AUC 0\.\d\d", text)
    rows = re.findall(r"(?:\n|\r|\x1b\[2K) +(\d) +\d+ +\d+ +\d\.\d min", text)
    assert rows == ["1", "2"]
    assert "━" in text


def test_the_version_is_said():
    assert brainloop("--version").startswith("brainloop 0.1")


def test_every_command_has_help_and_no_option_without_a_word(capsys):
    runner = CliRunner()
    commands = [
        "demo",
        "new",
        "embed",
        "run",
        "status",
        "report",
        "predict",
        "bench embed",
        "bench kills",
        "bench rounds",
    ]
    for command in commands:
        shown = runner.invoke(app, [*command.split(), "--help"], terminal_width=200)
        assert shown.exit_code == 0, shown.output
        assert "Usage" in shown.output
    assert callable(main)


def test_a_study_killed_on_the_command_line_goes_on_to_the_end_of_an_undisturbed_one(tmp_path, photographs, study):
    folder = tmp_path / "killed"
    brainloop("new", folder, photographs, *NEW)
    for answered in (10, 40):
        process = subprocess.Popen([sys.executable, "-m", "brainloop", "run", str(folder)], stdout=subprocess.DEVNULL)
        while process.poll() is None and len(Study.open(folder).store.looks().image) < answered:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert len(Study.open(folder).store.looks().image) >= answered
    brainloop("run", folder)
    killed, undisturbed = Study.open(folder), Study.open(study)
    assert killed.store.looks().evidence.tolist() == undisturbed.store.looks().evidence.tolist()
    assert killed.head().weight.tobytes() == undisturbed.head().weight.tobytes()


def test_bench_rounds_prints_what_it_writes(tmp_path):
    said = brainloop("bench", "rounds", "--pool", 300, "--width", 64, "--json", tmp_path / "rounds.json")
    figures = json.loads((tmp_path / "rounds.json").read_text())
    assert json.loads(said) == figures
    assert set(figures["round_s"]) == {"brainloop", "talk"}
    assert Path(tmp_path / "rounds.json").stat().st_size > 0


def test_bench_kills_loses_nothing(tmp_path):
    brainloop("bench", "kills", "--kills", 3, "--json", tmp_path / "kills.json")
    figures = json.loads((tmp_path / "kills.json").read_text())
    assert figures["kills"] == 3
    assert (figures["lost"], figures["doubled"], figures["different_ends"]) == (0, 0, 0)
