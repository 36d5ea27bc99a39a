"""Figures of several classes: how well they are told apart, which are taken for which, what was looked for when."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, MaxNLocator

from brainloop._types import IntArray
from brainloop.report.figures import COLOURS, HALF_PAGE, STYLE, WHOLE_PAGE_WIDTH, curve
from brainloop.store import Round

__all__ = ["accuracy_figure", "asked_figure", "confusion_figure", "draw_confusion"]

CLASS_COLOURS = tuple(COLOURS[name] for name in ("nontarget", "orange", "study", "pink", "sky", "target", "yellow"))
"""Those of Okabe and Ito (2008), in an order that keeps what is alike in grey apart."""

HATCHES = ("", "///", "...", "xxx")
"""Over the colours, once these are spent; of more classes than both tell apart, the table has the numbers."""

MOST_LISTED = len(CLASS_COLOURS) * len(HATCHES)
"""Classes that look different, and that a column of the legend names; of more than two columns there is none."""

MOST_COUNTED = 15
"""Classes whose confusions are still read as numbers."""

MOST_LETTERS = 18
"""Of a name in a figure; the page has it whole."""


@matplotlib.rc_context(STYLE)
def accuracy_figure(rounds: Sequence[Round], over: str, chance: float, *, label: str = "this study") -> Figure:
    """Draw the accuracy after each round.

    Parameters
    ----------
    rounds : sequence of Round
        Those without an accuracy are left out.
    over : {"looks", "minutes"}
        The abscissa: presentations answered, or viewing and machine time.
    chance : float
        The share of the most frequent class, which who always says that one gets right.
    label : str
        What the legend calls the curve.
    """
    figure = Figure(figsize=HALF_PAGE)
    axes = figure.subplots()
    measured = [round_ for round_ in rounds if round_.accuracy is not None]
    minutes = over == "minutes"
    x = [(r.viewing_s + r.machine_s) / 60 if minutes else r.looks for r in measured]
    values = [(r.accuracy, r.accuracy_low, r.accuracy_high) for r in measured]
    accuracy, low, high = np.array(values, dtype=float).reshape(-1, 3).T
    axes.axhline(chance, color=COLOURS["muted"], lw=1.2, ls="--")
    axes.annotate(
        "who always says the most frequent class", (1, chance), (-4, -4), fontsize=8, ha="right", va="top",
        xycoords=axes.get_yaxis_transform(), textcoords="offset points", color=COLOURS["muted"],
    )  # fmt: skip
    curve(axes, x, accuracy, low, high, label)
    axes.set(
        xlabel="time, viewing and machine (min)" if minutes else "looks (presentations answered)",
        ylabel="accuracy: share told rightly",
        xlim=(0, 1.06 * max(x, default=1)),
        ylim=(max(0, np.floor(10 * min([chance, *low]) - 1) / 10), 1),
    )
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderpad=0)
    return figure


@matplotlib.rc_context(STYLE)
def confusion_figure(confusion: IntArray, classes: Sequence[str]) -> Figure:
    """Draw the confusion matrix alone, as large as its classes need; see `draw_confusion`."""
    n = len(classes)
    side = min(WHOLE_PAGE_WIDTH, max(HALF_PAGE[0], 2.2 + 0.68 * n))
    figure = Figure(figsize=(side, 0.9 * side))
    draw_confusion(figure.subplots(), confusion, classes, cell=72 * (side - 2) / n)
    return figure


def draw_confusion(axes: Axes, confusion: IntArray, classes: Sequence[str], cell: float) -> None:
    """Draw a confusion matrix, as the talk has it: rows are true classes, columns what is said.

    Each cell has its count and its share of the row; the greater the share, the stronger the colour, blue where it is
    right and orange where it is wrong. It goes with the root of the share, or one wrong in ten could hardly be seen.

    Parameters
    ----------
    axes : Axes
        Where.
    confusion : array of int, shape (K, K)
        Images by true class (rows) and by what is said (columns).
    classes : sequence of str
        Their names.
    cell : float
        About the width of a cell, points.
    """
    n = len(classes)
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    for i, j in np.ndindex(n, n) if n <= MOST_COUNTED else np.argwhere(confusion):
        colour, shade = COLOURS["nontarget" if i == j else "target"], float(np.sqrt(share[i, j]))
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=colour, alpha=shade, lw=0))
        if n <= MOST_COUNTED:
            ink = COLOURS["page" if shade > 0.75 else "ink" if confusion[i, j] else "muted"]
            words = f"{confusion[i, j]:,}\n{100 * share[i, j]:.0f} %" if confusion[i, j] else "0"
            axes.text(j, i, words, ha="center", va="center", fontsize=min(10.5, cell / 4.2), color=ink, linespacing=1.3)
    names = [_short(name) for name in classes]
    size = min(8.5, 8.5 * MOST_COUNTED / n)
    slanted = max(map(len, names)) * 0.6 * size > cell
    axes.set_xticks(
        range(n), names, rotation=40 if slanted else 0, ha="right" if slanted else "center",
        rotation_mode="anchor" if slanted else "default",
    )  # fmt: skip
    axes.set_yticks(range(n), names)
    axes.tick_params(labelsize=size)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(visible=False, which="major")
    axes.grid(visible=True, which="minor", color=COLOURS["rule"])
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="said", ylabel="true", xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal")


@matplotlib.rc_context(STYLE)
def asked_figure(looks: IntArray, classes: Sequence[str]) -> Figure:
    """Draw how many looks each round had for each class, stacked.

    Parameters
    ----------
    looks : array of int, shape (n_rounds, K)
        Looks.
    classes : sequence of str
        Their names.
    """
    n_rounds = len(looks)
    columns = -(-len(classes) // MOST_LISTED)
    figure = Figure(figsize=(WHOLE_PAGE_WIDTH, max(3.2, 0.5 + 0.19 * min(len(classes), MOST_LISTED))))
    axes = figure.subplots()
    number, bottom = np.arange(1, n_rounds + 1), np.zeros(n_rounds)
    for k, name in enumerate(classes):
        hatch = HATCHES[k % MOST_LISTED // len(CLASS_COLOURS)]
        axes.bar(
            number, looks[:, k], bottom=bottom, width=min(0.86, 0.12 * max(n_rounds, 3)), label=_short(name), lw=0.8,
            color=CLASS_COLOURS[k % len(CLASS_COLOURS)], edgecolor=COLOURS["page"], hatch=hatch,
        )  # fmt: skip
        bottom = bottom + looks[:, k]
    axes.set(xlabel="round", ylabel="looks in the round", xlim=(0.4, n_rounds + 0.6))
    axes.xaxis.set_major_locator(FixedLocator(number.tolist()) if n_rounds <= 12 else MaxNLocator(10, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(visible=False, axis="x")
    if columns <= 2:
        figure.legend(loc="outside right upper", ncols=columns, reverse=columns == 1)
    return figure


def _short(name: str) -> str:
    # Names of kinds tend to differ at their ends.
    return name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS // 2]}…{name[1 - MOST_LETTERS // 2 :]}"
