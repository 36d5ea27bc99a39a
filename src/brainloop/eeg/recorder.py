"""A raw recording: appended to as samples come, readable whenever it is cut short.

A session's folder holds

    meta.json       what was recorded: headset, person, versions; written first
    samples.f32     little-endian float32, one row of all channels a sample; EEG in volts
    times.f64       little-endian float64, one timestamp a sample, s
    events.jsonl    what happened, one JSON object a line, each with `event` and `t`

Everything is handed to the system as it comes, so that a SIGKILL loses what had not come yet; once a second it is also
forced to the disk. A row or a line that is cut off in the middle is left out in reading.
"""

import json
import os
import queue
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Event, RLock, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainloop._files import write_whole
from brainloop._types import FloatArray
from brainloop.eeg.headset import Chunk, Headset, HeadsetInfo
from brainloop.eeg.lsl import local_clock
from brainloop.errors import RecordingError

__all__ = ["Recorder", "RecorderStatus", "Session", "read_session"]

POLL = 0.01
"""Between two looks at the headset, s."""

SILENCE = 1.0
"""Without a sample for this long, a headset is silent, s."""

KEPT = 10.0
"""What `Recorder.recent` can give, s."""

SYNC = 1.0
"""Between two times that the recording is forced to the disk, s: what a power cut may take."""


@dataclass(frozen=True)
class RecorderStatus:
    """How a recording goes.

    Attributes
    ----------
    state : {"streaming", "silent", "failed", "closed"}
        Whether samples come, and are kept.
    samples : int
        That came.
    gaps : int
        Steps of the timestamps of more than a period and a half.
    lost_s : float
        What is missing in these gaps, s.
    rate : float
        Samples a second of the last seconds, by their timestamps, Hz.
    last : float or None
        Timestamp of the last sample, s.
    error : str or None
        What failed.
    """

    state: str
    samples: int
    gaps: int
    lost_s: float
    rate: float
    last: float | None
    error: str | None


@dataclass(frozen=True, eq=False)
class Session:
    """A raw recording, read.

    Attributes
    ----------
    about : dict
        What the recorder was told.
    info : HeadsetInfo or None
        None for a session of events alone.
    times : array of shape (n_samples,)
        s.
    data : float32 array of shape (n_channels + n_aux, n_samples)
        EEG in volts, then the auxiliary channels.
    events : list of dict
        Each with `event` and `t`.
    """

    about: dict[str, Any]
    info: HeadsetInfo | None
    times: FloatArray
    data: NDArray[np.float32]
    events: list[dict[str, Any]]


