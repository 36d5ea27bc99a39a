"""Figures of how well single trials are told apart."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from brainloop._types import BoolArray, FloatArray
from brainloop.decoder.curves import Point
from brainloop.report.figures import COLOURS, HALF_PAGE, STYLE

__all__ = ["N_BINS", "calibration_figure", "contribution_figure", "looks_figure", "reliability_figure", "roc_figure"]

N_BINS = 15
"""Of equal mass: those of the ECE that stands beside the figure."""

MEMBERS: list[dict[str, Any]] = [
    {"color": "#cc79a7", "ls": (0, (5, 1.5))},
    {"color": "#e69f00", "ls": (0, (1.5, 1))},
    {"color": "#56b4e9", "ls": (0, (5, 1, 1, 1))},
    {"color": COLOURS["muted"], "ls": (0, (3, 1, 1, 1, 1, 1))},
]
"""Okabe and Ito's other colours, and a dash of its own for each."""

AUC = "area under the ROC curve"


@matplotlib.rc_context(STYLE)
def roc_figure(is_target: BoolArray, score: FloatArray, members: Mapping[str, FloatArray], method: str) -> Figure:
    """Draw the ROC curve of a decoder and those of its members.

    Parameters
    ----------
    is_target : array of bool, shape (n,)
        Whether each trial showed a target.
    score : array, shape (n,)
        Of the whole decoder.
    members : mapping of str to array, shape (n,)
        Scores of each member; drawn where there are two or more.
    method : str
        What the decoder is called.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    figure, axes = _square()
    axes.plot([0, 1], [0, 1], color=COLOURS["muted"], lw=0.9, ls=":")
    drawn = list(members.items()) if len(members) > 1 else []
    for number, (name, values) in enumerate(drawn):
        false, true, _ = roc_curve(is_target, values)
        look = MEMBERS[number % len(MEMBERS)]
        axes.plot(false, true, lw=1.3, label=f"{name}  {roc_auc_score(is_target, values):.3f}", **look)
    false, true, _ = roc_curve(is_target, score)
    axes.plot(false, true, color=COLOURS["study"], lw=2.2, label=f"{method}  {roc_auc_score(is_target, score):.3f}")
    axes.set(xlabel="share of non-targets called targets", ylabel="share of targets found")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="lower right", title="AUC", alignment="left", title_fontsize=8.5)
    return figure


@matplotlib.rc_context(STYLE)
def reliability_figure(probability: FloatArray, is_target: BoolArray) -> Figure:
    """Draw how often a target was shown where the decoder gave it each probability, in bins of equal numbers.

    Bars are Wilson's (1927) 95 % intervals of a share.
    """
    figure, axes = _square()
    order = np.argsort(probability, kind="stable")
    bins = np.array_split(order, min(N_BINS, len(order)))
    n = np.array([len(members) for members in bins])
    said = np.array([probability[members].mean() for members in bins])
    share = np.array([is_target[members].mean() for members in bins])
    z2 = 1.96**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = 1.96 * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2)) / (1 + z2 / n)
    axes.plot([0, 1], [0, 1], color=COLOURS["muted"], lw=0.9, ls=":")
    axes.vlines(said, middle - half, middle + half, color=COLOURS["study"], lw=1.2)
    axes.plot(said, share, "o", color=COLOURS["study"], ms=4.5, clip_on=False)
    axes.set(xlabel="probability of a target, as the decoder says", ylabel="share of targets among the trials")
    last = int(is_target[bins[-1]].sum())
    axes.annotate(
        f"{last} targets of {n[-1]}", (said[-1], share[-1]), (-8, 6), textcoords="offset points", ha="right",
        fontsize=8, color=COLOURS["muted"],
    )  # fmt: skip
    return figure


@matplotlib.rc_context(STYLE)
def contribution_figure(contributions: Mapping[str, Mapping[str, Any]], auc: float, method: str) -> Figure:
    """Draw the AUC of each member alone, and that of the mean of all others, against that of all together."""
    figure = Figure(figsize=(HALF_PAGE[0], 1.5 + 0.42 * len(contributions)))
    axes = figure.subplots()
    rows = np.arange(len(contributions))[::-1]
    alone = [entry["auc"] for entry in contributions.values()]
    without = [entry["without"] for entry in contributions.values()]
    axes.axvline(auc, color=COLOURS["study"], lw=1.4, label=f"{method}, {auc:.3f}")
    axes.plot(alone, rows, "o", color=COLOURS["ink"], ms=6, label="alone")
    if None not in without:
        axes.plot(without, rows, "D", mec=COLOURS["target"], mfc="none", mew=1.4, ms=6, label="all without it")
    axes.set(xlabel=AUC, ylim=(-0.6, len(rows) - 0.4))
    axes.set_yticks(rows, list(contributions))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.margins(x=0.12)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    return figure


@matplotlib.rc_context(STYLE)
def calibration_figure(points: Sequence[Point]) -> Figure:
    """Draw the AUC over the number of calibration trials, with its 95 % interval."""
    figure, axes = _curve(points, "calibration trials")
    axes.set_xlim(0, 1.06 * points[-1].x)
    return figure


@matplotlib.rc_context(STYLE)
def looks_figure(points: Sequence[Point]) -> Figure:
    """Draw the AUC of the summed evidence over the number of looks, with its 95 % interval."""
    figure, axes = _curve(points, "looks whose evidence is added")
    axes.set_xlim(0.6, points[-1].x + 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    return figure


def _curve(points: Sequence[Point], what: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=HALF_PAGE)
    axes = figure.subplots()
    x, auc = [point.x for point in points], np.array([point.auc for point in points])
    low, high = np.array([(point.low, point.high) for point in points]).T
    if len(points) > 1:
        axes.fill_between(x, low, high, color=COLOURS["study"], alpha=0.2, lw=0)
    else:
        axes.vlines(x, low, high, color=COLOURS["study"], lw=1.4)
    axes.plot(x, auc, "o-", color=COLOURS["study"], ms=4.5, clip_on=False)
    bottom = min(0.5, float(np.floor(low.min() * 20) / 20))
    axes.set(xlabel=what, ylabel=AUC, ylim=(bottom, 1.0))
    return figure, axes


def _square() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.4, 4.6))
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_box_aspect(0.85)
    return figure, axes
