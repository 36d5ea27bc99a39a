import mne
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal as sps

from brainloop.eeg.band_power import ALPHA, BANDS, BETA, THETA, asymmetry, band_powers, engagement, swing
from brainloop.errors import SettingsError


def sine(frequency, amplitude, sfreq=256.0, phase=np.pi / 2):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(sfreq)) / sfreq + phase)[None]


@pytest.mark.parametrize(("band", "frequency"), [("theta", 6), ("alpha", 10), ("beta", 20), ("fast", 40)])
def test_a_sine_wave_has_half_its_squared_amplitude_in_its_own_band_and_nothing_elsewhere(band, frequency):
    powers = dict(zip(BANDS, band_powers(sine(frequency, 10e-6), 256.0)[0], strict=True))
    assert powers.pop(band) == pytest.approx(0.5 * 10e-6**2, rel=1e-3)
    assert max(powers.values()) < 1e-3 * 0.5 * 10e-6**2


@pytest.mark.parametrize("sfreq", [125.0, 250.0, 256.0, 512.0])
def test_powers_are_those_of_scipys_welch_over_the_same_segments(sfreq):
    half = round(sfreq / 2)
    data = np.random.default_rng(0).standard_normal((3, 8 * half)) + np.linspace(5, 80, 8 * half)
    ours = np.mean([band_powers(data[:, k * half : (k + 2) * half], sfreq) for k in range(7)], axis=0)
    frequencies, density = sps.welch(data, sfreq, nperseg=2 * half, noverlap=half, detrend="linear")
    for (low, high), power in zip(BANDS.values(), ours.T, strict=True):
        inside = (frequencies >= low - 0.01) & (frequencies < high - 0.01)
        np.testing.assert_allclose(power, density[:, inside].sum(axis=1) * frequencies[1], rtol=1e-10)


def test_from_theta_up_powers_are_those_of_mne_which_takes_out_the_mean_only():
    data = np.random.default_rng(1).standard_normal((2, 256 * 60))
    ours = np.mean([band_powers(data[:, k * 128 : k * 128 + 256], 256.0) for k in range(119)], axis=0)
    density, frequencies = mne.time_frequency.psd_array_welch(
        data, 256.0, n_fft=256, n_overlap=128, window="hann", verbose="error"
    )
    for (low, high), power in list(zip(BANDS.values(), ours.T, strict=True))[THETA:]:
        inside = (frequencies >= low) & (frequencies < high)
        np.testing.assert_allclose(power, density[:, inside].sum(axis=1), rtol=0.02)


def test_a_drifting_electrode_adds_nothing():
    rhythm = sine(10, 10e-6)
    drifting = rhythm + np.linspace(-3e-3, 5e-3, 256)
    np.testing.assert_allclose(band_powers(drifting, 256.0), band_powers(rhythm, 256.0), rtol=1e-6)


@pytest.mark.parametrize("mains", [50, 60])
def test_mains_of_a_fifth_of_a_millivolt_add_nothing_from_theta_up(mains):
    rhythm = np.random.default_rng(2).standard_normal((1, 256)) * 10e-6
    both = rhythm + sine(mains, 200e-6)
    np.testing.assert_allclose(band_powers(both, 256.0)[:, THETA:], band_powers(rhythm, 256.0)[:, THETA:], rtol=0.02)
    np.testing.assert_allclose(swing(both, 256.0), swing(rhythm, 256.0), rtol=0.05)


def test_the_swing_of_a_sine_wave_is_twice_its_amplitude():
    assert swing(sine(10, 30e-6, phase=np.pi / 2), 256.0)[0] == pytest.approx(60e-6, rel=0.05)


@given(st.lists(st.floats(1e-14, 1e-8), min_size=15, max_size=15), st.floats(1e-3, 1e12))
def test_neither_index_knows_volts_from_microvolts(values, scale):
    powers = np.array(values).reshape(3, 5)
    assert engagement(scale * powers) == pytest.approx(engagement(powers), abs=1e-9)
    assert asymmetry(scale * powers[:2]) == pytest.approx(asymmetry(powers[:2]), abs=1e-9)


def test_engagement_is_the_mean_log_ratio_of_beta_to_alpha_and_theta():
    powers = np.ones((2, 5))
    powers[0, [THETA, ALPHA, BETA]] = 1.0, 3.0, 8.0  # log 2
    powers[1, [THETA, ALPHA, BETA]] = 2.0, 2.0, 4.0  # log 1
    assert engagement(powers) == pytest.approx(np.log(2) / 2)


def test_asymmetry_is_positive_where_the_right_side_has_more_alpha():
    left, right = sine(10, 5e-6), sine(10, 10e-6)
    assert asymmetry(band_powers(np.concatenate([left, right]), 256.0)) == pytest.approx(np.log(4), rel=1e-6)
    assert asymmetry(band_powers(np.concatenate([right, left]), 256.0)) == pytest.approx(-np.log(4), rel=1e-6)


def test_a_sampling_rate_without_the_highest_band_is_refused():
    with pytest.raises(SettingsError, match="above 90 Hz"):
        band_powers(np.zeros((1, 80)), 80.0)
