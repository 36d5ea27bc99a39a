"""A lab's own presentation software as the screen: plans go out by LSL, markers of what was shown come back."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import PurePosixPath
from time import sleep
from typing import Any

from brainloop.eeg.lsl import local_clock
from brainloop.errors import RecordingError, StoppedError
from brainloop.presentation.block import Block
from brainloop.presentation.markers import MarkerOutlet
from brainloop.presentation.screen import Happened, Shown

__all__ = ["PLAN", "ExternalScreen"]

PLAN = "brainloop-plan"
"""Name of the stream that every block's plan is published on."""

PATIENCE = 10.0
"""How long after it was due an image is given up, s, once a block has begun."""

TRAVEL = 0.25
"""A marker reaches us within this time, s."""


@dataclass(frozen=True)
class _Marker:
    """What a marker says: an image's path, a press, or that the person has stopped; and when, s."""

    kind: str
    when: float
    path: str = ""


class ExternalScreen:
    """PsychoPy, Presentation, or whatever shows images and sends LSL markers.

    The plan of each block is one JSON sample of the string stream `brainloop-plan`: ``{"block": its number, "start":
    position to begin at, "soa": s, "images": [paths of the whole block]}``. What comes back on the marker stream is,
    for each image, its path as the plan has it, or ``{"image": path, "t": onset}`` with `t` on the sender's LSL clock;
    without `t` the sample's timestamp is the onset, so it should be that of the flip. ``press`` is a key press and
    ``quit`` ends the session. Anything else is passed over.

    An image is ``missed`` when a later one came, or when it has not come 10 s after it was due, and ``late`` when it
    is more than half an SOA off from where the image before it puts it.

    Parameters
    ----------
    markers : str
        Name or source id of the marker stream.
    paths : callable
        Gives the path of an image, relative to the images' folder, from its number in a block.
    source_id : str
        Of the stream of plans.

    Raises
    ------
    RecordingError
        If there is no such marker stream, or several.
    """

    def __init__(self, markers: str, paths: Callable[[int], str], *, source_id: str = PLAN) -> None:
        import pylsl

        self._paths = paths
        self._plans = MarkerOutlet(source_id, PLAN)
        self._stopped = False
        found = [
            stream
            for stream in pylsl.resolve_byprop("source_id", markers, timeout=2.0)
            or pylsl.resolve_byprop("name", markers, timeout=2.0)
            if stream.channel_format() == pylsl.cf_string
        ]
        if len(found) != 1:
            raise RecordingError(
                f"expected one LSL stream of text markers with the name or source id {markers!r}, found {len(found)}; "
                "start the presentation software first, and name its stream by the source id where that is not enough"
            )
        self._inlet = pylsl.StreamInlet(found[0], processing_flags=pylsl.proc_clocksync)
        self._inlet.time_correction(timeout=5.0)  # takes most of a second, which no marker should wait for
        self._inlet.open_stream(timeout=5.0)

    def show(self, block: Block, start: int = 0) -> "_ExternalShowing":
        """Publish the plan of a block; see `Screen.show`.

        Raises
        ------
        RecordingError
            If nobody listens for plans.
        """
        patient_until = local_clock() + PATIENCE
        while not self._plans.is_heard:
            if local_clock() > patient_until:
                raise RecordingError(
                    f"nobody listens on the LSL stream {PLAN!r}; let the presentation software open it, and start again"
                )
            sleep(0.05)
        for _ in self._markers(0.0):
            pass  # of a block before, which has been given up
        paths = [self._paths(image) for image in block.images]
        plan = {"block": block.number, "start": start, "soa": block.soa, "images": paths}
        self._plans.publish(plan, local_clock())
        return _ExternalShowing(self._markers, [_normal(path) for path in paths], start, block.soa)

    def stop(self) -> None:
        """End the session: whoever polls is told that the person has stopped."""
        self._stopped = True

    def close(self) -> None:
        """End both streams."""
        self._inlet.close_stream()
        self._plans.close()

    def _markers(self, timeout: float) -> Iterator[_Marker]:
        """Give the markers that are there, having waited for the first."""
        while True:
            if self._stopped:
                raise StoppedError("the session was stopped")
            try:
                sample, when = self._inlet.pull_sample(timeout=timeout)
            except RuntimeError as error:
                raise RecordingError(
                    f"the marker stream is gone for good ({error}); start the presentation software again, with a "
                    "source id for its stream, so that it can come back"
                ) from error
            if sample is None:
                return
            timeout = 0.0
            marker = self._read(sample[0], when)
            if marker is not None and marker.kind == "quit":
                raise StoppedError("the presentation software said that the person has stopped")
            if marker is not None:
                yield marker

    def _read(self, text: str, when: float) -> _Marker | None:
        try:
            said: Any = json.loads(text)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            return _Marker(text, when) if text in ("press", "quit") else _Marker("image", when, _normal(text))
        if said.get("event") in ("press", "quit"):
            return _Marker(said["event"], when)
        if not isinstance(said.get("image"), str):
            return None
        if isinstance(onset := said.get("t"), int | float) and isfinite(onset):
            when = onset + self._inlet.time_correction(timeout=5.0)
        return _Marker("image", when, _normal(said["image"]))


class _ExternalShowing:
    """A block that other software shows; see `brainloop.presentation.screen.Showing`."""

    def __init__(self, markers: Callable[[float], Iterator[_Marker]], paths: list[str], start: int, soa: float) -> None:
        self._markers, self._paths, self._soa = markers, paths, soa
        self._next = start
        self._last: Shown | None = None

    def poll(self, timeout: float) -> Happened:
        """Wait for markers; see `Showing.poll`."""
        shown: list[Shown] = []
        presses: list[float] = []
        asked = local_clock()
        for marker in self._markers(timeout):
            if marker.kind == "press":
                presses.append(marker.when)
            elif marker.path in self._paths[self._next :]:
                position = self._paths.index(marker.path, self._next)
                shown += self._miss(position)
                shown.append(self._show(position, marker.when))
        if self._last is not None and asked > self._due(self._next) + PATIENCE:
            shown += self._miss(len(self._paths))
        return Happened(tuple(shown), tuple(presses), asked - TRAVEL, self._next == len(self._paths))

    def _due(self, position: int) -> float:
        """When an image should come on, as seen from the one before it that did."""
        assert self._last is not None  # noqa: S101
        return self._last.onset + (position - self._last.position) * self._soa

    def _show(self, position: int, onset: float) -> Shown:
        planned = onset if self._last is None else self._due(position)
        flaw = "late" if abs(onset - planned) > self._soa / 2 else None
        self._last, self._next = Shown(position, planned, onset, onset, flaw), position + 1
        return self._last

    def _miss(self, stop: int) -> list[Shown]:
        """Give up the images from the next one on to before `stop`."""
        positions = range(self._next, stop)
        self._next = max(self._next, stop)
        # Before the first that came nothing is known of when they should have.
        dues = [self._due(position) if self._last else local_clock() for position in positions]
        return [Shown(position, due, due, due, "missed") for position, due in zip(positions, dues, strict=True)]


def _normal(path: str) -> str:
    """Write a path as the pool does, whatever system it comes from."""
    return PurePosixPath(path.replace("\\", "/")).as_posix()
