"""Watching by EEG: drive time, hazards, alarms, state, and the calibration drive."""

import numpy as np
import pytest

from brainloop.decoder.running import RunningDecoder
from brainloop.driving.agent import SCRIPTED
from brainloop.driving.drive import Drive, hazard_onsets, summary
from brainloop.driving.eeg_watcher import (
    CalibrationWatcher,
    EegWatcher,
    HazardOnset,
    SyntheticHeadset,
    synthetic_watcher,
)
from brainloop.eeg.headset import Chunk
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.eeg.wearer import LiveWearer
from brainloop.errors import DecoderError, RecordingError


@pytest.fixture(scope="module")
def watcher():
    return synthetic_watcher(1)


@pytest.fixture(scope="module")
def instants(watcher):
    return list(Drive(3, SCRIPTED["careless"], watcher, seconds=180))


def test_every_tenth_of_a_second_of_the_drive_is_spoken_of_once_a_second_later(instants):
    heard = [said for instant in instants for said in instant.heard]
    begins = np.array([said.begin for said in heard])
    np.testing.assert_allclose(np.diff(begins), 0.1, atol=1e-6)
    np.testing.assert_allclose([said.end - said.begin for said in heard], 0.1, atol=1e-6)
    assert 0 <= begins[0] < 0.2
    late = np.array([said.time - (said.begin + said.end) / 2 for said in heard])
    assert (late > 0.85).all()
    assert (late < 1.05).all()
    assert all(said.time == instant.time for instant in instants for said in instant.heard)


def test_hazards_of_a_drive_are_heard_and_found(instants):
    onsets = np.array(hazard_onsets(instants))
    heard = [said for instant in instants for said in instant.heard]
    distance = np.array([np.abs((said.begin + said.end) / 2 - onsets).min() for said in heard])
    evidence = np.array([said.evidence for said in heard])
    assert evidence[distance < 0.06].mean() > 0 > evidence[distance > 1.5].mean()
    found = summary(instants)
    assert found.hits >= 0.5 * found.hazards
    assert found.latency_s <= 1.0
    assert found.false_alarms_per_hour < 400


def test_the_state_is_told_in_drive_time(instants):
    states = [instant.state for instant in instants]
    assert states[-1] is not None
    assert 179 < states[-1].time <= 180
    assert all(state is None or state.time <= instant.time for state, instant in zip(states, instants, strict=True))
    assert sum(state is not None and state.attention is not None for state in states) > 0.8 * len(states)


def test_a_new_drive_begins_at_nothing_and_hears_nothing_of_the_one_before(watcher):
    hazard = [number == 30 for number in range(60)]
    for _ in range(2):
        watcher.begin()
        assert watcher.heard() == watcher.alarms() == []
        assert watcher.state is None
        for number, there in enumerate(hazard, start=1):
            watcher.see(0.1 * number, there)
        heard = watcher.heard()
        assert heard[0].begin >= -0.06
        assert heard[-1].time == pytest.approx(6.0)


def test_one_seed_is_one_person():
    a, b, other = (synthetic_watcher(seed, seconds=180) for seed in (4, 4, 5))
    for number in range(1, 40):
        for one in (a, b, other):
            one.see(0.1 * number, number == 10)
    said = a.heard()
    assert said == b.heard()
    assert a.threshold == b.threshold
    assert said != other.heard()


def test_a_calibration_drive_with_too_few_hazards_is_refused():
    with pytest.raises(DecoderError, match="20 usable epochs"):
        synthetic_watcher(1, seconds=60)


def test_a_calibration_without_eeg_is_refused():
    headset = SyntheticHeadset(LiveWearer(SyntheticWearer(2)))
    with pytest.raises(RecordingError, match="no EEG came"):
        CalibrationWatcher(headset, clock=headset.now).learn()


def test_a_hazard_that_flickers_begins_once():
    begins = HazardOnset()
    shown = "....###.##....####...............##"
    said = [begins(0.1 * number, there == "#") for number, there in enumerate(shown)]
    assert np.flatnonzero(said).tolist() == [4, 33]


class Late:
    """A headset whose samples come 0.3 s late, on a clock that has nothing to do with the drive's."""

    def __init__(self, headset: SyntheticHeadset) -> None:
        self.info, self._headset, self._waiting = headset.info, headset, []

    def pull(self) -> Chunk:
        self._waiting.append(self._headset.pull())
        empty = Chunk(np.zeros(0), np.zeros((len(self.info.channels), 0), dtype=np.float32))
        return self._waiting.pop(0) if len(self._waiting) > 3 else empty

    def close(self) -> None:
        pass


def test_samples_find_their_place_by_the_clock_when_they_come_late_and_the_road_runs_slowly(watcher):
    headset = SyntheticHeadset(LiveWearer(SyntheticWearer(7), start=5000.0))
    running = RunningDecoder(watcher._running._decoder, headset.info.channels, 250.0)
    slow = EegWatcher(
        Late(headset), running, clock=headset.now, person=lambda time, hazard: headset.look(2 * time, hazard)
    )
    for number in range(1, 81):  # the road at half its speed
        slow.see(0.1 * number, False)
    heard = slow.heard()
    np.testing.assert_allclose(np.diff([said.begin + said.end for said in heard]) / 2, 0.05, atol=1e-6)
    # Half of 0.9 s of window, and three pictures.
    assert heard[-1].time - (heard[-1].begin + heard[-1].end) / 2 == pytest.approx(0.45 + 0.3, abs=0.06)


def test_what_is_heard_while_the_road_stands_still_speaks_of_nothing(watcher):
    headset = SyntheticHeadset(LiveWearer(SyntheticWearer(7)))
    clock = {"offset": 0.0}

    def person(time: float, hazard: bool) -> None:
        headset.look(time + clock["offset"], hazard)

    running = RunningDecoder(watcher._running._decoder, headset.info.channels, 250.0)
    paused = EegWatcher(headset, running, clock=headset.now, person=person)
    for number in range(1, 101):
        clock["offset"] = 20.0 * (number > 50)
        paused.see(0.1 * number, False)
    begins = np.array([said.begin for said in paused.heard()])
    assert len(begins) < 110
    assert np.diff(begins).max() < 0.25


def test_a_calibration_drive_goes_by_the_same_path_for_any_headset():
    headset = SyntheticHeadset(LiveWearer(SyntheticWearer(2)))
    calibration = CalibrationWatcher(headset, clock=headset.now, person=headset.look)
    for number in range(1, 1801):
        calibration.see(0.1 * number, number % 50 == 0)
    assert calibration.n_hazards == 36
    assert calibration.heard() == []
    learned = calibration.learn()
    for number in range(1801, 1851):
        learned.see(0.1 * number, False)
    assert learned.heard()
    assert learned.state is None
