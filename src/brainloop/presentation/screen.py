"""The screen: where a block is shown, and what it says of every presentation."""

from dataclasses import dataclass
from typing import Protocol

from brainloop.presentation.block import Block

__all__ = ["Happened", "Screen", "Showing", "Shown"]


@dataclass(frozen=True)
class Shown:
    """One presentation, as the screen reports it; all times on the clock of `pylsl.local_clock`, s.

    Attributes
    ----------
    position : int
        In the block, from 0.
    planned : float
        When it should have come on.
    onset : float
        When it came on: the frame that drew it, and the display's latency where that was measured; as planned if it
        never came on.
    next : float
        The frame after the one that drew it; equal to `onset` where there was none.
    flaw : str or None
        Why it must not train anything: ``late``, ``missed``, ``interrupted``.
    """

    position: int
    planned: float
    onset: float
    next: float
    flaw: str | None = None


@dataclass(frozen=True)
class Happened:
    """What happened on a screen since it was last asked.

    Attributes
    ----------
    shown : tuple of Shown
        In order of position.
    presses : tuple of float
        When the key was pressed, s, same clock.
    until : float
        Every press before this instant has been told of, s.
    over : bool
        Whether the last presentation has been shown; nothing but presses comes any more.
    """

    shown: tuple[Shown, ...] = ()
    presses: tuple[float, ...] = ()
    until: float = float("-inf")
    over: bool = False


class Showing(Protocol):
    """A block that is being shown."""

    def poll(self, timeout: float) -> Happened:
        """Wait for `timeout` seconds at most for something to happen; StudyError if the person has stopped."""
        ...


class Screen(Protocol):
    """Shows blocks to a person: the studio's page, or any software that takes plans and sends markers."""

    def show(self, block: Block, start: int = 0) -> Showing:
        """Begin to show a block from position `start` on; a pause of the person's is the screen's own affair."""
        ...
