"""What a studio knows of the study that is open, read from its store once and not with every state."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from brainloop.people import people
from brainloop.store import PoolImage
from brainloop.studio.plain import plain
from brainloop.study import Study

__all__ = ["Known"]

MIN_OTHERS = 60
"""Images that are known to be no targets, from which on none are taken unseen for calibration."""

TAKEN_UNSEEN = 300


@dataclass(frozen=True)
class Known:
    """A study as its store has it.

    Parameters
    ----------
    images : dict of int to PoolImage
        By id.
    counts : dict of str to int
        Images by the part they play.
    looks : int
        That were answered.
    rounds : list of dict
        What each came to.
    corrections : dict of int to bool
        What people said of images, by id.
    has_truth : bool
        Whether class folders tell targets from others.
    display : dict or None
        What a photodiode measured: `offset` and `sd`, s.
    people : list of dict
        Who has looked.
    """

    images: dict[int, PoolImage] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    looks: int = 0
    rounds: list[dict[str, Any]] = field(default_factory=list)
    corrections: dict[int, bool] = field(default_factory=dict)
    has_truth: bool = False
    display: dict[str, Any] | None = None
    people: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, study: Study) -> "Known":
        """Read it."""
        store = study.store
        images = {image.id: image for image in store.images()}
        labelled = sum(image.label == study.settings.target for image in images.values())
        return cls(
            images=images,
            counts=dict(Counter(image.part for image in images.values())),
            looks=sum(answered for _, answered in store.blocks()),
            rounds=[vars(one) for one in store.rounds()],
            corrections=store.corrections(),
            has_truth=0 < labelled < len(images),
            display=store.fact("display"),
            people=[plain(one) for one in people(study)],
        )

    def examples(self, target: str) -> tuple[frozenset[int], frozenset[int]]:
        """Give the targets and the others to calibrate with: images set aside for it, and those that a person named.

        Where class folders tell nothing and few others are named, images of the pool are taken for others unseen: what
        is looked for is rare.
        """
        known = {image.id: image.label == target for image in self.images.values() if image.part == "calibration"}
        known |= self.corrections
        targets = frozenset(image for image, is_target in known.items() if is_target)
        others = frozenset(image for image, is_target in known.items() if not is_target)
        if len(others) < MIN_OTHERS and not self.has_truth:
            pool = [image.id for image in self.images.values() if image.part == "pool" and image.id not in known]
            others |= frozenset(pool[:: max(1, len(pool) // TAKEN_UNSEEN)])
        return targets, others
