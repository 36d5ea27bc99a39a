import time

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from brainloop.cli_timing import add_commands
from brainloop.eeg.headset import Chunk, HeadsetInfo
from brainloop.eeg.recorder import Recorder
from brainloop.errors import RecordingError
from brainloop.study import Study

SFREQ = 250.0
DRAWN = 3 + 0.2 * np.arange(40)


class LightSensor:
    """A headset whose second auxiliary channel is half way up 25 ms after each frame, all in one chunk."""

    def __init__(self):
        self.info = HeadsetInfo("lsl:x", "x", ("Cz",), ("Trigger", "Photo"), SFREQ)
        times = np.arange(0, DRAWN[-1] + 2, 1 / SFREQ)
        light = sum((times > frame + 0.025) & (times < frame + 0.125) for frame in DRAWN)
        self._chunks = [Chunk(times, np.stack([0 * times, 0 * times, light]).astype(np.float32))]

    def pull(self):
        return self._chunks.pop() if self._chunks else Chunk(np.zeros(0), np.zeros((3, 0), dtype=np.float32))

    def close(self):
        pass


def record(folder, patch):
    recorder = Recorder(folder, {}, LightSensor())
    recorder.start()
    recorder.event("block", 0.0, block=1, patch=patch)
    for frame in DRAWN:
        recorder.event("presentation", frame, block=1, flaw=None)
    while recorder.status.samples == 0:
        time.sleep(0.01)
    recorder.close()


@pytest.fixture
def study(tmp_path, photographs):
    return Study.create(tmp_path / "study", images=str(photographs), target="rose")


@pytest.fixture
def app():
    made = typer.Typer()
    made.callback()(lambda: None)
    add_commands(made)
    return made


def test_the_last_session_with_the_patch_on_is_measured_and_the_delay_stored(study, app):
    record(study.folder / "people" / "ada" / "20260101T100000000", patch=True)
    record(study.folder / "people" / "bob" / "20260102T100000000", patch=False)
    done = CliRunner().invoke(app, ["timing-check", str(study.folder), "--channel", "Photo"], catch_exceptions=False)
    assert "ada/20260101T100000000: 40 flashes, 0 frames without one" in done.output
    assert "#" in done.output
    stored = study.store.fact("display")
    assert stored["offset"] == pytest.approx(0.025, abs=0.002)
    assert stored["n"] == 40
    assert set(stored) == {"offset", "sd", "n", "when"}


def test_without_a_patch_there_is_nothing_to_measure(study, app):
    record(study.folder / "people" / "bob" / "20260102T100000000", patch=False)
    with pytest.raises(RecordingError, match="found 1 without: switch the patch on"):
        CliRunner().invoke(app, ["timing-check", str(study.folder)], catch_exceptions=False)
    assert study.store.fact("display") is None


def test_the_channel_must_be_named_where_there_are_several(study, app):
    record(study.folder / "people" / "ada" / "20260101T100000000", patch=True)
    with pytest.raises(RecordingError, match="auxiliary channels are: Trigger, Photo"):
        CliRunner().invoke(app, ["timing-check", str(study.folder), "--person", "ada"], catch_exceptions=False)
