"""The synthetic wearer as a headset: a real LSL stream of EEG that answers a real LSL stream of markers."""

import json
import queue
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, nan
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any

import numpy as np

from brainloop._types import FloatArray
from brainloop.eeg.lsl import local_clock
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.eeg.wearer import LiveWearer
from brainloop.errors import RecordingError, SettingsError

__all__ = ["WearerCounts", "WearerStream"]

CHUNK = 0.02
"""Samples are sent in chunks of this length, s, as those of amplifiers are."""

TRANSPORT = 0.08
"""From a sample's true time to its being sent, s: what a radio link takes, and what lets a marker that comes a few
frames after its image still be answered in time. Timestamps are true."""

DISPLAY, DISPLAY_SD = 0.025, 0.001
"""From the frame that draws an image to its light, s: an ordinary panel's."""

FLASH, RAMP = 0.06, 0.004
"""How long the light sensor sees the screen's corner lit, and how long it takes to rise, s."""


@dataclass(frozen=True)
class WearerCounts:
    """What a synthetic wearer has seen.

    Attributes
    ----------
    presentations, targets, noticed : int
        Images shown, those of them that are targets, and targets that evoked a P300.
    late : int
        Presentations whose light lay in samples that had been sent already: their response is incomplete.
    unreadable : int
        Markers that are no JSON with `event` and, for a presentation, `image`.
    samples : int
        Sent.
    """

    presentations: int = 0
    targets: int = 0
    noticed: int = 0
    late: int = 0
    unreadable: int = 0
    samples: int = 0


