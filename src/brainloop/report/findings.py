"""What there is to say about a study: every number of the report, and no word of it."""

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.classifier.measure import auc_interval
from brainloop.classifier.query import Belief
from brainloop.classifier.system import SYSTEMS
from brainloop.eeg.erp import ERP
from brainloop.errors import StudyError
from brainloop.observers.memory import mean_responses, observer_facts
from brainloop.settings import Settings
from brainloop.store import Looks, PoolImage, Round
from brainloop.study import Study
from brainloop.uses.heard import total_evidence

__all__ = ["Answers", "Findings", "Reuse", "StudyFindings", "find", "study_findings"]


@dataclass(frozen=True)
class Reuse:
    """How often epochs of a recording answered more than once: `looks` answers came from `epochs` distinct epochs."""

    looks: int
    epochs: int
    most: int

    @property
    def repeats(self) -> int:
        """Answers that an epoch gave for the second time or more."""
        return self.looks - self.epochs


class Answers(NamedTuple):
    """What all usable looks with the same question came to together.

    Parameters
    ----------
    evidence : array, shape (n_answers,)
        Total evidence, nats.
    is_target : array of bool, shape (n_answers,), or None
        Whether the answer should be a yes, where truth is known.
    noun : str
        What there is one answer of.
    """

    evidence: FloatArray
    is_target: BoolArray | None
    noun: str


@dataclass(frozen=True)
class StudyFindings(ABC):
    """A study, after its last round that is over: who looked at what, and how they responded.

    Parameters
    ----------
    settings : Settings
        The study's.
    rounds : list of Round
        One or more.
    looks : Looks
        The responses of these rounds; those of a round that is not over are left out, as the head has not learned them.
    unfinished : int
        How many were left out.
    shown_target : array of bool, shape (n_looks,), or None
        Whether each look showed what was looked for, where truth is known.
    pool, test : list of PoolImage
        The images that may be shown, and those that never are.
    times_seen : array of int, shape (n_pool,)
        Looks at each image.
    times_answered : array of int, shape (n_pool,)
        How many of those looks gave a response that was not rejected.
    observer, versions : dict
        What the study remembers of its observer and its packages.
    erps : dict
        Mean responses by the name of their recording.
    parts : dict
        Images by the part that they play.
    skipped : list of (path, reason)
        Files that were not used.
    """

    settings: Settings
    rounds: list[Round]
    looks: Looks
    unfinished: int
    shown_target: BoolArray | None
    pool: list[PoolImage]
    test: list[PoolImage]
    times_seen: IntArray
    times_answered: IntArray
    observer: dict[str, Any]
    versions: dict[str, str]
    erps: dict[str, ERP]
    parts: dict[str, int]
    skipped: list[tuple[str, str]]

    @property
    @abstractmethod
    def answers(self) -> Answers:
        """What looks at the same image for the same thing came to together."""

    @property
    def last(self) -> Round:
        """The last round that is over."""
        return self.rounds[-1]

    @property
    def minutes(self) -> float:
        """Viewing and machine time of the whole study, without calibration, min."""
        return (self.last.viewing_s + self.last.machine_s) / 60

    @property
    def calibration_s(self) -> float:
        """Time that calibration took, over all recordings, s."""
        return sum(about.get("calibration_s") or 0.0 for about in self.recordings)

    @property
    def recordings(self) -> list[dict[str, Any]]:
        """What the observer says of each recording; empty where it has none, or speaks of them in its own way."""
        return [about for about in self.observer.get("recordings") or [] if isinstance(about, dict)]

    @property
    def usable(self) -> BoolArray:
        """Which looks gave a response that was not rejected, shape (n_looks,)."""
        return np.array([reason is None for reason in self.looks.rejected], dtype=bool)

    def rejections(self) -> list[tuple[str, int]]:
        """Count the rejected epochs by reason, the most frequent first."""
        return Counter(reason for reason in self.looks.rejected if reason is not None).most_common()

    def prevalence(self, round_number: int | None = None) -> float | None:
        """Give the share of a round's presentations, or of all, that showed what was looked for; None where unknown."""
        if self.shown_target is None:
            return None
        members = slice(None) if round_number is None else self.looks.round == round_number
        shown = self.shown_target[members]
        return float(shown.mean()) if shown.size else None

    def reuse(self, members: BoolArray | None = None) -> Reuse:
        """Count how often the same epoch answered, among some looks or all."""
        chosen = self.looks.source if members is None else [self.looks.source[k] for k in np.flatnonzero(members)]
        count = Counter(chosen)
        return Reuse(len(chosen), len(count), max(count.values(), default=0))

    def single_look_auc(self, recording: str | None = None) -> float | None:
        """Give the AUC of the evidence of single looks, of one recording or all; None where it cannot be known."""
        if self.shown_target is None:
            return None
        members = self.usable
        if recording is not None:
            # A source is the recording's name, a "#", and the place in it.
            members = members & np.array([s.rpartition("#")[0] == recording for s in self.looks.source], dtype=bool)
        truth = self.shown_target[members]
        if not truth.any() or truth.all():
            return None
        return auc_interval(truth, self.looks.evidence[members], n_resamples=1).value


