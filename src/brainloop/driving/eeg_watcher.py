"""Watching by EEG: a person with a headset, or a synthetic one, whose brain is listened to while the road is shown."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from brainloop._types import FloatArray
from brainloop.decoder.detection import Detector
from brainloop.decoder.running import RunningDecoder, fit_running
from brainloop.driving.drive import SAME
from brainloop.driving.road import DT
from brainloop.driving.watcher import Heard
from brainloop.eeg.headset import Chunk, Headset, HeadsetInfo
from brainloop.eeg.lsl import local_clock
from brainloop.eeg.mental_state import MentalState, StateMonitor
from brainloop.eeg.mood import wandering
from brainloop.eeg.positions import template_positions
from brainloop.eeg.preparation import learn_preparation
from brainloop.eeg.source import Source, is_eye
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.eeg.wearer import LiveWearer
from brainloop.errors import RecordingError

__all__ = [
    "CALIBRATION",
    "THRESHOLD",
    "CalibrationWatcher",
    "EegWatcher",
    "HazardOnset",
    "SyntheticHeadset",
    "synthetic_watcher",
]

CALIBRATION = 300.0
"""How long the synthetic person's calibration drive is, s: about 50 hazards. With weak responses four times as long
gained .05 of AUC."""

BETWEEN = 4.0, 8.0
"""From one hazard of the synthetic person's calibration drive to the next, s."""

THRESHOLD = 2.0
"""Of pooled evidence, nats, where a calibration suggests none: simulated people have one to two false alarms a minute
there."""

STANDSTILL = 1.0
"""A road that is not shown anew for longer than this stands still, s: what is heard meanwhile speaks of nothing."""

KEPT = 2000
"""Pictures of which it is known when they were shown: half a minute at 60 a second. Evidence comes a second later."""


class EegWatcher:
    """A person who watches a drive, heard through a headset.

    Each window of the running EEG is one `Heard`: it speaks of the 0.1 s of the drive in which it begins, and every
    instant is spoken of once. Neighbouring windows overlap, so their evidence does not add up: see
    `brainloop.decoder.detection`. What was shown when is kept from each `see`, so that samples find their place in the
    drive by the clock alone, however slowly or unevenly it is shown.

    Parameters
    ----------
    headset : Headset
        That they wear.
    running : RunningDecoder
        Made for its channels.
    monitor : StateMonitor, optional
        Made for its channels; no state is followed where left out.
    threshold : float
        Of pooled evidence, nats, at which an alarm is raised; `CalibrationWatcher` learns it.
    clock : callable
        Gives the time now on the clock of the samples, s.
    person : callable, optional
        A simulated person, who is shown what `see` is told; a real one looks at the screen.
    """

    def __init__(
        self,
        headset: Headset,
        running: RunningDecoder,
        monitor: StateMonitor | None = None,
        *,
        threshold: float = THRESHOLD,
        clock: Callable[[], float] = local_clock,
        person: Callable[[float, bool], None] | None = None,
    ) -> None:
        self._headset, self._running, self._monitor = headset, running, monitor
        self._clock, self._person, self.threshold = clock, person, threshold
        self.begin()

    def begin(self) -> None:
        """Begin to watch another drive; see `Watcher.begin`."""
        self._clocks: list[float] = []
        self._times: list[float] = []  # of the drive, at each of these
        self._heard: list[Heard] = []
        self._alarms: list[float] = []
        self._state: MentalState | None = None
        self._detector = Detector(self.threshold)

    def see(self, time: float, hazard: bool) -> None:
        """Be shown the road, and take what the headset has; see `Watcher.see`."""
        if self._person is not None:
            self._person(time, hazard)
        self._clocks.append(self._clock())
        self._times.append(time)
        if len(self._clocks) > KEPT:
            del self._clocks[:-KEPT], self._times[:-KEPT]
        chunk = self._headset.pull()
        data = np.asarray(chunk.data[: len(self._headset.info.channels)], dtype=float)
        for said in self._running.push(chunk.times, data):
            onset = self._drive_time(said.onset)
            if onset is None:
                continue
            half = self._running.every / 2
            self._heard.append(Heard(time, onset - half, onset + half, said.evidence))
            if self._detector.push(said.time, said.evidence):
                self._alarms.append(time)
        if self._monitor is not None:
            for state in self._monitor.push(chunk.times, data):
                when = self._drive_time(state.time)
                self._state = self._state if when is None else replace(state, time=when)

    def heard(self) -> list[Heard]:
        """Give what has been said since; see `Watcher.heard`."""
        said, self._heard = self._heard, []
        return said

    def alarms(self) -> list[float]:
        """Give when hazards were detected since the last call, s from the start of the drive."""
        alarms, self._alarms = self._alarms, []
        return alarms

    @property
    def state(self) -> MentalState | None:
        """How the person is, at the latest; its time is s from the start of the drive. None before that is known."""
        return self._state

    def _drive_time(self, clock: float) -> float | None:
        """Give the time in the drive that was shown at a time on the clock; None where there was none."""
        after = bisect_left(self._clocks, clock)
        if after == len(self._clocks):  # the latest picture is still there
            return self._times[-1]
        if after == 0:
            return None
        (earlier, later), (begin, end) = self._clocks[after - 1 : after + 1], self._times[after - 1 : after + 1]
        if later - earlier > STANDSTILL:
            return None
        return begin + (end - begin) * (clock - earlier) / (later - earlier)


