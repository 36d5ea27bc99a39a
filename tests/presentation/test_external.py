"""Over real LSL streams: the test is the presentation software."""

import json
import time
import uuid

import numpy as np
import pylsl
import pytest
from pylsl import local_clock

from brainloop.errors import RecordingError, StoppedError
from brainloop.presentation import external
from brainloop.presentation.block import Block
from brainloop.presentation.external import PLAN, ExternalScreen
from brainloop.presentation.screen import Screen

SOA = 0.2
BLOCK = Block(1, 4, (30, 10, 20, 50, 40), SOA)
PATHS = {10: "rose/a.png", 20: "rose/b é.png", 30: "sky/c.png", 40: "sky/d.png", 50: "sky/deep/e.png"}
ORDER = [PATHS[image] for image in BLOCK.images]


class Software:
    """What a lab's script does: take the plan, send markers stamped with the flip."""

    def __init__(self):
        self.tag = uuid.uuid4().hex
        self._markers = pylsl.StreamOutlet(pylsl.StreamInfo("own", "Markers", 1, 0.0, pylsl.cf_string, self.tag))

    def connect(self, source_id):
        (found,) = pylsl.resolve_byprop("source_id", source_id, timeout=10)
        assert found.name() == PLAN
        self._plans = pylsl.StreamInlet(found)
        self._plans.open_stream(timeout=10)

    def plan(self):
        (text,), _ = self._plans.pull_sample(timeout=10)
        return json.loads(text)

    def say(self, text, when):
        self._markers.push_sample([text], when)


@pytest.fixture
def software():
    return Software()


@pytest.fixture
def screen(software):
    opened: Screen = ExternalScreen(software.tag, PATHS.__getitem__, source_id=f"plan-{software.tag}")
    software.connect(f"plan-{software.tag}")
    yield opened
    opened.close()


def collect(showing, n, presses=0, seconds=10):
    """Poll until `n` presentations and some presses have been told of."""
    shown, pressed, happened = [], [], None
    deadline = time.monotonic() + seconds
    while len(shown) < n or len(pressed) < presses:
        assert time.monotonic() < deadline, f"{shown} {pressed}"
        happened = showing.poll(0.05)
        shown += happened.shown
        pressed += happened.presses
    return shown, pressed, happened


def test_the_plan_of_a_block_is_published_and_its_markers_are_its_onsets(screen, software):
    showing = screen.show(BLOCK)
    assert software.plan() == {"block": 4, "start": 0, "soa": SOA, "images": ORDER}
    onsets = local_clock() + SOA * np.arange(5) + [0, 0.01, -0.01, 0, 0.02]
    for path, onset in zip(ORDER, onsets, strict=True):
        software.say(path, onset)
    shown, _, happened = collect(showing, 5)
    assert [one.position for one in shown] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([one.onset for one in shown], onsets, atol=1e-3)
    assert [one.flaw for one in shown] == [None] * 5
    assert happened.over
    assert happened.until <= local_clock()


def test_markers_may_be_json_with_an_onset_of_their_own_and_paths_of_windows(screen, software):
    showing = screen.show(BLOCK)
    begin = local_clock() - 5
    software.say(json.dumps({"image": ORDER[0].replace("/", "\\"), "t": begin}), local_clock())
    software.say(json.dumps({"image": "./" + ORDER[1], "t": begin + SOA}), local_clock())
    shown, _, _ = collect(showing, 2)
    np.testing.assert_allclose([one.onset for one in shown], [begin, begin + SOA], atol=1e-3)


def test_an_image_that_was_left_out_is_missed_and_one_that_is_off_is_late(screen, software):
    showing = screen.show(BLOCK)
    begin = local_clock()
    for position, off in ((0, 0.0), (2, 0.0), (3, 0.15), (4, 0.15)):
        software.say(ORDER[position], begin + position * SOA + off)
    shown, _, _ = collect(showing, 5)
    assert [one.flaw for one in shown] == [None, "missed", None, "late", None]
    assert shown[1].planned == pytest.approx(begin + SOA, abs=1e-3)


def test_what_is_not_of_the_block_is_passed_over(screen, software):
    software.say(ORDER[0], local_clock())  # before the plan
    time.sleep(0.2)
    showing = screen.show(BLOCK, start=2)
    assert software.plan()["start"] == 2
    begin = local_clock()
    for text in ("fixation", ORDER[1], "[]", "7", '{"x": 1}', '{"image": 3}', ORDER[2], ORDER[2], ORDER[3]):
        software.say(text, begin)
    shown, _, happened = collect(showing, 2)
    assert [one.position for one in shown] == [2, 3]
    assert not happened.over


def test_presses_are_told_of_with_their_time(screen, software):
    showing = screen.show(BLOCK)
    begin = local_clock()
    software.say("press", begin)
    software.say('{"event": "press"}', begin + 1)
    _, presses, _ = collect(showing, 0, presses=2)
    np.testing.assert_allclose(presses, [begin, begin + 1], atol=1e-3)


def test_images_that_do_not_come_are_given_up_once_the_block_has_begun(screen, software, monkeypatch):
    monkeypatch.setattr(external, "PATIENCE", 0.3)
    showing = screen.show(BLOCK)
    for _ in range(10):  # whoever sits there begins when they like
        assert showing.poll(0.1).shown == ()
    software.say(ORDER[0], local_clock())
    shown, _, happened = collect(showing, 5)
    assert [one.flaw for one in shown] == [None, *["missed"] * 4]
    assert happened.over


def test_a_person_who_stops_ends_the_showing(screen, software):
    showing = screen.show(BLOCK)
    software.say("quit", local_clock())
    with pytest.raises(StoppedError, match="stopped"):
        collect(showing, 1)


def test_a_session_that_is_stopped_ends_the_showing(screen):
    showing = screen.show(BLOCK)
    screen.stop()
    with pytest.raises(StoppedError, match="stopped"):
        showing.poll(0.1)


def test_a_marker_stream_that_is_not_there_is_told_with_what_to_do():
    with pytest.raises(RecordingError, match="found 0; start the presentation software first"):
        ExternalScreen(uuid.uuid4().hex, PATHS.__getitem__, source_id=uuid.uuid4().hex)
