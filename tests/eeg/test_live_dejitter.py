import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainloop.eeg.live_dejitter import HOLD, LiveDejitter

SFREQ = 250.0
PERIOD = 1 / SFREQ
N = round(60 * SFREQ)
TRUE = 100 + np.arange(N) * PERIOD


def smooth(stamps, chunk=7, sfreq=SFREQ):
    dejitter = LiveDejitter(sfreq)
    parts = [dejitter(stamps[begin : begin + chunk]) for begin in range(0, len(stamps), chunk)]
    return np.concatenate(parts)


def without(*losses):
    keep = np.ones(N, dtype=bool)
    for at, length in losses:
        keep[round(at * SFREQ) : round(at * SFREQ) + length] = False
    return TRUE[keep]


def gaps(times):
    return np.flatnonzero(np.abs(np.diff(times) - PERIOD) > PERIOD / 2) + 1


def packets(times, seed, jitter, size=12, lost=()):
    """Stamp samples at the arrival of their packet, late by an exponential delay."""
    rng = np.random.default_rng(seed)
    number = np.round((times - TRUE[0]) / PERIOD).astype(int) // size
    arrival = TRUE[0] + (np.arange(number[-1] + 1) * size + size - 1) * PERIOD
    arrival = np.maximum.accumulate(arrival + rng.exponential(jitter, len(arrival)))
    return arrival[number]


def test_true_stamps_stay_as_they_are():
    times = smooth(TRUE)
    np.testing.assert_allclose(times, TRUE, atol=1e-9)


@pytest.mark.parametrize("off", [0.99, 0.999, 1.005, 1.01])
def test_a_rate_that_is_off_is_followed(off):
    stamps = TRUE[0] + (TRUE - TRUE[0]) * off
    np.testing.assert_allclose(smooth(stamps), stamps, atol=1e-6)


@pytest.mark.parametrize("length", [1, 2, 125, 1250])
def test_lost_samples_are_a_gap_where_they_were_lost(length):
    true = without((30, length))
    times = smooth(true + np.random.default_rng(0).uniform(0, 1e-4, len(true)))
    assert gaps(times).tolist() == [round(30 * SFREQ)]
    np.testing.assert_allclose(times, true, atol=2e-4)


def test_stamps_that_come_late_are_no_gap():
    stamps = TRUE.copy()
    stamps[5000:5010] += 0.02
    times = smooth(stamps)
    np.testing.assert_allclose(times, TRUE, atol=1e-3)


def test_samples_of_a_stall_that_come_in_one_burst_keep_their_times():
    stamps = TRUE.copy()
    stamps[5000:5200] = stamps[5200]
    np.testing.assert_allclose(smooth(stamps), TRUE, atol=1e-3)


@pytest.mark.parametrize(("jitter", "off"), [(0.003, 0.002), (0.02, 0.012)])
def test_packets_stamped_as_they_arrive_become_regular(jitter, off):
    stamps = packets(TRUE, 0, jitter)
    times = smooth(stamps)
    assert len(gaps(times)) == 0
    settled = (times - TRUE)[round(5 * SFREQ) :]
    assert np.abs(settled - np.median(settled)).max() < off


def test_lost_packets_of_a_stream_with_jitter_are_a_gap():
    true = without((30, 120))
    times = smooth(packets(true, 1, 0.01))
    assert len(gaps(times)) == 1
    assert abs(gaps(times)[0] - 30 * SFREQ) < 0.1 * SFREQ


def test_a_lost_packet_within_the_jitter_is_a_gap_soon_after():
    true = without((30, 12))
    times = smooth(packets(true, 2, 0.005))
    assert len(gaps(times)) == 1
    assert 0 <= gaps(times)[0] / SFREQ - 30 < 1


def test_samples_that_are_known_to_be_lost_are_a_gap_at_once_whatever_the_jitter():
    true = without((30, 3))
    lost = np.where(np.arange(len(true)) == round(30 * SFREQ), 3, 0)
    dejitter = LiveDejitter(SFREQ)
    times = dejitter(packets(true, 4, 0.02), lost)
    assert gaps(times).tolist() == [round(30 * SFREQ)]
    assert np.diff(times)[round(30 * SFREQ) - 1] == pytest.approx(4 * PERIOD, abs=PERIOD / 2)


def test_a_clock_that_is_set_back_gives_no_time_twice_and_ends_as_a_gap():
    stamps = TRUE.copy()
    stamps[5000:] -= 2
    times = smooth(stamps)
    known = times[np.isfinite(times)]
    assert np.all(np.diff(known) > 0)
    assert len(gaps(known)) <= 1
    np.testing.assert_allclose(known[-100:], stamps[-100:], atol=1e-3)


def test_a_clock_that_is_set_forward_is_one_gap():
    stamps = TRUE.copy()
    stamps[5000:] += 3600
    times = smooth(stamps)
    np.testing.assert_allclose(times, stamps, atol=1e-6)


def test_no_more_is_held_back_than_a_second_holds():
    rng = np.random.default_rng(3)
    dejitter = LiveDejitter(SFREQ)
    given = 0
    for taken, stamp in enumerate(TRUE[:2000] + rng.uniform(-3, 3, 2000), 1):
        given += len(dejitter(np.array([stamp])))
        assert taken - given <= 3 * HOLD * SFREQ


@settings(deadline=None, max_examples=40)
@given(
    losses=st.lists(st.tuples(st.floats(1, 15), st.integers(1, 500)), max_size=4),
    late=st.lists(st.tuples(st.floats(1, 15), st.floats(-0.5, 0.5)), max_size=6),
    jitter=st.sampled_from([0.0, 1e-4, 2e-3, 2e-2]),
    cuts=st.lists(st.integers(1, 4999), max_size=30),
    seed=st.integers(0, 100),
)
def test_however_the_stream_is_cut_times_are_the_same_increase_and_step_by_periods_or_gaps(
    losses, late, jitter, cuts, seed
):
    true = without(*losses)[:5000]
    stamps = true + np.random.default_rng(seed).exponential(jitter, len(true)) if jitter else true.copy()
    for at, by in late:
        stamps[round(at * 200) :][:20] += by
    whole = LiveDejitter(SFREQ)(stamps)
    dejitter = LiveDejitter(SFREQ)
    parts = [dejitter(part) for part in np.split(stamps, sorted(cuts))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert np.all(np.diff(whole[np.isfinite(whole)]) > 0)
