"""The loop: query, present, respond, label, train; until the classifier is sure.

This is the talk's "brain in the loop" diagram (Vaisman 2019, GTC S9554), and the page to read first.

Any number of stations may run one study, each this loop. A *turn* is what a station plans at a time: about as many
looks as there are between two trainings. Turns go into the open round; when that has looks enough, whichever station
comes first trains for all. With one station a turn is a round.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from time import perf_counter, sleep
from typing import Any

import numpy as np

from brainloop._types import IntArray, Progress, no_progress
from brainloop.errors import LeaseError, StudyError
from brainloop.observers.memory import remember
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

WAIT_S = 0.5
"""Between two looks at whether other stations have finished what this one waits for."""


def run(
    study: Study, observer: Observer | None = None, *, station: str = "local", progress: Progress = no_progress
) -> Iterator[Round]:
    """Run a study's rounds, from where it stands, until it has converged or `max_looks` are answered.

    Every response is on disk before the next is asked for. A study that was killed goes on where it was and comes to
    the same end, because all that a round does follows from the seed, the settings and the responses before it. With
    several stations the order in which they answer has a part in it too.

    Parameters
    ----------
    study : Study
        The study.
    observer : Observer, optional
        Who looks; the one that the settings name by default.
    station : str
        The name of this screen and whoever sits there, where several share the study.
    progress : Progress
        Called with (presentations answered, presentations of the turn).

    Yields
    ------
    Round
        What each round came to, once it is over, whichever station has trained it.

    Raises
    ------
    StudyError
        If another process runs the study, or is this station.
    """
    with study.running(station, _person(observer)):
        data = study.data()
        use = USES[study.settings.use](study, data)
        observer = observer or make_observer(study, data, station=station)
        remember(study, observer.facts, observer.erps(), station)
        told, machine_s, belief = len(study.store.rounds()), 0.0, None
        observer.recall(
            [
                _indexed(block, data)
                for block, answered in study.store.blocks(station=station)
                if answered == len(block.images)
            ]
        )
        while True:
            # A kill, or an erasure, may have left rounds that are answered but not over.
            machine_s, belief = _learn(study, use, machine_s, belief)
            rounds = study.store.rounds()
            yield from rounds[told:]
            told = len(rounds)
            if _is_over(study.settings, rounds) and rounds[-1].number != study.store.fact("drawn"):
                return
            if not study.store.blocks_of(station):
                start = perf_counter()
                if belief is None or study.store.is_shared:  # others may have looked, or trained, in the meantime
                    belief = use.catch_up()
                planned = _plan(study, data, use, belief, len(rounds), observer, station)
                machine_s += perf_counter() - start
                if not planned and not _is_at_work(study, station):
                    return  # nothing is left to ask
                if not planned:
                    sleep(WAIT_S)
                    continue
            present(study, data, observer, station, progress)


def retrain(study: Study, *, progress: Progress = no_progress) -> Iterator[Round]:
    """Learn from all rounds that are answered and not over, one after the other, and end these rounds.

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

    Raises
    ------
    StudyError
        If another station trains.
    """
    waiting = len(study.store.begun()) + _is_full(study)
    if not waiting:
        return
    use = USES[study.settings.use](study, study.data())
    with study.store.training() as ours:
        if not ours:
            raise StudyError(
                f"another station trains the study in {study.store.name}; wait until it has, and try again"
            )
        for done in range(1, waiting + 1):
            if not study.store.begun():
                study.store.begin_round()
            yield _end_round(study, use, 0.0)[0]
            progress(done, waiting)


def _learn(study: Study, use: Use, machine_s: float, belief: Any) -> tuple[float, Any]:
    """End the rounds that can be ended, unless another station does it.

    Gives the seconds that are not counted in a round yet, and what is believed now.
    """
    while study.store.begun() or _is_full(study):
        with study.store.training() as ours:
            if not ours:
                break
            if not study.store.begun():
                if not _is_full(study):  # another station was faster
                    break
                study.store.begin_round()
            _, belief = _end_round(study, use, machine_s)
            machine_s = 0.0
    return machine_s, belief


def _is_full(study: Study) -> bool:
    """Say whether the open round has looks enough, or nobody is there to add to it."""
    waiting = study.store.waiting()
    return waiting > 0 and (waiting >= study.settings.looks_per_round or not study.store.leased("").size)


def _is_at_work(study: Study, station: str) -> bool:
    """Say whether another station looks, or trains, so that there may be more to ask in a moment."""
    return bool(study.store.leased(station).size or study.store.waiting() or study.store.begun())


def _end_round(study: Study, use: Use, machine_s: float) -> tuple[Round, Any]:
    """Learn from all that was answered up to the first round that is begun and not over, and write what it came to."""
    start = perf_counter()
    rounds = study.store.rounds()
    belief = use.believe(len(rounds) + 1)
    done = use.close(belief, rounds, machine_s + perf_counter() - start)
    study.models.publish(f"head-{done.number:03d}")  # before the round is over: whoever sees that asks for the head
    study.store.close_round(done)
    return done, belief


def _plan(study: Study, data: StudyData, use: Use, belief: Any, known: int, observer: Observer, station: str) -> bool:
    """Plan a station's turn and write it down; False when there is nothing to ask. Rounds to `known` are believed."""
    settings = study.settings
    while True:
        number = study.store.open_round()
        # No image comes twice before something has learned from it; where stations may overlap, not at one station.
        who = station if settings.overlap else None
        turns = [turn for unheard in range(known + 1, number + 1) for turn in study.store.blocks(unheard, station=who)]
        n_looks = min(settings.looks_per_round, settings.max_looks - study.store.planned())
        if n_looks <= 0:
            return False
        under_way = {image for block, _ in turns for image in block.images}
        if not settings.overlap:
            under_way |= set(study.store.leased(station).tolist())
        pending = _rows(data, under_way)
        soa = settings.soa or observer.soa
        blocks = use.plan(belief, number, n_looks, soa, person=_person(observer), pending=pending)
        try:
            identified = [_identified(block, data) for block in blocks]
            study.store.plan(identified, station, overlap=settings.overlap, most=settings.max_looks)
        except LeaseError:  # another station was faster
            continue
        return bool(blocks)


