"""Drivers that learn with and without a brain, and hazards found in running EEG: the figures of docs/driving.md."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from brainloop._types import FloatArray, Progress, no_progress
from brainloop.bench.drive_detection import detection
from brainloop.bench.jobs import run_jobs
from brainloop.bench.statistics import plain
from brainloop.driving.agent import Agent

__all__ = ["AGENTS", "bench_drive", "reached"]

AGENTS: dict[str, tuple[str, float | None]] = {
    "plain": ("plain", None),
    "brain": ("brain", None),
    "reward_model": ("model", None),
    "zero_weight": ("brain", 0.0),
    "random_feedback": ("random", None),
    "oracle_hazard": ("oracle", None),
    "shaped_ttc": ("ttc", None),
}
"""What each learns from, as `brainloop.driving.training.train` takes it, and a weight that is not the usual one."""

EVERY = 5_000
"""Between two points of a learning curve, decisions."""

CURVE_ROADS, FINAL_ROADS = range(200), range(1_000)
"""Roads that the curves and the final figures are measured on; no agent and no model trains on them."""

MEASURES = ("collision_rate", "progress", "speed")


def bench_drive(
    seeds: Sequence[int],
    *,
    steps: int | None = None,
    minutes: float = 20.0,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Train every agent once a seed, and let as many people watch.

    Parameters
    ----------
    seeds : sequence of int
        Of roads, people, models and agents.
    steps : int, optional
        Decisions of a training, the same for all; `training.STEPS` by default.
    minutes : float
        That each person watches, of `detection`.
    workers : int, optional
        Processes.
    progress : Progress
        Called with (jobs done, jobs).

    Returns
    -------
    dict
        `agents`, `bars` (what they are held against) and `detection`; ready for JSON.
    """
    from brainloop.driving.training import STEPS

    steps = STEPS if steps is None else steps
    # The slowest begin first, so that no core waits at the end.
    order = sorted(AGENTS, key=lambda name: AGENTS[name][0] != "model")
    jobs = [(name, seed) for name in order for seed in seeds]
    watched, *driven = run_jobs(
        _job, (steps, minutes, tuple(seeds)), [("detection", 0), *jobs], workers=workers, progress=progress
    )
    done = dict(zip(jobs, driven, strict=True))
    runs = {name: [done[name, seed] for seed in seeds] for name in AGENTS}
    agents = {name: _agent(one) for name, one in runs.items()}
    return {
        "agents": agents,
        "bars": _bars(runs, agents),
        "detection": watched,
        "seeds": list(seeds),
        "steps": steps,
        "roads": len(FINAL_ROADS),
    }


def _job(shared: tuple[int, float, tuple[int, ...]], name: str, seed: int) -> dict[str, Any]:
    """Train and measure one agent; or let everybody watch."""
    from brainloop.driving.reward_model import learn_hazards
    from brainloop.driving.training import evaluate, train

    steps, minutes, seeds = shared
    if name == "detection":
        return detection(seeds, minutes=minutes)
    reward, weight = AGENTS[name]
    learned = learn_hazards(seed=seed) if reward == "model" else None
    curve: list[dict[str, float]] = []

    def look(at: int, roads: Sequence[int]) -> Callable[[Agent], None]:
        def measure(agent: Agent) -> None:
            seen = evaluate(agent, roads)
            values = {"collision_rate": seen.collisions, "progress": seen.progress, "speed": seen.speed}
            curve.append({"steps": at, **values})

        return measure

    agent = train(
        reward, seed=seed, steps=steps, weight=weight, model=learned.model if learned else None,
        seen={at: look(at, CURVE_ROADS) for at in range(EVERY, steps, EVERY)},
    )  # fmt: skip
    look(steps, CURVE_ROADS)(agent)
    look(steps, FINAL_ROADS)(agent)
    final = curve.pop()
    model = {"auc": learned.auc, "looks": learned.looks} if learned else None
    return {"curve": curve, "final": final, "model": model}


def _agent(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Describe one agent over seeds: means after training with 95 % intervals, and the mean curve."""
    final = {name: np.array([run["final"][name] for run in runs]) for name in MEASURES}
    curve = [
        {"steps": points[0]["steps"]} | {name: plain(np.mean([one[name] for one in points])) for name in MEASURES}
        for points in zip(*(run["curve"] for run in runs), strict=True)
    ]
    found: dict[str, Any] = {name: plain(values.mean()) for name, values in final.items()}
    found["ci"] = _interval(final["collision_rate"])
    found |= {f"{name}_ci": _interval(final[name]) for name in ("progress", "speed")}
    found |= {"by_seed": plain(final["collision_rate"]), "curve": curve}
    if runs[0]["model"]:
        found["model"] = {
            "auc": plain(np.mean([run["model"]["auc"] for run in runs])),
            "looks": runs[0]["model"]["looks"],
        }
    return found


def _bars(runs: Mapping[str, Sequence[Mapping[str, Any]]], agents: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Give what the issue of driving asks of the agents."""
    rate = {name: np.array([run["final"]["collision_rate"] for run in some]) for name, some in runs.items()}
    gain = {name: rate["plain"] - values for name, values in rate.items()}
    plain_rate, plain_progress = (agents["plain"][name] for name in ("collision_rate", "progress"))
    return {
        "collisions_of_plain": plain(agents["brain"]["collision_rate"] / plain_rate) if plain_rate else None,
        "progress_of_plain": plain(agents["brain"]["progress"] / plain_progress),
        **reached({name: one["curve"] for name, one in agents.items()}),
        "model_share_of_gain": plain(gain["reward_model"].mean() / gain["brain"].mean())
        if gain["brain"].any()
        else None,
        "zero_weight_equals_plain": [run["curve"] for run in runs["zero_weight"]]
        == [run["curve"] for run in runs["plain"]],
        "random_gain": plain(gain["random_feedback"].mean()),
        "random_gain_ci": _interval(gain["random_feedback"]),
    }


def reached(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Give after how many decisions each mean curve comes down to the last collisions of `plain`, and stays there.

    That it stays leaves out the first drivers, which hardly move. A hundredth above counts as down: two of 200 roads.

    Parameters
    ----------
    curves : mapping of str to sequence
        The `curve` of each agent.

    Returns
    -------
    dict
        `steps_to_plain` of each, None if it never does; and of ``brain`` as a share of the whole training
        (`share_of_training`) and of what `plain` itself needs (`share_of_plain`).
    """
    target = curves["plain"][-1]["collision_rate"] + 0.01
    found: dict[str, int | None] = {}
    for name, curve in curves.items():
        above = [number for number, point in enumerate(curve) if point["collision_rate"] > target]
        first = above[-1] + 1 if above else 0
        found[name] = curve[first]["steps"] if first < len(curve) else None
    brain, whole, own = found["brain"], curves["plain"][-1]["steps"], found["plain"]
    return {
        "steps_to_plain": found,
        "share_of_training": plain(brain / whole) if brain else None,
        "share_of_plain": plain(brain / own) if brain and own else None,
    }


def _interval(values: FloatArray) -> list[Any]:
    """Give the 95 % interval of a mean over seeds, by Student's t."""
    n = len(values)
    half = float(stdtrit(n - 1, 0.975) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan
    return [plain(values.mean() - half), plain(values.mean() + half)]
