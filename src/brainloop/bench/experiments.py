"""The talk's experiments: what each measures in a cell, and how it sums up over cells.

An experiment is two functions. ``measure(cell)`` gives arrays by name, in one process, for one task, person and seed;
``summarise(grid, arena)`` turns what all cells gave into the experiment's part of ``talk.json``, for all cells together
and for each alone. Vaisman (2019), GTC talk S9554, made them on InnerEye's own photographs and people.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from brainloop._types import FloatArray
from brainloop.bench.arena import Arena, Cell, Measure
from brainloop.bench.confidence import DIFFICULTIES, measure_confidence, summarise_confidence
from brainloop.bench.statistics import Grid, plain
from brainloop.bench.viewing_time import measure_time, summarise_time
from brainloop.classifier.system import SYSTEMS, System

__all__ = ["EXPERIMENTS", "Experiment", "ablations"]

FIRST_ROUND = 200
"""Random looks in the talk's first round."""

SHARES = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
NOISE = (0.0, 0.5, 1.0, 2.0, 4.0)

TALK, BRAINLOOP = SYSTEMS["talk"], SYSTEMS["brainloop"]


@dataclass(frozen=True)
class Experiment:
    """One of the talk's experiments; see the module."""

    measure: Measure
    summarise: Callable[[Grid, Arena], dict[str, Any]]


def ablations() -> dict[str, System]:
    """Give every system that is one factor away from `talk` or from `brainloop`, by name.

    ``talk + X`` takes X from `brainloop`, ``brainloop - X`` takes X from `talk`; factors in which the two agree are
    left out. In regularisation they agree: what the other way would do to the talk is there beside them.
    """
    found = {"talk, cross-validated": replace(TALK, regularisation="cross_validation")}
    for factor in (field.name for field in fields(System)):
        if (ours := getattr(BRAINLOOP, factor)) != (theirs := getattr(TALK, factor)):
            found[f"talk + {factor}"] = replace(TALK, **{factor: ours})
            found[f"brainloop - {factor}"] = replace(BRAINLOOP, **{factor: theirs})
    return dict(sorted(found.items(), key=lambda item: not item[0].startswith("talk")))


def _series(grid: Grid, over: str | None = "talk") -> dict[str, Any]:
    return {name: grid.auc(name) | (grid.gain(name, over) if over else {}) for name in grid.values}


def _checkpoints(cell: Cell) -> dict[str, FloatArray]:
    courses = {name: cell.course(system) for name, system in (SYSTEMS | ablations()).items()}
    # What else the talk leaves open: where its labels are cut.
    courses["talk, Youden's threshold"] = cell.course(TALK, label_threshold=cell.answers.label_threshold())
    return {name: course.auc[cell.arena.stops] for name, course in courses.items()}


def _sum_checkpoints(grid: Grid, arena: Arena) -> dict[str, Any]:
    worth = {
        name.removeprefix("brainloop - "): grid.gain("brainloop", name)
        for name in grid.values
        if name.startswith("brainloop - ")
    }
    return {"x": "looks", "at": list(arena.checkpoints), "series": _series(grid), "worth": worth}


HEADS = {"talk's head": TALK, "brainloop's head": BRAINLOOP}
RULES = ("hard", "talk", "posterior")


def _soft_labels(cell: Cell) -> dict[str, FloatArray]:
    rng = np.random.default_rng([cell.settings.seed, 3])
    looked_at = rng.permutation(cell.truth.size)[:FIRST_ROUND]
    return {
        f"{rule}, {whose}": np.array(cell.auc_after(replace(system, rule=rule), looked_at))
        for whose, system in HEADS.items()
        for rule in RULES
    }


def _sum_soft_labels(grid: Grid, _arena: Arena) -> dict[str, Any]:
    series = {}
    for whose in HEADS:
        for rule in RULES:
            name = f"{rule}, {whose}"
            series[name] = grid.auc(name) | grid.gain(name, f"hard, {whose}")
    return {"looks": FIRST_ROUND, "gain_over": "hard labels on the same head", "series": series}


OWNERS = {"talk": TALK, "brainloop": BRAINLOOP}


def _active_learning(cell: Cell) -> dict[str, FloatArray]:
    found = {}
    for whose, base in HEADS.items():
        for rule, owner in OWNERS.items():
            for query, asked in (("random", "random"), ("active", owner.query)):
                system = replace(base, rule=owner.rule, query=asked)
                found[f"{rule}'s rule, {query}, {whose}"] = cell.course(system).auc[cell.arena.stops]
    return found


def _sum_active_learning(grid: Grid, arena: Arena) -> dict[str, Any]:
    contrasts = {}
    for whose in HEADS:
        active, passive = (
            {rule: f"{rule}'s rule, {query}, {whose}" for rule in OWNERS} for query in ("active", "random")
        )
        for rule in OWNERS:
            contrasts[f"active over random, {rule}'s rule, {whose}"] = grid.gain(active[rule], passive[rule])
        contrasts[f"brainloop's rule over talk's, random, {whose}"] = grid.gain(passive["brainloop"], passive["talk"])
        contrasts[f"brainloop's rule over talk's, active, {whose}"] = grid.gain(active["brainloop"], active["talk"])
        contrasts[f"interaction, {whose}"] = grid.contrast(
            (1, active["brainloop"]), (-1, passive["brainloop"]), (-1, active["talk"]), (1, passive["talk"])
        )
    return {"x": "looks", "at": list(arena.checkpoints), "series": _series(grid, None), "contrasts": contrasts}


