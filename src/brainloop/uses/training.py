"""Training: looks teach a classifier, of one target or of several classes, and it asks for what would teach it most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from scipy.special import expit, softmax

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.classifier.class_query import ask
from brainloop.classifier.heads import AnyHead
from brainloop.classifier.measure import auc_interval, measure_classes, wilson_interval
from brainloop.classifier.query import QUERIES, Belief, confidence, has_converged, knows_a_target
from brainloop.classifier.system import SYSTEMS, System
from brainloop.presentation.block import Block
from brainloop.presentation.composition import compose, deal
from brainloop.settings import Settings
from brainloop.store import Round
from brainloop.study import Study, StudyData
from brainloop.uses.heard import corrections, total_evidence
from brainloop.uses.trust import telling
from brainloop.uses.use import round_of

__all__ = ["ClassMeasures", "Training", "class_measures", "is_composed", "learn", "looks_for_classes", "plan"]


@dataclass(frozen=True)
class ClassMeasures:
    """How well the classes of a study are told apart, and what was looked for when.

    Parameters
    ----------
    classes : tuple of str
        In the order of all that follows.
    confusion : array of int, shape (K, K)
        Images that were never shown, by their class (rows) and by what the classifier says (columns).
    auc : array, shape (K,)
        Of each class against the rest.
    accuracy : float
        Share of these images that is told rightly.
    asked : array of int, shape (n_rounds, K)
        Looks for each class in each round.
    """

    classes: tuple[str, ...]
    confusion: IntArray
    auc: FloatArray
    accuracy: float
    asked: IntArray


class Training:
    """The use of a study that trains a classifier; see `brainloop.uses.use.Use`."""

    def __init__(self, study: Study, data: StudyData) -> None:
        self._study, self._data = study, data
        self._system = SYSTEMS[study.settings.system]
        self._features, self._test = study.features(data)

    def believe(self, last_round: int | None = None) -> Belief:
        """Train a head on what is known up to a round, or by now."""
        evidence, seen = total_evidence(self._study, self._data, last_round)
        return learn(self._system, self._features, evidence, seen, self._study.settings)

    def catch_up(self) -> Belief:
        """Take the head of the last round that is over, whichever station trained it, and what that was told."""
        rounds = self._study.store.rounds()
        if not rounds:
            return self.believe(0)
        evidence, _ = total_evidence(self._study, self._data, rounds[-1].number)
        return Belief(self._features, self._study.head(rounds[-1].number), evidence)

    def plan(
        self,
        belief: Belief,
        number: int,
        n_looks: int,
        soa: float,
        *,
        person: str = "",
        pending: IntArray | None = None,
    ) -> list[Block]:
        """Ask whoever looks what the system asks, but for images that a person has corrected."""
        told, _ = corrections(self._study, self._data)
        tells = telling(self._study, self._data, person, number - 1)
        return plan(self._system, belief, number, n_looks, self._study.settings, soa, told, pending, tells)

    def close(self, belief: Belief, rounds: Sequence[Round], machine_s: float) -> Round:
        """Save the head; measure it on images that were never shown."""
        settings, number, start = self._study.settings, len(rounds) + 1, perf_counter()
        told, _ = corrections(self._study, self._data, number)
        certainty, threshold = confidence(self._system.asks_of(belief)), settings.confidence_threshold
        certainty[told] = 1  # nothing is left to ask
        unsure = float((certainty < threshold).mean())
        converged = knows_a_target(belief.log_odds, threshold) and has_converged([*(r.unsure for r in rounds), unsure])
        machine_s += perf_counter() - start
        belief.head.save(self._study.models.path(f"head-{number:03d}"))
        return _measure(self._study, belief.head, self._data, self._test, rounds, machine_s, unsure, converged)


def learn(system: System, features: FloatArray, evidence: FloatArray, seen: IntArray, settings: Settings) -> Belief:
    """Train the system's head on the images that gave a usable response.

    Parameters
    ----------
    system : System
        Whose rule, head and regularisation.
    features : array, shape (n_pool, n_features)
        Of the pool.
    evidence : array, shape (n_pool,) or (n_pool, K)
        Total evidence of each image, nats.
    seen : array of int, shape (n_seen,)
        The images that gave a usable response, each once; with none, what comes back is the prior.
    settings : Settings
        The talk's threshold, and the seed.
    """
    head = system.learn(features[seen], evidence[seen], label_threshold=settings.label_threshold, seed=settings.seed)
    return Belief(features, head, evidence)


def plan(
    system: System,
    belief: Belief,
    number: int,
    n_looks: int,
    settings: Settings,
    soa: float,
    told: IntArray | None = None,
    pending: IntArray | None = None,
    telling: FloatArray | None = None,
) -> list[Block]:
    """Plan a turn: the images that the system asks about, in blocks.

    Parameters
    ----------
    system : System
        Whose query it is.
    belief : Belief
        What is known.
    number : int
        Of the round, from 1: the first asks by the system's start.
    n_looks : int
        Presentations in the round.
    settings : Settings
        What is looked for, block size, composition, confidence threshold and seed.
    soa : float
        Onset to onset, s.
    told : array of int, shape (n_told,), optional
        Images that a person has corrected: they are not shown any more.
    pending : array of int, optional
        Images that others are looking at, or that were asked about in this round: they are not shown, and what their
        looks promise is counted as known.
    telling : array, shape (n_pool,), optional
        What a look of whoever is asked tells of each image, as a share of what its label would.

    Returns
    -------
    list of Block
        With indices into the pool; empty when there is nothing to ask.
    """
    rng = np.random.default_rng([settings.seed, 2, number])
    threshold = (
        settings.confidence_threshold if knows_a_target(belief.log_odds, settings.confidence_threshold) else None
    )
    asked = np.arange(len(belief.evidence))
    if pending is not None and pending.size:
        belief = replace(belief, pending=pending)
    if telling is not None:
        belief = replace(belief, telling=telling)
    if told is not None and told.size:
        asked = np.setdiff1d(asked, told)
        belief = belief.keep(asked)
    free = belief.free(np.arange(asked.size))
    if free.size == 0:
        return []
    if settings.classes:
        return _plan_classes(system, belief, asked, number, n_looks, settings, soa, threshold, rng)
    query = QUERIES[system.query if number > 1 else system.start]
    wanted = query(belief, n_looks, rng, threshold)
    if is_composed(settings) and wanted.size and number > 1:
        orders = _composed(belief, wanted, expit(belief.posterior), n_looks, settings.block_size, soa, rng)
    else:
        orders = deal(rng.permutation(wanted), settings.block_size, np.zeros(belief.evidence.size))
    return [Block(number, 1 + k, tuple(map(int, asked[order])), soa, settings.target) for k, order in enumerate(orders)]


def is_composed(settings: Settings) -> bool:
    """Say whether what is asked about goes among fillers."""
    # Nobody's P300 fades over a recording that is played back; whoever looks now needs rare targets.
    return settings.observer != "replay" if settings.compose is None else settings.compose


def _composed(
    belief: Belief,
    wanted: IntArray,
    probability: FloatArray,
    n_looks: int,
    block_size: int,
    soa: float,
    rng: np.random.Generator,
) -> list[IntArray]:
    """Compose blocks of what is wanted and of fillers that nobody is looking at."""
    free = belief.free(np.arange(probability.size))
    orders = compose(np.searchsorted(free, wanted), probability[free], n_looks, block_size, soa, rng)
    return [free[order] for order in orders]


def _plan_classes(
    system: System,
    belief: Belief,
    asked: IntArray,
    number: int,
    n_looks: int,
    settings: Settings,
    soa: float,
    threshold: float | None,
    rng: np.random.Generator,
) -> list[Block]:
    """Plan a round block by block, each for the class that promises most; no image comes twice in a round."""
    blocks: list[Block] = []
    # Of a class that nobody looked for nothing can be promised: each is looked for once before any promise counts.
    waiting = np.flatnonzero(~belief.evidence.any(axis=0)).tolist()
    while n_looks > 0 and (free := belief.free(np.arange(asked.size))).size:
        size = min(n_looks, settings.block_size, free.size)
        if waiting:
            k = waiting.pop(0)
            images = rng.permutation(QUERIES[system.start](belief, size, rng, None))
        else:
            wanted, k = ask(system.query, belief, size, rng, threshold)
            images = rng.permutation(wanted)
            if is_composed(settings) and wanted.size:
                p = softmax(belief.posterior, axis=1)[:, k]
                (images,) = _composed(belief, wanted, p, size, size, soa, rng)
        if not images.size:
            break
        blocks.append(Block(number, 1 + len(blocks), tuple(map(int, asked[images])), soa, settings.classes[k]))
        n_looks -= images.size
        left = np.setdiff1d(np.arange(asked.size), images)
        asked, belief = asked[left], belief.keep(left)
    return blocks


def _measure(
    study: Study,
    head: AnyHead,
    data: StudyData,
    test: FloatArray,
    rounds: Sequence[Round],
    machine_s: float,
    unsure: float,
    converged: bool,
) -> Round:
    """Say what a round came to; the AUC is that of the classifier alone on images that were never shown."""
    quality: dict[str, float | None] = {"auc": None, "auc_low": None, "auc_high": None}
    if data.test_truth is not None and _is_measurable(data.test_truth):
        scores = head.log_odds(test)
        if study.settings.classes:
            found = measure_classes(np.column_stack(list(data.test_truth.values())).argmax(axis=1), scores)
            low, high = wilson_interval(found.accuracy, len(scores))
            quality["auc"] = float(np.mean(found.auc))
            quality |= {"accuracy": found.accuracy, "accuracy_low": low, "accuracy_high": high}
        else:
            auc = auc_interval(data.test_truth[study.settings.target], scores, seed=study.settings.seed)
            quality = {"auc": auc.value, "auc_low": auc.low, "auc_high": auc.high}
    return round_of(study, rounds, machine_s, unsure, converged=converged, **quality)


def _is_measurable(test_truth: Mapping[str, BoolArray]) -> bool:
    """Say whether every class has an image, and another that is not of it, among those never shown."""
    return all(0 < truth.sum() < truth.size for truth in test_truth.values())


def class_measures(study: Study) -> ClassMeasures | None:
    """Measure a study of several classes after its last round that is over.

    None where the truth is unknown, or where a class has no image among those never shown.

    Raises
    ------
    StudyError
        If no round is over yet.
    """
    head, data, classes = study.head(), study.data(), study.settings.classes
    if not classes or data.test_truth is None or not _is_measurable(data.test_truth):
        return None
    _, test = study.features(data)
    found = measure_classes(np.column_stack(list(data.test_truth.values())).argmax(axis=1), head.log_odds(test))
    return ClassMeasures(classes, found.confusion, found.auc, found.accuracy, looks_for_classes(study))


def looks_for_classes(study: Study) -> IntArray:
    """Count the looks for each class in each round that is over, shape (n_rounds, K)."""
    looks, n_rounds, classes = study.store.looks(), len(study.store.rounds()), study.settings.classes
    asked = np.zeros((n_rounds, len(classes)), dtype=np.int64)
    for number, target in zip(looks.round.tolist(), looks.target, strict=True):
        if number <= n_rounds:
            asked[number - 1, classes.index(target)] += 1
    return asked
