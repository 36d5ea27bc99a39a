import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal as sps

from brainloop.eeg.signal import CausalFilter, Signal
from brainloop.errors import SettingsError


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 600), max_size=12),
    seed=st.integers(0, 1000),
    mains=st.sampled_from([None, 50.0]),
)
def test_any_way_of_cutting_the_stream_gives_what_one_call_of_sosfilt_gives(cuts, seed, mains):
    spec = Signal(mains=mains)
    data = np.random.default_rng(seed).normal(2e-3, 1e-5, (3, 600))
    chunked = CausalFilter(250.0, 3, spec)
    edges = [0, *sorted(cuts), 600]
    pieces = [chunked(data[:, a:b]) for a, b in itertools.pairwise(edges)]
    sos = spec.sos(250.0)
    zi = sps.sosfilt_zi(sos)[:, None, :] * data[None, :, :1]
    expected, _ = sps.sosfilt(sos, data, axis=1, zi=zi)
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), expected, rtol=1e-9, atol=1e-15)


def test_the_filter_is_causal():
    data = np.random.default_rng(0).normal(0, 1e-5, (2, 500))
    changed = data.copy()
    changed[:, 300:] += 1e-3
    before, after = (CausalFilter(250.0, 2, Signal())(x) for x in (data, changed))
    np.testing.assert_array_equal(before[:, :300], after[:, :300])
    assert np.abs(after[:, 300:] - before[:, 300:]).max() > 1e-5


def test_an_electrode_offset_makes_no_step_at_the_start():
    filtered = CausalFilter(250.0, 1, Signal())(np.full((1, 500), 0.3))
    assert np.abs(filtered).max() < 1e-12


@pytest.mark.parametrize("sfreq", [128.0, 250.0, 256.0, 512.0, 1000.0, 2048.0])
def test_the_band_passes_and_mains_do_not_at_every_rate(sfreq):
    _, response = sps.freqz_sos(Signal().sos(sfreq), worN=np.array([0.05, 0.5, 4.0, 20.0, 50.0, 60.0]), fs=sfreq)
    gain = 20 * np.log10(np.abs(response))
    assert gain[0] < -35  # drift
    assert gain[1] == pytest.approx(-3, abs=0.1)
    assert gain[2] == pytest.approx(0, abs=0.1)
    assert gain[3] == pytest.approx(-3, abs=0.1)
    assert (gain[4:] < -30).all()


def test_the_notch_takes_the_mains_out_altogether():
    _, response = sps.freqz_sos(Signal(mains=50.0).sos(250.0), worN=[50.0], fs=250.0)
    assert abs(response[0]) < 1e-6


@pytest.mark.parametrize("sfreq", [128.0, 250.0, 256.0, 500.0, 512.0, 1000.0, 2048.0])
def test_epochs_have_about_the_rate_asked_for_and_start_at_tmin(sfreq):
    spec = Signal(tmin=-0.1, tmax=0.8)
    times = spec.times(sfreq)
    assert times[0] == pytest.approx(-0.1, abs=0.5 / sfreq)
    assert times[-1] < 0.8
    assert 55 < 1 / np.diff(times)[0] < 70


@pytest.mark.parametrize(
    "change",
    [
        {"low": 0.0},
        {"low": 20.0},
        {"high": 40.0},
        {"mains": 10.0},
        {"tmax": 0.0},
        {"settle": -1.0},
        {"max_amplitude": 0.0},
        {"max_gradient": 0.0},
    ],
)
def test_settings_that_cannot_be_are_refused(change):
    with pytest.raises(SettingsError, match="expected"):
        Signal(**change)


def test_a_sampling_rate_too_low_for_the_band_is_refused():
    with pytest.raises(SettingsError, match="sampling rate above 40 Hz"):
        Signal().sos(25.0)


def test_a_chunk_with_other_channels_is_refused():
    with pytest.raises(SettingsError, match=r"\(3, n\)"):
        CausalFilter(250.0, 3, Signal())(np.zeros((2, 10)))