def _training_share(cell: Cell) -> dict[str, FloatArray]:
    order = np.random.default_rng([cell.settings.seed, 4]).permutation(cell.truth.size)
    parts = [order[: max(2, round(share * order.size))] for share in SHARES]
    return {name: np.array([cell.auc_after(system, part) for part in parts]) for name, system in SYSTEMS.items()} | {
        "images": np.array([part.size for part in parts], dtype=float)
    }


def _sum_training_share(grid: Grid, _arena: Arena) -> dict[str, Any]:
    auc = Grid(grid.cells, {name: grid.values[name] for name in SYSTEMS})
    return {"x": "share", "at": list(SHARES), "images": plain(grid.mean("images")), "series": _series(auc)}


COMPENSATED = ("talk", "hard", "brainloop")


def _compensation(cell: Cell) -> dict[str, FloatArray]:
    found = {"error_rate": np.array([cell.degraded(noise).error_rate() for noise in NOISE])}
    for name in COMPENSATED:
        courses = [cell.course(SYSTEMS[name], noise=noise) for noise in NOISE]
        found[name] = np.array([course.auc[cell.arena.stops] for course in courses])  # (n_noise, n_checkpoints)
    return found


def _sum_compensation(grid: Grid, arena: Arena) -> dict[str, Any]:
    auc = Grid(grid.cells, {name: grid.values[name] for name in COMPENSATED})
    return {
        "x": "looks", "at": list(arena.checkpoints), "noise": list(NOISE),
        "error_rate": plain(grid.mean("error_rate")), "series": _series(auc, "hard"), "gain_over": "hard",
    }  # fmt: skip


def _zero_label(cell: Cell) -> dict[str, FloatArray]:
    from sklearn.metrics import roc_auc_score

    own = np.nan if cell.own is None else roc_auc_score(cell.test_truth, cell.own)
    return {"own": np.array(own)} | {
        name: cell.course(system).auc[cell.arena.stops] for name, system in SYSTEMS.items()
    }


def _sum_zero_label(grid: Grid, arena: Arena) -> dict[str, Any]:
    # Only tasks that have a class of their own are averaged, or the rows would be of different tasks.
    known = np.array([arena.tasks[task].own is not None for task, _ in grid.cells], dtype=bool)
    about = {task: arena.tasks[task].about_own for task, _ in grid.cells}
    if not known.any():
        return {"classes": about, "own": None, "series": {}}
    there = Grid(
        tuple(cell for cell, is_known in zip(grid.cells, known, strict=True) if is_known),
        {name: values[known] for name, values in grid.values.items()},
    )
    courses = Grid(there.cells, {name: there.values[name] for name in SYSTEMS})
    return {
        "classes": about, "own": there.auc("own"), "at": list(arena.checkpoints),
        "tasks": sorted({task for task, _ in there.cells}), "series": _series(courses, None),
    }  # fmt: skip


def _difficulty(cell: Cell) -> dict[str, FloatArray]:
    return {
        name: np.array([cell.course(system, difficulty=level).auc[cell.arena.stops] for level in DIFFICULTIES])
        for name, system in SYSTEMS.items()
    }


def _sum_difficulty(grid: Grid, arena: Arena) -> dict[str, Any]:
    return {"x": "looks", "at": list(arena.checkpoints), "difficulty": list(DIFFICULTIES), "series": _series(grid)}


def _compose(cell: Cell) -> dict[str, FloatArray]:
    found = {}
    for name, system in SYSTEMS.items():
        for fillers, composed in (("on", True), ("off", False)):
            course = cell.course(system, compose=composed)
            found[f"{name}, {fillers}"] = course.auc[cell.arena.stops]
            found[f"targets, {name}, {fillers}"] = course.target_share[cell.arena.stops]
    return found


def _sum_compose(grid: Grid, arena: Arena) -> dict[str, Any]:
    series = {
        f"{name}, {fillers}": grid.auc(f"{name}, {fillers}")
        | grid.gain(f"{name}, {fillers}", f"{name}, off")
        | {"target_share": plain(grid.mean(f"targets, {name}, {fillers}"))}
        for name in SYSTEMS
        for fillers in ("on", "off")
    }
    return {"x": "looks", "at": list(arena.checkpoints), "gain_over": "the same without fillers", "series": series}


EXPERIMENTS: Mapping[str, Experiment] = {
    "checkpoints": Experiment(_checkpoints, _sum_checkpoints),
    "soft_labels": Experiment(_soft_labels, _sum_soft_labels),
    "active_learning": Experiment(_active_learning, _sum_active_learning),
    "training_share": Experiment(_training_share, _sum_training_share),
    "time": Experiment(measure_time, summarise_time),
    "compensation": Experiment(_compensation, _sum_compensation),
    "confidence": Experiment(measure_confidence, summarise_confidence),
    "zero_label": Experiment(_zero_label, _sum_zero_label),
    "difficulty": Experiment(_difficulty, _sum_difficulty),
    "compose": Experiment(_compose, _sum_compose),
}
"""The ten, in their order: number 1 is the first."""
