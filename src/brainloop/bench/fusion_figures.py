"""The picture of the fusion bench: what image and EEG gain together, cell by cell, and the cell at the top."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brainloop.bench.fusion_markdown import WORDS
from brainloop.report.figures import COLOURS, STYLE, WHOLE_PAGE_WIDTH

__all__ = ["draw"]

Results = Mapping[str, Any]


def draw(figures: Results, path: Path) -> None:
    """Draw the figures as a PNG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WHOLE_PAGE_WIDTH, 4.4))
        left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.1))
        _cells(left, figures)
        _top(right, figures)
        settings = figures["settings"]
        figure.supxlabel(
            f"{', '.join(settings['classes'])}; {len(settings['seeds'])} seeds; targets are "
            f"{settings['prevalence']:.0%} of the images",
            fontsize=8, color=COLOURS["muted"], x=0.01, ha="left",
        )  # fmt: skip
        figure.savefig(path, dpi=160, facecolor="white", metadata={"Software": None})


def _cells(axes: Axes, figures: Results) -> None:
    """Each cell: AUC of late fusion over that of the better of the two, beside what independence would give."""
    grid = figures["grid"]
    alone = np.array([[cell[name]["auc"] for name in ("classifier", "brain")] for cell in grid])
    better = alone.max(axis=1)
    axes.plot([better.min(), 1], [better.min(), 1], color=COLOURS["ink"], lw=0.9, label="no gain")
    axes.plot(better, _independent(alone), ls="", marker="_", ms=9, color=COLOURS["target"],
              label="independent Gaussian scores")  # fmt: skip
    late = [cell["late"]["auc"] for cell in grid]
    axes.plot(better, late, ls="", marker="o", ms=4, alpha=0.7, color=COLOURS["study"], label="late fusion")
    top = max(figures[name]["auc"] for name in ("classifier", "brain"))
    axes.plot(top, figures["late"]["auc"], ls="", marker="o", ms=10, mfc="none", color=COLOURS["ink"],
              label="the cell on the right")  # fmt: skip
    axes.set(xlabel="AUC of the better of classifier and brain", ylabel="AUC of both together", ylim=(None, 1.002))
    axes.legend(loc="lower right")
    axes.set_title(f"{len(grid)} cells of person, channels and labels", loc="left")


def _independent(alone: Any) -> Any:
    """AUC of the sum of two Gaussian scores that are independent given the class, each with such an AUC alone."""
    from scipy.special import ndtr, ndtri

    return ndtr(np.sqrt((ndtri(alone) ** 2).sum(axis=1)))


def _top(axes: Axes, figures: Results) -> None:
    names = list(WORDS)[::-1]
    for row, name in enumerate(names):
        one = figures[name]
        colour = COLOURS["muted"] if "shuffled" in name else COLOURS["study"]
        colour = COLOURS["nontarget"] if name in ("classifier", "brain") else colour
        axes.errorbar(one["auc"], row, xerr=one["sd"] or 0, fmt="o", color=colour, capsize=3, ms=6)
        axes.annotate(f"{one['auc']:.3f}", (one["auc"], row), xytext=(0, 6), textcoords="offset points", fontsize=8,
                      ha="center")  # fmt: skip
    axes.set_yticks(range(len(names)), [WORDS[name].replace("`", "") for name in names])
    axes.set(xlabel="AUC, ± 1 SD between seeds", ylim=(-0.6, len(names) - 0.3))
    axes.axvline(figures["classifier"]["auc"], color=COLOURS["nontarget"], lw=0.8, ls=":")
    axes.grid(axis="y", visible=False)
    axes.set_title(f"{figures['person']}, {figures['channels']} channels; {figures['labels']} labels", loc="left")
