import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainloop.eeg.epochs import HISTORY, Epocher, Rejection, cut, epoch_recording
from brainloop.eeg.recordings import Recording, Run
from brainloop.eeg.signal import CausalFilter, Signal
from brainloop.errors import RecordingError

SFREQ = 100.0
SPEC = Signal(rate=50.0, tmax=0.5, settle=0.5)


def stream(n=1000, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    return np.arange(n) / SFREQ, rng.normal(0, 2e-5, (channels, n))


def without(times, data, *gone):
    keep = np.ones(len(times), dtype=bool)
    for part in gone:
        keep[part] = False
    return times[keep], data[:, keep]


def test_an_epoch_is_the_filtered_signal_from_the_sample_nearest_to_its_onset():
    times, data = stream()
    onsets = np.array([2.0, 3.004, 3.996, 5.5])
    epochs = cut(times, data, onsets, SFREQ, SPEC)
    filtered = CausalFilter(SFREQ, 2, SPEC)(data)
    for epoch, first in zip(epochs.data, [200, 300, 400, 550], strict=True):
        np.testing.assert_array_equal(epoch, filtered[:, first : first + 50 : 2])
    assert epochs.rejected == (None,) * 4
    assert epochs.usable.all()


def test_a_window_may_begin_before_the_onset():
    times, data = stream()
    spec = Signal(rate=50.0, tmin=-0.2, tmax=0.0, settle=0.5)
    epochs = cut(times, data, np.array([2.0]), SFREQ, spec)
    np.testing.assert_array_equal(epochs.data[0], CausalFilter(SFREQ, 2, spec)(data)[:, 180:200:2])


def test_a_dropped_sample_rejects_the_epochs_it_touches_and_shifts_none():
    times, data = stream(n=2000)
    onsets = np.arange(1.0, 19.0, 0.25)
    whole = cut(times, data, onsets, SFREQ, SPEC)
    lossy = cut(*without(times, data, 1000), onsets, SFREQ, SPEC)
    for onset, before, after, reason in zip(onsets, whole.data, lossy.data, lossy.rejected, strict=True):
        if onset <= 10.0 < onset + 0.5:
            assert reason is Rejection.GAP
        elif 10.0 < onset < 10.51:
            assert reason is Rejection.SETTLING
        else:
            assert reason is None
            if onset < 10.0:
                np.testing.assert_array_equal(before, after)
    # Were samples counted, every later epoch would be one sample late; only the memory of the filter differs.
    late = onsets > 14.0
    np.testing.assert_allclose(whole.data[late], lossy.data[late], atol=1e-6)


def test_an_onset_within_a_gap_is_rejected():
    times, data = without(*stream(), slice(300, 500))
    assert cut(times, data, np.array([4.0]), SFREQ, SPEC).rejected == (Rejection.GAP,)


def test_a_jump_of_the_clock_is_a_gap_in_both_directions():
    for jump in (0.3, -0.3):
        times, data = stream()
        times = times + np.where(np.arange(1000) >= 500, jump, 0)
        epochs = cut(times, data, np.array([2.0, 4.8, 8.0]), SFREQ, SPEC)
        assert epochs.rejected == (None, Rejection.GAP, None)


def test_windows_outside_the_recording_are_rejected():
    times, data = stream()
    epochs = cut(times, data, np.array([-5.0, -0.2, 9.6, 9.99, 30.0]), SFREQ, SPEC)
    assert epochs.rejected == (Rejection.OUTSIDE,) * 5


def test_an_onset_too_soon_after_the_start_is_rejected_until_the_filter_has_settled():
    times, data = stream()
    epochs = cut(times, data, np.array([0.0, 0.4, 0.5]), SFREQ, SPEC)
    assert epochs.rejected == (Rejection.SETTLING, Rejection.SETTLING, None)


def test_a_sample_that_is_not_finite_rejects_its_epochs_only():
    times, data = stream()
    data[1, 500] = np.nan
    epochs = cut(times, data, np.array([4.0, 4.8, 6.0]), SFREQ, SPEC)
    assert epochs.rejected == (None, Rejection.NOT_FINITE, None)
    assert np.isfinite(epochs.data).all()


def test_artefacts_are_rejected_with_their_reason_and_leave_zeros():
    times, data = stream()
    data[0, 300:310] += 5e-3
    data[1, 600:] = data[1, 599]
    epochs = cut(times, data, np.array([1.5, 2.9, 9.0]), SFREQ, SPEC)
    assert epochs.rejected == (None, Rejection.AMPLITUDE, Rejection.FLAT)
    assert epochs.data[0].any()
    assert not epochs.data[1:].any()


@pytest.mark.parametrize("sfreq", [100.0, 500.0])
def test_a_jump_of_an_electrode_is_a_gradient_at_any_rate(sfreq):
    times = np.arange(round(10 * sfreq)) / sfreq
    data = np.random.default_rng(0).normal(0, 2e-6, (2, len(times)))
    data[0, times >= 6.2] += 450e-6
    spec = Signal(rate=50.0, tmax=0.5, settle=0.5, max_amplitude=1e-3)
    assert cut(times, data, np.array([2.0, 6.0, 9.0]), sfreq, spec).rejected == (None, Rejection.GRADIENT, None)
    slope = np.abs(np.diff(CausalFilter(sfreq, 2, spec)(data), axis=1)).max() * sfreq
    patient = Signal(rate=50.0, tmax=0.5, settle=0.5, max_amplitude=1e-3, max_gradient=1.01 * slope)
    assert cut(times, data, np.array([6.0]), sfreq, patient).usable.all()


def test_epochs_come_in_the_order_of_the_onsets_given():
    times, data = stream()
    onsets = np.array([6.0, 2.0, 4.0, 2.0])
    shuffled = cut(times, data, onsets, SFREQ, SPEC)
    single = [cut(times, data, onsets[[i]], SFREQ, SPEC).data[0] for i in range(4)]
    np.testing.assert_array_equal(shuffled.data, np.stack(single))
    np.testing.assert_array_equal(shuffled.onsets, onsets)


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 1000), max_size=20),
    gaps=st.lists(st.tuples(st.integers(0, 999), st.integers(1, 80)), max_size=3),
    broken=st.lists(st.integers(0, 999), max_size=2),
    jitter=st.floats(0, 0.2),
    jump=st.tuples(st.integers(0, 999), st.floats(-0.5, 0.5)),
    seed=st.integers(0, 100),
)
def test_live_equals_offline_for_any_chunks_gaps_jumps_and_jitter(cuts, gaps, broken, jitter, jump, seed):
    rng = np.random.default_rng(seed)
    times, data = stream(seed=seed)
    times = times + rng.uniform(-jitter, jitter, len(times)) / SFREQ
    times[jump[0] :] += jump[1]
    data[:, broken] = np.nan
    times, data = without(times, data, *(slice(begin, begin + length) for begin, length in gaps))
    onsets = np.sort(rng.uniform(-1, 11, 30))
    offline = cut(times, data, onsets, SFREQ, SPEC)

    live = Epocher(SFREQ, 2, SPEC)
    edges = [0, *sorted(min(c, len(times)) for c in cuts), len(times)]
    told = 0
    parts = []
    for begin, end in itertools.pairwise(edges):
        # An onset is told with the chunk in which it falls, as in a session.
        newest = times[end - 1] if end else -np.inf
        known = int(np.searchsorted(onsets, newest, side="right"))
        parts.append(live.push(times[begin:end], data[:, begin:end], onsets[told : max(known, told)]))
        told = max(known, told)
    parts.append(live.push(times[:0], data[:, :0], onsets[told:]))
    parts.append(live.close())
    np.testing.assert_array_equal(np.concatenate([p.onsets for p in parts]), onsets)
    np.testing.assert_array_equal(np.concatenate([p.data for p in parts]), offline.data)
    assert tuple(r for p in parts for r in p.rejected) == offline.rejected


