import json

import mne
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal as sps

from brainloop.eeg import wearer as wearer_module
from brainloop.eeg.gauge import Norm
from brainloop.eeg.mental_state import CAVEATS, Baseline, MentalState, StateMonitor
from brainloop.eeg.mood import wandering
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.eeg.wearer import LiveWearer
from brainloop.errors import RecordingError, SettingsError

MUSE = ("TP9", "AF7", "AF8", "TP10")
CAP = ("Fp1", "Fp2", "F3", "F4", "Cz", "P3", "Pz", "P4")
SFREQ = 256.0


def plain(channels, attention=(), valence=()):
    """A baseline of 0 and 1 nat that rejects nothing: a state is then the index itself."""

    def norm(names):
        return Norm(names, 0.0, 1.0, (np.inf,) * len(names), (np.inf,) * len(names)) if names else None

    return Baseline(norm(attention or channels), norm(valence))


def eeg(seconds, n_channels=4, seed=0, sfreq=SFREQ):
    """1/f noise of 10 uV, and the time of each sample."""
    n = round(seconds * sfreq)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal((n_channels, n)), axis=1)
    noise = np.fft.irfft(spectrum / np.maximum(np.fft.rfftfreq(n, 1 / sfreq), 1.0), n, axis=1)
    return np.arange(n) / sfreq, 10e-6 * noise / noise.std(axis=1, keepdims=True)


def worn(channels, seconds, seed=5, mood=None):
    live = LiveWearer(SyntheticWearer(seed, sfreq=SFREQ, channels=channels), mood=mood)
    return np.arange(round(seconds * SFREQ)) / SFREQ, live.render(round(seconds * SFREQ))


def series(states, name):
    return np.array([np.nan if getattr(state, name) is None else getattr(state, name) for state in states])


def during(states, begin, end):
    return [state for state in states if begin < state.time <= end]


def blink(times, centre, height):
    return height * np.exp(-((times - centre) ** 2) / (2 * 0.07**2))


def test_a_state_is_welchs_estimate_over_the_last_four_seconds():
    times, data = eeg(20)
    states = StateMonitor(MUSE, SFREQ, baseline=plain(MUSE, valence=("AF7", "AF8"))).push(times, data)
    for state in states[7:]:
        stop = round(state.time * SFREQ) + 1
        frequencies, density = sps.welch(data[:, stop - 1024 : stop], SFREQ, nperseg=256, detrend="linear")
        theta, alpha, beta = (
            density[:, (frequencies >= low) & (frequencies < high)].sum(axis=1)
            for low, high in ((4, 8), (8, 13), (13, 30))
        )
        assert state.attention == pytest.approx(np.log(beta / (alpha + theta)).mean(), abs=1e-9)
        assert state.valence == pytest.approx(np.log(alpha[2] / alpha[1]), abs=1e-9)
        assert state.blank is None


def test_a_state_comes_every_half_second_of_stream():
    states = StateMonitor(MUSE, SFREQ).push(*eeg(10.3))
    np.testing.assert_allclose([state.time for state in states], np.arange(1, 21) / 2 - 1 / SFREQ)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 3000), max_size=40), st.integers(0, 2))
def test_however_a_stream_is_cut_its_states_are_the_same_to_the_last_bit(sizes, seed):
    times, data = eeg(50, seed=seed)
    times = times + np.where(times > 41, 0.3, 0.0)  # a gap
    times[9000] = times[8999]  # a stamp that comes twice
    data[1, 10000] = np.nan
    data[1:3] += blink(times, 37, 300e-6)
    whole, cut, states, at = StateMonitor(MUSE, SFREQ), StateMonitor(MUSE, SFREQ), [], 0
    for size in [*sizes, len(times)]:
        states += cut.push(times[at : at + size], data[:, at : at + size])
        at += size
    assert states == whole.push(times, data)
    assert cut.baseline == whole.baseline is not None


