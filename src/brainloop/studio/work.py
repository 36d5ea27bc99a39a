"""Long work in a process of its own, of low priority, so that no frame and no sample waits for it."""

import os
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from brainloop.errors import BrainloopError, StoppedError

__all__ = ["Talk", "Work"]

NICENESS = 10
"""Half of a core's time goes to whoever has niceness 0 and wants it: headset, screen and page."""


class Talk:
    """The pipe between a process and its work; what goes through it is made by brainloop on both sides."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self._pipe = pipe

    def send(self, kind: str, *values: Any) -> None:
        """Send the other side a message."""
        self._pipe.send((kind, *values))

    def receive(self) -> tuple[Any, ...]:
        """Wait for a message of the other side; EOFError once it is gone."""
        return tuple(self._pipe.recv())

    def progress(self, what: str) -> Callable[[int, int], None]:
        """Give a `progress` that sends how far `what` has come."""
        return lambda done, total: self.send("progress", what, done, total)


class Work:
    """A function that runs in another process.

    Parameters
    ----------
    function : callable
        At the top of a module; called with a `Talk` and the arguments. What it returns ends the work.
    *arguments
        Anything that another process can be given.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        # A fork would carry over threads' locks; a fresh process has none.
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        self._talk = Talk(ours)
        self._process = context.Process(target=_run, args=(theirs, function, arguments), name=function.__name__)
        self._process.start()
        theirs.close()

    def send(self, kind: str, *values: Any) -> None:
        """Send the work a message; nothing happens if it has ended."""
        try:
            self._talk.send(kind, *values)
        except (BrokenPipeError, ConnectionResetError):
            return

    def messages(self) -> Iterator[tuple[Any, ...]]:
        """Give its messages as they come; the last is ``("result", value)``.

        Raises
        ------
        BrainloopError
            The error that ended it.
        """
        while True:
            try:
                message = self._talk.receive()
            except (EOFError, ConnectionResetError):
                self._process.join()
                raise BrainloopError(
                    f"the process that did '{self._process.name}' ended early (exit status {self._process.exitcode}); "
                    "what is on disk is whole: try again"
                ) from None
            if message[0] == "error":
                raise BrainloopError(message[1])
            yield message
            if message[0] == "result":
                self._process.join()
                return

    def result(self, on_message: Callable[..., None] = lambda *_: None) -> Any:
        """Wait for what it returns; other messages go to `on_message`."""
        for message in self.messages():
            if message[0] == "result":
                return message[1]
            on_message(*message)
        return None

    def end(self) -> None:
        """End it now; it keeps what it stored."""
        self._process.terminate()
        self._process.join()


def _run(pipe: "Connection[Any, Any]", function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    talk = Talk(pipe)
    try:
        talk.send("result", function(talk, *arguments))
    except StoppedError:
        talk.send("result", None)
    except (BrainloopError, OSError) as error:
        talk.send("error", str(error))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return  # the studio is gone
