"""What a studio knows of the study that is open, read from its store once and not with every state."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from brainloop.parts import CALIBRATION_PREVALENCE, is_known
from brainloop.people import people
from brainloop.settings import Settings
from brainloop.store import PoolImage
from brainloop.studio.plain import plain
from brainloop.study import Study

__all__ = ["Known"]

MIN_OTHERS = 60
"""Images that are known to be no targets, from which on none are taken unseen for calibration."""

TAKEN_UNSEEN = 300

MOST_ANNOTATED = 60
"""Annotated images that stand for targets in the calibration of an audit: each comes two or three times."""

SHOWN = 3
"""Examples shown with what is looked for."""


@dataclass(frozen=True)
class Known:
    """A study as its store has it.

    Parameters
    ----------
    settings : Settings
        The study's.
    images : dict of int to PoolImage
        By id.
    counts : dict of str to int
        Images by the part they play.
    looks : int
        That were answered.
    rounds : list of dict
        What each came to.
    corrections : dict of int to (str, bool)
        What people said of images, by id: what of, and whether it is that.
    has_truth : bool
        Whether class folders tell what is looked for.
    display : dict or None
        What a photodiode measured: `offset` and `sd`, s.
    people : list of dict
        Who has looked.
    """

    settings: Settings
    images: dict[int, PoolImage] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    looks: int = 0
    rounds: list[dict[str, Any]] = field(default_factory=list)
    corrections: dict[int, tuple[str, bool]] = field(default_factory=dict)
    has_truth: bool = False
    display: dict[str, Any] | None = None
    people: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, study: Study) -> "Known":
        """Read it."""
        store = study.store
        images = {image.id: image for image in store.images()}
        return cls(
            settings=study.settings,
            images=images,
            counts=dict(Counter(image.part for image in images.values())),
            looks=sum(answered for _, answered in store.blocks()),
            rounds=[vars(one) for one in store.rounds()],
            corrections=store.corrections(),
            has_truth=is_known([image.label for image in images.values()], study.settings),
            display=store.fact("display"),
            people=[plain(one) for one in people(study)],
        )

    @property
    def targets(self) -> tuple[str, ...]:
        """What blocks may look for."""
        return self.settings.sought

    @cached_property
    def calibrates(self) -> str:
        """What is looked for in calibration: that of which most blocks can be made, with targets rare."""

        def blocks(target: str) -> float:
            targets, others = self.examples(target)
            return min(len(targets) / CALIBRATION_PREVALENCE, len(others) / (1 - CALIBRATION_PREVALENCE))

        return max(self.targets, key=blocks)

    @property
    def shows(self) -> dict[str, tuple[int, ...]]:
        """By what may be looked for, some images that show it; in an audit, what it is not: the class itself.

        Those that a person named come first: folders and annotations hold some that show something else.
        """
        found, kind = {}, 1 if self.settings.use == "audit" else 0
        for target in self.targets:
            members = self.examples(target)[kind]
            named = _some(members & self.corrections.keys(), SHOWN)
            found[target] = named + _some(members - self.corrections.keys(), SHOWN - len(named))
        return found

    def examples(self, target: str) -> tuple[frozenset[int], frozenset[int]]:
        """Give the targets and the others to calibrate with: images set aside for it, and those that a person named.

        Where class folders tell nothing and few others are named, images of the pool are taken for others unseen: what
        is looked for alone is rare. In an audit most annotations are right, so they stand for the answers.
        """
        return self._examples[target]

    @cached_property
    def _examples(self) -> dict[str, tuple[frozenset[int], frozenset[int]]]:
        return {target: self._examples_of(target) for target in self.targets}

    def _examples_of(self, target: str) -> tuple[frozenset[int], frozenset[int]]:
        if self.settings.use == "audit":
            return self._annotated(target)
        known = {image.id: image.label == target for image in self.images.values() if image.part == "calibration"}
        for image, (said, is_target) in self.corrections.items():
            if said == target or is_target:  # what is one class is none of the others
                known[image] = said == target and is_target
        targets = frozenset(image for image, is_target in known.items() if is_target)
        others = frozenset(image for image, is_target in known.items() if not is_target)
        foreign = not self.has_truth or self.settings.use == "review"
        if len(others) < MIN_OTHERS and not self.settings.classes and foreign:
            pool = [image.id for image in self.images.values() if image.part == "pool" and image.id not in known]
            others |= frozenset(_some(pool, TAKEN_UNSEEN))
        return targets, others

    def _annotated(self, target: str) -> tuple[frozenset[int], frozenset[int]]:
        name = target.removeprefix("not ")
        pool = [image for image in self.images.values() if image.part == "pool" and image.id not in self.corrections]
        wrong = _some((image.id for image in pool if image.annotation != name), MOST_ANNOTATED)
        right = _some((image.id for image in pool if image.annotation == name), TAKEN_UNSEEN)
        said = {image: is_target for image, (of, is_target) in self.corrections.items() if of == target}
        return (
            frozenset(wrong) | {image for image, is_target in said.items() if is_target},
            frozenset(right) | {image for image, is_target in said.items() if not is_target},
        )


def _some(ids: Iterable[int], most: int) -> tuple[int, ...]:
    """Give some ids, always the same, from all over the list."""
    found = sorted(ids)
    return tuple(found[i] for i in np.linspace(0, len(found) - 1, min(most, len(found)), dtype=int))
