"""``brainloop bench classes``: several classes told apart, each block looking for one of them, on replayed recordings.

Beside the study of several classes stand one classifier for each class against the rest, learning the talk's way or
ours, from as many looks together; who asks at random; and who is told the truth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from brainloop._types import FloatArray, IntArray, Progress, no_progress
from brainloop.bench.jobs import run_jobs
from brainloop.bench.machine import machine
from brainloop.bench.preparation import ClassFolders, class_folders, people_of
from brainloop.bench.statistics import plain, spread, standard_error
from brainloop.classifier.measure import measure_classes
from brainloop.classifier.system import SYSTEMS, System
from brainloop.errors import SettingsError
from brainloop.observers.answers import Answers, decode
from brainloop.observers.replay import Replay
from brainloop.parts import split
from brainloop.rehearsal import Task, rehearse
from brainloop.settings import Settings

__all__ = ["CHECKPOINTS", "bench_classes"]

CHECKPOINTS = (250, 500, 1000, 1500)
"""Looks, over all classes, after which accuracy is measured."""

ROUND = 100
"""Looks between two trainings, two blocks: with several classes a training takes about a second."""

TOGETHER: dict[str, System] = {
    "brainloop": SYSTEMS["brainloop"],
    "random_query": replace(SYSTEMS["brainloop"], query="random"),
    "truth": SYSTEMS["truth"],
}
"""One head of all classes, the class to look for chosen with the images."""

ONE_VS_REST = {"talk_one_vs_rest": SYSTEMS["talk"], "brainloop_one_vs_rest": SYSTEMS["brainloop"]}
"""One head each class; every class gets its equal part of the looks."""


@dataclass(frozen=True, eq=False)
class _Stage:
    photographs: ClassFolders
    people: Mapping[str, Answers]
    settings: Settings
    looks: tuple[int, ...]


def bench_classes(
    images: Path,
    recordings: Sequence[Path],
    backbone: str,
    *,
    seeds: Sequence[int],
    looks: Sequence[int] = CHECKPOINTS,
    cache: Path,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Measure how well several classes are told apart after some looks, on images that were never shown.

    Parameters
    ----------
    images : Path
        Class folders; all of them are told apart.
    recordings : sequence of Path
        Files or folders; one observer a person.
    backbone : str
        As in `brainloop.images.backbones.load_backbone`.
    seeds : sequence of int
        One split of the images and one deal of the responses each.
    looks : sequence of int
        Over all classes, rising.
    cache : Path
        Where embeddings are kept.
    workers : int, optional
        Processes.
    progress : Progress
        Called with (jobs done, jobs); a job is one person and one seed.

    Returns
    -------
    dict
        ``accuracy`` after the last look, its ``sd`` over seeds, ``confusion`` (summed over people and seeds), ``auc``
        of each class; for every other way to learn the same by its name; all at each of ``looks``.

    Raises
    ------
    SettingsError
        If there is no seed, or fewer than two class folders.
    ImageError, BackboneError, RecordingError, DecoderError
        If a part cannot be used.
    """
    if not seeds:
        raise SettingsError("expected one seed or more, none came; give --seeds 1 or more")
    photographs = class_folders(images, backbone, cache)
    settings = Settings(
        images=str(images), classes=photographs.classes, backbone=backbone, recordings=tuple(map(str, recordings)),
        confidence_threshold=1.0, looks_per_round=ROUND,
    )  # fmt: skip
    people = {
        name: decode(own, decoder=settings.decoder, calibration=settings.calibration)
        for name, own in people_of(recordings, settings).items()
    }
    stage = _Stage(photographs, people, settings, tuple(sorted(set(looks))))
    jobs = [(person, seed) for person in people for seed in seeds]
    found = run_jobs(_job, stage, jobs, workers=workers, progress=progress)
    confusions, aucs = _stacked(found, 0, len(people)), _stacked(found, 1, len(people))
    accuracy = {way: _accuracy(counts) for way, counts in confusions.items()}
    rows = {
        way: {
            "accuracy": plain(accuracy[way][..., -1].mean()),
            "sd": plain(spread(accuracy[way])[-1]),
            "at": plain(accuracy[way].mean(axis=(0, 1))),
            "auc": plain(aucs[way][..., -1, :].mean(axis=(0, 1))),
            "gain": plain((accuracy["brainloop"] - accuracy[way]).mean(axis=(0, 1))),
            "gain_se": plain(standard_error(accuracy["brainloop"] - accuracy[way])),
        }
        for way in confusions
    }
    ours = rows.pop("brainloop")
    del ours["gain"], ours["gain_se"]
    return {
        **ours,
        "classes": list(photographs.classes),
        "looks": list(stage.looks),
        "confusion": confusions["brainloop"][:, :, -1].sum(axis=(0, 1)).tolist(),
        **rows,
        "by_person": {
            person: {way: plain(accuracy[way][k].mean(axis=0)) for way in accuracy}
            | {"observer_auc": people[person].auc}
            for k, person in enumerate(people)
        },
        "images": {"pool": _sizes(stage, seeds[0])[0], "never_shown": _sizes(stage, seeds[0])[1]},
        "seeds": list(seeds),
        "machine": machine(),
    }


