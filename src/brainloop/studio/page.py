"""The page as a screen: plans go out by a socket, frames and key presses come back."""

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from math import inf
from threading import Condition
from typing import Any

import numpy as np

from brainloop.eeg.lsl import local_clock
from brainloop.errors import SettingsError, StoppedError
from brainloop.presentation.block import Block
from brainloop.presentation.clock import ClockOffset, estimate
from brainloop.presentation.schedule import frames, lateness
from brainloop.presentation.screen import Happened, Shown

__all__ = ["PageScreen", "PageShowing", "number_in"]

Message = Mapping[str, Any]

PRESS_DELAY = 0.15
"""A press reaches us within this time even while the page has nothing else to say, s."""

ANNOUNCED = 4.0
"""What is looked for from now on can be read for so long at least before a block begins, s: two words and three small
pictures take about two, and the eyes go back to the cross."""

UNTOLD = 0.05
"""A presentation is told of one frame after it came on: within this time at 20 frames a second and more, s."""

BEGIN = "Press space to begin. Esc pauses."
GO_ON = "Paused. Press space to go on."
LOST = "The page was closed. Press space to go on where you were."


class PageScreen:
    """The one page that shows blocks; messages come from the server's thread, blocks are shown from another.

    Attributes
    ----------
    refresh_hz : float or None
        As the page measured it.
    clock : ClockOffset or None
        From the page's clock to ours, of the block that is shown or was shown last.
    patch : bool
        Whether a corner lights up with each image, for a light sensor.
    latency : float
        From the frame that draws an image to its light, s: what a photodiode measured.
    pause : float
        Rest between two blocks, s.
    shows : mapping of str to sequence of int
        By what may be looked for, ids of images that show it.
    """

    def __init__(self) -> None:
        self.refresh_hz: float | None = None
        self.clock: ClockOffset | None = None
        self.patch = False
        self.latency = 0.0
        self.pause = 5.0
        self.shows: Mapping[str, Sequence[int]] = {}
        self.changed: Callable[[], None] = lambda: None
        self._news = Condition()
        self._messages: deque[Message] = deque()
        self._send: Callable[[str], None] | None = None
        self._greeted = False  # whether whoever sits there has said "go" since the page came
        self._rest_until = -inf
        self._announced: str | None = None  # what whoever sits there knows to look for
        self._stopped: str | None = None
        self._warning: str | None = None

    @property
    def connected(self) -> bool:
        """Whether a page is there."""
        return self._send is not None

    def attach(self, send: Callable[[str], None], hello: Message) -> bool:
        """Take a page that says hello; False while another is there and this one does not take over.

        Parameters
        ----------
        send : callable
            Sends it a text; may be called from any thread.
        hello : mapping
            Its first message.
        """
        with self._news:
            refresh_hz = number_in(hello, "refresh_hz")
            if self._send is not None:
                if not hello.get("take_over"):
                    return False
                self._tell({"type": "taken"})
            self._send = send
            self._greeted = False
            self.refresh_hz = refresh_hz
            self._messages.append({"type": "attached"})
            if self._warning is not None:
                self._tell({"type": "warning", "text": self._warning})
            self._news.notify_all()
        self.changed()
        return True

    def receive(self, message: Message, send: Callable[[str], None]) -> None:
        """Take a message of the page that `send` reaches; one that was taken over is not heard any more."""
        with self._news:
            if send == self._send:
                self._messages.append(message)
                self._news.notify_all()

    def detach(self, send: Callable[[str], None]) -> None:
        """Learn that the page that `send` reaches is gone."""
        with self._news:
            if send != self._send:
                return
            self._send = None
            self._messages.append({"type": "detached"})
            self._news.notify_all()
        self.changed()

    def begin(self, shows: Mapping[str, Sequence[int]]) -> None:
        """Begin a series of blocks: forget an earlier stop, and what is outstanding.

        Parameters
        ----------
        shows : mapping of str to sequence of int
            By what may be looked for, ids of images that show it, or, where a name begins with "not ", what it is not.
        """
        with self._news:
            self._stopped = None
            self._rest_until = -inf
            self._greeted = False
            self._announced = None
            self.shows = shows
            self._messages.clear()

    def stop(self, why: str) -> None:
        """End whatever is shown: whoever waits for it gets a StoppedError."""
        with self._news:
            self._stopped = why
            self._news.notify_all()

    def hold(self, text: str) -> None:
        """Interrupt the block that is shown until the person goes on, and say why."""
        with self._news:
            self._messages.append({"type": "hold", "text": text})
            self._news.notify_all()

    def over(self, text: str) -> None:
        """Tell the page that there is nothing more to look at."""
        with self._news:
            self._tell({"type": "over", "text": text})

    def warn(self, text: str | None) -> None:
        """Show a warning wherever no image is shown, until it is None; blocks go on."""
        with self._news:
            if text != self._warning:
                self._warning = text
                self._tell({"type": "warning", "text": text})

    def preload(self, block: Block) -> None:
        """Let the page fetch a block's images ahead."""
        with self._news:
            self._tell({"type": "preload", "block": block.number, "images": list(dict.fromkeys(block.images))})

    def announce(self, target: str) -> None:
        """Say what is looked for in the next block; if that is new, the rest lasts long enough to read it."""
        is_new = target != self._announced
        self._announced = target
        if is_new:
            self._rest_until = max(self._rest_until, local_clock() + ANNOUNCED)
        self.tell(
            {
                "type": "target",
                "target": target,
                "images": list(self.shows.get(target, ())),
                "is_new": is_new,
                "seconds": max(0.0, self._rest_until - local_clock()),
            }
        )

    def show(self, block: Block, start: int = 0) -> "PageShowing":
        """Begin to show a block; see `Screen.show`. `Block.images` are image ids."""
        return PageShowing(self, block, start)

    def take(self, timeout: float) -> list[Message]:
        """Wait for messages, and take all that are there; StoppedError once somebody has called `stop`."""
        with self._news:
            if not self._messages and self._stopped is None:
                self._news.wait(timeout)
            if self._stopped is not None:
                raise StoppedError(self._stopped)
            taken = list(self._messages)
            self._messages.clear()
            return taken

    def tell(self, message: Message) -> None:
        """Send the page a message, if it is there."""
        with self._news:
            self._tell(message)

    def _tell(self, message: Message) -> None:
        if self._send is not None:
            self._send(json.dumps(message))

    @property
    def has_begun(self) -> bool:
        """Whether the person before the page has said that they are ready."""
        return self._greeted

    @property
    def ready(self) -> bool:
        """Whether they have also rested."""
        return self._greeted and local_clock() >= self._rest_until

    def go(self) -> None:
        """Take it that the person goes on, and needs no more rest."""
        self._greeted, self._rest_until = True, -inf

    def halt(self) -> None:
        """Wait for the person to say that they go on."""
        self._greeted = False

    def rest(self, text: str, done: float) -> None:
        """Begin the rest after a block, while answers come in and the next one is planned."""
        self._rest_until = local_clock() + self.pause
        self.tell({"type": "rest", "seconds": self.pause, "text": text, "done": done})


