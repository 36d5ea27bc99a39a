"""Over real LSL streams, each test's found by an id of its own."""

import json
import time
import uuid
import xml.etree.ElementTree as ET

import numpy as np
import pylsl
import pytest
from pylsl import local_clock

from brainloop.eeg.epochs import Epocher, Rejection, cut
from brainloop.eeg.signal import Signal
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.eeg.wearer_stream import DISPLAY, WearerStream
from brainloop.errors import SettingsError

SFREQ = 250.0
WEARER = SyntheticWearer(3, p300=200e-6)


class Inlet:
    """Whoever records the wearer: keeps everything, with its timestamps."""

    def __init__(self, source_id):
        (found,) = pylsl.resolve_byprop("source_id", source_id, timeout=10)
        self._inlet = pylsl.StreamInlet(found, processing_flags=pylsl.proc_clocksync | pylsl.proc_monotonize)
        self.xml = ET.fromstring(self._inlet.info().as_xml())
        self._inlet.open_stream()
        self.times, self.data = np.zeros(0), np.zeros((9, 0))

    def listen(self, seconds):
        until = local_clock() + seconds
        while local_clock() < until:
            samples, times = self._inlet.pull_chunk(timeout=0.05)
            if len(times):
                self.times = np.concatenate([self.times, times])
                self.data = np.concatenate([self.data, np.array(samples).T], axis=1)

    def close(self):
        self._inlet.close_stream()

    @property
    def eeg(self):
        return 1e-6 * self.data[:8]


@pytest.fixture
def tag():
    return uuid.uuid4().hex


@pytest.fixture
def stream(tag):
    with WearerStream(
        WEARER, lambda path: path.startswith("rose/"), source_id=f"wearer-{tag}", markers=f"markers-{tag}"
    ) as running:
        yield running


@pytest.fixture
def inlet(stream):
    opened = Inlet(stream.source_id)
    yield opened
    opened.close()


@pytest.fixture
def outlet(tag, stream):
    """A marker stream as ours is, by pylsl alone."""
    made = pylsl.StreamOutlet(pylsl.StreamInfo("m", "Markers", 1, 0.0, pylsl.cf_string, f"markers-{tag}"))
    wait_for(made.have_consumers)
    return made


def wait_for(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.02)


def show(outlet, path, onset, **more):
    outlet.push_sample([json.dumps({"event": "presentation", "t": onset, "image": path, **more})], onset)


def test_the_stream_says_what_a_headset_says(inlet):
    described = inlet.xml.findall("./desc/channels/channel")
    assert [one.findtext("label") for one in described] == [*WEARER.channels, "Photo"]
    assert {one.findtext("type") for one in described[:8]} == {"EEG"}
    assert described[8].findtext("type") != "EEG"
    assert {one.findtext("unit") for one in described[:8]} == {"microvolts"}
    assert inlet.xml.findtext("./desc/manufacturer") == "brainloop"
    assert float(inlet.xml.findtext("nominal_srate")) == SFREQ


def test_targets_evoke_a_p300_and_others_do_not_and_each_lights_the_sensor(stream, inlet, outlet):
    begin = local_clock() + 1.5
    onsets = begin + 0.55 * np.arange(8)
    is_target = np.arange(8) % 3 == 1
    for onset, target in zip(onsets, is_target, strict=True):
        inlet.listen(onset + 0.03 - local_clock())  # a marker comes after its image
        show(outlet, "rose/1.jpg" if target else "tulip/rose.jpg", onset, target=not target)  # which says nothing
    inlet.listen(1.3)
    assert stream.counts.presentations == 8
    assert stream.counts.targets == stream.counts.noticed == is_target.sum()
    assert stream.counts.late == stream.counts.unreadable == 0
    np.testing.assert_allclose(np.diff(inlet.times), 1 / SFREQ, atol=1e-4)
    epochs = cut(inlet.times, inlet.eeg, onsets, SFREQ, Signal())
    assert epochs.usable.all()
    window = (Signal().times(SFREQ) > 0.3) & (Signal().times(SFREQ) < 0.6)  # before the next image's P300
    peak = epochs.data[:, WEARER.channels.index("Pz"), window].max(axis=1)
    assert peak[is_target].min() > 60e-6 > peak[~is_target].max()
    light = inlet.data[8] > 0.5
    rising = inlet.times[1:][light[1:] & ~light[:-1]]
    np.testing.assert_allclose(rising, onsets + DISPLAY, atol=0.008)