def test_a_baseline_is_learned_from_half_a_minute_and_gives_values_about_zero():
    monitor = StateMonitor(CAP, SFREQ)
    states = monitor.push(*worn(CAP, 180))
    assert monitor.baseline is not None
    assert monitor.missing == {}
    shown = [state for state in states if state.blank is None]
    assert 30 < shown[0].time < 40
    assert "of 30 s of baseline" in during(states, 20, 21)[0].blank
    for name in ("attention", "valence"):
        values = series(shown, name)
        assert abs(np.median(values)) < 1
        assert 0.4 < values.std() < 2.5


def test_a_kept_baseline_gives_the_states_that_it_gave_when_it_was_learned():
    times, data = worn(CAP, 90)
    learning = StateMonitor(CAP, SFREQ)
    states = learning.push(times, data)
    kept = Baseline.from_dict(json.loads(json.dumps(learning.baseline.to_dict())))
    assert kept == learning.baseline
    again = StateMonitor(CAP, SFREQ, baseline=kept).push(times, data)
    assert again[7].blank is None
    first = next(i for i, state in enumerate(states) if state.blank is None)
    assert again[first:] == states[first:]


@pytest.mark.parametrize("broken", [{}, {"attention": None}, {"attention": {}, "valence": None}, {"attention": 3}])
def test_what_is_no_baseline_is_refused(broken):
    with pytest.raises(SettingsError, match="baseline"):
        Baseline.from_dict(broken)


def test_a_baseline_of_other_channels_is_refused():
    with pytest.raises(SettingsError, match="expected a baseline of TP9, AF7, AF8, TP10, got one of Cz"):
        StateMonitor(MUSE, SFREQ, baseline=plain(("Cz",)))


def test_a_norm_that_cannot_be_divided_by_is_refused():
    with pytest.raises(SettingsError, match="sd above 0"):
        Norm(("Cz",), 0.0, 0.0, (1.0,), (1.0,))


def test_attention_is_read_where_the_literature_does_else_everywhere():
    assert StateMonitor(CAP, SFREQ).uses["attention"] == ("Cz", "Pz", "P3", "P4")
    assert StateMonitor(("EEG CZ-REF", "eeg fp1", "O1"), SFREQ).uses["attention"] == ("EEG CZ-REF",)
    assert StateMonitor(MUSE, SFREQ).uses["attention"] == MUSE


@pytest.mark.parametrize(
    ("channels", "pair"),
    [(CAP, ("F3", "F4")), (MUSE, ("AF7", "AF8")), (("fp2", "FP1", "F3"), ("FP1", "fp2"))],
)
def test_valence_is_read_from_the_first_frontal_pair(channels, pair):
    assert StateMonitor(channels, SFREQ).uses["valence"] == pair


def test_without_a_frontal_pair_valence_is_missing_and_says_so():
    monitor = StateMonitor(("Fz", "Cz", "Pz", "F3"), SFREQ)
    states = monitor.push(*eeg(60))
    assert "frontal pair" in monitor.missing["valence"]
    assert "Fz, Cz, Pz, F3" in monitor.missing["valence"]
    last = states[-1]
    assert last == MentalState(last.time, last.attention, None, None)
    assert last.attention is not None
    assert monitor.baseline.valence is None


@pytest.mark.parametrize(("side", "sign"), [("AF8", 1), ("AF7", -1)])
def test_more_alpha_on_the_right_raises_valence_and_on_the_left_lowers_it(side, sign):
    times, data = eeg(120)
    data[MUSE.index(side)] += np.where(times > 80, 12e-6, 0) * np.sin(2 * np.pi * 10 * times)
    states = StateMonitor(MUSE, SFREQ).push(times, data)
    before, after = (np.median(series(during(states, *when), "valence")) for when in ((40, 80), (85, 120)))
    assert sign * (after - before) > 2


