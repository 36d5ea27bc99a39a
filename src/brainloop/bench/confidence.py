"""Experiment 7: whether a soft label's weight says how far other looks at the same image agree.

Every image is looked at ten times. The first look gives a label and its weight, as the talk has it; the *agreement* is
the share of the other looks that give the same label. Both depend on the label itself: a look that is right tends to
be sure, and the others agree with it. So the rank correlation is above 0 even where nothing ties the looks to their
image; the *control* shows how far: there, the other looks are dealt anew among the images of the class. What the
weight knows of the single image is the correlation less its control.
"""

from typing import Any

import numpy as np
from scipy.stats import rankdata

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.bench.arena import Arena, Cell
from brainloop.bench.statistics import Grid, plain
from brainloop.labels import soft_labels
from brainloop.presentation.block import Block

__all__ = ["DIFFICULTIES", "measure_confidence", "rank_correlation", "summarise_confidence"]

DIFFICULTIES = (0.0, 0.5, 1.0)
N_IMAGES = 100  # of each class, at most
N_LOOKS = 10
N_SHUFFLES = 5  # averaged, so that the control adds little noise of its own
N_BOOTSTRAP = 200
CLASSES = {"targets": True, "non-targets": False}


def measure_confidence(cell: Cell) -> dict[str, FloatArray]:
    """Give weights and agreements of each class's images at each difficulty, (n_difficulties, N_IMAGES); nan pads."""
    found = {}
    for label, is_target in CLASSES.items():
        rng = np.random.default_rng([cell.settings.seed, 5, int(is_target)])
        images = rng.permutation(np.flatnonzero(cell.truth == is_target))[:N_IMAGES]
        rows = []
        for difficulty in DIFFICULTIES:
            replay = cell.replay(difficulty=difficulty)
            blocks = [Block(1, 1 + k, tuple(images.tolist()), replay.soa, cell.settings.target) for k in range(N_LOOKS)]
            looks = [list(replay.respond(block)) for block in blocks]
            evidence = np.array([[response.evidence for response in row] for row in looks]).T  # (n_images, N_LOOKS)
            usable = np.array([[response.rejected is None for response in row] for row in looks]).T
            called, weight = soft_labels(evidence, cell.settings.label_threshold)
            agrees = agreement(called, usable)
            shuffled = [agreement(*_dealt_anew(called, usable, rng)) for _ in range(N_SHUFFLES)]
            rows.append([np.where(usable[:, 0], weight[:, 0], np.nan), agrees, *shuffled])
        padded = np.full((len(DIFFICULTIES), 2 + N_SHUFFLES, N_IMAGES), np.nan)
        padded[:, :, : images.size] = rows
        found[label] = padded
    return found


def agreement(called: IntArray, usable: BoolArray) -> FloatArray:
    """Share of an image's usable later looks that give its first look's label: (n_images, n_looks) -> (n_images,)."""
    same = (called[:, 1:] == called[:, :1]) & usable[:, 1:]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(usable[:, 0], same.sum(axis=1) / usable[:, 1:].sum(axis=1), np.nan))


def _dealt_anew(called: IntArray, usable: BoolArray, rng: np.random.Generator) -> tuple[IntArray, BoolArray]:
    order = np.argsort(rng.random(called.shape), axis=0)
    order[:, 0] = np.arange(len(called))  # the first look stays with its image
    return np.take_along_axis(called, order, axis=0), np.take_along_axis(usable, order, axis=0)


def rank_correlation(a: FloatArray, b: FloatArray) -> FloatArray:
    """Spearman's correlation of each row, (n_rows, n) and (n_rows, n) -> (n_rows,); 0 where a row does not vary."""
    a, b = rankdata(a, axis=1), rankdata(b, axis=1)
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    scale = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.asarray((a * b).sum(axis=1) / np.where(scale == 0, 1, scale))


def summarise_confidence(grid: Grid, _arena: Arena) -> dict[str, Any]:
    """Average the correlations over cells and seeds, with a 95 % interval from a bootstrap over images."""
    rng = np.random.default_rng(0)
    series: dict[str, Any] = {}
    for label in CLASSES:
        values = grid.values[label].reshape(-1, *grid.values[label].shape[2:])  # runs, difficulties, rows, images
        resampled = np.stack([[_resampled(of, rng) for of in run] for run in values]).mean(axis=0)
        low, high = np.quantile(resampled[:, :, 1:], [0.025, 0.975], axis=2)
        series[label] = {
            what: {"rho": plain(resampled[:, k, 0]), "low": plain(low[:, k]), "high": plain(high[:, k])}
            for k, what in enumerate(("images", "control", "difference"))
        }
    return {"difficulty": list(DIFFICULTIES), "looks_an_image": N_LOOKS, "images_a_class": N_IMAGES, "series": series}


def _resampled(rows: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Correlations of images, control and their difference, (3, 1 + N_BOOTSTRAP): as measured, then resampled."""
    rows = rows[:, np.isfinite(rows).all(axis=0)]
    n = rows.shape[1]
    if n < 3:
        return np.full((3, 1 + N_BOOTSTRAP), np.nan)
    chosen = np.vstack([np.arange(n), rng.integers(0, n, (N_BOOTSTRAP, n))])
    weight = rows[0][chosen]
    of_images, *shuffled = (rank_correlation(weight, row[chosen]) for row in rows[1:])
    control = np.mean(shuffled, axis=0)
    return np.stack([of_images, control, of_images - control])
