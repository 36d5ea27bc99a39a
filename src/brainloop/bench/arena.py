"""The arena of the talk's experiments: tasks, people, and every rehearsal of a cell, run once.

A *cell* is one task with one person. Each seed of it is a job: the same split of the images and the same deal of
responses for every system, so that all differences are paired.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from time import perf_counter
from typing import Any

import numpy as np

from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.bench.jobs import run_jobs
from brainloop.bench.statistics import Grid
from brainloop.classifier.system import SYSTEMS, System
from brainloop.observers.answers import Answers
from brainloop.observers.hardness import hardness
from brainloop.observers.observer import Observer
from brainloop.observers.oracle import Oracle
from brainloop.observers.replay import Replay
from brainloop.parts import split
from brainloop.presentation.block import Block
from brainloop.rehearsal import Task, rehearse
from brainloop.settings import Settings
from brainloop.uses.training import learn

__all__ = ["Arena", "Cell", "Course", "Measure", "Photographs", "measure"]


@dataclass(frozen=True, eq=False)
class Photographs:
    """A task's images, embedded.

    Parameters
    ----------
    vectors : array, shape (n_images, width)
        Embeddings.
    truth : array of bool, shape (n_images,)
        Whether each is a target.
    own : array, shape (n_images,), or None
        Probability of the target by the backbone's own classes, without any label of ours.
    about_own : str
        Which classes these are, or why there are none.
    """

    vectors: FloatArray
    truth: BoolArray
    own: FloatArray | None
    about_own: str


@dataclass(frozen=True, eq=False)
class Arena:
    """All that the experiments compare on.

    Parameters
    ----------
    tasks : mapping of str to Photographs
        By the target's name.
    people : mapping of str to Answers
        Each person's recordings, decoded.
    settings : Settings
        Of every rehearsal, but for the seed.
    checkpoints : tuple of int
        Numbers of looks, rising.
    """

    tasks: Mapping[str, Photographs]
    people: Mapping[str, Answers]
    settings: Settings
    checkpoints: tuple[int, ...]

    @property
    def cells(self) -> tuple[tuple[str, str], ...]:
        """Every task with every person."""
        return tuple(product(self.tasks, self.people))

    @cached_property
    def round_ends(self) -> IntArray:
        """Numbers of looks at which the head is trained: full rounds, and a shorter one before each checkpoint."""
        starts = (0, *self.checkpoints[:-1])
        rounds = [range(a + self.settings.looks_per_round, b, self.settings.looks_per_round) for a, b in
                  zip(starts, self.checkpoints, strict=True)]  # fmt: skip
        return np.unique([*self.checkpoints, *(looks for some in rounds for looks in some)])

    @property
    def stops(self) -> IntArray:
        """Where the checkpoints are among the ends of rounds."""
        return np.searchsorted(self.round_ends, self.checkpoints)


@dataclass(frozen=True)
class Course:
    """How a rehearsal went, one entry for each end of a round; see `brainloop.rehearsal.Checkpoint`."""

    auc: FloatArray
    viewing_s: FloatArray
    machine_s: FloatArray
    target_share: FloatArray


class Cell:
    """One task, one person, one seed; each rehearsal in it is run once, however many experiments ask for it.

    Parameters
    ----------
    arena : Arena
        Of which it is a part.
    task, person : str
        Their names in the arena.
    seed : int
        Of the split, the deal and the queries.
    """

    def __init__(self, arena: Arena, task: str, person: str, seed: int) -> None:
        photographs, self.answers, self.arena = arena.tasks[task], arena.people[person], arena
        self.settings = replace(arena.settings, seed=seed)
        pool, test = split(photographs.truth, self.settings)
        vectors, truth = photographs.vectors, photographs.truth
        self.truth, self.test_truth = truth[pool], truth[test]
        target = self.settings.target
        self.task = Task(vectors[pool], {target: truth[pool]}, vectors[test], {target: truth[test]}, seed=seed)
        self.own = None if photographs.own is None else photographs.own[test]
        self._courses: dict[Any, Course] = {}
        self._degraded = {0.0: self.answers}

    @cached_property
    def hardness(self) -> FloatArray:
        """How hard each image of the pool is, shape (n_pool,): one scale for every system."""
        features, _ = self.task.features(SYSTEMS["talk"])
        return hardness(features, self.truth, seed=self.settings.seed)

    def degraded(self, noise: float) -> Answers:
        """Give the person's answers by a worse decoder; each noise is drawn once."""
        if noise not in self._degraded:
            self._degraded[noise] = self.answers.degraded(noise, seed=self.settings.seed)
        return self._degraded[noise]

    def replay(self, *, difficulty: float | None = None, noise: float = 0.0) -> Replay:
        """Deal the person's responses anew: one seed, one deal."""
        difficulty = self.settings.difficulty if difficulty is None else difficulty
        return Replay(
            self.degraded(noise), self.task.truth,
            hardness={self.settings.target: self.hardness} if difficulty else None,
            difficulty=difficulty, seed=self.settings.seed,
        )  # fmt: skip

    def course(self, system: System, *, noise: float = 0.0, **changed: Any) -> Course:
        """Rehearse a system to the last checkpoint, or remember how it went.

        Parameters
        ----------
        system : System
            How to learn and ask.
        noise : float
            Of the decoder, see `brainloop.observers.answers.Answers.degraded`.
        **changed
            Settings in place of the arena's.
        """
        settings = replace(self.settings, **changed)
        if system.told_truth:  # who does not care how well the person is understood
            settings, noise = replace(settings, difficulty=0.0, label_threshold=0.5), 0.0
        key = (system, settings, noise)
        if key not in self._courses:
            rounds = rehearse(
                system, self.task, self.replay(difficulty=settings.difficulty, noise=noise), settings,
                self.arena.round_ends.tolist(),
            )  # fmt: skip
            measured = [(at.auc, at.viewing_s, at.machine_s, at.target_share) for at in rounds]
            self._courses[key] = Course(*np.array(measured, dtype=float).T)
        return self._courses[key]

    def auc_after(self, system: System, images: IntArray) -> float:
        """Train a system once, on images that were looked at once each, and give its AUC on the test part."""
        from sklearn.metrics import roc_auc_score

        features, test = self.task.features(system)
        replay = self.replay()
        observer: Observer = Oracle(self.task.truth, soa=replay.soa) if system.told_truth else replay
        responses = list(observer.respond(Block(1, 1, tuple(images.tolist()), replay.soa, self.settings.target)))
        usable = np.array([response.rejected is None for response in responses], dtype=bool)
        evidence = np.zeros(self.truth.size)
        evidence[images] = [response.evidence for response in responses]
        belief = learn(system, features, evidence, np.sort(images[usable]), self.settings)
        return float(roc_auc_score(self.test_truth, belief.head.log_odds(test)))