class WearerStream:
    """A synthetic wearer who looks at whatever a marker stream says is shown, as an LSL stream of type EEG.

    EEG is in microvolts; a last channel, `Photo`, is a light sensor on the corner of the screen. The wearer is told
    the path of each image and nothing else: whether it is a target, `is_target` says, as a brain would.

    Use it as a context manager, or `start` and `close` it.

    Parameters
    ----------
    wearer : SyntheticWearer
        Who it is.
    is_target : callable
        Says of an image's path whether it is a target.
    name, source_id : str
        Of the stream.
    markers : str
        Name or source id of the marker stream; it may come and go.

    Raises
    ------
    SettingsError
        If `markers` holds quotes, which LSL cannot look for.
    """

    def __init__(
        self,
        wearer: SyntheticWearer,
        is_target: Callable[[str], bool],
        *,
        name: str = "brainloop wearer",
        source_id: str = "brainloop-wearer",
        markers: str = "brainloop-markers",
    ) -> None:
        if not markers or set("'\"") & set(markers):
            raise SettingsError(f"expected the name or source id of a marker stream, without quotes, got {markers!r}")
        self._wearer, self._is_target = wearer, is_target
        self._name, self.source_id, self._markers = name, source_id, markers
        self._display = np.random.default_rng([8, wearer.seed])
        self._lock = Lock()
        self._ended = Event()
        self._heard: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()
        self._flashes: list[float] = []
        self._counts = dict.fromkeys(WearerCounts.__dataclass_fields__, 0)
        self._absent = self._missing = self._jumped = 0.0
        self._error: BaseException | None = None
        self._listens_to: str | None = None
        self._threads = [Thread(target=self._run, args=(work,), daemon=True) for work in (self._publish, self._listen)]
        self._is_there = Event()

    def start(self) -> None:
        """Begin; returns once the stream can be found."""
        for thread in self._threads:
            thread.start()
        self._is_there.wait(10)

    def close(self) -> None:
        """End it.

        Raises
        ------
        RecordingError
            If the stream had failed.
        """
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self.check()

    def __enter__(self) -> "WearerStream":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def check(self) -> None:
        """Raise a RecordingError if the stream has failed."""
        if self._error is not None:
            raise RecordingError(f"the wearer's LSL stream failed: {self._error}; start it again") from self._error

    @property
    def counts(self) -> WearerCounts:
        """What was seen and sent so far."""
        with self._lock:
            return WearerCounts(**self._counts)

    @property
    def listens_to(self) -> str | None:
        """The marker stream that is heard now, as ``NAME (SOURCE ID) on HOST``; None while there is none."""
        return self._listens_to

    def drop(self, seconds: float) -> None:
        """Vanish from the network for some seconds, s, and come back as the same stream."""
        with self._lock:
            self._absent = seconds

    def gap(self, seconds: float) -> None:
        """Lose samples for some seconds, s, while the stream goes on."""
        with self._lock:
            self._missing = seconds

    def jump(self, seconds: float) -> None:
        """Let timestamps be off by so much more from now on, s, as those of a device whose clock is set anew."""
        with self._lock:
            self._jumped += seconds

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # raised where it is looked for, by `check` and `close`
            self._error = error
            self._ended.set()

    def _publish(self) -> None:
        sfreq = self._wearer.sfreq
        size = max(1, round(CHUNK * sfreq))
        live = LiveWearer(self._wearer, local_clock() - TRANSPORT)
        outlet = self._open()
        self._is_there.set()
        absent_until = missing_until = 0.0
        while True:
            last = live.until + (size - 1) / sfreq
            if self._ended.wait(max(0.0, last + TRANSPORT - local_clock())):
                break
            self._look(live)
            first = live.until
            samples = 1e6 * live.render(size)
            light = self._light(first + np.arange(size) / sfreq)
            with self._lock:
                if self._absent:
                    absent_until, self._absent = first + self._absent, 0.0
                    outlet = None
                if self._missing:
                    missing_until, self._missing = first + self._missing, 0.0
                jumped = self._jumped
            if first < absent_until:
                continue
            outlet = outlet or self._open()
            if first < missing_until:
                continue
            outlet.push_chunk(np.concatenate([samples, light[None]]).T.astype(np.float32), last + jumped)
            with self._lock:
                self._counts["samples"] += size

    def _open(self) -> Any:
        import pylsl

        channels = self._wearer.channels
        info = pylsl.StreamInfo(
            self._name, "EEG", len(channels) + 1, self._wearer.sfreq, pylsl.cf_float32, self.source_id
        )
        info.desc().append_child_value("manufacturer", "brainloop")
        described = info.desc().append_child("channels")
        for label, kind, unit in [*((name, "EEG", "microvolts") for name in channels), ("Photo", "Light", "unknown")]:
            channel = described.append_child("channel")
            for key, value in (("label", label), ("type", kind), ("unit", unit)):
                channel.append_child_value(key, value)
        return pylsl.StreamOutlet(info)

    def _listen(self) -> None:
        import pylsl

        predicate = f"name='{self._markers}' or source_id='{self._markers}'"
        while not self._ended.is_set():
            found = pylsl.resolve_bypred(predicate, timeout=0.5)
            if not found:
                continue
            # Not recovered by liblsl: a page that was started anew is another stream, and is looked for here.
            inlet = pylsl.StreamInlet(found[0], recover=False, processing_flags=pylsl.proc_clocksync)
            try:
                inlet.time_correction(timeout=5.0)  # takes most of a second, which the first marker must not wait for
                inlet.open_stream(timeout=2.0)
                self._listens_to = f"{found[0].name()} ({found[0].source_id()}) on {found[0].hostname()}"
                while not self._ended.is_set():
                    sample, when = inlet.pull_sample(timeout=0.1)
                    if sample:
                        self._heard.put((sample[0], when))
            except RuntimeError:  # pylsl: lost, or not there in time
                continue
            finally:
                self._listens_to = None

    def _look(self, live: LiveWearer) -> None:
        """Take the markers that have come since the last chunk."""
        while not self._heard.empty():
            text, when = self._heard.get()
            try:
                marker = json.loads(text)
                if marker["event"] != "presentation" or marker.get("flaw") == "missed":
                    continue
                # A marker says when there was light, as far as the lab has measured how long its display takes.
                drawn = when - float(marker.get("latency") or 0.0)
                is_target = self._is_target(str(marker["image"]))
            except (ValueError, TypeError, KeyError, AttributeError):
                drawn = nan
            if not isfinite(drawn):
                with self._lock:
                    self._counts["unreadable"] += 1
                continue
            light = drawn + DISPLAY + self._display.normal(0, DISPLAY_SD)
            late = light < live.until
            noticed = live.present(light, is_target)
            self._flashes.append(light)
            with self._lock:
                for name, more in (
                    ("presentations", 1), ("targets", is_target), ("noticed", noticed), ("late", late)
                ):  # fmt: skip
                    self._counts[name] += int(more)

    def _light(self, times: FloatArray) -> FloatArray:
        """Say what the light sensor reads: 0.1 in the dark, 1 lit, with its noise; half way up at each flash."""
        reading = 0.1 + 0.01 * self._display.standard_normal(len(times))
        for flash in self._flashes:
            up = np.clip((times - flash) / RAMP + 0.5, 0, 1)
            reading += 0.9 * np.minimum(up, np.clip((flash + FLASH - times) / RAMP + 0.5, 0, 1))
        self._flashes = [flash for flash in self._flashes if flash + FLASH + RAMP > times[-1]]
        return reading
