"""The headset on the desk: watched all the time, recorded while somebody sits there."""

from collections.abc import Callable
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from brainloop.eeg.headset import Headset, open_headset
from brainloop.eeg.recorder import Recorder
from brainloop.eeg.scalp import places
from brainloop.errors import SettingsError
from brainloop.studio.plain import plain
from brainloop.studio.traces import draw

if TYPE_CHECKING:
    from brainloop.eeg.headset_check import ChannelQuality, Mains

__all__ = ["Monitor"]

NOWHERE: dict[str, float | None] = {"x": None, "y": None}
"""The place of a channel whose name is none of the 10-05 system."""

WINDOW = 4.0
"""What the quality of channels is judged on, s."""


class Monitor:
    """Looks at the headset that is connected, once a second.

    Parameters
    ----------
    changed : callable
        Called after each look.
    silent : callable
        Called once with the headset's name when its samples cease to come.

    Attributes
    ----------
    headset : Headset or None
        That is connected.
    quality : tuple of ChannelQuality
        Of its EEG channels by now.
    """

    def __init__(self, changed: Callable[[], None], silent: Callable[[str], None]) -> None:
        self.headset: Headset | None = None
        self.quality: tuple[ChannelQuality, ...] = ()
        self._mains: Mains | None = None
        self._places: dict[str, dict[str, float | None]] = {}
        self._changed, self._silent = changed, silent
        self._lock = RLock()
        self._recorder: Recorder | None = None
        self._ended = Event()
        self._thread = Thread(target=self._look, name="monitor", daemon=True)
        self._thread.start()

    def connect(self, name: str) -> None:
        """Open a headset in place of the one there was; nothing is written down yet.

        Raises
        ------
        RecordingError, MissingExtraError, SettingsError
            See `open_headset`.
        """
        headset = open_headset(name)
        where = {channel: _place(channel) for channel in headset.info.channels}
        self.disconnect()
        with self._lock:
            self.headset, self._places = headset, where
            self.take_back()
        self._changed()

    def disconnect(self) -> None:
        """Let go of the headset."""
        with self._lock:
            recorder, self._recorder = self._recorder, None
            headset, self.headset = self.headset, None
            self.quality, self._mains = (), None
        if recorder is not None:
            recorder.close()
        if headset is not None:
            headset.close()
        self._changed()

    def lend(self, record: Callable[[Headset | None], Recorder]) -> Recorder:
        """Let somebody else record, as one thread may pull from a headset; look on meanwhile."""
        with self._lock:
            recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close()
        lent = record(self.headset)
        with self._lock:
            self._recorder = lent if self.headset is not None else None
        return lent

    def take_back(self) -> None:
        """Look at the headset oneself again."""
        if self.headset is not None and not self._ended.is_set():
            recorder = Recorder(None, {}, self.headset)
            recorder.start()
            with self._lock:
                self._recorder = recorder

    def close(self) -> None:
        """End it, and let go of the headset."""
        self._ended.set()
        self._thread.join()
        self.disconnect()

    def state(self) -> dict[str, Any] | None:
        """Give what the page shows of the headset; None where there is none."""
        with self._lock:
            if self.headset is None or self._recorder is None:
                return None
            status = self._recorder.status
            said = {name: getattr(status, name) for name in ("state", "rate", "gaps", "lost_s")}
            quality = [plain(one) | self._places.get(one.name, NOWHERE) for one in self.quality]
            mains = self._mains and {"hz": self._mains.hz, "uv": float(np.median(self._mains.uv))}
            seen = {"quality": quality, "mains": mains}
            return {**plain(self.headset.info), **said, **seen}

    def traces(self) -> dict[str, Any] | None:
        """Give the newest samples, for drawing; None where none come."""
        with self._lock:
            recorder, headset = self._recorder, self.headset
        return None if recorder is None or headset is None else draw(recorder.recent(WINDOW), headset.info)

    def _look(self) -> None:
        was_silent = False
        while not self._ended.wait(1.0):
            with self._lock:
                recorder, headset = self._recorder, self.headset
            if recorder is None or headset is None:
                continue
            from brainloop.eeg.headset_check import find_mains, quality

            recent = recorder.recent(WINDOW)
            self.quality, self._mains = quality(recent, headset.info), find_mains(recent, headset.info)
            is_silent = recorder.status.state == "silent"
            if is_silent and not was_silent:
                self._silent(headset.info.name)
            was_silent = is_silent
            self._changed()


def _place(channel: str) -> dict[str, float | None]:
    """Give where an electrode is, seen from above: right and front."""
    try:
        x, y = places([channel])[0].tolist()
    except SettingsError:
        return NOWHERE
    return {"x": x, "y": y}