def present(
    study: Study, data: StudyData, observer: Observer, station: str = "local", progress: Progress = no_progress
) -> None:
    """Show a station's blocks in the open round from where they stand, and commit each response as it comes."""
    blocks = study.store.blocks(study.store.open_round(), station=station)
    total, done = sum(len(block.images) for block, _ in blocks), sum(answered for _, answered in blocks)
    progress(done, total)
    for block, answered in blocks:
        if answered == len(block.images):
            continue
        for response in observer.respond(_indexed(block, data), answered):
            study.store.answer(block.number, answered, response, station)
            answered, done = answered + 1, done + 1
            progress(done, total)
        if answered < len(block.images):
            raise StudyError(
                f"expected {len(block.images)} responses to block {block.number}, one a presentation; the observer "
                f"gave {answered}. They are kept: run the study again to go on with the others"
            )


def _is_over(settings: Settings, rounds: Sequence[Round]) -> bool:
    return bool(rounds) and (rounds[-1].converged or rounds[-1].looks >= settings.max_looks)


def _person(observer: Observer | None) -> str:
    """Name who looks, where it is one person throughout."""
    about: list[dict[str, Any]] = observer.facts.get("recordings", []) if observer else []
    persons = {str(one["person"]) for one in about if "person" in one}
    return persons.pop() if len(persons) == 1 else ""


def _rows(data: StudyData, ids: set[int]) -> IntArray | None:
    """Turn ids into rows of the pool, rising; None where there are none."""
    return data.index(np.array(sorted(ids), dtype=np.int64)) if ids else None


def _indexed(block: Block, data: StudyData) -> Block:
    return replace(block, images=tuple(map(int, data.index(np.array(block.images)))))


def _identified(block: Block, data: StudyData) -> Block:
    return replace(block, images=tuple(map(int, data.ids[list(block.images)])))