@dataclass(frozen=True)
class Findings(StudyFindings):
    """What there is to say of a study that looks for one target, beside what there is of any.

    Parameters
    ----------
    truth, test_truth : array of bool, shape (n_pool,) and (n_test,), or None
        Whether each is a target, where truth is known.
    belief : Belief
        What is known of each image of the pool.
    asked : array, shape (n_pool,)
        The log-odds by which the study's system asks, nats.
    test_log_odds : array, shape (n_test,)
        The classifier's log-odds ``z`` of the images never shown, nats.
    """

    truth: BoolArray | None
    test_truth: BoolArray | None
    belief: Belief
    asked: FloatArray
    test_log_odds: FloatArray

    @property
    def answers(self) -> Answers:
        """The answer of every image that gave one."""
        seen = self.times_answered > 0
        return Answers(self.belief.evidence[seen], None if self.truth is None else self.truth[seen], "images")


def find(study: Study) -> Findings:
    """Read a study of one target.

    Raises
    ------
    StudyError
        If no round is over yet.
    """
    common = study_findings(study)
    data, head, target = study.data(), study.head(), study.settings.target
    features, test = study.features(data)
    evidence, _ = total_evidence(study, data, common["rounds"][-1].number)
    belief = Belief(features, head, evidence)
    return Findings(
        **common,
        truth=None if data.truth is None else data.truth[target],
        test_truth=None if data.test_truth is None else data.test_truth[target],
        belief=belief,
        asked=SYSTEMS[study.settings.system].asks_of(belief),
        test_log_odds=head.log_odds(test) if len(data.test) else np.zeros(0),
    )


def study_findings(study: Study) -> dict[str, Any]:
    """Read what there is to say of any study: the fields of `StudyFindings` by name.

    Raises
    ------
    StudyError
        If no round is over yet.
    """
    rounds = study.store.rounds()
    if not rounds:
        raise StudyError(
            f"expected one finished round or more to report on in {study.folder}, found none; run it first: "
            f"brainloop run {study.folder}"
        )
    data, images = study.data(), study.store.images()
    by_id = {image.id: image for image in images}
    every = study.store.looks()
    looks = _up_to(every, rounds[-1].number)
    index = data.index(looks.image)
    usable = np.array([reason is None for reason in looks.rejected], dtype=bool)
    shown = [by_id[image].label == target for image, target in zip(looks.image.tolist(), looks.target, strict=True)]
    return {
        "settings": study.settings,
        "rounds": rounds,
        "looks": looks,
        "unfinished": every.image.size - looks.image.size,
        "shown_target": None if data.truth is None else np.array(shown, dtype=bool),
        "pool": [by_id[number] for number in data.ids],
        "test": [image for image in images if image.part == "test"],
        "times_seen": np.bincount(index, minlength=data.ids.size),
        "times_answered": np.bincount(index[usable], minlength=data.ids.size),
        "observer": observer_facts(study),
        "versions": study.store.fact("versions") or {},
        "erps": mean_responses(study),
        "parts": dict(Counter(image.part for image in images)),
        "skipped": study.store.skipped(),
    }


def _up_to(looks: Looks, last: int) -> Looks:
    over = looks.round <= last
    kept: dict[str, Any] = {
        name: values[over] if isinstance(values, np.ndarray) else [values[k] for k in np.flatnonzero(over)]
        for name, values in vars(looks).items()
    }
    return Looks(**kept)
