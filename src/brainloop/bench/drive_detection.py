"""Hazards found in running EEG: simulated people watch a careless driver, and nobody tells the decoder when."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from brainloop._types import BoolArray, FloatArray, Progress, no_progress
from brainloop.bench.statistics import plain
from brainloop.decoder.detection import detect, pooled, threshold_for
from brainloop.driving.agent import SCRIPTED
from brainloop.driving.drive import HIT
from brainloop.driving.eeg_watcher import CALIBRATION, EegWatcher, HazardOnset, synthetic_watcher
from brainloop.driving.road import DT, SECONDS, Roads

__all__ = ["HEADLINE", "RATES", "course", "detection", "hits", "measure", "window_auc"]

MINUTES = 20.0
"""Of watching, for each person, after the calibration."""

RATES = (6.0, 15.0, 30.0, 60.0, 120.0, 240.0, 600.0)
"""False alarms an hour of the curve's points: from one in ten minutes to ten a minute."""

HEADLINE = 120.0
"""Two a minute."""

SHIFTS = 200
"""By how many random times the alarms are shifted to see how many hazards they would answer by chance."""


def detection(
    seeds: Sequence[int] = range(1000, 1005), *, minutes: float = MINUTES, progress: Progress = no_progress
) -> dict[str, Any]:
    """Measure how well hazards are found in the running EEG of simulated people.

    Each calibrates for five minutes, then watches roads that neither they nor the decoder have seen. In the control
    they look away: the hazards are there, and nobody responds to them.

    Parameters
    ----------
    seeds : sequence of int
        One a person.
    minutes : float
        Of watching.
    progress : Progress
        Called with (drives done, drives).

    Returns
    -------
    dict
        `auc`, `hits`, `chance_hits`, `latency_s` at `false_alarms_per_hour` 120, with 95 % intervals over people in
        `ci`; `curve`, the same over the rate of false alarms; `own`, at the threshold that calibration suggested;
        `control`; ready for JSON.
    """
    people, controls = [], []
    for number, seed in enumerate(seeds):
        person, hazard = synthetic_watcher(seed), course(seed, 60 * minutes)
        people.append(_watch(person, hazard))
        progress(2 * number + 1, 2 * len(seeds))
        controls.append(_watch(person, hazard, looks=False))
        progress(2 * number + 2, 2 * len(seeds))
    control = _over_people(controls)
    kept = ("auc", "hits", "chance_hits", "false_alarms_per_hour", "ci", "curve")
    return {
        **_over_people(people),
        "control": {name: control[name] for name in kept},
        "seeds": list(seeds),
        "minutes": minutes,
        "calibration_minutes": CALIBRATION / 60,
        "hazards": sum(one["hazards"] for one in people),
        "hit_s": list(HIT),
    }


def course(seed: int, seconds: float) -> BoolArray:
    """Drive carelessly along one road after another; say at each step whether there is a hazard, shape (n_steps,)."""
    n = int(np.ceil(4 * seconds / SECONDS))  # most end early, in a collision
    roads = Roads(seed * n + np.arange(n))
    driver, alive, parts = SCRIPTED["careless"], np.ones(n, dtype=bool), []
    lasted = np.zeros(n, dtype=int)
    while alive.any():
        step = roads.step(driver(roads.observe()))
        parts.append(step.hazard)
        lasted[alive] += 1
        alive &= ~(step.collided | step.over)
    hazards = np.array(parts).T
    whole = np.concatenate([one[:n_steps] for one, n_steps in zip(hazards, lasted, strict=True)])
    steps = round(seconds / DT)
    return np.asarray(np.resize(whole, steps))


def measure(
    times: FloatArray, evidence: FloatArray, events: FloatArray, rates: Sequence[float] = RATES
) -> tuple[float, list[dict[str, float]]]:
    """Give the AUC of windows, and hits and latency at each rate of false alarms.

    Parameters
    ----------
    times, evidence : arrays of shape (n,)
        See `brainloop.decoder.detection.detect`.
    events : array of shape (n_events,)
        When they happened, s.
    rates : sequence of float
        Of false alarms, an hour.
    """
    events = events[(events >= times[0]) & (events <= times[-1] - HIT[1])]
    curve = []
    for rate in rates:
        threshold = threshold_for(times, evidence, rate, events, HIT)
        alarms = np.array([alarm.time for alarm in detect(times, evidence, threshold)])
        curve.append({"false_alarms_per_hour": rate, "threshold": threshold, **hits(alarms, events, times)})
    return window_auc(times, evidence, events), curve


