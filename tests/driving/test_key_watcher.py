"""What the presses of a key say of a drive, against the formulas and against presses that were drawn."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import lognorm

from brainloop.driving.agent import SCRIPTED
from brainloop.driving.drive import Drive, summary
from brainloop.driving.key_watcher import FALSE_RATE, HIT_RATE, MEDIAN, PERIOD, SPREAD, UNDER_WAY, KeyWatcher

REACTION = lognorm(SPREAD, scale=MEDIAN)
SOON, LATE = REACTION.ppf([0.025, 0.975])


def watch(presses, until, step=0.1):
    """Everything heard of a drive with presses at these times."""
    watcher, said = KeyWatcher(), []
    for press in presses:
        watcher.press(press)
    for number in range(1, round(until / step) + 1):
        watcher.see(number * step, False)
        said += watcher.heard()
    return said


def test_reaction_times_are_those_it_is_told_of():
    assert REACTION.median() == pytest.approx(0.45)
    assert REACTION.std() == pytest.approx(0.15, abs=0.001)


def test_a_press_speaks_of_the_times_before_it_as_reaction_times_are_spread():
    (said,) = (one for one in watch([3.03], 3.2) if one.evidence > 0)
    assert said.time == pytest.approx(3.1)
    assert (said.begin, said.end) == pytest.approx((3.03 - LATE, 3.03 - SOON), abs=1e-4)
    mean = quad(lambda onset: REACTION.pdf(3.03 - onset), said.begin, said.end)[0] / (said.end - said.begin)
    assert said.evidence == pytest.approx(np.log(1 - HIT_RATE + HIT_RATE * mean / FALSE_RATE), abs=1e-4)
    assert said.evidence == pytest.approx(3.8, abs=0.05)


def test_no_press_says_a_little_against_each_stretch_once_nobody_would_press_any_more():
    said = watch([], 10)
    assert [one.begin for one in said] == pytest.approx(np.arange(len(said)) * PERIOD)
    assert {one.end - one.begin for one in said} == {PERIOD}
    for one in said:
        assert 0 <= one.time - (one.end + LATE + UNDER_WAY) < 0.101
    assert [one.evidence for one in said] == pytest.approx([np.log(1 - HIT_RATE * 0.95)] * len(said), abs=1e-3)


def test_a_key_that_is_held_is_one_press():
    assert sum(one.evidence > 0 for one in watch(np.arange(3, 3.5, 0.03), 6)) == 1
    assert sum(one.evidence > 0 for one in watch([3.0, 3.7], 6)) == 2


@given(st.lists(st.floats(0, 20), max_size=12).map(sorted))
@settings(max_examples=60, deadline=None)
def test_no_stretch_is_spoken_of_twice(presses):
    said = watch(presses, 20)
    stretches = sorted((one.begin, one.end) for one in said)
    assert all(end <= begin + 1e-9 for (_, end), (begin, _) in pairwise(stretches))
    assert [one.time for one in said] == sorted(one.time for one in said)


def test_a_press_counts_when_its_time_has_come_and_is_an_alarm():
    watcher = KeyWatcher()
    watcher.press(1.25)
    watcher.see(1.2, True)
    assert (watcher.heard(), watcher.alarms()) == ([], [])
    watcher.see(1.3, True)
    assert len(watcher.heard()) == 1
    assert (watcher.alarms(), watcher.alarms()) == ([1.25], [])


def test_another_drive_begins_with_nothing_said():
    watcher = KeyWatcher()
    for press in (1.0, 2.0):
        watcher.press(press)
        watcher.see(press, False)
    watcher.begin()
    watcher.see(0.1, False)
    assert (watcher.heard(), watcher.alarms()) == ([], [])


def test_of_drawn_presses_the_evidence_is_calibrated():
    # Hazards that begin at random, one in 10 s, and presses of a person who is as the formulas say: of all stretches
    # with this evidence, the share in which one began must be what evidence and prior say.
    rng = np.random.default_rng(0)
    until, rate = 20_000.0, 1 / 10
    onsets = np.sort(rng.uniform(0, until, rng.poisson(until * rate)))
    noticed = onsets[rng.random(len(onsets)) < HIT_RATE]
    presses = noticed + REACTION.rvs(len(noticed), random_state=rng)
    presses = np.sort(np.concatenate([presses, rng.uniform(0, until, rng.poisson(until * FALSE_RATE))]))
    said = watch(presses, until)
    for sign in (1, -1):
        of = [one for one in said if np.sign(one.evidence) == sign]
        held = np.mean([np.searchsorted(onsets, one.end) > np.searchsorted(onsets, one.begin) for one in of])
        prior = np.mean([-np.expm1(-rate * (one.end - one.begin)) for one in of])
        expected = 1 / (1 + np.exp(-(of[0].evidence + np.log(prior / (1 - prior)))))
        assert held == pytest.approx(expected, abs=0.07 if sign > 0 else 0.02)


class Presser(KeyWatcher):
    """Presses .5 s after each hazard begins."""

    def see(self, time, hazard):
        if hazard and not getattr(self, "before", False):
            self.press(time + 0.5)
        self.before = hazard
        super().see(time, hazard)


def test_in_a_drive_every_press_is_an_alarm_with_its_latency():
    found = summary(list(Drive(0, SCRIPTED["careless"], Presser(), seconds=55)))
    assert found.hazards >= 2
    assert found.hits == found.hazards
    assert found.latency_s == pytest.approx(0.5, abs=0.11)
    assert found.false_alarms_per_hour == 0
