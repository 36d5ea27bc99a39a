"""How long the machine takes between two rounds."""

import statistics
from time import perf_counter
from typing import Any

import numpy as np

from brainloop._types import Progress, no_progress
from brainloop.classifier.query import unsure_share
from brainloop.classifier.system import SYSTEMS
from brainloop.evidence import add_up
from brainloop.settings import Settings
from brainloop.uses.training import learn, plan

__all__ = ["bench_rounds"]

TIMED = ("brainloop", "talk")
LOOKS = (200, 400, 800, 1600)


def bench_rounds(
    pool: int = 3000, width: int = 1280, *, repeats: int = 5, seed: int = 0, progress: Progress = no_progress
) -> dict[str, Any]:
    """Time what follows a round's last response: labels, head, scoring, query and composition.

    Parameters
    ----------
    pool, width : int
        Images, and numbers an embedding; random ones with the decaying spectrum of real embeddings, 12 % targets
        on a random direction, evidence of AUC .85.
    repeats : int
        Runs of each, to take the median of.
    seed : int
        Of the data.
    progress : Progress
        Called with (runs, runs in all).

    Returns
    -------
    dict
        Ready for JSON: seconds by system and number of looks, ``start`` for the first round's plan; and the
        seconds that its features take, once a study.
    """
    rng = np.random.default_rng(seed)
    truth = rng.random(pool) < 0.12
    spectrum = np.arange(1, width + 1) ** -0.5
    direction = rng.normal(size=width)
    embeddings = np.empty((pool, width), dtype=np.float32)
    for start in range(0, pool, 10_000):  # in pieces: in one, the random numbers would take twice the memory
        part = slice(start, start + 10_000)
        noise = rng.normal(size=embeddings[part].shape)
        embeddings[part] = noise * spectrum + truth[part, None] * direction * spectrum / 3
    settings = Settings("nowhere", "target", observer="own", compose=True, seed=seed)
    d = 1.4657  # the separation of two unit Gaussians with an AUC of .85
    features_s: dict[str, float] = {}
    round_s: dict[str, dict[str, float]] = {}
    runs, total = 0, len(TIMED) * len(LOOKS) * repeats
    for name in TIMED:
        system = SYSTEMS[name]
        start_s = perf_counter()
        features = system.fit_features(embeddings, seed=seed)(embeddings)
        features_s[name] = round(perf_counter() - start_s, 3)
        unknown = learn(system, features, np.zeros(pool), np.zeros(0, dtype=np.int64), settings)
        taken = []
        for _ in range(repeats):
            start_s = perf_counter()
            plan(system, unknown, 1, settings.looks_per_round, settings, 0.2)
            taken.append(perf_counter() - start_s)
        round_s[name] = {"start": round(statistics.median(taken), 3)}
        for looks in LOOKS:
            shown = rng.integers(0, pool, looks)
            evidence = d * (rng.normal(size=looks) + d * truth[shown]) - d * d / 2
            taken = []
            for _ in range(repeats):
                start_s = perf_counter()
                belief = learn(system, features, add_up(shown, evidence, pool), np.unique(shown), settings)
                unsure_share(system.asks_of(belief))
                plan(system, belief, 2, settings.looks_per_round, settings, 0.2)
                taken.append(perf_counter() - start_s)
                runs += 1
                progress(runs, total)
            round_s[name][str(looks)] = round(statistics.median(taken), 3)
    return {"pool": pool, "width": width, "features_s": features_s, "round_s": round_s}
