"""The values that pass between the loop and whoever looks: a block in, one response a presentation out."""

from dataclasses import dataclass

import numpy as np

from brainloop._types import FloatArray

__all__ = ["Block", "Response"]


@dataclass(frozen=True)
class Block:
    """A burst of presentations without a pause: a plan, made before the first frame.

    Parameters
    ----------
    round, number : int
        The round of the loop, from 1, and the block's number in the study, from 1.
    images : tuple of int
        Index in the pool of the image of each presentation, in order.
    soa : float
        Stimulus onset asynchrony, onset to onset, s.
    target : str
        What is looked for in this block; the evidence of its looks is for or against that alone.
    """

    round: int
    number: int
    images: tuple[int, ...]
    soa: float
    target: str = ""

    @property
    def onsets(self) -> FloatArray:
        """Planned onset of each presentation since the block's first, s."""
        return np.arange(len(self.images)) * self.soa

    @property
    def seconds(self) -> float:
        """How long the block takes to look at, s."""
        return len(self.images) * self.soa


@dataclass(frozen=True)
class Response:
    """What one presentation evoked.

    Parameters
    ----------
    score : float
        The decoder's raw score; NaN where the epoch was rejected.
    evidence : float
        Evidence, nats; 0 where the epoch was rejected.
    rejected : str or None
        Why the epoch was rejected.
    onset : float
        When the image came on, since the block's first presentation, s.
    source : str
        Where the response comes from: the epoch of a recording, or the block that was watched.
    person, session : str
        Who looked, and in which recording session.
    """

    score: float
    evidence: float
    rejected: str | None
    onset: float
    source: str
    person: str
    session: str
