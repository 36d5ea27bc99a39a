import time

import numpy as np
import pytest

from brainloop.eeg.brainflow import BrainFlowHeadset
from brainloop.eeg.headset import open_headset
from brainloop.eeg.lsl import local_clock
from brainloop.errors import RecordingError, SettingsError


@pytest.fixture
def synthetic():
    headset = open_headset("brainflow:synthetic")
    yield headset
    headset.close()


def collect(headset, seconds):
    chunks, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        chunks.append(headset.pull())
        time.sleep(0.01)
    return chunks


def test_the_synthetic_board_streams_volts_on_the_clock_of_lsl(synthetic, capfd):
    before = local_clock()
    chunks = collect(synthetic, 1.5)
    times = np.concatenate([chunk.times for chunk in chunks])
    data = np.concatenate([chunk.data for chunk in chunks], axis=1)
    assert synthetic.info.id == "brainflow:synthetic"
    assert synthetic.info.channels[:3] == ("Fz", "C3", "Cz")
    assert synthetic.info.sfreq == 250
    assert len(synthetic.info.aux) == len(set(synthetic.info.aux)) == len(data) - 16
    assert before - 0.1 < times[0] < times[-1] < local_clock()
    assert np.all(np.abs(np.diff(times) * 250 - 1) <= 0.5)
    assert data.dtype == np.float32
    assert 1e-6 < np.abs(data[:16]).mean() < 1e-3
    assert capfd.readouterr() == ("", "")


def test_missing_packets_are_a_gap(synthetic):
    board = synthetic._board

    class Lossy:
        """The real board, but for a few of its packets that the radio lost."""

        taken = 0

        def get_board_data(self):
            came = board.get_board_data()
            place = self.taken + np.arange(came.shape[1])
            self.taken += came.shape[1]
            return came[:, (place < 200) | (place >= 204)]

    synthetic._board = Lossy()
    times = np.concatenate([chunk.times for chunk in collect(synthetic, 2)])
    synthetic._board = board
    steps = np.diff(times) * 250
    assert np.flatnonzero(steps > 1.5).tolist() == [199]
    assert steps[199] == pytest.approx(5, abs=0.5)


def test_a_board_that_nobody_knows_is_refused_with_those_that_are_known():
    with pytest.raises(SettingsError, match=r"got 'toaster'; it knows: .*cyton, .*synthetic"):
        BrainFlowHeadset("toaster")


def test_a_board_goes_by_its_number_too():
    headset = BrainFlowHeadset("-1")
    assert headset.info.name == "Synthetic"
    headset.close()


def test_a_board_that_is_not_there_says_where_it_was_looked_for():
    with pytest.raises(RecordingError, match=r"does not answer .*brainflow:cyton:/dev/ttyUSB0"):
        BrainFlowHeadset("cyton:/dev/no-such-port")
