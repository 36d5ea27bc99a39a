"""How long the machine takes between two rounds."""

import statistics
from time import perf_counter
from typing import Any

import numpy as np
from scipy.special import expit

from brainloop._types import Progress, no_progress
from brainloop.classifier.head import Projection, train_head
from brainloop.classifier.query import least_confident, unsure_share
from brainloop.evidence import add_up
from brainloop.presentation.composition import compose

__all__ = ["bench_rounds"]


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
        Ready for JSON: seconds by rule and number of looks, and the projection's, which comes once a study.
    """
    rng = np.random.default_rng(seed)
    truth = rng.random(pool) < 0.12
    spectrum = np.arange(1, width + 1) ** -0.5
    embeddings = (
        rng.normal(size=(pool, width)) * spectrum + truth[:, None] * rng.normal(size=width) * spectrum / 3
    ).astype(np.float32)
    start = perf_counter()
    projection = Projection.fit(embeddings)
    projection_s = perf_counter() - start
    d = 1.4657  # the separation of two unit Gaussians with an AUC of .85
    seconds: dict[str, dict[str, float]] = {}
    runs, total = 0, 2 * 4 * repeats
    for rule in ("posterior", "talk"):
        seconds[rule] = {}
        for looks in (200, 400, 800, 1600):
            shown = rng.integers(0, pool, looks)
            evidence = d * (rng.normal(size=looks) + d * truth[shown]) - d * d / 2
            taken = []
            for _ in range(repeats):
                start = perf_counter()
                known = add_up(shown, evidence, pool)
                seen = np.unique(shown)
                head = train_head(projection, embeddings[seen], known[seen], rule=rule)
                asked = head.log_odds(embeddings) + known
                unsure_share(asked)
                compose(least_confident(asked, 200, rng), expit(asked), 200, 50, 0.2, rng)
                taken.append(perf_counter() - start)
                runs += 1
                progress(runs, total)
            seconds[rule][str(looks)] = round(statistics.median(taken), 3)
    return {"pool": pool, "width": width, "projection_s": round(projection_s, 3), "round_s": seconds}
