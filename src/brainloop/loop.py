"""The loop: query, present, respond, label, train; until the classifier is sure.

This is the talk's "brain in the loop" diagram (Vaisman 2019, GTC S9554), and the page to read first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from brainloop._types import FloatArray, IntArray, Progress, no_progress
from brainloop.classifier.head import Head, Projection, train_head
from brainloop.classifier.measure import auc_interval
from brainloop.classifier.query import has_converged, knows_a_target, least_confident, random_images, unsure_share
from brainloop.errors import StudyError
from brainloop.evidence import add_up, posterior
from brainloop.observers.observer import Observer, make_observer
from brainloop.presentation.block import Block
from brainloop.presentation.composition import compose, deal
from brainloop.settings import Settings
from brainloop.store import Round
from brainloop.study import Study, StudyData

__all__ = ["Belief", "learn", "present", "query", "run"]


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
        data = study.data()
        projection = study.projection(data)
        observer = observer or make_observer(study, data, projection)
        study.remember(observer.facts, observer.erps())
        rounds = study.store.rounds()
        observer.recall(
            [_indexed(block, data) for block, answered in study.store.blocks() if answered == len(block.images)]
        )
        belief = believe(study, data, study.head()) if rounds else None

        while not _is_over(study.settings, rounds):
            number = len(rounds) + 1
            start = perf_counter()
            if not study.store.blocks(number):
                blocks = query(study.settings, belief, data.ids.size, rounds, observer.soa)
                if not blocks:
                    return  # the classifier is sure of every image
                study.store.plan([_identified(block, data) for block in blocks])
            machine_s = perf_counter() - start

            present(study, data, observer, number, progress)

            start = perf_counter()
            head = learn(study, data, projection)
            belief = believe(study, data, head)
            threshold = study.settings.confidence_threshold
            unsure = unsure_share(belief.asked, threshold)
            converged = knows_a_target(belief.log_odds, threshold) and has_converged(
                [*(r.unsure for r in rounds), unsure]
            )
            machine_s += perf_counter() - start

            head.save(study.model_path(f"head-{number:03d}"))
            rounds.append(measure(study, data, head, rounds, machine_s, unsure, converged))
            study.store.close_round(rounds[-1])
            yield rounds[-1]


@dataclass(frozen=True)
class Belief:
    """What is known of each image of the pool after a round; arrays of shape (n_pool,), nats.

    Parameters
    ----------
    log_odds : array
        The classifier's ``z``.
    evidence : array
        The total evidence ``L``.
    asked : array
        The log-odds whose confidence decides what to ask about: ``z`` in the talk's rule, else ``z + L``.
    """

    log_odds: FloatArray
    evidence: FloatArray
    asked: FloatArray


def query(settings: Settings, belief: Belief | None, n_pool: int, rounds: Sequence[Round], soa: float) -> list[Block]:
    """Plan a round: the images that the classifier is least sure of, in blocks; at random in the first round.

    Parameters
    ----------
    settings : Settings
        The study's.
    belief : Belief or None
        What is known; None before the first round.
    n_pool : int
        Images in the pool.
    rounds : sequence of Round
        The rounds before.
    soa : float
        The observer's own, s; a SOA in the settings goes before it.

    Returns
    -------
    list of Block
        With indices into the pool; empty when there is nothing to ask.
    """
    number = len(rounds) + 1
    rng = np.random.default_rng([settings.seed, 2, number])
    soa = settings.soa or soa
    n_looks = min(settings.looks_per_round, settings.max_looks - (rounds[-1].looks if rounds else 0))
    # Nobody's P300 fades over a recording that is played back; whoever looks now needs rare targets.
    composed = settings.observer != "replay" if settings.compose is None else settings.compose
    unknown = np.zeros(n_pool)
    if belief is None:
        orders = deal(random_images(n_pool, n_looks, rng), settings.block_size, unknown)
    else:
        settled = knows_a_target(belief.log_odds, settings.confidence_threshold)
        threshold = settings.confidence_threshold if settled else None
        wanted = least_confident(belief.asked, n_looks, rng, threshold=threshold)
        if composed and wanted.size:
            probability = posterior(belief.log_odds, belief.evidence)
            orders = compose(wanted, probability, n_looks, settings.block_size, soa, rng)
        else:
            orders = deal(rng.permutation(wanted), settings.block_size, unknown)
    return [Block(number, 1 + k, tuple(map(int, order)), soa) for k, order in enumerate(orders)]


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


def learn(study: Study, data: StudyData, projection: Projection) -> Head:
    """Label every image that gave a usable response with its evidence, and train the head on them."""
    evidence, seen = _evidence(study, data)
    settings = study.settings
    return train_head(
        projection,
        data.pool[seen],
        evidence[seen],
        rule=settings.rule,
        label_threshold=settings.label_threshold,
    )


def believe(study: Study, data: StudyData, head: Head) -> Belief:
    """Score the pool with a head, beside the evidence that there is."""
    log_odds = head.log_odds(data.pool)
    evidence, _ = _evidence(study, data)
    return Belief(log_odds, evidence, log_odds if study.settings.rule == "talk" else log_odds + evidence)


def measure(
    study: Study,
    data: StudyData,
    head: Head,
    rounds: Sequence[Round],
    machine_s: float,
    unsure: float,
    converged: bool,
) -> Round:
    """Say what a round came to; the AUC is that of the classifier alone on images that were never shown."""
    settings, looks = study.settings, study.store.looks()
    blocks = [block for block, _ in study.store.blocks()]
    auc = None
    if data.test_truth is not None and 0 < data.test_truth.sum() < data.test_truth.size:
        auc = auc_interval(data.test_truth, head.log_odds(data.test), seed=settings.seed)
    return Round(
        number=len(rounds) + 1,
        looks=looks.image.size,
        rejected=sum(reason is not None for reason in looks.rejected),
        images=int(np.unique(looks.image).size),
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


def _evidence(study: Study, data: StudyData) -> tuple[FloatArray, IntArray]:
    # A rejected epoch says nothing. Its evidence of 0 would do no harm by the posterior rule; the talk's rule, which
    # makes a target of every score of .5, would train on it.
    looks = study.store.looks()
    usable = np.array([reason is None for reason in looks.rejected], dtype=bool)
    index = data.index(looks.image[usable])
    return add_up(index, looks.evidence[usable], data.ids.size), np.unique(index)


def _indexed(block: Block, data: StudyData) -> Block:
    return replace(block, images=tuple(map(int, data.index(np.array(block.images)))))


def _identified(block: Block, data: StudyData) -> Block:
    return replace(block, images=tuple(map(int, data.ids[list(block.images)])))
