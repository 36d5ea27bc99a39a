"""``brainloop bench fusion``: image and EEG together, over a grid of qualities of both, with shuffled EEG beside it.

Every class folder is looked for in turn. For each seed the images are split in halves, to learn from and to test on,
and so are the epochs that answer them. Classifier and fusion learn from the same images of known class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.bench.fusion_data import DECODER, Brain, FusionData
from brainloop.bench.jobs import run_jobs
from brainloop.bench.machine import machine
from brainloop.bench.statistics import plain
from brainloop.classifier.head import Head
from brainloop.classifier.system import SYSTEMS
from brainloop.errors import SettingsError
from brainloop.evidence import Calibration
from brainloop.observers.answers import Answers
from brainloop.observers.replay import Replay
from brainloop.parts import split
from brainloop.presentation.block import Block, Response
from brainloop.settings import Settings
from brainloop.uses.joint import Pairs, train_joint
from brainloop.uses.out_of_fold import folds, log_odds_against_rest, out_of_fold
from brainloop.uses.responses import N_NUMBERS
from brainloop.uses.stacking import train_stacked

__all__ = ["LABELS", "METHODS", "bench_fusion"]

LABELS = (16, 25, 40, 63, 100, 160, 250, 400)
"""Images of known class that classifier and fusion learn from, on a log grid."""

PREVALENCE = 0.15
"""Of targets, among the images to learn from and those to test on."""

GOAL = 0.85
"""AUC of classifier and of brain to which the cell at the top is the nearest: independence would give .93 there."""

PENALTY = 0.1
"""L2 penalty of the classifier, on features of unit mean square norm. With 16 to 40 labels the Laplace evidence and
cross-validation both choose far too strong a one in some splits, and log-odds near 0 beside which any evidence is loud;
with more labels they choose about this one. On the design seeds its AUC was within .005 of the Laplace evidence's, in
the mean over classes."""

FUSED = ("late", "stacked", "joint")
METHODS = ("classifier", "brain", *FUSED, *(f"{name}_shuffled" for name in FUSED))
"""Everything whose AUC a cell has."""


def bench_fusion(
    data: FusionData,
    seeds: Sequence[int],
    *,
    labels: Sequence[int] = LABELS,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Measure every way of fusion in every cell of the grid.

    Parameters
    ----------
    data : FusionData
        From `prepare_fusion`.
    seeds : sequence of int
        One split of the images, one deal of the responses and one shuffle each.
    labels : sequence of int
        Numbers of images to learn from; those that there are not are left out.
    workers : int, optional
        Processes; as many as there are cores by default. Nothing depends on it.
    progress : Progress
        Called with (jobs done, jobs); a job is a class and a seed.

    Returns
    -------
    dict
        What the JSON holds: the AUCs of the cell nearest to .85 and .85, and ``grid``, those of every cell.

    Raises
    ------
    SettingsError
        If there is no seed.
    """
    if not seeds:
        raise SettingsError("expected one seed or more, none came; give --seeds 1 or more")
    jobs = [(target, seed) for target in data.targets for seed in seeds]
    results = run_jobs(_measure, (data, labels), jobs, workers=workers, progress=progress)
    found = dict(zip(jobs, results, strict=True))
    aucs = np.array([[found[target, seed] for seed in seeds] for target in data.targets])
    return _described(data, aucs, labels, seeds)


def _measure(shared: tuple[FusionData, Sequence[int]], target: str, seed: int) -> FloatArray:
    """AUCs of one class and one seed, (n_brains, n_labels, n_methods); nan where there are not as many images."""
    data, labels = shared
    truth = data.labels == target
    settings = Settings(images="", target=target, prevalence=PREVALENCE, test_share=0.5, seed=seed)
    pool, test = split(truth, settings)
    feature_map = SYSTEMS["truth"].fit_features(data.vectors[pool], seed=seed)
    features = {"pool": feature_map(data.vectors[pool]), "test": feature_map(data.vectors[test])}
    rng = np.random.default_rng([seed, 5])
    in_turn = [rng.permutation(np.flatnonzero(truth[pool] == kind)) for kind in (True, False)]
    aucs = np.full((len(data.brains), len(labels), len(METHODS)), np.nan)
    for k, n in enumerate(labels):
        n_targets = round(n * PREVALENCE)
        if n_targets > in_turn[0].size or n - n_targets > in_turn[1].size:
            continue
        known = np.concatenate([in_turn[0][:n_targets], in_turn[1][: n - n_targets]])
        y, x = truth[pool][known], features["pool"][known]

        def learn(rows: IntArray, x: FloatArray = x, y: BoolArray = y) -> Head:
            return _probe(x[rows], y[rows])

        fold = folds(y, seed=seed)
        z = out_of_fold(learn, x, fold)
        z_test = log_odds_against_rest(learn(np.arange(n)), features["test"])
        seen = _Seen(y, z, x), _Seen(truth[test], z_test, features["test"])
        for b, brain in enumerate(data.brains):
            aucs[b, k] = _cell(brain, *seen, fold, seed)
    return aucs