class CalibrationWatcher:
    """A person who watches a drive whose hazards are known, so that their EEG can be decoded from then on.

    Let them watch a careless driver until forty hazards or so have come, about six minutes on roads with many of them;
    then `learn`. A decoder takes no fewer than 20.

    Parameters
    ----------
    headset, clock, person
        See `EegWatcher`.
    """

    def __init__(
        self,
        headset: Headset,
        *,
        clock: Callable[[], float] = local_clock,
        person: Callable[[float, bool], None] | None = None,
    ) -> None:
        self._headset, self._clock, self._person = headset, clock, person
        self._chunks: list[Chunk] = []
        self._hazards: list[float] = []
        self.begin()

    def begin(self) -> None:
        """Begin to watch another drive; what was recorded of those before is kept."""
        self._begins = HazardOnset()

    def see(self, time: float, hazard: bool) -> None:
        """Be shown the road, and record what the headset has; see `Watcher.see`."""
        if self._person is not None:
            self._person(time, hazard)
        if self._begins(time, hazard):
            self._hazards.append(self._clock())
        self._chunks.append(self._headset.pull())

    def heard(self) -> list[Heard]:
        """Give nothing: nobody can be understood yet."""
        return []

    @property
    def n_hazards(self) -> int:
        """How many hazards were shown."""
        return len(self._hazards)

    def learn(self, monitor: StateMonitor | None = None) -> EegWatcher:
        """Learn how to prepare and decode this person's EEG, and at what threshold to raise an alarm.

        Parameters
        ----------
        monitor : StateMonitor, optional
            Learns its baseline from the recorded EEG, and goes on with what follows.

        Returns
        -------
        EegWatcher
            The same person.

        Raises
        ------
        DecoderError
            If there were fewer than 20 usable hazards.
        RecordingError
            If no EEG came, or no channel is good.
        """
        info = self._headset.info
        if not any(len(chunk.times) for chunk in self._chunks):
            raise RecordingError("no EEG came during the calibration drive: check the headset, and watch it again")
        times = np.concatenate([chunk.times for chunk in self._chunks])
        data = np.concatenate([chunk.data[: len(info.channels)] for chunk in self._chunks], axis=1).astype(float)
        eyes = tuple(name for name in info.channels if is_eye(name))
        eeg = tuple(name for name in info.channels if name not in eyes)
        rows = [info.channels.index(name) for name in (*eeg, *eyes)]
        positions = template_positions(eeg)
        source = Source(Path("calibration"), eeg, eyes, data[rows], positions, frozenset(), times, info.sfreq, ())
        preparation = learn_preparation([source], positions, eeg)
        trained = fit_running(
            times,
            preparation.on(info.channels)(data),
            self._hazards,
            channels=preparation.outputs,
            sfreq=info.sfreq,
        )
        if monitor is not None:
            monitor.push(times, data)
        running = RunningDecoder(trained.decoder, info.channels, info.sfreq, preparation=preparation)
        return EegWatcher(
            self._headset, running, monitor, threshold=trained.threshold, clock=self._clock, person=self._person
        )