class Recorder:
    """Pull from a headset in a thread of its own, and write all down before anybody else sees it.

    Parameters
    ----------
    folder : Path or None
        Of the session, new; None to look at a headset without writing anything down.
    about : mapping
        What `read_session` should tell of it; JSON.
    headset : Headset or None
        None for a session of events alone.

    Attributes
    ----------
    info : HeadsetInfo or None
        The headset's.

    Raises
    ------
    RecordingError
        If the folder holds a session already.
    OSError
        If it cannot be written to.
    """

    def __init__(self, folder: Path | None, about: Mapping[str, Any], headset: Headset | None) -> None:
        self.info = headset.info if headset else None
        self._headset = headset
        self._lock = RLock()
        self._samples = self._times = self._events = -1
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / "meta.json").exists():
                raise RecordingError(f"{folder} holds a recording already; record into another folder")
            meta = {
                "about": dict(about), "headset": self.info and asdict(self.info), "started": local_clock(),
                "versions": {"brainloop": version("brainloop"), "numpy": version("numpy")},
            }  # fmt: skip
            write_whole(folder / "meta.json", json.dumps(meta, indent=1).encode())
            self._events = _append(folder / "events.jsonl")
            if headset is not None:
                self._samples, self._times = _append(folder / "samples.f32"), _append(folder / "times.f64")
        self._recent: deque[Chunk] = deque()
        self._listeners: list[queue.SimpleQueue[Chunk]] = []
        self._count = self._gaps = 0
        self._lost = 0.0
        self._last: float | None = None
        self._came = local_clock()
        self._silent = self._torn = False
        self._error: str | None = None
        self._ended = Event()
        # A disk may take its time to sync; the samples must not wait for it.
        self._threads = [Thread(target=work, name="recorder", daemon=True) for work in (self._record, self._keep_safe)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def event(self, kind: str, t: float, **values: Any) -> None:
        """Write down that something happened at `t`, s; what cannot be written is told by `status`."""
        line = json.dumps({"event": kind, "t": t, **values}) + "\n"
        with self._lock:
            if self._events >= 0:
                # What a full disk tore must not take the next event along, once there is room again.
                self._torn = not self._write(self._events, ("\n" * self._torn + line).encode())

    def subscribe(self) -> "queue.SimpleQueue[Chunk]":
        """Give a queue of every chunk from now on, each put there after it was written."""
        listener: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
        with self._lock:
            self._listeners.append(listener)
        return listener

    def recent(self, seconds: float) -> Chunk:
        """Give the samples of the last seconds, 10 at most."""
        with self._lock:
            chunks = list(self._recent)
        if not chunks or self.info is None:
            rows = len(self.info.channels) + len(self.info.aux) if self.info else 0
            return Chunk(np.zeros(0), np.zeros((rows, 0), dtype=np.float32))
        times = np.concatenate([chunk.times for chunk in chunks])
        first = int(np.searchsorted(times, times[-1] - seconds))
        data = np.concatenate([chunk.data for chunk in chunks], axis=1)
        return Chunk(times[first:], data[:, first:], chunks[-1].arrived)

    @property
    def status(self) -> RecorderStatus:
        """How it goes."""
        with self._lock:
            n = sum(len(chunk.times) for chunk in self._recent)
            state = "failed" if self._error else "closed" if self._ended.is_set() else "streaming"
            if state == "streaming" and self._headset is not None and local_clock() - self._came > SILENCE:
                state = "silent"
            rate = 0.0
            if n > 1:
                rate = (n - 1) / float(self._recent[-1].times[-1] - self._recent[0].times[0])
            return RecorderStatus(state, self._count, self._gaps, self._lost, rate, self._last, self._error)

    def close(self) -> None:
        """End it; what is on disk is whole. The headset stays open."""
        self._ended.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        with self._lock:
            for file in self._files():
                _sync(file)
                os.close(file)
            self._samples = self._times = self._events = -1

    def _record(self) -> None:
        while self._headset is not None and not self._ended.wait(POLL):
            try:
                self._take(self._headset.pull())
            except Exception as error:  # a driver may raise anything, and nobody would see it in this thread
                self._fail(str(error) or type(error).__name__)
                return

    def _keep_safe(self) -> None:
        while not self._ended.wait(SYNC):
            for file in self._files():
                _sync(file)

    def _files(self) -> list[int]:
        return [file for file in (self._samples, self._times, self._events) if file >= 0]

    def _take(self, chunk: Chunk) -> None:
        now = local_clock()
        if len(chunk.times) == 0:
            if not self._silent and now - self._came > SILENCE:
                self._silent = True
                self.event("lost", now)
            return
        with self._lock:
            if self._samples >= 0:
                self._write(self._samples, np.ascontiguousarray(chunk.data.T, dtype="<f4").tobytes())
                self._write(self._times, np.ascontiguousarray(chunk.times, dtype="<f8").tobytes())
            if self._error:
                return
            self._came = now
            self._count += len(chunk.times)
            self._find_gaps(chunk.times)
            self._recent.append(chunk)
            while len(self._recent) > 1 and self._recent[0].times[-1] < chunk.times[-1] - KEPT:
                self._recent.popleft()
            for listener in self._listeners:
                listener.put(chunk)
        if self._silent:
            self._silent = False
            self.event("back", now)

    def _find_gaps(self, times: FloatArray) -> None:
        assert self.info is not None  # noqa: S101
        period = 1 / self.info.sfreq
        steps = np.diff(times, prepend=times[0] - period if self._last is None else self._last)
        self._last = float(times[-1])
        for place in np.flatnonzero(np.abs(steps - period) > period / 2):
            self._gaps += 1
            self._lost += max(0.0, float(steps[place]) - period)
            self.event("gap", float(times[place]), lost_s=float(steps[place]) - period)

    def _write(self, file: int, data: bytes) -> bool:
        """Write all of it, and say whether that went well; samples stop at the first that cannot be written."""
        if self._error and file != self._events:
            return False
        try:
            while data:
                data = data[os.write(file, data) :]
        except OSError as error:
            self._fail(f"the recording cannot be written: {error.strerror}")
            return False
        return True

    def _fail(self, error: str) -> None:
        with self._lock:
            self._error = self._error or error


def _append(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _sync(file: int) -> None:
    try:
        os.fsync(file)
    except OSError:
        return  # a full or vanished disk has been told of by the write


def read_session(folder: Path) -> Session:
    """Read a raw recording, closed, running, or cut short by a kill.

    Parameters
    ----------
    folder : Path
        As a `Recorder` wrote it.

    Raises
    ------
    RecordingError
        If there is none.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordingError(f"expected a raw recording in {folder}: {error}") from error
    info = None
    times, data = np.zeros(0), np.zeros((0, 0), dtype=np.float32)
    if meta["headset"] is not None:
        said = meta["headset"]
        info = HeadsetInfo(**{**said, "channels": tuple(said["channels"]), "aux": tuple(said["aux"])})
        rows = len(info.channels) + len(info.aux)
        stamps, samples = (_read(folder / name) for name in ("times.f64", "samples.f32"))
        n = min(len(stamps) // 8, len(samples) // (4 * rows))
        times = np.frombuffer(stamps[: 8 * n], dtype="<f8").astype(float)
        data = np.frombuffer(samples[: 4 * rows * n], dtype="<f4").reshape(n, rows).T.astype(np.float32)
    return Session(meta["about"], info, times, data, _events(folder / "events.jsonl"))


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _events(path: Path) -> list[dict[str, Any]]:
    events = []
    for line in _read(path).splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # torn by a kill or a full disk
        if isinstance(event, dict) and isinstance(event.get("event"), str) and isinstance(event.get("t"), int | float):
            events.append(event)
    return events
