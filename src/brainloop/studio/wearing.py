"""Somebody with a headset at a drive: first they calibrate, from then on they are understood."""

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brainloop.driving.road import DT
from brainloop.driving.watcher import Watcher
from brainloop.eeg.headset import Chunk, Headset, HeadsetInfo
from brainloop.eeg.lsl import local_clock
from brainloop.eeg.recorder import Recorder
from brainloop.errors import SettingsError, StudyError
from brainloop.studio.stage import Stage

if TYPE_CHECKING:
    from brainloop.driving.eeg_watcher import CalibrationWatcher, EegWatcher

__all__ = ["CALIBRATION", "Wearing"]

CALIBRATION = 480.0, 7080
"""Length of a calibration drive, s, and its seed. The careless driver meets 45 hazards there, the most that eight
minutes of 12,000 seeds hold; a decoder takes 20, and 40 to 50 are better."""


class Wearing:
    """Who wears the headset, and what was learned of them; it holds as long as they keep it on and the studio runs.

    Parameters
    ----------
    stage : Stage
        Where the headset is.
    person : callable
        Gives the folder of whoever sits there; None where nobody does.
    """

    def __init__(self, stage: Stage, person: Callable[[], Path | None]) -> None:
        self._stage, self._person = stage, person
        self._tap: _Tap | None = None
        self._learned: tuple[tuple[Path | None, HeadsetInfo], EegWatcher] | None = None
        self._calibration: CalibrationWatcher | None = None
        self.recorder: Recorder | None = None
        self.missing: dict[str, str] = {}

    def obstacle(self, *, calibrates: bool) -> str | None:
        """Say what keeps them from a drive, or from the one that calibrates; None if nothing does."""
        if not self._stage.has_headset:
            return "connect one on the studio's Headset page first"
        if self._person() is None:
            return "open a study in the studio, and sit down on its Calibrate page first"
        if not calibrates and (self._learned is None or self._learned[0] != self._who()):
            return "choose 'calibrate' first, and leave the headset on"
        return None

    @contextmanager
    def watching(self, folder: Path | None, *, calibrates: bool) -> Iterator[Watcher]:
        """Give them as a watcher, for as long as a drive lasts; their EEG is kept in a folder, or not at all."""
        from brainloop.driving.eeg_watcher import CalibrationWatcher

        if obstacle := self.obstacle(calibrates=calibrates):
            raise SettingsError(f"a person with a headset cannot watch: {obstacle}")
        monitor = self._stage.monitor
        assert monitor is not None  # noqa: S101
        tap = self._tap if self._tap is not None and not calibrates else _Tap(self._who()[1])

        def lent(headset: Headset | None) -> Recorder:
            recorder = Recorder(folder, {"phase": "drive"}, headset)
            tap.chunks = recorder.subscribe()
            recorder.start()
            return recorder

        self._tap, self.recorder = tap, monitor.lend(lent)
        try:
            # A drive tells of each instant a step before its picture is on: see `Broadcast`.
            ahead = lambda: local_clock() + DT  # noqa: E731
            if calibrates or self._learned is None:
                self._calibration = CalibrationWatcher(tap, clock=ahead)
                yield self._calibration
            else:
                yield self._learned[1]
        finally:
            recorder, self.recorder = self.recorder, None
            recorder.close()
            monitor.take_back()

    def learn(self) -> int:
        """Learn from the calibration drive how to read them; give how many hazards it had.

        Raises
        ------
        StudyError
            If there were too few hazards, or no channel is good.
        """
        from brainloop.eeg.mental_state import StateMonitor
        from brainloop.errors import BrainloopError

        calibration, self._calibration = self._calibration, None
        if calibration is None:
            raise StudyError("there was no calibration drive; watch one first")
        info = self._who()[1]
        state = StateMonitor(info.channels, info.sfreq)
        try:
            self._learned = self._who(), calibration.learn(state)
        except BrainloopError as error:
            raise StudyError(f"the calibration drive taught nothing: {error}. Watch it to its end once more") from error
        self.missing = dict(state.missing)
        return calibration.n_hazards

    def _who(self) -> tuple[Path | None, HeadsetInfo]:
        monitor = self._stage.monitor
        headset = monitor.headset if monitor is not None else None
        if headset is None:
            raise StudyError("the headset is gone; connect it again on the studio's Headset page")
        return self._person(), headset.info


class _Tap:
    """What recorders have written down, as a headset: they pull from the device, and one after the other."""

    def __init__(self, info: HeadsetInfo) -> None:
        self.info = info
        self.chunks: queue.SimpleQueue[Chunk] = queue.SimpleQueue()

    def pull(self) -> Chunk:
        """Give what has come since the last call."""
        came: list[Chunk] = []
        while not self.chunks.empty():
            came.append(self.chunks.get())
        if not came:
            rows = len(self.info.channels) + len(self.info.aux)
            return Chunk(np.zeros(0), np.zeros((rows, 0), dtype=np.float32))
        times = np.concatenate([one.times for one in came])
        data = np.concatenate([one.data for one in came], axis=1)
        return Chunk(times, data, came[-1].arrived)

    def close(self) -> None:
        """Do nothing: the device is not ours."""
