"""What a studio is doing: one thing at a time, how far it has come, and who is told of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any

from brainloop.errors import BrainloopError, StudyError

if TYPE_CHECKING:
    from brainloop.studio.work import Work

__all__ = ["Activity"]


class Activity:
    """What is going on; its methods may be called from any thread.

    Attributes
    ----------
    name : {"idle", "preparing", "calibrating", "training", "watching", "driving", "stopping"}
        What it is.
    progress, notice : dict or None
        How far it has come (`what`, `done`, `total`), and what was said last (`level`, `text`, its number `n`).
    """

    def __init__(self) -> None:
        self.name = "idle"
        self.progress: dict[str, Any] | None = None
        self.notice: dict[str, Any] | None = None
        self._news = Condition()
        self._version = 0
        self._works: list[Work] = []
        self._thread = Thread()

    # Who is told

    def touch(self) -> None:
        """Say that the state has changed."""
        with self._news:
            self._version += 1
            self._news.notify_all()

    @property
    def version(self) -> int:
        """Number of the state by now."""
        with self._news:
            return self._version

    def wait_change(self, version: int, timeout: float) -> int:
        """Wait until the state is another than `version`, or for `timeout` s; give the version it has."""
        with self._news:
            if self._version == version:
                self._news.wait(timeout)
            return self._version

    def say(self, level: str, text: str) -> None:
        """Show a notice on the page."""
        with self._news:
            self.notice = {"level": level, "text": text, "n": 1 + (self.notice["n"] if self.notice else 0)}
        self.touch()

    def hear(self, kind: str, *values: Any) -> None:
        """Take a message of a work: ``progress`` (what, done, total), or another that ends the last one's progress."""
        if kind == "progress":
            self.progress = dict(zip(("what", "done", "total"), values, strict=True))
        elif kind == "show":
            self.progress = None
        self.touch()

    # What is done

    def turn_to(self, name: str) -> None:
        """Say that something else is going on now."""
        self.name = name
        self.touch()

    def must_be_idle(self) -> None:
        """Raise a StudyError if something is going on."""
        if self.name != "idle":
            raise StudyError(f"the studio is {self.name}; wait until it is done, or stop it first")

    @contextmanager
    def preparing(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Do something while the page waits; gives its `progress`."""
        self.must_be_idle()
        self.turn_to("preparing")
        try:
            yield lambda done, total: self.hear("progress", what, done, total)
        finally:
            self.progress = None
            self.turn_to("idle")

    def begin(self, name: str, what: Callable[[], None], after: Callable[[], None]) -> None:
        """Do something in a thread of its own, and `after` it, however it ends, before all is idle again."""
        self.must_be_idle()
        self.turn_to(name)

        def run() -> None:
            try:
                what()
            except (BrainloopError, OSError) as error:
                self.say("error", str(error))
            finally:
                self.progress = None
                after()
                self.turn_to("idle")

        self._thread = Thread(target=run, name=name, daemon=True)
        self._thread.start()

    def work(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function in a process of its own, which ends with the studio."""
        from brainloop.studio.work import Work

        work = Work(function, *arguments)
        self._works.append(work)
        try:
            return work.result(self.hear)
        finally:
            self._works.remove(work)

    def end(self) -> None:
        """Wait a little for what is going on, which was told to stop, and end what still works."""
        if self._thread.is_alive():
            self._thread.join(10)
        for work in list(self._works):
            work.end()