def test_a_latency_that_the_marker_includes_is_taken_out_again(inlet, outlet):
    onset = local_clock()
    show(outlet, "tulip/1.jpg", onset + 0.025, latency=0.025)
    inlet.listen(0.5)
    lit = inlet.times[inlet.data[8] > 0.5]
    assert lit[0] == pytest.approx(onset + DISPLAY, abs=0.008)


def test_images_that_never_came_on_and_other_events_are_not_seen(stream, outlet):
    show(outlet, "rose/1.jpg", local_clock(), flaw="missed")
    outlet.push_sample([json.dumps({"event": "press", "t": 0.0})])
    endless = '{"event": "presentation", "image": "rose/1.jpg", "latency": NaN}'
    for nonsense in ("no json", "[]", "7", '{"event": "presentation"}', '{"no": "event"}', endless):
        outlet.push_sample([nonsense])
    show(outlet, "rose/1.jpg", local_clock(), flaw="late")
    wait_for(lambda: stream.counts.presentations == 1)
    assert stream.counts.unreadable == 6


def test_a_marker_that_comes_too_late_is_counted(stream, outlet):
    show(outlet, "rose/1.jpg", local_clock() - 2.0)
    wait_for(lambda: stream.counts.presentations == 1)
    assert stream.counts.late == 1


def test_a_marker_stream_that_ends_and_begins_anew_is_found_again(stream, tag):
    for number in range(2):
        made = pylsl.StreamOutlet(pylsl.StreamInfo("m", "Markers", 1, 0.0, pylsl.cf_string, f"markers-{tag}"))
        wait_for(made.have_consumers)
        wait_for(lambda: f"markers-{tag}" in (stream.listens_to or ""))
        show(made, "rose/1.jpg", local_clock())
        wait_for(lambda n=number: stream.counts.presentations == n + 1)
        del made


def test_lost_samples_are_a_gap_in_the_timestamps_and_reject_the_epochs_over_it(stream, inlet):
    inlet.listen(1.5)
    stream.gap(0.3)
    inlet.listen(1.5)
    steps = np.diff(inlet.times)
    gap = steps.argmax()
    assert 0.28 < steps[gap] < 0.35
    assert np.delete(steps, gap).max() < 1.1 / SFREQ
    epocher = Epocher(SFREQ, 8, Signal(settle=0.1))
    epochs = epocher.push(inlet.times, inlet.eeg, (inlet.times[gap] - 0.2,))
    assert epochs.rejected == (Rejection.GAP,)


def test_a_clock_that_jumps_shows_in_the_timestamps(stream, inlet):
    inlet.listen(0.5)
    stream.jump(2.0)
    inlet.listen(0.5)
    steps = np.diff(inlet.times)
    assert steps.max() == pytest.approx(2.0, abs=0.02)
    assert (steps > 0.1).sum() == 1


def test_a_stream_that_vanishes_comes_back_to_the_same_inlet(stream, inlet):
    inlet.listen(0.5)
    stream.drop(1.0)
    before = len(inlet.times)
    deadline = time.monotonic() + 20
    while len(inlet.times) < before + 250 and time.monotonic() < deadline:
        inlet.listen(0.2)
    assert np.diff(inlet.times).max() > 0.9
    assert abs(inlet.times[-1] - local_clock()) < 1.0


@pytest.mark.parametrize("markers", ["", "it's"])
def test_a_marker_stream_that_lsl_cannot_look_for_is_refused(markers):
    with pytest.raises(SettingsError, match="expected"):
        WearerStream(WEARER, bool, markers=markers)
