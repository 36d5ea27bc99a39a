"""A study in memory: the loop on arrays, for what would take a thousand studies on disk.

Who looks, what is asked and what is learned are the loop's own (`brainloop.uses.training.plan` and `learn`); only the
store is left out, and that a study stops when it is sure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.classifier.measure import measure_classes
from brainloop.classifier.query import Belief
from brainloop.classifier.system import System
from brainloop.observers.observer import Observer
from brainloop.observers.oracle import Oracle
from brainloop.settings import Settings
from brainloop.uses.training import learn, plan

__all__ = ["Checkpoint", "Task", "rehearse"]


@dataclass(frozen=True)
class Task:
    """A pool to learn from, and images that are never shown.

    Parameters
    ----------
    pool, test : array, shape (n_pool, width) and (n_test, width)
        Embeddings.
    truth, test_truth : mapping of str to array of bool, shape (n_pool,) and (n_test,)
        By what may be looked for, whether each is that; as in `brainloop.study.StudyData`.
    seed : int
        Of the feature maps.
    """

    pool: FloatArray
    truth: Mapping[str, BoolArray]
    test: FloatArray
    test_truth: Mapping[str, BoolArray]
    seed: int = 0
    _features: dict[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict, init=False, repr=False)

    def features(self, system: System) -> tuple[FloatArray, FloatArray]:
        """Features of pool and test part for the system's head, fitted on the pool once."""
        name = system.feature_map
        if name not in self._features:
            feature_map = system.fit_features(self.pool, seed=self.seed)
            self._features[name] = feature_map(self.pool), feature_map(self.test)
        return self._features[name]

    def auc(self, log_odds: FloatArray) -> float:
        """Measure log-odds of the test part, (n_test,) or (n_test, K)."""
        from sklearn.metrics import roc_auc_score

        each = np.column_stack(list(self.test_truth.values()))
        if log_odds.ndim == 2:
            return float(measure_classes(each.argmax(axis=1), log_odds).auc.mean())
        return float(roc_auc_score(each[:, 0], log_odds))


@dataclass(frozen=True)
class Checkpoint:
    """Where a rehearsal stands after so many looks.

    Parameters
    ----------
    looks : int
        Presentations so far, fillers among them.
    belief : Belief
        What is known of the pool.
    seen : array of int, shape (n_seen,)
        Images that gave a usable response.
    test_log_odds : array, shape (n_test,) or (n_test, K)
        The classifier's ``z`` of the images never shown, nats.
    auc : float
        Area under their ROC curve; of several classes the mean over them, each against the rest.
    viewing_s, machine_s : float
        Time that presenting took, pauses between blocks included, and that planning and training took, s.
    target_share : float
        Share of targets among the presentations.
    """

    looks: int
    belief: Belief
    seen: IntArray
    test_log_odds: FloatArray
    auc: float
    viewing_s: float
    machine_s: float
    target_share: float


def rehearse(
    system: System, task: Task, observer: Observer, settings: Settings, checkpoints: Sequence[int]
) -> Iterator[Checkpoint]:
    """Run a system's loop in memory.

    Parameters
    ----------
    system : System
        How to learn and ask; one that is told the truth gets an `Oracle` in the observer's place.
    task : Task
        What to learn.
    observer : Observer
        Who answers, fresh.
    settings : Settings
        Rounds, blocks, composition and seed; the loop's end is not taken from them.
    checkpoints : sequence of int
        Numbers of looks, rising; each ends a round.

    Yields
    ------
    Checkpoint
        One each, up to the last that comes before the system is sure of every image and asks no more.
    """
    features, test = task.features(system)
    if system.told_truth:
        observer = Oracle(task.truth, soa=observer.soa)
    soa = settings.soa or observer.soa
    evidence = np.zeros((len(task.pool), len(settings.classes))) if settings.classes else np.zeros(len(task.pool))
    heard = np.zeros(len(task.pool), dtype=bool)
    looks = number = n_blocks = n_targets = 0
    machine_s = 0.0
    belief = learn(system, features, evidence, np.flatnonzero(heard), settings)
    for checkpoint in checkpoints:
        while looks < checkpoint:
            number += 1
            start = perf_counter()
            blocks = plan(system, belief, number, min(settings.looks_per_round, checkpoint - looks), settings, soa)
            machine_s += perf_counter() - start
            if not blocks:
                return
            for block in blocks:
                n_blocks += 1
                looks += len(block.images)
                n_targets += int(task.truth[block.target][list(block.images)].sum())
                column = evidence[:, settings.classes.index(block.target)] if settings.classes else evidence
                for image, response in zip(block.images, observer.respond(block), strict=True):
                    if response.rejected is None:
                        column[image] += response.evidence
                        heard[image] = True
            start = perf_counter()
            belief = learn(system, features, evidence.copy(), np.flatnonzero(heard), settings)
            machine_s += perf_counter() - start
        log_odds = belief.head.log_odds(test)
        yield Checkpoint(
            looks, belief, np.flatnonzero(heard), log_odds, task.auc(log_odds),
            looks * soa + settings.pause * max(0, n_blocks - 1), machine_s, n_targets / looks,
        )  # fmt: skip
