"""How the looking goes: counts for the page while a study is watched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brainloop.eeg.lsl import local_clock

__all__ = ["Watched"]

LATE = ("late", "missed", "interrupted")


@dataclass
class Watched:
    """Counts of a sitting, from what the loop and the observer tell.

    Parameters
    ----------
    round, block : int
        That is shown.
    looks : int
        Answered in the study so far.
    sure : float or None
        Share of the pool that the classifier is sure of; None before the first round is over.
    target : str
        What is looked for in the block.
    began : float
        When the sitting began, s.
    answered, late, rejected : int
        Presentations of this sitting; those that came late or never, and all that train nothing.
    """

    round: int
    block: int
    looks: int
    sure: float | None
    began: float
    answered: int = 0
    late: int = 0
    rejected: int = 0
    target: str = ""
    ended: float | None = None

    @classmethod
    def begin(cls, looks: int, rounds: Sequence[Mapping[str, Any]]) -> "Watched":
        """Begin to count where a study stands."""
        return cls(len(rounds) + 1, 0, looks, 1 - rounds[-1]["unsure"] if rounds else None, local_clock())

    def hear(self, kind: str, *values: Any) -> None:
        """Take what was told: ``show`` (block, start), ``look`` (response), ``round`` (measures)."""
        if kind == "show":
            self.round, self.block, self.target = values[0].round, values[0].number, values[0].target
        elif kind == "look":
            self.looks += 1
            self.answered += 1
            self.rejected += values[0].rejected is not None
            self.late += values[0].rejected in LATE
            self.ended = local_clock()
        elif kind == "round":
            self.sure = 1 - values[0]["unsure"]
            self.looks = max(self.looks, values[0]["looks"])  # other stations look, too

    @property
    def minutes(self) -> float:
        """From the beginning to the last answer, min."""
        return ((self.ended or self.began) - self.began) / 60

    @property
    def images_per_hour(self) -> float | None:
        """Answers an hour, rests and trainings included; None for the first seconds."""
        return self.answered / self.minutes * 60 if self.minutes > 0.05 else None
