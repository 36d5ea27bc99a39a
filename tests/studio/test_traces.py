import numpy as np
import pytest

from brainloop.eeg.headset import Chunk, HeadsetInfo
from brainloop.studio.traces import draw

INFO = HeadsetInfo("lsl:test", "test", ("Cz", "Pz"), ("Photo",), 500.0)


def chunk(seconds=4.0, offset=1e-3):
    times = 10 + np.arange(round(seconds * 500)) / 500
    wave = 20e-6 * np.sin(2 * np.pi * 2 * times)
    return Chunk(times, np.stack([offset + wave, np.full_like(wave, np.nan), wave]).astype(np.float32))


def test_traces_are_microvolts_without_the_electrodes_offset():
    drawn = draw(chunk(), INFO)
    assert drawn["channels"] == ["Cz", "Pz"]
    assert drawn["sfreq"] == 100.0
    points = np.array(drawn["uv"][0])
    times = drawn["t"] + np.arange(len(points)) / drawn["sfreq"]
    assert points == pytest.approx(20 * np.sin(2 * np.pi * 2 * (times + 0.004)), abs=0.5)
    assert times[-1] + 0.01 == pytest.approx(14.0, abs=0.003)


def test_a_channel_without_values_is_drawn_as_a_line_and_hurts_no_other():
    assert set(draw(chunk(), INFO)["uv"][1]) == {0.0}


def test_mains_does_not_fold_back_into_the_drawing():
    times = np.arange(2000) / 500
    hum = (50e-6 * np.sin(2 * np.pi * 100 * times)).astype(np.float32)
    drawn = draw(Chunk(times, np.stack([hum, hum, hum])), INFO)
    assert np.abs(drawn["uv"]).max() < 1.0


def test_nothing_is_drawn_before_anything_came():
    assert draw(Chunk(np.zeros(0), np.zeros((3, 0), dtype=np.float32)), INFO) is None
