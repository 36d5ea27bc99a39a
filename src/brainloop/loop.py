"""The loop: query, present, respond, label, train; until the classifier is sure.

This is the talk's "brain in the loop" diagram (Vaisman 2019, GTC S9554), and the page to read first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np
from scipy.special import expit, logit

from brainloop._types import FloatArray, IntArray, Progress, no_progress
from brainloop.classifier.heads import AnyHead
from brainloop.classifier.measure import auc_interval
from brainloop.classifier.query import QUERIES, Belief, has_converged, knows_a_target, unsure_share
from brainloop.classifier.system import SYSTEMS, System
from brainloop.errors import StudyError
from brainloop.evidence import add_up
from brainloop.observers.observer import Observer, make_observer
from brainloop.presentation.block import Block
from brainloop.presentation.composition import compose, deal
from brainloop.settings import Settings
from brainloop.store import Round
from brainloop.study import Study, StudyData

__all__ = ["CORRECTION", "corrections", "learn", "plan", "present", "retrain", "run", "total_evidence"]

CORRECTION = float(logit(0.99))
"""Evidence of a person's correction, nats: who looks at an image for as long as they like errs about once in a hundred
times. The test labels of ten well-kept data sets were wrong in .2 to 10 % (Northcutt, Athalye and Mueller 2021,
"Pervasive label errors in test sets", NeurIPS 34). It is finite, so that no one image decides what is learned."""


def run(study: Study, observer: Observer | None = None, *, progress: Progress = no_progress) -> Iterator[Round]:
    """Run a study's rounds, from where it stands, until it has converged or `max_looks` are answered.

    Every response is on disk before the next is asked for. A study that was killed goes on where it was and comes to
    the same end, because all that a round does follows from the seed, the settings and the responses before it.

    Parameters
    ----------
    study : Study
        The study.
    observer : Observer, optional
        Who looks; the one that the settings name by default.
    progress : Progress
        Called with (presentations answered, presentations of the round).

    Yields
    ------
    Round
        What each round came to, once it is over.

    Raises
    ------
    StudyError
        If another process runs the study.
    """
    with study.running():
        settings, system = study.settings, SYSTEMS[study.settings.system]
        data = study.data()
        features, test = study.features(data)
        observer = observer or make_observer(study, data)
        study.remember(observer.facts, observer.erps())
        rounds = study.store.rounds()
        observer.recall(
            [_indexed(block, data) for block, answered in study.store.blocks() if answered == len(block.images)]
        )
        for done in retrain(study):  # a kill, or an erasure, may have left rounds that are answered but not over
            rounds.append(done)
            yield done
        belief = learn(system, features, *total_evidence(study, data), settings)

        while not _is_over(settings, rounds):
            number = len(rounds) + 1
            start = perf_counter()
            if not study.store.blocks(number):
                n_looks = min(settings.looks_per_round, settings.max_looks - (rounds[-1].looks if rounds else 0))
                told, _ = corrections(study, data)
                blocks = plan(system, belief, number, n_looks, settings, settings.soa or observer.soa, told)
                if not blocks:
                    return  # the classifier is sure of every image
                study.store.plan([_identified(block, data) for block in blocks])
            machine_s = perf_counter() - start

            present(study, data, observer, number, progress)

            belief = _end_round(study, data, features, test, rounds, machine_s)
            yield rounds[-1]


def retrain(study: Study, *, progress: Progress = no_progress) -> Iterator[Round]:
    """Train the heads of all rounds that are answered in full and not over, one after the other, and end these rounds.

    Whoever calls it holds the study (`Study.running`).

    Parameters
    ----------
    study : Study
        After an erasure, or a kill between the last answer and the training.
    progress : Progress
        Called with (rounds trained, rounds).

    Yields
    ------
    Round
        What each came to.
    """
    rounds = study.store.rounds()
    blocks = study.store.blocks()
    planned = {block.round for block, _ in blocks if block.round > len(rounds)}
    waiting = len(planned - {block.round for block, answered in blocks if answered < len(block.images)})
    if not waiting:
        return
    data = study.data()
    features, test = study.features(data)
    for done in range(1, waiting + 1):
        _end_round(study, data, features, test, rounds, 0.0)
        progress(done, waiting)
        yield rounds[-1]


def _end_round(
    study: Study, data: StudyData, features: FloatArray, test: FloatArray, rounds: list[Round], machine_s: float
) -> Belief:
    """Learn from all that was answered up to the round after `rounds`, keep its head, and add what it came to."""
    settings, system, number = study.settings, SYSTEMS[study.settings.system], len(rounds) + 1
    start = perf_counter()
    belief = learn(system, features, *total_evidence(study, data, number), settings)
    asked = system.asks_of(belief).copy()
    told, _ = corrections(study, data, number)
    asked[told] = np.inf  # nothing is left to ask
    threshold = settings.confidence_threshold
    unsure = unsure_share(asked, threshold)
    converged = knows_a_target(belief.log_odds, threshold) and has_converged([*(r.unsure for r in rounds), unsure])
    machine_s += perf_counter() - start

    belief.head.save(study.model_path(f"head-{number:03d}"))
    rounds.append(measure(study, belief.head, data, test, rounds, machine_s, unsure, converged))
    study.store.close_round(rounds[-1])
    return belief


def plan(
    system: System,
    belief: Belief,
    number: int,
    n_looks: int,
    settings: Settings,
    soa: float,
    told: IntArray | None = None,
) -> list[Block]:
    """Plan a round: the images that the system asks about, in blocks.

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
        Block size, composition, confidence threshold and seed.
    soa : float
        Onset to onset, s.
    told : array of int, shape (n_told,), optional
        Images that a person has corrected: they are not shown any more.

    Returns
    -------
    list of Block
        With indices into the pool; empty when there is nothing to ask.
    """
    rng = np.random.default_rng([settings.seed, 2, number])
    settled = knows_a_target(belief.log_odds, settings.confidence_threshold)
    asked = np.arange(belief.evidence.size)
    if told is not None and told.size:
        asked = np.setdiff1d(asked, told)
        belief = Belief(belief.features[asked], belief.head, belief.evidence[asked])
    if asked.size == 0:
        return []
    query = QUERIES[system.query if number > 1 else system.start]
    wanted = query(belief, n_looks, rng, settings.confidence_threshold if settled else None)
    # Nobody's P300 fades over a recording that is played back; whoever looks now needs rare targets.
    composed = settings.observer != "replay" if settings.compose is None else settings.compose
    if composed and wanted.size and number > 1:
        orders = compose(wanted, expit(belief.posterior), n_looks, settings.block_size, soa, rng)
    else:
        orders = deal(rng.permutation(wanted), settings.block_size, np.zeros(belief.evidence.size))
    return [Block(number, 1 + k, tuple(map(int, asked[order])), soa) for k, order in enumerate(orders)]


def present(study: Study, data: StudyData, observer: Observer, number: int, progress: Progress = no_progress) -> None:
    """Show a round's blocks from where it stands, and commit each response as it comes."""
    blocks = study.store.blocks(number)
    total, done = sum(len(block.images) for block, _ in blocks), sum(answered for _, answered in blocks)
    progress(done, total)
    for block, answered in blocks:
        if answered == len(block.images):
            continue
        shown = _indexed(block, data)
        for response in observer.respond(shown, answered):
            study.store.answer(block.number, answered, response)
            answered, done = answered + 1, done + 1
            progress(done, total)
        if answered < len(block.images):
            raise StudyError(
                f"expected {len(block.images)} responses to block {block.number}, one a presentation; the observer "
                f"gave {answered}. They are kept: run the study again to go on with the others"
            )