class PageShowing:
    """A block on the page: loading, resting, running, paused, over; see `brainloop.presentation.screen.Showing`.

    Parameters
    ----------
    screen : PageScreen
        The page.
    block : Block
        With image ids.
    start : int
        The first position to show.
    """

    def __init__(self, screen: PageScreen, block: Block, start: int) -> None:
        self._screen, self._block = screen, block
        self._next = start
        self._state = "loading"
        self._clock: ClockOffset | None = None
        self._until = -inf
        self._ended = inf
        self.pauses: list[str] = []
        screen.preload(block)
        screen.announce(block.target)
        if not screen.has_begun:
            screen.tell({"type": "wait", "text": BEGIN})

    def poll(self, timeout: float) -> Happened:
        """Wait for news of the page; see `Showing.poll`."""
        shown: list[Shown] = []
        presses: list[float] = []
        for message in self._screen.take(timeout):
            self._take(message, shown, presses)
        if self._state == "resting" and self._screen.ready:
            self._start()
        over = self._next >= len(self._block.images)
        if over and self._state != "over":
            self._state, self._ended = "over", local_clock()
        until = local_clock() - PRESS_DELAY if over else self._until
        return Happened(tuple(shown), tuple(presses), until, over)

    def _take(self, message: Message, shown: list[Shown], presses: list[float]) -> None:
        kind = message.get("type")
        if kind == "attached":
            self._state = "loading"
            self._screen.preload(self._block)
            self._screen.announce(self._block.target)
            self._screen.tell({"type": "wait", "text": LOST if self._next else BEGIN})
        elif kind == "detached":
            self._pause("the page was closed")
        elif kind == "go":
            self._screen.go()
            if self._state == "paused":
                self._state = "resting"
        elif kind == "paused":
            self._pause(str(message.get("why")))
            self._screen.tell({"type": "wait", "text": GO_ON})
        elif kind == "hold":
            if self._state != "over":
                self._pause(str(message["text"]))
            self._screen.tell({"type": "wait", "text": message["text"]})
        elif kind == "press" and self._clock is not None:
            presses.append(self._clock.to_server(number_in(message, "t")))
        elif kind == "alive" and self._clock is not None:
            # The frame that is on has not been told of yet: it is, with the next.
            self._until = self._clock.to_server(number_in(message, "t")) - UNTOLD
        elif message.get("block") != self._block.number:
            return  # of a block that is no longer shown
        elif kind == "loaded" and self._state == "loading":
            self._state = "resting"
        elif kind == "clock":
            self._clock = self._screen.clock = estimate(np.asarray(message["pings"], dtype=float))
        elif kind in ("shown", "missed") and message.get("position") == self._next and self._clock is not None:
            shown.append(self._shown(message, self._clock))
            self._next += 1

    def _start(self) -> None:
        refresh = self._screen.refresh_hz or 60.0
        self._state = "running"
        self._screen.tell(
            {
                "type": "show",
                "block": self._block.number,
                "start": self._next,
                "images": list(self._block.images),
                "frames": frames(self._block.soa, refresh),
                "patch": self._screen.patch,
                "target": self._block.target,
            }
        )

    def _pause(self, why: str) -> None:
        self._state = "paused"
        self._screen.halt()
        self.pauses.append(why)

    def _shown(self, message: Message, clock: ClockOffset) -> Shown:
        planned = clock.to_server(number_in(message, "planned"))
        if message["type"] == "missed":
            return Shown(self._next, planned, planned, planned, "missed")
        drawn, following = number_in(message, "draw"), number_in(message, "next")
        flaw = lateness(number_in(message, "planned") / 1e3, drawn / 1e3, self._screen.refresh_hz or 60.0)
        onset = clock.to_server(drawn) + self._screen.latency
        return Shown(self._next, planned + self._screen.latency, onset, clock.to_server(following), flaw)


def number_in(message: Message, name: str) -> float:
    """Give a number that a message of the page must hold; SettingsError if it does not."""
    value = message.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not np.isfinite(value):
        raise SettingsError(f"expected a number as {name!r} of {message.get('type')!r} from the page, got {value!r}")
    return float(value)
