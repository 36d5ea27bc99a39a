"""Experiment 5: what AUC costs in minutes, against a person who clicks."""

from typing import Any

import numpy as np

from brainloop._types import FloatArray
from brainloop.bench.arena import Arena, Cell
from brainloop.bench.statistics import Grid, plain
from brainloop.classifier.system import SYSTEMS

__all__ = ["CLICK_S", "FAST_SOA", "LEVELS", "measure_time", "summarise_time"]

CLICK_S = 1.7
"""Seconds an image that a person takes to say yes or no at their own pace: Krishna et al. (2016), "Embracing error to
enable rapid crowdsourcing", CHI, the conventional condition of image verification, mean of its concepts."""

FAST_SOA = 0.2
"""5 Hz, s: the rate at which one sees every image of a series with ease."""

LEVELS = (0.80, 0.86, 0.88, 0.90, 0.92)
"""The talk's AUCs, whose minutes are asked for."""

WAYS = ("own", "fast")


def measure_time(cell: Cell) -> dict[str, FloatArray]:
    """Give AUC and minutes at every end of a round: at the recording's own SOA, and as if shown at 5 Hz."""
    looks, soa = cell.arena.round_ends, cell.settings.soa or cell.answers.soa
    found = {"calibration": np.array(sum(about["calibration_s"] for about in cell.answers.facts) / 60)}
    for name, system in SYSTEMS.items():
        course = cell.course(system)
        pauses = course.viewing_s - looks * soa
        found[name] = course.auc
        found[f"{name}, own"] = (course.viewing_s + course.machine_s) / 60
        found[f"{name}, fast"] = (looks * FAST_SOA + pauses + course.machine_s) / 60
    # Who clicks is right: the head, query and labels of `truth`, at a click for each look.
    found["clicking, minutes"] = (looks * CLICK_S + cell.course(SYSTEMS["truth"]).machine_s) / 60
    return found


def summarise_time(grid: Grid, arena: Arena) -> dict[str, Any]:
    """Average the curves, and find where the average curve first reaches each of the talk's AUCs.

    The curve averaged over seeds is asked, not each run: the first crossing of a noisy curve comes too early.
    """
    curves = {}
    for name in SYSTEMS:
        auc = grid.mean(name)
        curves[name] = grid.auc(name)
        for way in WAYS:
            minutes = grid.mean(f"{name}, {way}")
            curves[name][f"minutes_{way}"] = plain(minutes)
            curves[name][f"minutes_to_{way}"] = plain(_reached(auc, minutes))
    minutes, auc = grid.mean("clicking, minutes"), grid.mean("truth")
    curves["clicking"] = grid.auc("truth") | {
        "minutes_own": plain(minutes), "minutes_to_own": plain(_reached(auc, minutes)),
    }  # fmt: skip
    return {
        "looks": arena.round_ends.tolist(), "levels": list(LEVELS), "click_s": CLICK_S, "fast_soa_s": FAST_SOA,
        "own_soa_s": plain(np.array([arena.people[person].soa for _, person in grid.cells]).mean()),
        "pause_s": arena.settings.pause, "calibration_minutes": plain(grid.mean("calibration")), "series": curves,
    }  # fmt: skip


def _reached(auc: FloatArray, minutes: FloatArray) -> FloatArray:
    """Minutes at which a curve first reaches each level; nan where it does not."""
    return np.array([minutes[np.argmax(auc >= level)] if (auc >= level).any() else np.nan for level in LEVELS])
