"""What there is to say of a study of several classes: every number of its report, and no word of it."""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.classifier.measure import auc_interval
from brainloop.classifier.query import Belief
from brainloop.classifier.system import SYSTEMS
from brainloop.report.findings import Answers, StudyFindings, study_findings
from brainloop.study import Study
from brainloop.uses.heard import total_evidence
from brainloop.uses.training import ClassMeasures, class_measures, looks_for_classes

__all__ = ["ClassFindings", "ClassRow", "find_classes"]


@dataclass(frozen=True)
class ClassRow:
    """One class, in numbers.

    Parameters
    ----------
    name : str
        The class.
    pool, never_shown : int or None
        Its images in the pool and among those never shown, where truth is known.
    said : int
        Images of the pool that are said to be of it.
    looks : int
        Looks for it.
    showed : float or None
        Share of these looks that showed it, where truth is known and there was one.
    recall, precision : float or None
        Of its images never shown the share that is said to be of it, and of those said to be of it the share that is;
        None where there are none to share.
    auc, auc_low, auc_high : float or None
        Against the rest, on images never shown, with the 95 % bootstrap interval.
    """

    name: str
    pool: int | None
    never_shown: int | None
    said: int
    looks: int
    showed: float | None
    recall: float | None
    precision: float | None
    auc: float | None
    auc_low: float | None
    auc_high: float | None


@dataclass(frozen=True)
class ClassFindings(StudyFindings):
    """What there is to say of a study of several classes, beside what there is of any.

    Parameters
    ----------
    truth, test_truth : array of int, shape (n_pool,) and (n_test,), or None
        The class of each image, where truth is known.
    belief : Belief
        What is known of each image of the pool.
    answered : array of bool, shape (n_pool, K)
        Whether looks for the class at the image gave a response that was not rejected.
    asked : array, shape (n_pool, K)
        The logits by which the study's system asks.
    test_logits : array, shape (n_test, K)
        The classifier's, of the images never shown.
    measures : ClassMeasures or None
        On images never shown, where that can be measured.
    looks_for : array of int, shape (n_rounds, K)
        Looks for each class in each round.
    """

    truth: IntArray | None
    test_truth: IntArray | None
    belief: Belief
    answered: BoolArray
    asked: FloatArray
    test_logits: FloatArray
    measures: ClassMeasures | None
    looks_for: IntArray

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of all arrays."""
        return self.settings.classes

    @property
    def answers(self) -> Answers:
        """The answer of every pair of an image and a class that it was asked about."""
        is_target = None if self.truth is None else (self.truth[:, None] == np.arange(len(self.classes)))[self.answered]
        return Answers(self.belief.evidence[self.answered], is_target, "answers")

    @property
    def chance(self) -> float:
        """What who always says the most frequent class gets right of the images never shown; nan without truth."""
        return float("nan") if self.test_truth is None else np.bincount(self.test_truth).max() / self.test_truth.size

    def rows(self) -> list[ClassRow]:
        """Give each class in numbers."""
        said = np.bincount(self.asked.argmax(axis=1), minlength=len(self.classes))
        return [self._row(k, name, int(said[k])) for k, name in enumerate(self.classes)]

    def _row(self, k: int, name: str, said: int) -> ClassRow:
        sought = np.array([target == name for target in self.looks.target], dtype=bool)
        showed = None
        if self.shown_target is not None and sought.any():
            showed = float(self.shown_target[sought].mean())
        recall = precision = auc = low = high = None
        if self.measures is not None and self.test_truth is not None:
            right, column = self.measures.confusion[k, k], self.measures.confusion[:, k]
            recall = float(right / self.measures.confusion[k].sum())
            precision = float(right / column.sum()) if column.any() else None
            p = softmax(self.test_logits.astype(np.float64), axis=1)[:, k]
            auc, low, high = auc_interval(self.test_truth == k, p, seed=self.settings.seed)
        return ClassRow(
            name,
            None if self.truth is None else int((self.truth == k).sum()),
            None if self.test_truth is None else int((self.test_truth == k).sum()),
            said, int(self.looks_for[:, k].sum()), showed, recall, precision, auc, low, high,
        )  # fmt: skip


def find_classes(study: Study) -> ClassFindings:
    """Read a study of several classes.

    Raises
    ------
    StudyError
        If no round is over yet.
    """
    common = study_findings(study)
    data, head, classes = study.data(), study.head(), study.settings.classes
    features, test = study.features(data)
    last = common["rounds"][-1].number
    evidence, _ = total_evidence(study, data, last)
    belief, looks = Belief(features, head, evidence), common["looks"]
    usable = np.array([reason is None for reason in looks.rejected], dtype=bool)
    answered = np.zeros(evidence.shape, dtype=bool)
    answered[data.index(looks.image)[usable], [classes.index(looks.target[k]) for k in np.flatnonzero(usable)]] = True
    truth, test_truth = (
        None if one is None else np.column_stack([one[name] for name in classes]).argmax(axis=1)
        for one in (data.truth, data.test_truth)
    )
    return ClassFindings(
        **common,
        truth=truth,
        test_truth=test_truth,
        belief=belief,
        answered=answered,
        asked=SYSTEMS[study.settings.system].asks_of(belief),
        test_logits=head.log_odds(test) if len(data.test) else np.zeros((0, len(classes))),
        measures=class_measures(study),
        looks_for=looks_for_classes(study),
    )