def test_alpha_lowers_attention_and_beta_raises_it():
    times, data = eeg(160)
    data += np.where((times > 60) & (times < 100), 10e-6, 0) * np.sin(2 * np.pi * 10 * times)
    data += np.where(times > 120, 2e-6, 0) * np.sin(2 * np.pi * 20 * times)
    states = StateMonitor(MUSE, SFREQ).push(times, data)
    usual, alpha, beta = (
        np.median(series(during(states, *when), "attention")) for when in ((40, 60), (65, 100), (125, 160))
    )
    assert alpha < usual - 2
    assert beta > usual + 2


def injected(where, what, begin=60.0, end=62.0):
    """The states of a stream with something added to one Muse channel for a while, and those without it."""
    times, data = eeg(80)
    inside = (times >= begin) & (times < end)
    spoilt = data.copy()
    spoilt[MUSE.index(where), inside] += what(times[inside])
    return StateMonitor(MUSE, SFREQ).push(times, spoilt), StateMonitor(MUSE, SFREQ).push(times, data)


def muscle(times):
    sos = sps.butter(4, (25, 100), "bandpass", fs=SFREQ, output="sos")
    return 15e-6 * sps.sosfilt(sos, np.random.default_rng(3).standard_normal(len(times) + 512))[512:]


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (lambda times: 90e-6 * np.exp(-(((times % 0.7) - 0.35) ** 2) / 0.01), "blink or movement at AF7"),
        (lambda times: 2e-3 * (times % 1 > 0.45), "blink or movement at AF7"),
        (muscle, "muscles at AF7"),
        (lambda times: np.full(len(times), np.nan), "no values at AF7"),
        (lambda times: np.full(len(times), np.inf), "no values at AF7"),
    ],
    ids=["blinks", "pops", "muscle", "nan", "infinity"],
)
def test_an_artefact_blanks_the_gauges_that_use_its_channel_and_leaves_no_trace(what, reason):
    spoilt, clean = injected("AF7", what)
    blank = [state for state in during(spoilt, 60, 66) if state.blank]
    assert blank
    assert all(state.blank == reason and state.attention is state.valence is None for state in blank)
    # What is shown meanwhile comes from other segments than without the artefact, and is no further off for it.
    for before, after in zip(during(clean, 60, 66), during(spoilt, 60, 66), strict=True):
        if after.attention is not None:
            assert abs(after.attention - before.attention) < 2
    assert during(spoilt, 66, 80) == during(clean, 66, 80)


def test_an_artefact_in_one_gauges_channel_leaves_the_other_gauge_alone():
    times, data = eeg(80, n_channels=8)
    spoilt = data.copy()
    spoilt[CAP.index("F3"), (times > 60) & (times < 63)] = np.nan
    states = StateMonitor(CAP, SFREQ).push(times, spoilt)
    np.testing.assert_array_equal(
        series(states, "attention"), series(StateMonitor(CAP, SFREQ).push(times, data), "attention")
    )
    (blank,) = {state.blank for state in during(states, 62, 64) if state.blank}
    assert blank == "valence: no values at F3"


def test_a_flat_channel_blanks_its_gauges():
    times, data = eeg(80)
    data[2, times > 60] = 1e-3
    state = StateMonitor(MUSE, SFREQ).push(times, data)[-1]
    assert state == MentalState(state.time, None, None, "flat at AF8")


def test_after_a_gap_four_seconds_must_pass():
    times, data = eeg(80)
    times = times + np.where(times > 60, 0.1, 0.0)
    states = StateMonitor(MUSE, SFREQ).push(times, data)
    assert all(state.blank is None for state in during(states, 40, 60))
    refilling = during(states, 60.1, 64)
    assert len(refilling) == 7
    assert refilling[0].blank == "0.5 of 4 s since the start or a gap"
    assert all(state.attention is None and state.valence is None for state in refilling)
    assert all(state.blank is None for state in during(states, 64.2, 81))


