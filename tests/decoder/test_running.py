"""Running detection: the same evidence as that of epochs cut offline, however the stream comes."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from brainloop.decoder.running import EVERY, RunningDecoder, fit_running
from brainloop.eeg.epochs import Rejection, cut
from brainloop.eeg.preparation import Preparation
from brainloop.eeg.recordings import read_recordings
from brainloop.eeg.signal import Signal
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.eeg.wearer import LiveWearer
from brainloop.errors import DecoderError, RecordingError, SettingsError

SFREQ = 250.0


@pytest.fixture(scope="module")
def watched():
    """Three minutes of a person who meets a hazard every four seconds: times, EEG, onsets, channels."""
    wearer = LiveWearer(SyntheticWearer(3, p300=24e-6))
    hazards = 4.03 + 4.0 * np.arange(43)
    for hazard in hazards.tolist():
        wearer.notice(hazard)
    data = wearer.render(round(180 * SFREQ))
    return 50.0 + np.arange(data.shape[1]) / SFREQ, data, 50.0 + hazards, wearer.wearer.channels


@pytest.fixture(scope="module")
def trained(watched):
    times, data, hazards, channels = watched
    n = round(120 * SFREQ)
    return fit_running(times[:n], data[:, :n], hazards[hazards < 168], channels=channels, sfreq=SFREQ)


def run(trained, channels, times, data, cuts=(), **how):
    decoder = RunningDecoder(trained.decoder, channels, SFREQ, **how)
    edges = [0, *sorted(cuts), len(times)]
    return [said for a, b in itertools.pairwise(edges) for said in decoder.push(times[a:b], data[:, a:b])]


def test_evidence_is_that_of_an_epoch_cut_offline_to_the_last_bit(watched, trained):
    times, data, _, channels = watched
    part = slice(0, round(20 * SFREQ))
    said = run(trained, channels, times[part], data[:, part])
    onsets = np.array([one.onset for one in said])
    np.testing.assert_allclose(np.diff(onsets), EVERY)
    epochs = cut(times[part], data[:, part], onsets, SFREQ, Signal())
    assert [one.rejected for one in said] == list(epochs.rejected)
    offline = [
        float(trained.decoder.evidence(epoch[None])[0]) if reason is None else 0.0
        for epoch, reason in zip(epochs.data, epochs.rejected, strict=True)
    ]
    assert [one.evidence for one in said] == offline
    assert [one.time - one.onset for one in said] == pytest.approx([0.9] * len(said))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 2500), max_size=12))
def test_cutting_the_stream_into_chunks_changes_nothing(watched, trained, cuts):
    times, data, _, channels = watched
    part = slice(0, 2500)
    assert run(trained, channels, times[part], data[:, part], cuts) == run(
        trained, channels, times[part], data[:, part]
    )


def test_gaps_and_artefacts_are_rejected_with_their_reason(watched, trained):
    times, data, _, channels = watched
    n = round(20 * SFREQ)
    times, data = times[:n], data[:, :n].copy()
    data[4, round(5 * SFREQ) : round(5.1 * SFREQ)] += 2e-3
    data[2, round(10 * SFREQ)] = np.nan
    there = (times < 65) | (times > 67)
    said = {round(one.onset, 3): one for one in run(trained, channels, times[there], data[:, there])}
    assert said[54.9].rejected is Rejection.AMPLITUDE
    assert said[59.5].rejected is Rejection.NOT_FINITE
    assert said[60.5].rejected is Rejection.SETTLING
    assert {said[onset].rejected for onset in (64.2, 65.5, 66.9)} == {Rejection.GAP}
    assert all((one.evidence == 0) for one in said.values() if one.rejected)
    assert said[69.0].rejected is None
    assert len(said) == 192  # one for every tenth of a second, gap or not


def test_after_a_long_pause_the_windows_go_on_without_counting_through_it(watched, trained):
    times, data, _, channels = watched
    n = 2500
    later = np.where(np.arange(n) < 1250, times[:n], times[:n] + 1e6)
    assert len(run(trained, channels, later, data[:, :n])) < 100
    assert run(trained, channels, np.zeros(0), data[:, :0]) == []


def test_a_headset_with_its_channels_in_another_order_is_prepared_first(watched, trained):
    times, data, _, channels = watched
    part, order = slice(0, 2500), np.arange(len(channels))[::-1]
    preparation = Preparation.identity(channels)
    turned = [channels[k] for k in order]
    said = run(trained, turned, times[part], data[order, part], preparation=preparation)
    assert said == run(trained, channels, times[part], data[:, part])
    with pytest.raises(RecordingError, match="preparation reads"):
        RunningDecoder(trained.decoder, channels[1:], SFREQ, preparation=preparation)


def test_hazards_of_later_minutes_are_found(watched, trained):
    times, data, hazards, channels = watched
    said = run(trained, channels, times, data)
    onset = np.array([one.onset for one in said])
    evidence = np.array([one.evidence for one in said])
    late = (onset > 171) & (onset < 226)
    distance = np.abs(onset[:, None] - hazards).min(axis=1)
    at, away = late & (distance < 0.06), late & (distance > 1.3)
    assert roc_auc_score(np.repeat([1, 0], [at.sum(), away.sum()]), [*evidence[at], *evidence[away]]) > 0.85
    # Calibrated for running use: on average it speaks against a hazard where there is none, and for one at one.
    assert evidence[away].mean() < 0 < evidence[at].mean()


def test_a_person_who_does_not_respond_is_not_decoded():
    wearer = LiveWearer(SyntheticWearer(5, misses=1.0))
    hazards = 4 + 4.0 * np.arange(43)
    assert not any(wearer.notice(hazard) for hazard in hazards.tolist())
    data = wearer.render(round(180 * SFREQ))
    trained = fit_running(np.arange(data.shape[1]) / SFREQ, data, hazards, channels=wearer.wearer.channels, sfreq=SFREQ)
    assert trained.decoder.auc_low_ < 0.5


def test_what_cannot_be_learned_or_decoded_is_refused(watched, trained):
    times, data, hazards, channels = watched
    with pytest.raises(DecoderError, match="20 usable epochs"):
        fit_running(times, data, hazards[:9], channels=channels, sfreq=SFREQ)
    with pytest.raises(SettingsError, match="every=0"):
        RunningDecoder(trained.decoder, channels, SFREQ, every=0)
    with pytest.raises(DecoderError, match="number of samples"):
        run(trained, channels, times[:1000], data[:, :1000], signal=replace(Signal(), tmax=0.7))


def test_targets_of_a_real_recording_are_found_without_triggers(shared):
    """Muse, four dry channels, images all the while: the hardest case at hand."""
    recording = read_recordings([shared / "data" / "eeg" / "muse-oddball"])[0]

    def joined(runs):
        ends = np.cumsum([0.0, *(one.times[-1] - one.times[0] + 5 for one in runs)])
        shift = [end - one.times[0] for end, one in zip(ends, runs, strict=False)]
        parts = [(one.times + by, one.onsets[one.is_target] + by) for one, by in zip(runs, shift, strict=True)]
        times, onsets = (np.concatenate(values) for values in zip(*parts, strict=True))
        return times, np.concatenate([one.data for one in runs], axis=1), onsets

    channels, sfreq = recording.channels, recording.sfreq
    times, data, targets = joined(recording.runs[:4])
    trained = fit_running(times, data, targets, channels=channels, sfreq=sfreq)
    times, data, targets = joined(recording.runs[4:])
    said = [one for one in RunningDecoder(trained.decoder, channels, sfreq).push(times, data) if one.rejected is None]
    onset, evidence = np.array([(one.onset, one.evidence) for one in said]).T
    after = onset[:, None] - targets
    at, away = (np.abs(after) <= 0.05).any(axis=1), ~((after > -0.9) & (after < 1.2)).any(axis=1)
    assert at.sum() > 30
    assert roc_auc_score(np.repeat([1, 0], [at.sum(), away.sum()]), [*evidence[at], *evidence[away]]) > 0.6
