import numpy as np
import pytest
from scipy import signal as sps

from brainloop.eeg.quality import BAND, RATE, band_pass, find_faults
from brainloop.eeg.recordings import read_recordings
from brainloop.eeg.synthetic import SyntheticWearer


def faults(head, data):
    return find_faults([band_pass(data, head.sfreq)], head.names)


def test_clean_channels_have_no_faults(head):
    assert faults(head, head.data) == {}


@pytest.mark.parametrize("seed", range(3))
def test_the_synthetic_wearer_has_no_faults(seed):
    session = SyntheticWearer(seed).calibration(200)
    assert find_faults([band_pass(run.data, session.sfreq) for run in session.runs], session.channels) == {}


def test_a_flat_channel_is_found_at_its_amplitude(head):
    head.data[5] = 0.1e-6 * np.random.default_rng(1).normal(size=head.data.shape[1]) + 0.02
    found = faults(head, head.data)
    assert list(found) == ["F4"]
    assert found["F4"].startswith("flat (0.0")


def test_a_channel_of_the_amplifiers_own_noise_is_flat(head):
    head.data[5] = 0.4e-6 * np.random.default_rng(1).normal(size=head.data.shape[1])
    assert "flat" in faults(head, head.data)["F4"]


def test_a_noisy_channel_is_found_by_its_ratio(head):
    head.data[20] *= 9
    (name, fault), *others = faults(head, head.data).items()
    assert (name, others) == ("P7", [])
    assert float(fault.split("(")[1].split()[0]) == pytest.approx(9, rel=0.3)


def test_a_channel_three_times_as_large_as_the_others_is_kept(head):
    head.data[20] *= 3
    assert faults(head, head.data) == {}


def test_of_bridged_channels_the_first_stays(head):
    rng = np.random.default_rng(1)
    for i in (13, 22):  # Cz and Pz read what FC1 reads, each with its amplifier's noise
        head.data[i] = head.data[8] + 0.3e-6 * rng.normal(size=head.data.shape[1])
    found = faults(head, head.data)
    assert set(found) == {"Cz", "Pz"}
    assert all(fault.startswith("bridged with FC1 (they differ by 0.") for fault in found.values())


def test_what_happens_for_a_smaller_part_of_the_session_is_no_fault(head):
    n = head.data.shape[1]
    head.data[3, : n // 3] = 0.0
    head.data[4, : n // 3] *= 50
    head.data[5, : n // 3] = head.data[6, : n // 3]
    head.data[7, : n // 3] = np.nan
    assert faults(head, head.data) == {}


def test_a_channel_without_values_is_found(head):
    n = head.data.shape[1]
    head.data[7] = np.nan
    head.data[9, : n * 4 // 5] = np.inf
    assert faults(head, head.data) == {
        "FC5": "without values in 100 % of its time",
        "FC2": "without values in 80 % of its time",
    }


def test_offset_drift_and_mains_are_no_faults(head):
    times = np.arange(head.data.shape[1]) / head.sfreq
    head.data[2] += 0.05 + 1e-5 * times
    head.data[3] += 100e-6 * np.sin(2 * np.pi * 50 * times)
    assert faults(head, head.data) == {}


def test_a_recording_shorter_than_a_window_has_no_faults(head):
    assert faults(head, head.data[:, :100]) == {}


@pytest.mark.parametrize("sfreq", [128.0, 250.0, 512.0])
def test_the_band_is_that_of_scipys_filter_and_a_gap_stays_one(sfreq):
    data = 1e-5 * np.random.default_rng(0).normal(size=(2, round(20 * sfreq)))
    slow = band_pass(data, sfreq)
    assert slow.shape == (2, 20 * RATE)
    expected = data - np.median(data, axis=1, keepdims=True)
    for order, corner, kind in ((2, BAND[0], "highpass"), (4, BAND[1], "lowpass")):
        expected = sps.sosfilt(sps.butter(order, corner, kind, fs=sfreq, output="sos"), expected, axis=1)
    np.testing.assert_allclose(slow, expected[:, (np.arange(20 * RATE) * sfreq / RATE).astype(int)], atol=1e-12)
    data[1, round(5 * sfreq) : round(6 * sfreq)] = np.nan
    broken = band_pass(data, sfreq)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(broken[1])), np.arange(5 * RATE, 6 * RATE))
    np.testing.assert_array_equal(broken[0], slow[0])


def test_nothing_good_is_found_bad_in_the_shared_recordings(shared):
    for recording in read_recordings([shared / "data/eeg/gtec-speller", shared / "data/eeg/muse-oddball"]):
        assert recording.repairs == ()
        assert recording.dropped == ()
        np.testing.assert_array_equal(recording.preparation.matrix, np.eye(len(recording.channels)))
        for run in recording.runs:
            assert find_faults([band_pass(run.data, recording.sfreq)], recording.channels) == {}
