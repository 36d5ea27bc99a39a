import time
import uuid
from dataclasses import dataclass

import numpy as np
import pylsl
import pytest

from brainloop.eeg import lsl
from brainloop.eeg.epochs import Epocher, cut
from brainloop.eeg.headset import find_headsets, open_headset
from brainloop.eeg.lsl import LslHeadset, find_streams
from brainloop.eeg.recorder import Recorder, read_session
from brainloop.eeg.signal import Signal
from brainloop.errors import RecordingError, SettingsError

SFREQ = 200.0


@dataclass
class Amplifier:
    """A real LSL outlet whose samples say their own number, in the unit of each channel."""

    name: str
    source: str
    channels: list[tuple[str, str, str]] | None = None  # label, type, unit
    kind: str = "EEG"
    layout: str = "float32"
    n_channels: int = 3

    def __post_init__(self):
        info = pylsl.StreamInfo(self.name, self.kind, self.n_channels, SFREQ, self.layout, self.source)
        if self.channels:
            described = info.desc().append_child("channels")
            for label, kind, unit in self.channels:
                channel = described.append_child("channel")
                for key, value in (("label", label), ("type", kind), ("unit", unit)):
                    if value:
                        channel.append_child_value(key, value)
        self.outlet = pylsl.StreamOutlet(info)

    def push(self, numbers, start):
        """Send samples of these numbers, with true timestamps counted from `start`."""
        for number in numbers:
            values = [float(number) if self.layout == "float32" else int(number)] * self.n_channels
            self.outlet.push_sample(values, start + number / SFREQ)


@pytest.fixture
def unique():
    return f"test-{uuid.uuid4()}"


def collect(headset, n, wait=10.0):
    """Pull until n samples are there."""
    chunks, until = [], time.monotonic() + wait
    while sum(len(chunk.times) for chunk in chunks) < n and time.monotonic() < until:
        chunks.append(headset.pull())
        time.sleep(0.005)
    return np.concatenate([c.times for c in chunks]), np.concatenate([c.data for c in chunks], axis=1)


def test_a_stream_is_found_and_described_by_its_channels(unique):
    amplifier = Amplifier(
        "amp", unique, [("trigger", "Stim", ""), ("Fz", "EEG", "microvolts"), ("Pz", "EEG", "millivolts")]
    )
    (found,) = [info for info in find_headsets(1.0) if info.id == f"lsl:{unique}"]
    headset = open_headset(found.id)
    assert headset.info == found
    assert (found.name, found.channels, found.aux, found.sfreq) == ("amp", ("Fz", "Pz"), ("trigger",), SFREQ)
    headset.close()
    del amplifier


def test_a_stream_of_another_type_with_eeg_channels_is_a_headset_and_one_without_is_none(unique):
    mixed = Amplifier("mixed", unique, [("Cz", "EEG", "uV"), ("x", "ACC", ""), ("y", "ACC", "")], kind="Biosignals")
    gaze = Amplifier("gaze", unique + "-gaze", None, kind="Gaze")
    found = {info.id: info for info in find_streams(1.0)}
    assert found[f"lsl:{unique}"].channels == ("Cz",)
    assert f"lsl:{unique}-gaze" not in found
    with pytest.raises(RecordingError, match="found none by their type"):
        LslHeadset(unique + "-gaze")
    del mixed, gaze


@pytest.mark.parametrize("layout", ["float32", "double64", "int16"])
def test_samples_come_in_volts_eeg_first_each_with_its_time(unique, layout):
    channels = [("light", "Photodiode", ""), ("Fz", "EEG", "\N{MICRO SIGN}V"), ("Pz", "EEG", "mV")]
    amplifier = Amplifier("amp", unique, channels, layout=layout)
    headset = LslHeadset(unique)
    start = pylsl.local_clock() - 2
    amplifier.push(range(300), start)
    times, data = collect(headset, 300)
    numbers = np.arange(300)
    assert data.dtype == np.float32
    np.testing.assert_allclose(times, start + numbers / SFREQ, atol=1e-3)
    np.testing.assert_allclose(data, np.outer([1e-6, 1e-3, 1.0], numbers), rtol=1e-6)
    headset.close()


def test_channels_without_a_description_are_numbered_microvolts(unique):
    amplifier = Amplifier("amp", unique)
    headset = LslHeadset(unique)
    assert headset.info.channels == ("EEG 1", "EEG 2", "EEG 3")
    amplifier.push(range(200), pylsl.local_clock())
    np.testing.assert_allclose(collect(headset, 200)[1][:, 100], 1e-4, rtol=1e-6)
    headset.close()


