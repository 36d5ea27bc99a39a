"""The loop: query, present, respond, label, train; until the classifier is sure.

This is the talk's "brain in the loop" diagram (Vaisman 2019, GTC S9554), and the page to read first.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np

from brainloop._types import Progress, no_progress
from brainloop.errors import StudyError
from brainloop.observers.observer import Observer, make_observer
from brainloop.presentation.block import Block
from brainloop.settings import Settings
from brainloop.store import Round
from brainloop.study import Study, StudyData
from brainloop.uses.audit import Audit
from brainloop.uses.review import Review
from brainloop.uses.training import Training
from brainloop.uses.use import Use

__all__ = ["USES", "present", "retrain", "run"]

USES: dict[str, Callable[[Study, StudyData], Use]] = {"train": Training, "audit": Audit, "review": Review}
"""What looks are for, by the name that a study's settings use."""


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
        settings, data = study.settings, study.data()
        use = USES[settings.use](study, data)
        observer = observer or make_observer(study, data)
        study.remember(observer.facts, observer.erps())
        rounds = study.store.rounds()
        observer.recall(
            [_indexed(block, data) for block, answered in study.store.blocks() if answered == len(block.images)]
        )
        for done in retrain(study, use):  # a kill, or an erasure, may have left rounds that are answered but not over
            rounds.append(done)
            yield done
        belief = use.believe()

        while not _is_over(settings, rounds):
            number = len(rounds) + 1
            start = perf_counter()
            if not study.store.blocks(number):
                n_looks = min(settings.looks_per_round, settings.max_looks - (rounds[-1].looks if rounds else 0))
                blocks = use.plan(belief, number, n_looks, settings.soa or observer.soa)
                if not blocks:
                    return  # nothing is left to ask
                study.store.plan([_identified(block, data) for block in blocks])
            machine_s = perf_counter() - start

            present(study, data, observer, number, progress)

            belief = _end_round(study, use, rounds, machine_s)
            yield rounds[-1]


def retrain(study: Study, use: Use | None = None, *, progress: Progress = no_progress) -> Iterator[Round]:
    """Learn from all rounds that are answered in full and not over, one after the other, and end these rounds.

    Whoever calls it holds the study (`Study.running`).

    Parameters
    ----------
    study : Study
        After an erasure, or a kill between the last answer and the training.
    use : Use, optional
        What its looks are for, if it was made already.
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
    use = use or USES[study.settings.use](study, study.data())
    for done in range(1, waiting + 1):
        _end_round(study, use, rounds, 0.0)
        progress(done, waiting)
        yield rounds[-1]


def _end_round(study: Study, use: Use, rounds: list[Round], machine_s: float) -> object:
    """Learn from all that was answered up to the round after `rounds`, and add what it came to."""
    start = perf_counter()
    belief = use.believe(len(rounds) + 1)
    rounds.append(use.close(belief, rounds, machine_s + perf_counter() - start))
    study.store.close_round(rounds[-1])
    return belief


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


def _is_over(settings: Settings, rounds: Sequence[Round]) -> bool:
    return bool(rounds) and (rounds[-1].converged or rounds[-1].looks >= settings.max_looks)


def _indexed(block: Block, data: StudyData) -> Block:
    return replace(block, images=tuple(map(int, data.index(np.array(block.images)))))


def _identified(block: Block, data: StudyData) -> Block:
    return replace(block, images=tuple(map(int, data.ids[list(block.images)])))