def _probe(features: FloatArray, truth: BoolArray) -> Head:
    """Train a linear probe on images of known class."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1 / PENALTY, max_iter=1000).fit(features, truth)
    return Head(fitted.coef_[0], float(fitted.intercept_[0]), None, PENALTY, np.nan)


@dataclass(frozen=True, eq=False)
class _Seen:
    """Images to learn from or to test on: truth (n,), log-odds (n,), features (n, n_features)."""

    truth: BoolArray
    log_odds: FloatArray
    features: FloatArray


def _cell(brain: Brain, known: _Seen, test: _Seen, fold: IntArray, seed: int) -> FloatArray:
    """AUCs of every method, (n_methods,)."""
    from sklearn.metrics import roc_auc_score

    halves = brain.halves if seed % 2 == 0 else brain.halves[::-1]  # both halves are tested on, in turn
    dealt = [_deal(half, one.truth, seed) for half, one in zip(halves, (known, test), strict=True)]
    rng = np.random.default_rng([seed, 7])
    shuffled = [[some[k] for k in rng.permutation(len(some))] for some in dealt]
    recalibrated = _recalibrated(halves[0], rng)
    pairs = [_pairs(brain, some, one) for some, one in zip(dealt, (known, test), strict=True)]
    controls = [_pairs(brain, some, one, recalibrated) for some, one in zip(shuffled, (known, test), strict=True)]
    scores = [test.log_odds, pairs[1].evidence]
    for learned, tested in (pairs, controls):
        scores.append(tested.log_odds + tested.evidence)
        scores.append(
            train_stacked(learned.log_odds, learned.evidence, known.truth).log_odds(tested.log_odds, tested.evidence)
        )
        scores.append(train_joint(learned, known.truth, fold, seed=seed).log_odds(tested))
    return np.array([roc_auc_score(test.truth, one) for one in scores])


def _deal(half: Answers, truth: BoolArray, seed: int) -> list[Response]:
    """Give each image an epoch of its class, as a replay does."""
    shown = Block(1, 1, tuple(range(truth.size)), half.soa, "target")
    return list(Replay(half, {"target": truth}, seed=seed).respond(shown))


def _recalibrated(half: Answers, rng: np.random.Generator) -> dict[str, Calibration]:
    """Calibrate every recording's decoder again, by its name, on calibration trials whose classes are shuffled.

    Evidence is honest only where its calibration knows what the scores are worth: here nothing.
    """
    return {
        one.facts["name"]: Calibration.fit(one.scores, rng.permutation(one.is_target), one.calibration.method)
        for one in half.recordings
    }


def _pairs(
    brain: Brain, dealt: Sequence[Response], seen: _Seen, calibrations: Mapping[str, Calibration] | None = None
) -> Pairs:
    evidence = np.array([one.evidence for one in dealt])
    if calibrations is not None:
        for k, one in enumerate(dealt):
            if one.rejected is None:
                name = one.source.rpartition("#")[0]
                evidence[k] = calibrations[name].evidence(np.array([one.score]))[0]
    nothing = np.zeros(N_NUMBERS)
    numbers = np.array([brain.numbers.get(one.source, nothing) for one in dealt])
    return Pairs(seen.log_odds, evidence, seen.features, numbers)


def _described(data: FusionData, aucs: FloatArray, labels: Sequence[int], seeds: Sequence[int]) -> dict[str, Any]:
    """Describe AUCs, (n_targets, n_seeds, n_brains, n_labels, n_methods): means over classes and seeds, SD of seeds."""
    cells = [(b, k) for b in range(len(data.brains)) for k in range(len(labels)) if np.isfinite(aucs[:, :, b, k]).all()]
    if not cells:
        raise SettingsError(
            f"expected images for {min(labels)} labels or more in every class, {PREVALENCE:.0%} of them targets; give "
            "a folder with more of them"
        )
    grid = [
        {"person": data.brains[b].person, "channels": data.brains[b].channels, "labels": labels[k]}
        | _methods(aucs[:, :, b, k])
        for b, k in cells
    ]
    off = [np.hypot(*(aucs[:, :, b, k, :2].mean(axis=(0, 1)) - GOAL)) for b, k in cells]
    top = int(np.argmin(off))
    own = aucs[:, :, cells[top][0], cells[top][1]]
    return grid[top] | {
        "targets": {target: _methods(own[k : k + 1]) for k, target in enumerate(data.targets)},
        "grid": grid,
        "settings": {
            "seeds": list(seeds), "goal": GOAL, "prevalence": PREVALENCE, "labels": list(labels), "decoder": DECODER,
            "classes": list(data.targets), "images": len(data.labels),
        },
        "machine": machine(),
    }  # fmt: skip


def _methods(aucs: FloatArray) -> dict[str, dict[str, Any]]:
    """Mean over classes and seeds of AUCs (n_targets, n_seeds, n_methods), and SD between seeds of classes' means."""
    over_classes = aucs.mean(axis=0)
    spread = over_classes.std(axis=0, ddof=1) if len(over_classes) > 1 else np.full(len(METHODS), np.nan)
    return {name: {"auc": plain(over_classes[:, m].mean()), "sd": plain(spread[m])} for m, name in enumerate(METHODS)}
