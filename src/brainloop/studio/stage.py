"""Where somebody sits: the screen before them, the headset on their head, the markers for whoever else records."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from brainloop.errors import BrainloopError
from brainloop.studio.activity import Activity
from brainloop.studio.page import PageScreen

if TYPE_CHECKING:
    from brainloop.presentation.external import ExternalScreen
    from brainloop.presentation.markers import MarkerOutlet
    from brainloop.presentation.screen import Screen
    from brainloop.studio.monitor import Monitor
    from brainloop.studio.opened import Opened
    from brainloop.studio.sitting import Sitting

__all__ = ["Stage", "marker_source"]


class Stage:
    """One screen and one headset; its methods may be called from any thread.

    Parameters
    ----------
    home : Path
        The studio's folder of studies, by which its markers are known.
    activity : Activity
        What is told of what happens here.
    foreign : str, optional
        Name or source id of the marker stream of a lab's own presentation software, in place of the page.

    Attributes
    ----------
    screen : PageScreen
        The page that shows blocks.
    monitor : Monitor or None
        The headset's, once there was one.
    """

    def __init__(self, home: Path, activity: Activity, foreign: str | None = None) -> None:
        self.screen = PageScreen()
        self.screen.changed = activity.touch
        self.monitor: Monitor | None = None
        self._home, self._activity, self._foreign = home, activity, foreign
        self._lock = RLock()
        self._external: ExternalScreen | None = None
        self._markers: MarkerOutlet | None = None
        self._sitting: Sitting | None = None

    @property
    def is_external(self) -> bool:
        """Whether a lab's own software shows the images."""
        return self._foreign is not None

    @property
    def has_headset(self) -> bool:
        """Whether one is connected."""
        return self.monitor is not None and self.monitor.headset is not None

    def connect(self, name: str) -> None:
        """Open a headset and look at its signal; nothing is written down yet."""
        from brainloop.studio.monitor import Monitor

        with self._lock:
            self.monitor = self.monitor or Monitor(self._activity.touch, self._hold)
        self.monitor.connect(name)
        self._publish_markers()

    def disconnect(self) -> None:
        """Let go of the headset."""
        if self.monitor is not None:
            self.monitor.disconnect()

    @contextmanager
    def sit(self, opened: "Opened", person: str, mode: str, phase: str) -> "Iterator[Sitting]":
        """Record a person from now on, for ``calibration`` or for the ``study``; see `Sitting`."""
        from brainloop.studio.sitting import Sitting

        study, known = opened.study, opened.known
        self.screen.latency = known.display["offset"] if known.display else 0.0
        self.screen.pause = study.settings.pause
        self.screen.begin(known.shows)
        screen: Screen = self.screen
        if self._foreign is not None:
            from brainloop.presentation.external import ExternalScreen

            screen = self._external = ExternalScreen(self._foreign, lambda image: known.images[image].path)
        monitor = self.monitor if mode != "keyboard" else None
        markers = self._publish_markers()
        sitting = Sitting(
            study.folder, known.images, person, mode, phase, screen, self.screen, markers, monitor, self._warn
        )
        with self._lock:
            self._sitting = sitting
        try:
            yield sitting
        except (BrainloopError, OSError) as error:
            self.screen.over(str(error))
            raise
        finally:
            with self._lock:
                self._sitting, external, self._external = None, self._external, None
            sitting.close()
            if external is not None:
                external.close()

    def stop(self, why: str) -> None:
        """End whatever is shown."""
        self.screen.stop(why)
        if (external := self._external) is not None:
            external.stop()

    def leave(self) -> None:
        """End the looking without its store."""
        with self._lock:
            sitting = self._sitting
        if sitting is not None:
            sitting.leave()

    def close(self) -> None:
        """Let go of the headset for good."""
        if self.monitor is not None:
            self.monitor.close()

    def _publish_markers(self) -> "MarkerOutlet":
        from brainloop.presentation.markers import MarkerOutlet

        with self._lock:
            self._markers = self._markers or MarkerOutlet(marker_source(self._home))
            return self._markers

    def _warn(self, text: str) -> None:
        self._activity.say("warning", text)

    def _hold(self, headset: str) -> None:
        """Interrupt the block that is shown, as the headset sends nothing."""
        if self._sitting is not None:
            self.screen.hold(
                f"No samples come from {headset}. See to its battery, cable and radio; once it is back, press space."
            )
            self._warn(f"No samples come from {headset}; the block waits.")


def marker_source(home: Path) -> str:
    """Give the source id of a studio's marker stream: the same after a restart, another for each home folder."""
    return f"brainloop-{sha256(str(home.resolve()).encode()).hexdigest()[:8]}"
