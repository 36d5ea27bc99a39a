"""The protocol of a use: what a study believes, what it asks next, and what a round of looks came to."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from brainloop._types import IntArray
from brainloop.presentation.block import Block
from brainloop.store import Round
from brainloop.study import Study, StudyData

__all__ = ["Use", "round_of"]


class Use(Protocol):
    """What the looks of a study are for.

    Whatever it believes follows from the study's settings and from what its store holds, so that a study goes on after
    a kill as if there had been none.

    Parameters
    ----------
    study : Study
        The study.
    data : StudyData
        Its pool.
    """

    def __init__(self, study: Study, data: StudyData) -> None: ...

    def believe(self, last_round: int | None = None) -> Any:
        """Say what is known of each image of the pool, from the looks up to a round or all."""
        ...

    def catch_up(self) -> Any:
        """Say what is known of each image after the last round that is over, whichever station trained it."""
        ...

    def plan(
        self,
        belief: Any,
        number: int,
        n_looks: int,
        soa: float,
        *,
        person: str = "",
        pending: IntArray | None = None,
    ) -> list[Block]:
        """Plan a turn in round `number`, of `n_looks` presentations at most; empty when nothing is left to ask.

        The blocks' images are rows of the pool. `person` is who will look, if that is one; `pending` are the rows that
        are being looked at, or were since the last training: they are not asked about.
        """
        ...

    def close(self, belief: Any, rounds: Sequence[Round], machine_s: float) -> Round:
        """Keep what the round after `rounds` taught, and say what it came to; `machine_s` was spent on it so far."""
        ...


def round_of(
    study: Study,
    rounds: Sequence[Round],
    machine_s: float,
    unsure: float,
    *,
    converged: bool,
    auc: float | None = None,
    auc_low: float | None = None,
    auc_high: float | None = None,
    **quality: float | None,
) -> Round:
    """Count what the round after `rounds` came to; its measures of quality are given by their names in `Round`."""
    settings, looks, number = study.settings, study.store.looks(), len(rounds) + 1
    counted = looks.round <= number
    blocks = [block for block, _ in study.store.blocks() if block.round <= number]
    return Round(
        number=number,
        looks=int(counted.sum()),
        rejected=sum(reason is not None for reason, count in zip(looks.rejected, counted, strict=True) if count),
        images=int(np.unique(looks.image[counted]).size),
        viewing_s=sum(block.seconds for block in blocks) + settings.pause * max(0, len(blocks) - 1),
        machine_s=machine_s + (rounds[-1].machine_s if rounds else 0.0),
        unsure=unsure,
        auc=auc,
        auc_low=auc_low,
        auc_high=auc_high,
        converged=converged,
        **quality,
    )