def test_an_epoch_comes_as_soon_as_its_window_is_complete():
    times, data = stream()
    live = Epocher(SFREQ, 2, SPEC)
    assert len(live.push(times[:249], data[:, :249], [2.0]).onsets) == 0
    assert len(live.push(times[249:250], data[:, 249:250]).onsets) == 1


def test_an_onset_may_be_told_late_but_not_after_its_samples_are_gone():
    times, data = stream(n=4000)
    live = Epocher(SFREQ, 2, SPEC)
    for begin in range(0, 4000, 100):
        live.push(times[begin : begin + 100], data[:, begin : begin + 100])
    epochs = live.push(times[:0], data[:, :0], [40 - HISTORY + 0.5, 2.0])
    assert epochs.rejected == (Rejection.OUTSIDE, None)
    np.testing.assert_array_equal(epochs.onsets, [2.0, 40 - HISTORY + 0.5])


def test_a_long_session_keeps_no_more_than_its_history():
    live = Epocher(SFREQ, 2, SPEC)
    _, data = stream(n=100)
    for second in range(60):
        live.push(second + np.arange(100) / SFREQ, data)
    assert len(live._times) < (HISTORY + 3) * SFREQ


def test_runs_are_filtered_each_by_itself():
    runs = []
    for seed in (0, 1):
        times, data = stream(seed=seed)
        runs.append(Run(data + seed * 0.01, times, np.array([2.0, 4.0]), np.array([True, False])))
    recording = Recording("r", "p", "", ("Cz", "Pz"), SFREQ, tuple(runs))
    trials = epoch_recording(recording, SPEC)
    alone = [epoch_recording(Recording("r", "p", "", ("Cz", "Pz"), SFREQ, (run,)), SPEC) for run in runs]
    np.testing.assert_array_equal(trials.data, np.concatenate([a.data for a in alone]))
    np.testing.assert_array_equal(trials.runs, [0, 0, 1, 1])
    np.testing.assert_array_equal(trials.is_target, [True, False, True, False])
    assert trials.usable.all()
    assert trials.data.shape == (4, 2, len(trials.times))


def test_samples_that_do_not_fit_their_timestamps_are_refused():
    times, data = stream()
    with pytest.raises(RecordingError, match="timestamps"):
        cut(times[:-1], data, np.array([2.0]), SFREQ, SPEC)


def test_an_onset_that_is_no_time_is_refused():
    times, data = stream()
    with pytest.raises(RecordingError, match="nan"):
        cut(times, data, np.array([2.0, np.nan]), SFREQ, SPEC)
