"""Alarms: pooling, thresholds and the refractory time."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from brainloop.decoder.detection import Detector, detect, pooled, threshold_for
from brainloop.errors import SettingsError

evidences = st.lists(st.floats(-8, 8), min_size=1, max_size=60).map(np.array)


@given(evidences)
def test_pooled_evidence_is_the_log_of_the_mean_likelihood_ratio_of_up_to_three_windows(evidence):
    expected = [
        logsumexp(part) - np.log(len(part)) for part in (evidence[max(0, k - 2) : k + 1] for k in range(len(evidence)))
    ]
    np.testing.assert_allclose(pooled(evidence), expected, atol=1e-12)


@given(evidences, st.floats(-3, 3), st.sampled_from([0.0, 0.25, 1.0]))
def test_one_window_after_the_other_raises_the_alarms_that_all_at_once_do(evidence, threshold, refractory):
    times = 0.1 * np.arange(len(evidence))
    detector = Detector(threshold, refractory)
    one_by_one = [detector.push(float(t), float(e)) for t, e in zip(times, evidence, strict=True)]
    assert [alarm for alarm in one_by_one if alarm] == detect(times, evidence, threshold, refractory)


@given(evidences, st.floats(-3, 3))
def test_alarms_keep_their_distance_and_reach_the_threshold(evidence, threshold):
    alarms = detect(0.1 * np.arange(len(evidence)), evidence, threshold)
    assert all(alarm.evidence >= threshold for alarm in alarms)
    assert all(b.time - a.time >= 1.0 for a, b in itertools.pairwise(alarms))


def test_a_response_that_lasts_raises_one_alarm_at_its_first_crossing():
    evidence = np.full(50, -5.0)
    evidence[20:26] = 6.0
    (alarm,) = detect(0.1 * np.arange(50), evidence, 3.0)
    assert alarm.time == pytest.approx(2.0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 30), st.sampled_from([30.0, 120.0, 600.0]))
def test_the_threshold_keeps_the_rate_of_false_alarms(seed, per_hour):
    rng = np.random.default_rng(seed)
    evidence, times = rng.normal(-1, 1, 1500), 0.1 * np.arange(1500)
    threshold = threshold_for(times, evidence, per_hour)
    assert len(detect(times, evidence, threshold)) <= per_hour / 24  # of two and a half minutes


def test_an_alarm_that_answers_an_event_is_not_a_false_one():
    evidence, times = np.full(3000, -3.0), 0.1 * np.arange(3000)
    evidence[[500, 1500]] = 5.0
    assert threshold_for(times, evidence, 12.0, [49.0, 149.0]) < pooled(evidence)[500]
    assert len(detect(times, evidence, threshold_for(times, evidence, 11.0))) == 0
    assert len(detect(times, evidence, threshold_for(times, evidence, 11.0, [49.0, 149.0]))) >= 2


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(SettingsError, match="threshold"):
        Detector(float("nan"))
    with pytest.raises(SettingsError, match="above 0"):
        threshold_for(np.arange(3.0), np.zeros(3), 0.0)