def test_jitter_of_the_timestamps_is_no_gap():
    times, data = eeg(60)
    shaken = times + np.random.default_rng(0).uniform(-0.2, 0.2, len(times)) / SFREQ
    smooth, rough = (StateMonitor(MUSE, SFREQ).push(when, data) for when in (times, shaken))
    np.testing.assert_array_equal(series(smooth, "attention"), series(rough, "attention"))


def test_mains_of_a_fifth_of_a_millivolt_change_nothing():
    times, data = eeg(60)
    hum = StateMonitor(MUSE, SFREQ).push(times, data + 0.2e-3 * np.sin(2 * np.pi * 50 * times))
    clean = StateMonitor(MUSE, SFREQ).push(times, data)
    np.testing.assert_allclose(series(hum, "attention"), series(clean, "attention"), atol=0.05)


@pytest.mark.parametrize("channels", [CAP, MUSE], ids=["cap", "muse"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_gauges_follow_the_mood_of_the_synthetic_wearer_over_five_minutes(channels, seed):
    mood = wandering(seed)
    states = StateMonitor(channels, SFREQ).push(*worn(channels, 335, seed, mood))
    shown = [state for state in states if state.blank is None]
    assert len(shown) > 500
    attention, valence = np.transpose([mood(state.time - 2) for state in shown])  # the middle of its window
    assert np.corrcoef(series(shown, "attention"), attention)[0, 1] > 0.7
    assert np.corrcoef(series(shown, "valence"), valence)[0, 1] > 0.4


@pytest.mark.parametrize("channels", [CAP, MUSE], ids=["cap", "muse"])
def test_the_blinks_of_the_synthetic_wearer_move_no_gauge_by_a_fifth_of_an_sd_on_average(channels, monkeypatch):
    with_blinks = worn(channels, 300)
    monkeypatch.setattr(wearer_module, "BLINKS_A_MINUTE", 0)
    without = worn(channels, 300)
    monitor = StateMonitor(channels, SFREQ)
    clean = monitor.push(*without)
    blinking = StateMonitor(channels, SFREQ, baseline=monitor.baseline).push(*with_blinks)
    assert np.abs(with_blinks[1] - without[1]).max() > 60e-6
    for name in ("attention", "valence"):
        difference = series(blinking, name) - series(clean, name)
        difference = difference[np.isfinite(difference)]
        assert abs(difference.mean()) < 0.2
        assert np.sqrt(np.mean(difference**2)) < 0.6
    assert np.mean([state.blank is not None for state in blinking]) < 0.15


@pytest.mark.parametrize("pattern", ["gtec-speller/*.fif", "muse-oddball/sub-01/ses-0*/eeg/*run-01_eeg.vhdr"])
def test_on_real_recordings_states_come_and_few_are_blank(shared, pattern):
    files = sorted((shared / "data/eeg").glob(pattern))
    assert files
    for file in files:
        raw = mne.io.read_raw(file, preload=True, verbose="error").pick("eeg")
        states = StateMonitor(raw.ch_names, raw.info["sfreq"]).push(raw.times, raw.get_data())
        names = ["attention"] if "gtec" in pattern else ["attention", "valence"]
        for name in names:
            values = series(during(states, 45, np.inf), name)
            assert np.isnan(values).mean() < 0.1
            assert 0.2 < np.nanstd(values) < 3


def test_every_gauge_has_its_caveat():
    assert CAVEATS.keys() == {"attention", "valence"}
    assert "xperimental" in CAVEATS["valence"]


@pytest.mark.parametrize(("channels", "sfreq", "said"), [((), SFREQ, "one channel"), (MUSE, 64.0, "above 90 Hz")])
def test_what_no_state_can_be_read_from_is_refused(channels, sfreq, said):
    with pytest.raises(SettingsError, match=said):
        StateMonitor(channels, sfreq)


def test_samples_of_another_shape_are_refused():
    with pytest.raises(RecordingError, match=r"shape \(4, n\)"):
        StateMonitor(MUSE, SFREQ).push(np.arange(3.0), np.zeros((3, 3)))
