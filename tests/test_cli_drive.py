"""The drive's commands, as a person types them."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from brainloop.driving.agent import SCRIPTED, Agent
from brainloop.driving.drive import Drive, summary
from brainloop.driving.key_watcher import KeyWatcher
from brainloop.driving.recorded import DriveFacts, read_drive, record
from brainloop.driving.road import N_OBSERVED
from brainloop.eeg.mental_state import CAVEATS

BARE = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}


BARE_PYTHON = """
import sys
class Extras:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("gymnasium", "highway_env", "pygame", "stable_baselines3", "torch"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Extras())
from brainloop.cli import main
main()
"""


def brainloop(*words, expect=0, cwd=None):
    done = subprocess.run(
        [sys.executable, "-m", "brainloop", *map(str, words)],
        capture_output=True, text=True, check=False, env=BARE, cwd=cwd,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if expect == 0 else done.stderr


@pytest.fixture(scope="module")
def drives(tmp_path_factory):
    """A folder where a drive of the synthetic person was recorded and filmed, and what was said of it."""
    folder = tmp_path_factory.mktemp("drives")
    said = brainloop("drive", "--seed", 3, "--seconds", 8, "--record", "first", "--film", "first.gif", cwd=folder)
    return folder, said


def test_the_demo_needs_no_screen_and_no_extra_and_says_what_came_of_it_with_its_caveats(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", BARE_PYTHON, "drive", "--demo"], capture_output=True, text=True, cwd=tmp_path, env=BARE,
        check=True,
    )  # fmt: skip
    said = done.stdout
    lines = said.splitlines()
    assert lines[0] == "careless drives along road 0; a synthetic person watches."
    head = next(number for number, line in enumerate(lines) if line.startswith("driver"))
    assert lines[head].split()[:3] == ["driver", "time", "progress"]
    assert re.fullmatch(r"careless +60 s +\d+% +\d+ +\d+ +\d+ +\d+ +(\d\.\d s|--)", lines[head + 1])
    assert re.search(r"^ +\d+\.\d s  a hazard begins$", said, re.MULTILINE)
    assert re.search(r"^ +\d+\.\d s  detected, [012]\.\d s later$", said, re.MULTILINE)
    assert re.search(r"^attention: .* SD of their own baseline", said, re.MULTILINE)
    assert "emotion (experimental)" in said
    assert lines[-3].startswith("The person is synthetic and the road a toy")
    assert lines[-2:] == list(CAVEATS.values())
    assert not list(tmp_path.iterdir())


def test_one_seed_is_one_drive(drives):
    folder, said = drives
    again = brainloop("drive", "--seed", 3, "--seconds", 8, "--record", "again", cwd=folder)
    assert read_drive(folder / "again") == read_drive(folder / "first")
    assert _figures(again) == _figures(said)


def _figures(said):
    return [line for line in said.splitlines() if not line.startswith(("Film", "Recorded"))]


def test_a_recorded_drive_is_told_again_and_filmed(drives, tmp_path):
    folder, said = drives
    again = brainloop("drive", "replay", folder / "first", "--film", tmp_path / "again.gif")
    assert _figures(again) == _figures(said)
    assert (tmp_path / "again.gif").read_bytes() == (folder / "first.gif").read_bytes()
    with Image.open(tmp_path / "again.gif") as film:
        assert film.n_frames >= 80
    found = summary(read_drive(folder / "first").instants)
    assert f"{found.collisions:10d}  {found.hazards:7d}  {found.hits:8d}" in said


def test_nothing_is_written_over_but_with_force(drives):
    folder, _ = drives
    before = (folder / "first.gif").read_bytes()
    said = brainloop("drive", "replay", "first", "--film", "first.gif", expect=1, cwd=folder)
    assert "first.gif is there already; name another file, or give --force" in said
    said = brainloop("drive", "film", "first.gif", "careful", expect=1, cwd=folder)
    assert "first.gif is there already" in said
    said = brainloop("drive", "--record", "first", expect=1, cwd=folder)
    assert "RecordingError: first holds a recorded drive already" in said
    assert (folder / "first.gif").read_bytes() == before
    (folder / "old.gif").write_bytes(b"")
    brainloop("drive", "film", "old.gif", "careful", "--seconds", 1, "--force", cwd=folder)
    assert (folder / "old.gif").read_bytes().startswith(b"GIF")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--driver", "drunk"], "expected careless, careful or the file of a trained driver; 'drunk' came"),
        (["--headless", "--watcher", "key"], "--watcher key is a person, who needs to see the road: give --page"),
        (["--watcher", "headset"], "give --page as well"),
        (["--page", "--record", "r"], "for a drive without a page; on the page, tick 'record'"),
        (["--page", "--driver", "drunk"], "'drunk' came"),
        (["replay", "nowhere"], "RecordingError: expected a drive that brainloop recorded in nowhere"),
        (["frames", "."], "expected a folder that is not there yet"),
        (["film", "x.gif", "drunk"], "'drunk' came"),
        (
            ["--seed", "3", "film", "x.gif", "careful"],
            "--seed before `film` is for a drive; options of `film` come after",
        ),
    ],
)
def test_a_mistake_is_one_message(words, expected, tmp_path):
    assert expected in brainloop("drive", *words, expect=1, cwd=tmp_path)
    assert not list(tmp_path.iterdir())


def test_drivers_are_filmed_side_by_side_a_trained_one_by_its_file(tmp_path):
    bias = np.array([0.0, 0.0, 1.0])
    Agent(((np.zeros((N_OBSERVED, 3)), bias),), {}).save(tmp_path / "rusher.safetensors")
    said = brainloop("drive", "film", "both.gif", "rusher.safetensors", "careful", "--seconds", 3, cwd=tmp_path)
    assert re.match(r"rusher: \d collisions, \d+% of the limit\ncareful: 0 collisions, \d+% of the limit\n", said)
    with Image.open(tmp_path / "both.gif") as film:
        assert film.width > 640
        assert film.n_frames >= 30


def test_frames_are_a_pool_of_hazards_and_clear_roads(tmp_path):
    said = brainloop("drive", "frames", tmp_path / "frames", "--count", 40, "--seed", 2)
    assert "6 pictures with a hazard, 34 without" in said
    assert len(list((tmp_path / "frames" / "hazard").glob("*.png"))) == 6
    assert len(list((tmp_path / "frames" / "clear").glob("*.png"))) == 34
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


def test_on_a_terminal_a_line_tells_how_it_is_going(tmp_path):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "brainloop", "drive", "--headless", "--seconds", "3"],
        stdout=subprocess.DEVNULL, stderr=theirs, env=BARE | {"TERM": "xterm", "COLUMNS": "120"}, cwd=tmp_path,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # a closed terminal is an error to read from
        pass
    os.close(ours)
    assert process.wait() == 0
    assert re.search(r"\d\.\d s +\d+ km/h +hazard [█·]{8} +attention .{5} +emotion", shown.decode())


def test_with_a_page_the_link_leads_to_the_drive(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "brainloop", "drive", "--page", "--seed=4", "--watcher=key", "--driver=careful"],
        stdout=subprocess.PIPE, text=True, env=BARE, cwd=tmp_path,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        (link,) = re.findall(r"http://127\.0\.0\.1:\d+/drive\?\S+", line)
        for part in ("driver=careful", "watcher=key", "seed=4", "seconds=60", "start=1", "token="):
            assert part in link
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())  # the key becomes a cookie
        with browser.open(link) as page:
            assert b'id="drive"' in page.read()
            assert "seed=4" in page.url
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(link.partition("?")[0])
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def test_training_a_driver_says_how_it_drives_on_roads_it_has_not_seen(tmp_path):
    said = brainloop("drive", "train", "--reward", "brain", "--steps", 4000, "--out", "agent.safetensors", cwd=tmp_path)
    assert re.search(
        r"agent.safetensors: on \d+ roads that it had not seen, \d+\.\d% end in a collision, at \d+%", said
    )
    assert Agent.load(tmp_path / "agent.safetensors").facts
    assert "is there already" in brainloop(
        "drive", "train", "--reward", "plain", "--out", "agent.safetensors", expect=1, cwd=tmp_path
    )


def test_of_a_person_with_a_key_no_state_is_told_and_nobody_is_called_synthetic(tmp_path):
    facts = DriveFacts(0, 5.0, "careful", "a person with the space bar")
    list(record(Drive(0, SCRIPTED["careful"], KeyWatcher(), seconds=5), tmp_path / "key", facts))
    said = brainloop("drive", "replay", tmp_path / "key").splitlines()
    assert said[0] == "careful drives along road 0; a person with the space bar watches."
    assert said[-3:-1] == ["attention: not available", "emotion (experimental): not available"]
    assert said[-1].startswith("The road is a toy")


def test_the_responses_of_a_recording_watch(recordings, tmp_path):
    said = brainloop("drive", "--recordings", recordings, "--seconds", 20, "--record", tmp_path / "kept").splitlines()
    assert said[0] == "careless drives along road 0; a recorded person watches."
    assert "The responses are real ones" in said[-2]
    instants = read_drive(tmp_path / "kept").instants
    assert sum(len(one.heard) for one in instants) >= 36
    asked = brainloop("drive", "--recordings", recordings, "--page", expect=1)
    assert "without a page" in asked


def test_a_drive_that_is_killed_can_be_replayed(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "brainloop", "drive", "--seconds", "600", "--record", "cut"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=BARE, cwd=tmp_path,
    )  # fmt: skip
    lines = tmp_path / "cut" / "instants.jsonl"
    while process.poll() is None and not (lines.exists() and lines.stat().st_size > 20_000):
        time.sleep(0.02)
    process.kill()
    process.wait()
    seen = len(read_drive(tmp_path / "cut").instants)
    assert 10 < seen < 6000
    assert json.loads((tmp_path / "cut" / "drive.json").read_text())["seconds"] == 600
    assert f"{seen / 10:4.0f} s" in brainloop("drive", "replay", "cut", cwd=tmp_path)
