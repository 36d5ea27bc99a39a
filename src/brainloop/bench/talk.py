"""``brainloop bench talk``: the talk's ten experiments, written as JSON, figures and Markdown."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from brainloop._files import write_whole
from brainloop._types import FloatArray, Progress, no_progress
from brainloop.bench.arena import Arena, Cell, measure
from brainloop.bench.experiments import EXPERIMENTS
from brainloop.bench.machine import machine
from brainloop.bench.statistics import Grid, plain
from brainloop.classifier.system import SYSTEMS
from brainloop.errors import SettingsError
from brainloop.settings import Settings

__all__ = ["CHECKPOINTS", "bench_talk", "chosen", "rehearsal_settings", "write_talk"]

CHECKPOINTS = (200, 400, 589, 718, 795)
"""Looks at which the talk gives its AUC."""


def rehearsal_settings(
    recordings: Sequence[Path],
    backbone: str,
    *,
    backbone_output: str | None = None,
    prevalence: float = 0.12,
    difficulty: float = 0.0,
    compose: bool = False,
) -> Settings:
    """Make the settings that all rehearsals share; a threshold of 1 keeps them from being sure before the last look.

    Raises
    ------
    SettingsError
        If a value is out of its range.
    """
    return Settings(
        images="", target="target", backbone=backbone, backbone_output=backbone_output, observer="replay",
        recordings=tuple(map(str, recordings)), prevalence=prevalence, difficulty=difficulty, compose=compose,
        confidence_threshold=1.0,
    )  # fmt: skip


def chosen(only: Sequence[str]) -> list[str]:
    """Turn numbers, from 1, and names of experiments into names, in the experiments' order; nothing means all.

    Raises
    ------
    SettingsError
        If there is no such experiment.
    """
    names = list(EXPERIMENTS)
    known = {str(number): name for number, name in enumerate(names, start=1)} | {name: name for name in names}
    if unknown := [one for one in only if one not in known]:
        listed = ", ".join(f"{number} {name}" for number, name in enumerate(names, start=1))
        raise SettingsError(f"expected an experiment of {listed}; {unknown[0]!r} came")
    return [name for name in names if not only or name in {known[one] for one in only}]


def bench_talk(
    arena: Arena,
    seeds: Sequence[int],
    *,
    only: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Run the experiments.

    Parameters
    ----------
    arena : Arena
        Tasks and people, from `brainloop.bench.preparation.prepare`.
    seeds : sequence of int
        One split and one deal each.
    only : sequence of str
        Numbers or names of experiments; all by default. The four systems at the checkpoints come always.
    workers : int, optional
        Processes; as many as there are cores by default. Only times depend on it.
    progress : Progress
        Called with (jobs done, jobs); a job is one task, person and seed.

    Returns
    -------
    dict
        What ``talk.json`` holds: for every system `auc`, `sd` (between seeds, within a task and person, averaged),
        `gain` over ``talk`` and `gain_se` (see `brainloop.bench.statistics.standard_error`), `viewing_s` and
        `machine_s`, at each checkpoint; over all, by task and recording, and by recording over all tasks; and each
        experiment's own.

    Raises
    ------
    SettingsError
        If an experiment is unknown, or there is no seed.
    """
    names = chosen(only)
    if not seeds:
        raise SettingsError("expected one seed or more, none came; give --seeds 1 or more")
    measures = {"systems": _systems} | {name: EXPERIMENTS[name].measure for name in names}
    grids, seconds = measure(arena, measures, seeds, workers=workers, progress=progress)
    experiments = {}
    for name in names:
        summarise, grid = EXPERIMENTS[name].summarise, grids[name]
        experiments[name] = summarise(grid, arena) | {"seconds": seconds[name]}
        if len(grid.cells) > 1:
            experiments[name]["by"] = [
                {"task": task, "recording": person} | summarise(grid.alone(k), arena)
                for k, (task, person) in enumerate(grid.cells)
            ]
    systems = grids["systems"]
    return {
        "checkpoints": list(arena.checkpoints),
        "systems": _describe(systems),
        "by": [
            {"task": task, "recording": person, "observer_auc": plain(arena.people[person].auc or np.nan),
             "systems": _describe(systems.alone(k))}
            for k, (task, person) in enumerate(systems.cells)
        ],
        "by_recording": [
            {"recording": person, "observer_auc": plain(answers.auc or np.nan),
             "systems": _describe(systems.of_person(person))}
            for person, answers in arena.people.items()
        ],
        "experiments": experiments,
        "settings": _about(arena, seeds, seconds["systems"]),
        "machine": machine(),
    }  # fmt: skip


def write_talk(figures: Mapping[str, Any], out: Path, *, command: str) -> list[Path]:
    """Write ``talk.json``, ``talk.md`` and a figure of each experiment into a folder, and give their paths."""
    from brainloop.bench.talk_figures import draw
    from brainloop.bench.talk_markdown import page

    out.mkdir(parents=True, exist_ok=True)
    figures = {**figures, "command": command}
    write_whole(out / "talk.json", (json.dumps(figures, indent=1, allow_nan=False) + "\n").encode())
    pictures = draw(figures, out)
    write_whole(out / "talk.md", page(figures).encode())
    return [out / "talk.json", out / "talk.md", *pictures]


def _systems(cell: Cell) -> dict[str, FloatArray]:
    found = {}
    for name, system in SYSTEMS.items():
        course = cell.course(system)
        for what in ("auc", "viewing_s", "machine_s"):
            found[f"{name}/{what}"] = getattr(course, what)[cell.arena.stops]
    return found


def _describe(grid: Grid) -> dict[str, Any]:
    return {
        name: grid.auc(f"{name}/auc")
        | grid.gain(f"{name}/auc", "talk/auc")
        | {what: plain(grid.mean(f"{name}/{what}")) for what in ("viewing_s", "machine_s")}
        for name in SYSTEMS
    }


def _about(arena: Arena, seeds: Sequence[int], seconds: float) -> dict[str, Any]:
    settings = replace(arena.settings, seed=seeds[0])
    of_rehearsals = (
        "prevalence", "difficulty", "compose", "looks_per_round", "block_size", "pause", "label_threshold",
        "test_share", "decoder", "calibration", "backbone", "backbone_output",
    )  # fmt: skip
    return {
        **{name: getattr(settings, name) for name in of_rehearsals},
        "tasks": {
            name: {"images": int(task.truth.size), "targets": int(task.truth.sum()), "own_classes": task.about_own}
            for name, task in arena.tasks.items()
        },
        "recordings": {
            name: {"auc": plain(answers.auc or np.nan), "soa_s": answers.soa, "recordings": len(answers.recordings)}
            for name, answers in arena.people.items()
        },
        "seeds": list(seeds),
        "sd": "standard deviation between seeds within one task and recording, averaged over them",
        "gain_se": "the larger of two: clustered by task and recording, clustered by seed",
        "seconds": "summed over jobs; a rehearsal that experiments share is counted where it was asked for first",
        "systems_seconds": seconds,
    }