def window_auc(times: FloatArray, evidence: FloatArray, events: FloatArray) -> float:
    """Measure the area under the ROC curve of stretches after an event against stretches without one.

    A stretch's score is the largest pooled evidence that is known within it. Those of events begin 0.2 s after one and
    end 2 s after it, as hits do; the others are as long, follow each other without overlap, and none begins less than
    2 s after an event or holds the time in which one would be answered.
    """
    from sklearn.metrics import roc_auc_score

    totals = pooled(evidence)
    length = HIT[1] - HIT[0]

    def largest(begin: float) -> float:
        first, stop = np.searchsorted(times, [begin - DT / 10, begin + length + DT / 10])
        return float(totals[first:stop].max())

    others, begin = [], float(times[0])
    for event in [*events.tolist(), float(times[-1])]:
        while begin + length < event:
            others.append(largest(begin))
            begin += length
        begin = max(begin, event + HIT[1])
    scores = [*(largest(event + HIT[0]) for event in events), *others]
    return float(roc_auc_score(np.arange(len(scores)) < len(events), scores))


def hits(alarms: FloatArray, events: FloatArray, times: FloatArray) -> dict[str, float]:
    """Give the share of events that alarms answer, by chance too, and how long it takes at the median.

    By chance: alarms shifted all by the same random time, around the end of the drive, keep their number and rhythm and
    lose what they answered.
    """
    rng = np.random.default_rng(0)
    seconds = float(times[-1] - times[0])
    latency = _latencies(alarms, events)
    shifted = [times[0] + (alarms - times[0] + shift) % seconds for shift in rng.uniform(10, seconds - 10, SHIFTS)]
    by_chance = [np.isfinite(_latencies(np.sort(one), events)).mean() for one in shifted]
    answered = np.isfinite(latency)
    return {
        "hits": float(answered.mean()),
        "chance_hits": float(np.mean(by_chance)),
        "latency_s": float(np.median(latency[answered])) if answered.any() else float("nan"),
    }


def _latencies(alarms: FloatArray, events: FloatArray) -> FloatArray:
    """Give the time from each event to the first alarm that answers it, s; infinite where none does."""
    after = np.searchsorted(alarms, events + HIT[0] - DT / 10)
    first = np.append(alarms, np.inf)[after] - events
    return np.asarray(np.where(first <= HIT[1] + DT / 10, first, np.inf))


def _watch(watcher: EegWatcher, hazard: BoolArray, *, looks: bool = True) -> dict[str, Any]:
    """Let a person watch a drive, or look away from it."""
    watcher.begin()
    steps = DT * np.arange(1, len(hazard) + 1)
    begins = HazardOnset()
    events = np.array([time for time, there in zip(steps, hazard, strict=True) if begins(time, bool(there))])
    times, evidence, alarms = [], [], []
    for time, there in zip(steps, hazard, strict=True):
        watcher.see(float(time), bool(there) and looks)
        for said in watcher.heard():
            times.append(said.time)
            evidence.append(said.evidence)
        alarms += watcher.alarms()
    known = np.array(times)
    auc, curve = measure(known, np.array(evidence), events)
    own = hits(np.array(alarms), events, known)
    after = np.array(alarms)[:, None] - events[None]
    false = ~((after >= HIT[0] - DT / 10) & (after <= HIT[1] + DT / 10)).any(axis=1)
    own |= {"false_alarms_per_hour": float(false.sum() / (len(hazard) * DT / 3600)), "threshold": watcher.threshold}
    return {"auc": auc, "curve": curve, "own": own, "hazards": len(events)}


def _over_people(people: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Average over people, with intervals."""
    curve = []
    for place, rate in enumerate(RATES):
        points = [one["curve"][place] for one in people]
        curve.append(
            {"false_alarms_per_hour": rate, **_summary(points, ("hits", "chance_hits", "latency_s", "threshold"))}
        )
    headline = dict(next(point for point in curve if point["false_alarms_per_hour"] == HEADLINE))
    auc = _summary(people, ("auc",))
    return {
        **headline,
        "auc": auc["auc"],
        "ci": headline["ci"] | auc["ci"],
        "curve": curve,
        "own": _summary(
            [one["own"] for one in people], ("false_alarms_per_hour", "hits", "chance_hits", "latency_s", "threshold")
        ),
    }


def _summary(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Give the mean of each measure over people, and in `ci` its 95 % interval by Student's t."""
    found: dict[str, Any] = {"ci": {}}
    for name in names:
        values = np.array([row[name] for row in rows], dtype=float)
        values = values[np.isfinite(values)]
        n = len(values)
        half = stdtrit(n - 1, 0.975) * values.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
        mean = values.mean() if n else np.nan
        found[name] = plain(mean)
        found["ci"][name] = [plain(mean - half), plain(mean + half)]
    return found