class SyntheticHeadset:
    """A synthetic person with a headset, in a time of their own: it goes on as a drive does, as fast as that is made.

    Parameters
    ----------
    wearer : LiveWearer
        Who it is.
    """

    def __init__(self, wearer: LiveWearer) -> None:
        self._wearer = wearer
        person = wearer.wearer
        self.info = HeadsetInfo(f"synthetic:{person.seed}", "synthetic person", person.channels, (), person.sfreq)
        self._drive = (wearer.until, 0.0)  # on the person's clock, and in the drive
        self._begins = HazardOnset()
        self._made: list[tuple[FloatArray, FloatArray]] = []

    def now(self) -> float:
        """Give the time of the person's next sample, s."""
        return self._wearer.until

    def look(self, time: float, hazard: bool) -> None:
        """Be shown the road as it is at `time`, s of the drive: EEG goes on until then, and a new hazard is met."""
        if time < self._drive[1]:  # another drive
            self._drive = (self.now(), 0.0)
            self._begins = HazardOnset()
        n = round((self._drive[0] + time - self._drive[1] - self.now()) * self.info.sfreq)
        begin = self.now()
        self._made.append((begin + np.arange(n) / self.info.sfreq, self._wearer.render(n)))
        self._drive = (self._drive[0] + time - self._drive[1], time)
        if self._begins(time, hazard):
            self._wearer.notice(self.now())

    def pull(self) -> Chunk:
        """Give what has been made since the last call."""
        made, self._made = self._made, []
        none = np.zeros((len(self.info.channels), 0))
        times = np.concatenate([np.zeros(0), *(times for times, _ in made)])
        data = np.concatenate([none, *(data for _, data in made)], axis=1)
        return Chunk(times, data.astype(np.float32), self.now())

    def close(self) -> None:
        """Do nothing: nothing is held."""


class HazardOnset:
    """Tell when a hazard begins; one that is back within a second is the one before."""

    def __init__(self) -> None:
        self._last = -np.inf

    def __call__(self, time: float, hazard: bool) -> bool:
        """Be told whether there is a hazard at `time`, s; say whether it begins."""
        if not hazard:
            return False
        begins = time - self._last > SAME + DT / 2
        self._last = time
        return bool(begins)


def synthetic_watcher(seed: int, *, misses: float = 0.1, seconds: float = CALIBRATION) -> EegWatcher:
    """Make a synthetic person, who has watched a calibration drive and is ready to watch another.

    Parameters
    ----------
    seed : int
        Who it is, 0 or more.
    misses : float
        Share of hazards that are not noticed.
    seconds : float
        Of the calibration drive.

    Returns
    -------
    EegWatcher
        Its time goes on as `see` does.

    Raises
    ------
    SettingsError
        If the seed or a share is out of its range.
    DecoderError
        If the calibration drive is too short for 20 hazards.
    """
    headset = SyntheticHeadset(LiveWearer(SyntheticWearer(seed, misses=misses), mood=wandering(seed)))
    calibration = CalibrationWatcher(headset, clock=headset.now, person=headset.look)
    rng = np.random.default_rng([11, seed])
    next_hazard = BETWEEN[1]
    for step in range(1, round(seconds / DT) + 1):
        time = step * DT
        hazard = time >= next_hazard
        if hazard:
            next_hazard = time + rng.uniform(*BETWEEN)
        calibration.see(time, hazard)
    return calibration.learn(StateMonitor(headset.info.channels, headset.info.sfreq))
