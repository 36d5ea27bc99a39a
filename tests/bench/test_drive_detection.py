"""The bench of hazard detection: its measures by hand, and a short run of it."""

import itertools

import numpy as np
import pytest

from brainloop.bench.drive_detection import RATES, course, detection, hits, measure, window_auc
from brainloop.driving.agent import SCRIPTED
from brainloop.driving.drive import Drive, hazard_onsets

TIMES = 0.1 * np.arange(6000)


@pytest.fixture(scope="module")
def figures():
    return detection([1000, 1001], minutes=2)


def test_an_alarm_answers_a_hazard_that_began_two_tenths_to_two_seconds_before():
    events = np.array([100.0, 200.0, 300.0, 400.0])
    found = hits(np.array([100.1, 200.3, 302.0, 402.2]), events, TIMES)
    assert found["hits"] == 0.5
    assert found["latency_s"] == pytest.approx(1.15)


def test_alarms_at_random_hit_by_chance_what_their_number_makes_likely():
    rng = np.random.default_rng(0)
    alarms = np.sort(rng.uniform(0, 600, 60))
    found = hits(alarms, np.arange(5.0, 590, 20), TIMES)
    assert found["chance_hits"] == pytest.approx(1 - np.exp(-60 / 600 * 1.8), abs=0.03)
    assert found["hits"] == pytest.approx(found["chance_hits"], abs=0.15)


def test_evidence_of_nothing_but_noise_has_no_auc_and_evidence_that_knows_has_it_all():
    rng = np.random.default_rng(1)
    events = np.arange(10.0, 590, 7)
    evidence = rng.normal(-1, 1, len(TIMES))
    assert window_auc(TIMES, evidence, events) == pytest.approx(0.5, abs=0.1)
    evidence[np.searchsorted(TIMES, events + 0.9)] += 10
    auc, curve = measure(TIMES, evidence, events)
    assert auc == 1.0
    assert [point["false_alarms_per_hour"] for point in curve] == list(RATES)
    assert curve[-1]["hits"] == 1.0
    assert curve[-1]["latency_s"] == pytest.approx(0.9)
    assert all(a["threshold"] >= b["threshold"] for a, b in itertools.pairwise(curve))


def test_the_course_is_that_of_drives_one_after_another():
    found = course(3, 40.0)
    assert len(found) == 400
    instants = []
    for instant in Drive(3 * 3, SCRIPTED["careless"], None, seconds=40.0):
        instants.append(instant)
    assert [instant.scene.hazard for instant in instants] == found.tolist()
    assert hazard_onsets(instants)


def test_hazards_are_found_in_running_eeg_and_none_when_nobody_looks(figures):
    assert figures["auc"] > 0.8
    assert figures["hits"] > 0.3 > figures["chance_hits"]
    assert figures["latency_s"] <= 1.0
    assert figures["control"]["auc"] == pytest.approx(0.5, abs=0.15)
    assert figures["control"]["hits"] < figures["hits"] / 2
    assert len(figures["curve"]) == len(RATES)