def learn(system: System, features: FloatArray, evidence: FloatArray, seen: IntArray, settings: Settings) -> Belief:
    """Train the system's head on the images that gave a usable response.

    Parameters
    ----------
    system : System
        Whose rule, head and regularisation.
    features : array, shape (n_pool, n_features)
        Of the pool.
    evidence : array, shape (n_pool,)
        Total evidence of each image, nats.
    seen : array of int, shape (n_seen,)
        The images that gave a usable response, each once; with none, what comes back is the prior.
    settings : Settings
        The talk's threshold, and the seed.
    """
    head = system.learn(features[seen], evidence[seen], label_threshold=settings.label_threshold, seed=settings.seed)
    return Belief(features, head, evidence)


def measure(
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
    settings, looks, number = study.settings, study.store.looks(), len(rounds) + 1
    counted = looks.round <= number
    blocks = [block for block, _ in study.store.blocks() if block.round <= number]
    auc = None
    if data.test_truth is not None and 0 < data.test_truth.sum() < data.test_truth.size:
        auc = auc_interval(data.test_truth, head.log_odds(test), seed=settings.seed)
    return Round(
        number=number,
        looks=int(counted.sum()),
        rejected=sum(reason is not None for reason, count in zip(looks.rejected, counted, strict=True) if count),
        images=int(np.unique(looks.image[counted]).size),
        viewing_s=sum(block.seconds for block in blocks) + settings.pause * max(0, len(blocks) - 1),
        machine_s=machine_s + (rounds[-1].machine_s if rounds else 0.0),
        unsure=unsure,
        auc=auc and auc.value,
        auc_low=auc and auc.low,
        auc_high=auc and auc.high,
        converged=converged,
    )


def _is_over(settings: Settings, rounds: Sequence[Round]) -> bool:
    return bool(rounds) and (rounds[-1].converged or rounds[-1].looks >= settings.max_looks)


def corrections(study: Study, data: StudyData, last_round: int | None = None) -> tuple[IntArray, FloatArray]:
    """Give what persons said of images of the pool by looking at them at leisure, up to a round or all.

    Returns
    -------
    images : array of int, shape (n_told,)
        Rows of the pool, rising.
    evidence : array, shape (n_told,)
        `CORRECTION` for a target and ``-CORRECTION`` for another, nats.
    """
    said = study.store.corrections(last_round)
    ids = np.array(list(said), dtype=np.int64)
    signs = np.where(np.array(list(said.values()), dtype=bool), CORRECTION, -CORRECTION)
    there = np.isin(ids, data.ids)  # one may have become unusable since
    return data.index(ids[there]), signs[there]


def total_evidence(study: Study, data: StudyData, last_round: int | None = None) -> tuple[FloatArray, IntArray]:
    """Add up what is known of each image, up to a round or all; a correction stands in place of what looks said.

    Returns
    -------
    evidence : array, shape (n_pool,)
        Nats; 0 for an image that nothing is known of.
    seen : array of int
        Rows of the pool that gave a usable response, or were corrected; each once, rising.
    """
    # A rejected epoch says nothing. Its evidence of 0 would do no harm by the posterior rule; the talk's rule, which
    # makes a target of every score of .5, would train on it.
    looks = study.store.looks()
    usable = np.array([reason is None for reason in looks.rejected], dtype=bool)
    if last_round is not None:
        usable &= looks.round <= last_round
    index = data.index(looks.image[usable])
    evidence = add_up(index, looks.evidence[usable], data.ids.size)
    told, said = corrections(study, data, last_round)
    evidence[told] = said
    return evidence, np.union1d(index, told)


def _indexed(block: Block, data: StudyData) -> Block:
    return replace(block, images=tuple(map(int, data.index(np.array(block.images)))))


def _identified(block: Block, data: StudyData) -> Block:
    return replace(block, images=tuple(map(int, data.ids[list(block.images)])))