def test_labels_that_come_twice_are_made_unique(unique):
    amplifier = Amplifier("amp", unique, [("Cz", "EEG", ""), ("cz", "EEG", ""), ("Cz-2", "EEG", "")])
    headset = LslHeadset(unique)
    assert headset.info.channels == ("Cz", "cz-2", "Cz-2-2")
    headset.close()
    del amplifier


def test_a_stream_without_a_source_id_goes_by_its_name(unique):
    amplifier = Amplifier(unique, "")
    headset = open_headset(unique)
    assert headset.info.id == f"lsl:{unique}"
    headset.close()
    del amplifier


def test_samples_that_were_never_sent_are_a_gap_in_the_times(unique):
    amplifier = Amplifier("amp", unique)
    headset = LslHeadset(unique)
    start = pylsl.local_clock() - 5
    amplifier.push(range(400), start)
    amplifier.push(range(500, 800), start)
    times, data = collect(headset, 700)
    numbers = np.concatenate([np.arange(400), np.arange(500, 800)])
    np.testing.assert_allclose(data[0], 1e-6 * numbers, rtol=1e-6)
    np.testing.assert_allclose(times, start + numbers / SFREQ, atol=1e-3)
    headset.close()


def test_an_outlet_that_vanishes_and_comes_back_goes_on_with_a_gap(unique):
    amplifier = Amplifier("amp", unique)
    headset = LslHeadset(unique)
    start = pylsl.local_clock()
    amplifier.push(range(300), start)
    before, _ = collect(headset, 300)
    del amplifier.outlet
    time.sleep(0.5)
    assert len(headset.pull().times) == 0
    again = Amplifier("amp", unique)
    assert again.outlet.wait_for_consumers(20)
    again.push(range(1000, 1300), start)
    times, data = collect(headset, 300)
    assert before[-1] == pytest.approx(start + 299 / SFREQ, abs=1e-3)
    np.testing.assert_allclose(times, start + np.arange(1000, 1300) / SFREQ, atol=1e-3)
    np.testing.assert_allclose(data[0], 1e-6 * np.arange(1000, 1300), rtol=1e-6)
    headset.close()


def test_a_session_goes_on_over_an_outlet_that_comes_back_with_another_clock(unique, tmp_path):
    amplifier = Amplifier("amp", unique)
    headset = LslHeadset(unique)
    recorder = Recorder(tmp_path / "s", {}, headset)
    heard = recorder.subscribe()
    recorder.start()
    start = pylsl.local_clock()
    amplifier.push(range(300), start)
    until = time.monotonic() + 20
    while recorder.status.state != "silent" and time.monotonic() < until:
        time.sleep(0.05)
    del amplifier.outlet
    again = Amplifier("amp", unique)
    assert again.outlet.wait_for_consumers(20)
    again.push(range(300, 600), start + 50)
    while recorder.status.samples < 600 and time.monotonic() < until:
        time.sleep(0.05)
    recorder.close()
    headset.close()
    session = read_session(tmp_path / "s")
    np.testing.assert_allclose(session.data[0], 1e-6 * np.arange(600), rtol=1e-6)
    assert [event["event"] for event in session.events] == ["lost", "gap", "back"]
    onsets = start + np.array([0.5, 1.45, 20.0, 51.55, 52.0])
    spec = Signal(tmax=0.2, settle=0.2)
    epocher = Epocher(SFREQ, 3, spec)
    parts = [epocher.push(np.zeros(0), np.zeros((3, 0)), onsets)]
    while not heard.empty():
        chunk = heard.get()
        parts.append(epocher.push(chunk.times, chunk.data))
    offline = cut(session.times, session.data, onsets, SFREQ, spec)
    np.testing.assert_array_equal(np.concatenate([part.data for part in parts]), offline.data)
    assert offline.rejected == (None, "gap", "gap", "filter settling", None)


def test_two_streams_of_one_name_are_to_be_chosen_by_source_id(unique):
    amplifiers = [Amplifier(unique, f"{unique}-{number}") for number in (1, 2)]
    with pytest.raises(RecordingError, match=f"lsl:{unique}-1, lsl:{unique}-2"):
        LslHeadset(unique)
    LslHeadset(f"{unique}-2").close()
    del amplifiers


def test_a_stream_that_is_not_there_is_refused_with_those_that_are(unique, monkeypatch):
    monkeypatch.setattr(lsl, "CONNECT", 0.5)
    amplifier = Amplifier("amp", unique)
    with pytest.raises(RecordingError, match=f"EEG streams there are: .*lsl:{unique}"):
        open_headset("lsl:nobody's")
    with pytest.raises(SettingsError, match="expected the name of a headset"):
        open_headset("")
    del amplifier
