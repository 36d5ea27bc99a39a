"""Whoever watches a drive: what they are told, and what is heard from them."""

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Heard", "Watcher"]


@dataclass(frozen=True)
class Heard:
    """One piece of evidence that a hazard was seen.

    Attributes
    ----------
    time : float
        When it was known, s from the start of the drive.
    begin, end : float
        The stretch of the drive that it speaks of, s: earlier than `time`, by how long people take to respond and we
        to decode.
    evidence : float
        For a hazard there and against none, nats.
    """

    time: float
    begin: float
    end: float
    evidence: float


class Watcher(Protocol):
    """A person with a headset or a key, a recording, a simulation.

    One watcher watches one drive at a time. Times are seconds from its start.
    """

    def begin(self) -> None:
        """Begin to watch another drive: what is still unsaid of the one before never will be."""
        ...

    def see(self, time: float, hazard: bool) -> None:
        """Be shown the road as it is at `time`; whether it holds a hazard is for those who only simulate a person."""
        ...

    def heard(self) -> list[Heard]:
        """Give what has been said since the last call, in the order of its `time`."""
        ...
