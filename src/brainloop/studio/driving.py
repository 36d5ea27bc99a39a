"""The drive that a studio shows: who drives, who watches, where it is recorded, and what was recorded before."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

from brainloop.driving.agent import SCRIPTED, load_driver
from brainloop.driving.drive import Drive
from brainloop.driving.key_watcher import KeyWatcher
from brainloop.driving.recorded import DriveFacts, read_drive, record
from brainloop.driving.watcher import Watcher
from brainloop.eeg.mental_state import CAVEATS
from brainloop.errors import SettingsError
from brainloop.studio.activity import Activity
from brainloop.studio.broadcast import Broadcast
from brainloop.studio.stage import Stage
from brainloop.studio.wearing import CALIBRATION, Wearing

__all__ = ["Driving"]

WATCHERS = {
    "synthetic": "a synthetic person",
    "key": "a person with the space bar",
    "headset": "a person with a headset",
    "calibration": "a person with a headset, who calibrates",
}
"""Who may watch, and how a recorded drive says it."""

LONGEST = 600.0
"""A drive of the studio, s."""

MOST_LISTED = 100
"""Recorded drives, the newest."""

HAZARD_CAVEAT = (
    "How likely a hazard began within the last second that was heard of, if one comes every 19 s, as with the careless "
    "driver. People miss some, and a decoder errs."
)


class Driving:
    """One drive at a time; its methods may be called from any thread.

    Recorded drives lie in ``drives/`` of the home folder, trained drivers (``*.safetensors``) in the home folder.

    Parameters
    ----------
    home : Path
        The studio's.
    activity : Activity
        What a drive is one of.
    stage : Stage
        Where the headset is.
    person : callable
        Gives the folder of whoever sits there; None where nobody does.

    Attributes
    ----------
    broadcast : Broadcast
        What the pages look at.
    """

    def __init__(self, home: Path, activity: Activity, stage: Stage, person: Callable[[], Path | None]) -> None:
        self.broadcast = Broadcast()
        self._home, self._activity = home, activity
        self._wearing = Wearing(stage, person)
        self._drivers: list[str] = list(SCRIPTED)
        self._recorded: list[dict[str, Any]] = []
        self._on: dict[str, Any] | None = None
        self._ended = Event()
        self._key: KeyWatcher | None = None

    def look(self) -> None:
        """Look at what the home folder holds by now."""
        self._drivers = [*SCRIPTED, *(path.name for path in sorted(self._home.glob("*.safetensors")))]
        found = sorted(self._home.glob("drives/*/drive.json"), reverse=True)[:MOST_LISTED]
        self._recorded = [_described(path) for path in found]

    def state(self) -> dict[str, Any]:
        """Give what the page shows of it, ready for JSON; `on` is what is on, or was last."""
        return {
            "drivers": self._drivers,
            "watchers": {
                "synthetic": None, "key": None, "headset": self._wearing.obstacle(calibrates=False),
                "calibration": self._wearing.obstacle(calibrates=True),
            },
            "recorded": self._recorded,
            "on": self._on,
            "caveats": {"hazard": HAZARD_CAVEAT, **CAVEATS},
        }  # fmt: skip

    def start(self, values: Mapping[str, Any]) -> None:
        """Begin a drive.

        Parameters
        ----------
        values : mapping
            ``driver`` and ``watcher``, of those that `state` names; ``seed``, 0 or more; ``seconds``; ``record``.

        Raises
        ------
        SettingsError
            If a value is missing or wrong, or that person cannot watch.
        StudyError
            If something else is going on.
        """
        self._activity.must_be_idle()
        driver = _one_of(values, "driver", self._drivers)
        watcher = _one_of(values, "watcher", list(WATCHERS))
        seed, seconds = _number(values, "seed", 0, 2**31), _number(values, "seconds", 1.0, LONGEST)
        if seed != int(seed):
            raise SettingsError(f"expected a whole number as 'seed', got {seed}")
        if (obstacle := self.state()["watchers"][watcher]) is not None:
            raise SettingsError(f"a person with a headset cannot watch: {obstacle}")
        if watcher == "calibration":
            driver, (seconds, seed) = "careless", CALIBRATION
        drives = load_driver(driver if driver in SCRIPTED else str(self._home / driver))
        facts = DriveFacts(int(seed), seconds, driver, WATCHERS[watcher])
        folder = None
        if values.get("record") is True:
            folder = self._home / "drives" / datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]

        about = {"kind": "drive", "name": folder and folder.name, **vars(facts), "watching": watcher}

        def run() -> None:
            with self._seated(watcher, int(seed), folder) as sits:
                self._on = {**about, "running": True, "missing": self._wearing.missing if watcher == "headset" else {}}
                drive = Drive(int(seed), drives, sits, seconds=seconds)
                self._activity.hear("show")  # what was prepared is
                self.broadcast.play(record(drive, folder, facts) if folder else drive, self._ended)
            if watcher == "calibration":
                self._activity.hear("progress", "your brain's responses are learned", 0, 0)
                n = self._wearing.learn()
                self._activity.say("info", f"Learned from your responses to {n} hazards. You can watch a drive now.")

        self._begin(about, run)

    def replay(self, name: str) -> None:
        """Show a recorded drive again; SettingsError if there is none of that name."""
        self._activity.must_be_idle()
        _one_of({"name": name}, "name", [one["name"] for one in self._recorded])  # the name is never made a path
        recorded = read_drive(self._home / "drives" / name)
        about = {"kind": "replay", "name": name, **vars(recorded.facts), "watching": None}

        def run() -> None:
            self.broadcast.play(recorded.instants, self._ended)

        self._begin(about, run)

    def stop(self) -> None:
        """End what is on; what was recorded until now is whole."""
        self._ended.set()

    def press(self, clock: float) -> None:
        """Be told that the space bar was pressed, by the time of our clock, s."""
        time = self.broadcast.drive_time(clock)
        if self._key is not None and time is not None:
            self._key.press(max(0.0, time))

    def shown(self, run: int, time: float, clock: float) -> None:
        """Be told when a page drew the picture of `time`, s of the drive, by our clock, s; kept beside the EEG."""
        if (recorder := self._wearing.recorder) is not None and run == self.broadcast.run:
            recorder.event("picture", clock, drive_time=time)

    def _begin(self, about: dict[str, Any], run: Callable[[], None]) -> None:
        def after() -> None:
            self.look()
            self._on = self._on and {**self._on, "running": False}

        self._ended.clear()
        self._on = {**about, "running": True}
        self._activity.begin("driving", run, after)

    @contextmanager
    def _seated(self, watcher: str, seed: int, folder: Path | None) -> Iterator[Watcher]:
        """Give whoever watches, for as long as the drive lasts."""
        if watcher in ("headset", "calibration"):
            with self._wearing.watching(folder and folder / "eeg", calibrates=watcher == "calibration") as sits:
                yield sits
        elif watcher == "synthetic":
            from brainloop.driving.eeg_watcher import synthetic_watcher

            self._activity.hear("progress", "the synthetic person calibrates", 0, 0)
            yield synthetic_watcher(seed)
        else:
            self._key = KeyWatcher()
            try:
                yield self._key
            finally:
                self._key = None


def _described(path: Path) -> dict[str, Any]:
    """Give what `drive.json` says, for the list; what it cannot say is told when it is replayed."""
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        about = {}
    about = about if isinstance(about, dict) else {}
    said = {name: about.get(name) for name in ("seed", "seconds", "driver", "watcher", "recorded")}
    return {"name": path.parent.name, **said}


def _one_of(values: Mapping[str, Any], name: str, known: list[str]) -> str:
    value = values.get(name)
    if value not in known:
        raise SettingsError(f"expected one of {', '.join(known) or 'nothing'} as {name!r}, got {value!r}")
    return str(value)


def _number(values: Mapping[str, Any], name: str, low: float, high: float) -> float:
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise SettingsError(f"expected a number from {low:g} to {high:g} as {name!r}, got {value!r}")
    return value
