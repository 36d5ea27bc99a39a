"""The oracle: an observer who tells the truth, the ceiling of what looking can give."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from brainloop._types import BoolArray
from brainloop.eeg.erp import ERP
from brainloop.presentation.block import Block, Response

__all__ = ["CERTAIN", "Oracle"]

CERTAIN = 12.0
"""Evidence of a true answer, nats: a posterior within 1e-5 of 0 or 1 at even odds, and finite in every loss."""


class Oracle:
    """Answers each presentation with its image's true label.

    Parameters
    ----------
    truth : mapping of str to array of bool, shape (n_images,)
        By what may be looked for, whether each image of the pool is that.
    soa : float
        Onset to onset, s: that of the observer whose ceiling it gives.

    Attributes
    ----------
    soa : float
        As given, s.
    facts : dict
        That it is the oracle; it has no recordings.
    """

    def __init__(self, truth: Mapping[str, BoolArray], *, soa: float) -> None:
        self.soa = soa
        self.facts: dict[str, Any] = {"observer": "oracle", "difficulty": 0.0, "recordings": []}
        self._truth = truth

    def respond(self, block: Block, start: int = 0) -> Iterator[Response]:
        """Tell the truth about a block; see `Observer.respond`."""
        is_target = self._truth[block.target]
        for position in range(start, len(block.images)):
            evidence = CERTAIN if is_target[block.images[position]] else -CERTAIN
            yield Response(
                score=evidence, evidence=evidence, rejected=None, onset=float(block.onsets[position]),
                source=f"oracle#{block.number}.{position}", person="oracle", session="truth",
            )  # fmt: skip

    def recall(self, blocks: Sequence[Block]) -> None:
        """Nothing to recall: the truth does not change."""

    def erps(self) -> dict[str, ERP]:
        """Nothing: there is no EEG."""
        return {}
