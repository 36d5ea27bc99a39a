"""A drive, and what is counted in it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainloop.driving.agent import SCRIPTED
from brainloop.driving.drive import Drive, Instant, hazard_onsets, summary
from brainloop.driving.road import DT, LIMIT, Roads, Scene
from brainloop.driving.watcher import Heard
from brainloop.driving.watchers import SimulatedWatcher
from brainloop.eeg.mental_state import MentalState
from brainloop.errors import SettingsError

CARELESS = SCRIPTED["careless"]


def rushing(observed):
    return np.full(len(observed), 2)


def parked(observed):
    return np.zeros(len(observed), dtype=int)


class Told:
    """A watcher who says what the test says, and writes down what it was told."""

    def __init__(self, evidence=lambda _: ()):
        self.evidence, self.seen, self.begun = evidence, [], 0

    def begin(self):
        self.begun += 1

    def see(self, time, hazard):
        self.seen.append((time, hazard))

    def heard(self):
        time = self.seen[-1][0]
        return [Heard(time, time - 0.5, time, value) for value in self.evidence(time)]


class Alarming(Told):
    """One that detects for itself, and whose state is measured."""

    def alarms(self):
        return [self.seen[-1][0] - 0.03] if self.seen[-1][0] == 2.0 else []

    @property
    def state(self):
        return MentalState(self.seen[-1][0], 0.5, None, None)


def test_a_drive_is_that_of_its_roads_and_the_next_begins_after_a_collision():
    drive = list(Drive(0, rushing, None))
    assert [one.time for one in drive] == pytest.approx(np.arange(1, 601) * DT)
    ends = [number for number, one in enumerate(drive) if one.ended]
    assert len(ends) > 2
    assert [drive[end].ended for end in ends] == ["collision"] * (len(ends) - 1) + ["time"]
    begin = 0
    for seed, end in enumerate(ends):
        alone = Roads(np.array([seed]))
        for one in drive[begin : end + 1]:
            alone.step(rushing(alone.observe()))
            assert one.action == 2
            assert one.scene == alone.scene(0)
        assert alone.collided[0] == (drive[end].ended == "collision")
        begin = end + 1


def test_a_road_that_is_over_is_followed_by_the_next():
    drive = list(Drive(2, SCRIPTED["careful"], None, seconds=61))
    assert [one.time for one in drive if one.ended] == [60.0, 61.0]
    assert [one.scene.seed for one in drive] == [2] * 600 + [3] * 10


def test_the_same_drive_can_be_driven_again():
    drive = Drive(0, CARELESS, Told(), seconds=20)
    assert list(drive) == list(drive)
    assert drive.watcher.begun == 2


def test_the_watcher_is_shown_the_road_in_the_time_of_the_drive_and_heard_at_once():
    watcher = Told(lambda time: [0.5] if time == 3.0 else [])
    drive = list(Drive(0, CARELESS, watcher))
    assert watcher.seen == [(one.time, one.scene.hazard) for one in drive]
    assert [one.heard for one in drive if one.heard] == [(Heard(3.0, 2.5, 3.0, 0.5),)]
    assert not any(one.alarm for one in drive)
    assert {one.state for one in drive} == {None}


def test_who_detects_and_is_measured_is_asked_for_it():
    drive = list(Drive(0, CARELESS, Alarming(lambda _: [9.0]), seconds=4))
    assert [one.time for one in drive if one.alarm] == [2.0]
    assert drive[6].state == MentalState(0.7, 0.5, None, None)


@given(st.lists(st.lists(st.floats(-5, 5), max_size=3), min_size=40, max_size=40))
@settings(max_examples=40, deadline=None)
def test_evidence_is_summed_never_below_0_and_the_sum_that_alarms_begins_anew(evidence):
    drive = Drive(0, CARELESS, Told(lambda time: evidence[round(time / DT) - 1]), seconds=4)
    total, expected = 0.0, []
    for values in evidence:
        alarm = False
        for value in values:
            total = max(total + value, 0.0)
            if total >= 4.1:
                alarm, total = True, 0.0
        expected.append(alarm)
    assert [one.alarm for one in drive] == expected


def test_where_nothing_happens_two_pieces_a_second_alarm_twice_a_minute_at_most():
    rng = np.random.default_rng(0)

    def log_likelihood_ratio(time):  # of two normal distributions
        return [1.6 * rng.normal() - 1.6**2 / 2] if round(time / DT) % 5 == 0 else []

    assert sum(one.alarm for one in Drive(0, parked, Told(log_likelihood_ratio), seconds=1200)) <= 40


def instant(time, *, position=0.0, hazard=False, alarm=False, ended=None, seed=0):
    scene = Scene(seed, time, position, LIMIT, 0.0, (), (100.0, 3.5, 5.0), hazard, ended == "collision")
    return Instant(round(time, 6), scene, 1, (), alarm, None, ended)


def of(steps, *, hazards=(), alarms=(), ends=()):
    """A drive of so many steps at the limit, with hazards, alarms and collisions in these steps."""
    made, begin = [], 0
    for step in range(1, steps + 1):
        ended = "collision" if step in ends else "time" if step == steps else None
        made.append(
            instant(step * DT, position=(step - begin) * DT * LIMIT, hazard=step in hazards, alarm=step in alarms,
                    ended=ended)
        )  # fmt: skip
        begin = step if ended else begin
    return made


def test_a_hazard_that_flickers_is_one():
    drive = of(60, hazards=[5, 6, 10, 20, 31, 45])
    assert hazard_onsets(drive) == [0.5, 3.1, 4.5]


def test_a_hazard_on_the_next_road_is_another():
    assert hazard_onsets(of(60, hazards=[5, 6, 7, 9], ends=[6])) == [0.5, 0.7]


def test_a_summary_is_what_one_counts_by_hand():
    # Hazards at 1.0, 3.0, 6.0, 9.0 and 11.9; the second is run into.
    drive = of(
        120, hazards=[10, 11, 30, 31, 60, 90, 119], ends=[31],
        alarms=[
            11,  # .1 s after the first: nobody is as quick
            20,  # 1.0 s after it: its hit
            25,  # 1.5 s after it: neither hit nor false
            32,  # .2 s after the second: its hit, though they collided before
            55,  # false
            80,  # 2.0 s after the third: its hit
            111,  # 2.1 s after the fourth: false
        ],
    )  # fmt: skip
    found = summary(drive)
    assert (found.seconds, found.collisions, found.hazards, found.hits) == (12.0, 1, 5, 3)
    assert found.progress == pytest.approx(1.0)
    assert found.false_alarms_per_hour == pytest.approx(3 / 12 * 3600)
    assert found.latency_s == pytest.approx(1.0)


def test_a_parked_car_makes_no_progress_and_without_alarms_there_is_no_latency():
    found = summary(list(Drive(0, parked, None)))
    assert found.progress < 0.01
    assert found.latency_s is None
    assert (found.hits, found.false_alarms_per_hour) == (0, 0)


def test_progress_is_the_way_on_all_roads_over_that_at_the_limit():
    drive = list(Drive(0, rushing, None))
    way = sum(one.scene.speed * DT for one in drive) / (LIMIT * 60)
    assert summary(drive).progress == pytest.approx(way, abs=0.005)


def test_of_a_drive_cut_short_what_there_is_is_counted():
    drive = of(120, hazards=[30])[:50]
    assert summary(drive).progress == pytest.approx(1.0)
    nothing = summary([])
    assert (nothing.seconds, nothing.progress, nothing.false_alarms_per_hour) == (0, 0, 0)


def test_a_simulated_person_finds_hazards_better_than_alarms_at_random_would():
    drives = [list(Drive(seed, CARELESS, SimulatedWatcher(seed=seed))) for seed in range(0, 300, 30)]
    found = [summary(drive) for drive in drives]
    hazards, hits = sum(one.hazards for one in found), sum(one.hits for one in found)
    rate = np.mean([one.alarm for drive in drives for one in drive]) / DT
    assert hits / hazards > 3 * (1 - np.exp(-rate * 1.8))


@pytest.mark.parametrize(("seed", "seconds"), [(-1, 60), (0, 0), (0, -3), (0, float("nan")), (0, float("inf"))])
def test_what_cannot_be_driven_is_refused(seed, seconds):
    with pytest.raises(SettingsError, match=r"seed of a drive is 0 or more|lasts .* or longer"):
        Drive(seed, CARELESS, None, seconds=seconds)