Measure = Callable[[Cell], Mapping[str, FloatArray]]
"""What an experiment takes from a cell: arrays by name, of the same shapes in every cell."""


def measure(
    arena: Arena,
    measures: Mapping[str, Measure],
    seeds: Sequence[int],
    *,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> tuple[dict[str, Grid], dict[str, float]]:
    """Measure every cell at every seed, each of them one job, on as many processes as there are cores.

    The result does not depend on how many there are. Processes are spawned, so a script that calls this needs
    ``if __name__ == "__main__":`` around it.

    Parameters
    ----------
    arena : Arena
        What to compare on.
    measures : mapping of str to callable
        Each takes a `Cell` and gives arrays by name, of the same shapes in every cell.
    seeds : sequence of int
        One split and one deal each.
    workers : int, optional
        Processes; with 1, all is done in this one.
    progress : Progress
        Called with (jobs done, jobs).

    Returns
    -------
    grids : dict of str to Grid
        Of each measure.
    seconds : dict of str to float
        What each took, summed over jobs, s; a rehearsal that several share is counted where it was asked for first.
    """
    jobs = list(product(range(len(arena.cells)), seeds))
    results = run_jobs(_job, (arena, measures), jobs, workers=workers, progress=progress)
    found = dict(zip(jobs, results, strict=True))
    grids, seconds = {}, {}
    for name in measures:
        arrays = {
            key: np.array([[found[k, seed][name][0][key] for seed in seeds] for k in range(len(arena.cells))])
            for key in found[jobs[0]][name][0]
        }
        grids[name] = Grid(arena.cells, arrays)
        seconds[name] = round(sum(found[job][name][1] for job in jobs), 1)
    return grids, seconds


def _job(shared: tuple[Arena, Mapping[str, Measure]], number: int, seed: int) -> dict[str, Any]:
    arena, measures = shared
    cell = Cell(arena, *arena.cells[number], seed)
    results = {}
    for name, measure_of in measures.items():
        start = perf_counter()
        results[name] = measure_of(cell), perf_counter() - start
    return results
