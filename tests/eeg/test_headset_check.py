import uuid
from threading import Event, Thread

import numpy as np
import pylsl
import pytest

from brainloop.eeg.headset import Chunk, HeadsetInfo, open_headset
from brainloop.eeg.headset_check import check_headset, find_mains, quality
from brainloop.errors import RecordingError

SFREQ = 250.0
NAMES = tuple(f"E{k}" for k in range(8))
INFO = HeadsetInfo("tape:1", "Tape", NAMES, ("light",), SFREQ)


def eeg(seconds=4.0, seed=0, sfreq=SFREQ):
    """Eight channels of pink EEG of about 10 uV, each with an offset of its electrode, and one that is none."""
    rng = np.random.default_rng(seed)
    n = round(seconds * sfreq)
    frequencies = np.maximum(np.fft.rfftfreq(n, 1 / sfreq), 0.5)
    pink = np.fft.irfft(np.fft.rfft(rng.normal(size=(9, n))) / frequencies**0.7, n)
    data = 1e-5 * pink / pink.std(axis=1, keepdims=True) + rng.normal(0, 5e-3, (9, 1))
    data[:8] += rng.normal(0, 1e-6, (8, n))
    return np.arange(n) / sfreq, data


def judge(times, data, info=INFO):
    return {one.name: one for one in quality(Chunk(times, data.astype(np.float32)), info)}


def test_channels_with_eeg_are_good_and_their_size_is_told():
    judged = judge(*eeg())
    assert tuple(judged) == NAMES
    assert {one.verdict for one in judged.values()} == {"good"}
    assert all(3 < one.uv < 15 and one.why == "" for one in judged.values())


@pytest.mark.parametrize(
    ("spoil", "verdict", "why"),
    [
        (lambda x, _: np.full_like(x, 1e-5), "flat", "flat (0.00 uV)"),
        (lambda x, rng: x.mean() + rng.normal(0, 1e-7, x.shape), "flat", "flat"),
        (lambda x, _: x * 20, "noisy", "noisy"),
        (lambda x, _: np.full_like(x, 0.1875), "railed", "at the end of its range (187.50 mV)"),
        (lambda x, rng: np.clip(x.mean() + 1e-3 * rng.normal(size=x.shape), None, x.mean()), "railed", "range"),
        (lambda x, _: np.full_like(x, np.nan), "flat", "without values"),
    ],
)
def test_a_channel_that_is_none_is_told_with_the_reason(spoil, verdict, why):
    times, data = eeg()
    data[3] = spoil(data[3], np.random.default_rng(1))
    judged = judge(times, data)
    assert judged["E3"].verdict == verdict
    assert why in judged["E3"].why
    assert {one.verdict for name, one in judged.items() if name != "E3"} == {"good"}


def test_a_headset_that_lies_on_the_desk_is_noisy_everywhere():
    times, data = eeg()
    assert {one.verdict for one in judge(times, 100 * data).values()} <= {"noisy", "railed"}


def test_bridged_channels_are_told():
    times, data = eeg()
    data[5] = data[2] + np.random.default_rng(1).normal(0, 1e-8, data.shape[1])
    assert judge(times, data)["E5"].why.startswith("bridged with E2")


def test_what_lies_before_a_gap_plays_no_part():
    times, data = eeg(seconds=8)
    data[:, :900] *= 1000
    keep = np.ones(len(times), dtype=bool)
    keep[900:950] = False
    judged = judge(times[keep], data[:, keep])
    assert {one.verdict for one in judged.values()} == {"good"}
    assert judge(times[keep][:1200], data[:, keep][:, :1200]) == {}


def test_a_channel_without_values_has_no_mains_and_hides_none():
    times, data = eeg()
    data[:8] += 2e-5 * np.sin(2 * np.pi * 50 * times)
    data[3] = np.nan
    mains = find_mains(Chunk(times, data.astype(np.float32)), INFO)
    assert (mains.hz, mains.uv[3]) == (50, 0)


def test_nothing_is_judged_of_nothing():
    nothing = Chunk(np.zeros(0), np.zeros((9, 0), dtype=np.float32))
    assert quality(nothing, INFO) == ()
    assert find_mains(nothing, INFO) is None


@pytest.mark.parametrize("hz", [49.9, 50.0, 60.1])
def test_mains_are_found_with_their_amplitude(hz):
    times, data = eeg()
    data[:8] += 2e-5 * np.arange(1, 9)[:, None] * np.sin(2 * np.pi * hz * times)
    mains = find_mains(Chunk(times, data.astype(np.float32)), INFO)
    assert mains.hz == round(hz, -1)
    np.testing.assert_allclose(mains.uv, 20 * np.arange(1, 9), rtol=0.1)


@pytest.mark.parametrize("seed", range(20))
def test_eeg_without_mains_has_none(seed):
    times, data = eeg(seed=seed)
    assert find_mains(Chunk(times, data.astype(np.float32)), INFO) is None


def test_a_rate_too_low_for_mains_shows_none():
    times, data = eeg(sfreq=100.0)
    slow = HeadsetInfo("tape:1", "Tape", NAMES, ("light",), 100.0)
    assert find_mains(Chunk(times, data.astype(np.float32)), slow) is None


def test_a_headset_is_watched_over_lsl():
    source = f"test-{uuid.uuid4()}"
    info = pylsl.StreamInfo("amp", "EEG", 8, SFREQ, "float32", source)
    outlet = pylsl.StreamOutlet(info)
    ended = Event()
    _, data = eeg(seconds=20)

    def send():
        sent, start = 0, pylsl.local_clock()
        while not ended.wait(0.02):
            due = int((pylsl.local_clock() - start) * SFREQ)
            for k in range(sent, due):
                if not 225 <= k < 250:  # lost on the way
                    outlet.push_sample((1e6 * data[:8, k % data.shape[1]]).tolist(), start + k / SFREQ)
            sent = due

    thread = Thread(target=send)
    thread.start()
    headset = open_headset(f"lsl:{source}")
    told = []
    try:
        check = check_headset(headset, 5.0, lambda done, total: told.append((done, total)))
    finally:
        headset.close()
        ended.set()
        thread.join()
    assert check.rate == pytest.approx(SFREQ, rel=1e-3)
    assert (check.gaps, check.lost_s) == (1, pytest.approx(0.1, abs=2e-3))
    assert 0 <= check.delay < 0.5
    assert check.mains is None
    assert [one.verdict for one in check.channels] == ["good"] * 8
    assert told[-1][1] == 50
    assert sorted(told) == told


def test_a_headset_that_sends_nothing_is_told_of():
    source = f"test-{uuid.uuid4()}"
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo("amp", "EEG", 2, SFREQ, "float32", source))
    headset = open_headset(source)
    with pytest.raises(RecordingError, match=r"no samples came from amp in 0\.3 s"):
        check_headset(headset, 0.3)
    headset.close()
    del outlet
