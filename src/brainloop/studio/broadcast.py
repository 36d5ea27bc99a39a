"""A drive on the air: its instants at the pace of the clock, pictures of them, and whoever looks."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp
from threading import Condition, Event
from typing import Any

from brainloop.driving.drive import HIT, Instant, hazard_onsets, summary
from brainloop.driving.road import DT, Scene
from brainloop.eeg.lsl import local_clock
from brainloop.studio.plain import plain

__all__ = ["Broadcast", "News"]

FRAMES = 2
"""Pictures a step: 20 a second look smooth, and are drawn in a fifth of that time on one core."""

SIZE = 640, 360
"""Of a picture, pixels."""

QUALITY = 85
"""Of its JPEG: about 30 kB."""

MOST = 300
"""Instants that a page is told of at once: the last 30 s, which is what it draws."""

RECENT = 200
"""Instants that say what the last of them is: whether a hazard began, whether an alarm answers one."""

HEARD = 1.0
"""What was heard within this time is what the hazard's gauge shows, s."""

RATE = 1 / 19
"""Hazards that the careless driver meets, 1/s."""

SUMMARY_EVERY = 10
"""Instants between two summaries."""


@dataclass(frozen=True)
class News:
    """What a page does not know yet.

    Attributes
    ----------
    version : int
        By which it asks the next time.
    run : int
        Number of the drive; with another, all that was known is of another drive.
    time : float
        That the picture is of, s from the start of the drive.
    known : int
        How many instants there have been.
    instants : list of dict
        Those of them that are new, ready for JSON.
    summary : dict or None
        Of the drive so far; None before its first second is over.
    picture : bytes
        A JPEG.
    """

    version: int
    run: int
    time: float
    known: int
    instants: list[dict[str, Any]]
    summary: dict[str, Any] | None
    picture: bytes


class Broadcast:
    """Plays one drive at a time, live or recorded, to any number of pages; methods may be called from any thread.

    A drive is asked for each instant one step before its time, so that the picture of it is on when its time has come.
    Nothing is kept for a page that is slow: it gets the newest picture when it asks for one.

    Attributes
    ----------
    run : int
        Number of the drive that is on, or was last.
    """

    def __init__(self) -> None:
        self.run = 0
        self._news = Condition()
        self._version = 0
        self._began: float | None = None
        self._instants: list[dict[str, Any]] = []
        self._summary: dict[str, Any] | None = None
        self._time, self._picture = 0.0, b""

    def play(self, instants: Iterable[Instant], ended: Event) -> list[Instant]:
        """Play a drive until it is over or `ended` is set, and give what was played."""
        played: list[Instant] = []
        with self._news:
            self.run += 1
            self._instants, self._summary = [], None
        try:
            for instant in instants:
                if not played:
                    # Its watcher began a moment ago, and this instant is the first step's.
                    self._began = local_clock() - (instant.time - DT)
                if not self._show(instant, played, ended):
                    break
        finally:
            self._began = None
        return played

    def drive_time(self, clock: float) -> float | None:
        """Give the time of the drive that is on at a time of our clock, s; None when none is."""
        began = self._began
        return None if began is None else clock - began

    def news(self, version: int, run: int, known: int, timeout: float) -> News | None:
        """Wait for something newer than a version, and give it; None if nothing came within `timeout`, s.

        Parameters
        ----------
        version, run : int
            Of the last news; 0 for a page that knows nothing.
        known : int
            How many instants of that run it was told of.
        timeout : float
            s.
        """
        with self._news:
            if not self._picture:
                self._picture = _jpeg(_standstill())
                self._version += 1
            if self._version == version:
                self._news.wait(timeout)
            if self._version == version:
                return None
            fresh = self._instants[known if run == self.run else 0 :][-MOST:]
            return News(
                self._version, self.run, self._time, len(self._instants), fresh, self._summary, self._picture
            )  # fmt: skip

    def _show(self, instant: Instant, played: list[Instant], ended: Event) -> bool:
        """Show an instant when its time comes; False if that was ended meanwhile."""
        assert self._began is not None  # noqa: S101
        before = played[-1].scene if played else instant.scene
        for number in range(1, FRAMES + 1):
            time = instant.time - DT * (1 - number / FRAMES)
            due = self._began + time
            last = number == FRAMES
            if not last and local_clock() > due:
                continue  # behind: what comes next matters more
            picture = _jpeg(_at(before, instant.scene, number / FRAMES))
            if ended.wait(max(0.0, due - local_clock())):
                return False
            with self._news:
                if last:
                    played.append(instant)
                    self._tell(instant, played)
                self._time, self._picture = time, picture
                self._version += 1
                self._news.notify_all()
        return True

    def _tell(self, instant: Instant, played: list[Instant]) -> None:
        state = instant.state
        onsets = hazard_onsets(played[-RECENT:])
        self._instants.append(
            {
                "n": len(played), "time": instant.time, "speed": instant.scene.speed,
                "hazard": instant.scene.hazard, "onset": instant.time in onsets, "ended": instant.ended,
                "heard": [[one.time, one.evidence] for one in instant.heard],
                "chance": _chance(played), "alarm": _judged(instant.time, onsets) if instant.alarm else None,
                "state": state and {"attention": state.attention, "valence": state.valence, "blank": state.blank},
            }
        )  # fmt: skip
        if len(played) % SUMMARY_EVERY == 0 or instant.ended:
            self._summary = plain(summary(played))


def _chance(played: list[Instant]) -> float | None:
    """Give the probability that a hazard began in what was heard of within the last second.

    Each piece speaks for a hazard that began in its stretch against none; before it was heard, that was as likely as
    its stretch is long. None where nothing was heard; a piece of no evidence was rejected, and is nothing.
    """
    now = played[-1].time
    recent = [one for instant in played[-RECENT:] if instant.time > now - HEARD + DT / 2 for one in instant.heard]
    said = [one for one in recent if one.evidence != 0]
    if not said:
        return None
    before = RATE * sum(one.end - one.begin for one in said)
    odds = RATE * sum((one.end - one.begin) * exp(one.evidence) for one in said) / (1 - before)
    return odds / (1 + odds)


def _judged(alarm: float, onsets: list[float]) -> str:
    """Say what an alarm is, by the rule of `summary`: ``hit`` where a hazard began that long before, else ``false``."""
    return "hit" if any(HIT[0] - DT / 2 < alarm - onset < HIT[1] + DT / 2 for onset in onsets) else "false"


def _at(before: Scene, after: Scene, share: float) -> Scene:
    """Give the road between two instants; where a road ends, there is nothing between it and the next."""
    from brainloop.driving.scene import between

    return between(before, after, share) if share < 1 and before.seed == after.seed else after


def _standstill() -> Scene:
    """Give the road before anybody drives."""
    import numpy as np

    from brainloop.driving.road import Roads

    return Roads(np.array([0])).scene(0)


def _jpeg(scene: Scene) -> bytes:
    from io import BytesIO

    from PIL import Image

    from brainloop.driving.scene import draw

    file = BytesIO()
    Image.fromarray(draw(scene, SIZE)).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
