import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainloop.eeg.dejitter import dejitter

SFREQ = 250.0


def packets(rng, n, size=8, late=0.03):
    """How late each sample's stamp is: packets of samples, each late by itself."""
    return np.repeat(rng.uniform(0, late, -(-n // size)), size)[:n]


def test_regular_stamps_stay_as_they_are():
    stamps = 1000 + np.arange(5000) / SFREQ
    times, rate = dejitter(stamps, SFREQ)
    np.testing.assert_allclose(times, stamps, atol=1e-9)
    assert rate == pytest.approx(SFREQ)


def test_jitter_is_taken_out_and_the_true_rate_is_found():
    rng = np.random.default_rng(0)
    true = np.arange(50_000) / 250.4
    times, rate = dejitter(true + packets(rng, len(true)), SFREQ)
    assert rate == pytest.approx(250.4, rel=1e-5)
    assert np.ptp(times - true) < 1e-3
    np.testing.assert_allclose(np.diff(times), 1 / rate, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(places=st.lists(st.integers(5, 4990), min_size=1, max_size=4, unique=True), lengths=st.integers(1, 600))
def test_every_lost_sample_of_a_stream_without_jitter_stays_a_gap(places, lengths):
    places = sorted(places)
    places = [place for i, place in enumerate(places) if i == 0 or place - places[i - 1] > 5]
    lost = np.zeros(5000, dtype=int)
    lost[places] = lengths
    stamps = (np.arange(5000) + np.cumsum(lost)) / SFREQ
    np.testing.assert_allclose(dejitter(stamps, SFREQ)[0], stamps, atol=1e-6)


def test_a_short_loss_in_a_jittered_stream_stays_a_gap_at_its_place():
    rng = np.random.default_rng(1)
    true = np.arange(30_000) / SFREQ
    true[10_000:] += 0.1
    true[22_000:] += 2.5
    times, _ = dejitter(true + packets(rng, len(true)), SFREQ)
    assert np.abs(times - true - np.median(times - true)).max() < 4e-3
    gaps = np.flatnonzero(np.diff(times) > 1.5 / SFREQ)
    assert len(gaps) == 2
    assert np.abs(gaps - [9_999, 21_999]).max() <= 8  # a packet


def test_a_packet_that_comes_late_is_no_loss():
    stamps = np.arange(5000) / SFREQ
    late = stamps.copy()
    late[2000:2040] += 0.4
    times, _ = dejitter(late, SFREQ)
    assert np.abs(np.diff(times) - 1 / SFREQ).max() < 1e-4
    assert np.abs(times - stamps).max() < 0.01


def test_a_clock_that_is_set_back_is_a_loss_too():
    stamps = np.arange(5000) / SFREQ
    stamps[2500:] -= 0.3
    np.testing.assert_allclose(dejitter(stamps, SFREQ)[0], stamps, atol=1e-6)


@pytest.mark.parametrize("n", [2, 3, 100])
def test_a_short_stream_is_a_line(n):
    stamps = 5 + np.arange(n) / SFREQ
    times, rate = dejitter(stamps, SFREQ)
    np.testing.assert_allclose(times, stamps)
    assert rate == pytest.approx(SFREQ)