def _stacked(found: Sequence[Mapping[str, tuple[Any, ...]]], part: int, n_people: int) -> dict[str, Any]:
    """Stack one part of what the jobs gave, by way: (n_people, n_seeds, n_looks, ...)."""
    each = {way: np.stack([one[way][part] for one in found]) for way in found[0]}
    return {way: values.reshape(n_people, -1, *values.shape[1:]) for way, values in each.items()}


def _accuracy(confusion: IntArray) -> FloatArray:
    return np.asarray(np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=(-2, -1)))


def _sizes(stage: _Stage, seed: int) -> tuple[int, int]:
    pool, test = split(stage.photographs.labels, replace(stage.settings, seed=seed))
    return int(pool.size), int(test.size)


def _job(stage: _Stage, person: str, seed: int) -> dict[str, tuple[IntArray, FloatArray]]:
    """Learn in every way from one person's responses and measure: by way, confusions and AUCs at each checkpoint."""
    settings, labels, vectors = replace(stage.settings, seed=seed), stage.photographs.labels, stage.photographs.vectors
    pool, test = split(labels, settings)
    task = _task(vectors, labels, pool, test, settings)
    logits = {}
    for way, system in TOGETHER.items():
        observer = Replay(stage.people[person], task.truth, seed=seed)
        logits[way] = [stand.test_log_odds for stand in rehearse(system, task, observer, settings, stage.looks)]
    for way, system in ONE_VS_REST.items():
        logits[way] = _one_vs_rest(system, task, stage.people[person], settings, stage.looks)
    measured = {way: [measure_classes(labels[test], one) for one in each] for way, each in logits.items()}
    return {
        way: (np.stack([one.confusion for one in each]), np.stack([one.auc for one in each]))
        for way, each in measured.items()
    }


def _task(vectors: FloatArray, labels: IntArray, pool: IntArray, test: IntArray, settings: Settings) -> Task:
    truth, test_truth = (
        {name: np.asarray(labels[part] == k) for k, name in enumerate(settings.classes)} for part in (pool, test)
    )
    return Task(vectors[pool], truth, vectors[test], test_truth, seed=settings.seed)


def _one_vs_rest(
    system: System, task: Task, answers: Answers, settings: Settings, looks: Sequence[int]
) -> list[FloatArray]:
    """Teach one classifier a class; give their log-odds together, (n_test, K), at each number of looks."""
    each = []
    for k, name in enumerate(settings.classes):
        alone = replace(settings, classes=(), target=name)
        own = replace(task, truth={name: task.truth[name]}, test_truth={name: task.test_truth[name]})
        observer = Replay(answers, own.truth, seed=settings.seed * len(settings.classes) + k)
        shares = [max(1, round(n / len(settings.classes))) for n in looks]
        each.append([stand.test_log_odds for stand in rehearse(system, own, observer, alone, shares)])
    return [np.stack(columns, axis=1) for columns in zip(*each, strict=True)]
