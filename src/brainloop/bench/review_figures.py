"""The figure of the review's bench: what it costs to find more."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from brainloop.bench.review_markdown import WAYS
from brainloop.report.figures import COLOURS, STYLE, WHOLE_PAGE_WIDTH

__all__ = ["draw"]

LOOK = {
    "model": (COLOURS["muted"], "D"),
    "brain": (COLOURS["nontarget"], "s"),
    "review": (COLOURS["study"], "o"),
    "by_hand": (COLOURS["target"], "P"),
}


def draw(figures: Mapping[str, Any], path: Path) -> Path:
    """Draw precision and recall over images an hour, and F1 over the rate of targets, as a PNG; give its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    middle = figures["rates"][len(figures["rates"]) // 2]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WHOLE_PAGE_WIDTH, 3.9))
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        hours = [row["images_per_hour"] for row in figures["curve"]]
        for what, inside in (("recall", LOOK["review"][0]), ("precision", COLOURS["page"])):
            values = [row[what] for row in figures["curve"]]
            left.plot(hours, values, color=LOOK["review"][0], marker="o", ms=6, mfc=inside, label=f"review, {what}")
        for row, hour in zip(figures["curve"], hours, strict=True):
            left.annotate(
                f"{row['confidence']:g}", (hour, row["recall"]), (0, -12), textcoords="offset points", ha="center",
                fontsize=8, color=COLOURS["muted"],
            )  # fmt: skip
        for way in ("brain", "by_hand"):
            colour, marker = LOOK[way]
            left.plot(
                middle[way]["images_per_hour"], middle[way]["recall"], marker, color=colour, ms=7, label=WAYS[way]
            )
        left.axhline(middle["model"]["recall"], color=COLOURS["muted"], lw=1.1, ls=":", label="model alone")
        left.set_xscale("log")
        left.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        left.xaxis.set_minor_formatter(NullFormatter())
        left.set_xticks([2000, 5000, 10_000, 20_000])
        left.set(xlabel="images an hour", ylabel="share", ylim=(0, 1.04))
        left.set_title(f"{middle['rate']:.0%} targets; figures: confidence", loc="left")
        left.legend(loc="lower left")
        for way, words in WAYS.items():
            colour, marker = LOOK[way]
            if way != "by_hand":
                values = [row[way]["f1"] for row in figures["rates"]]
                rates = [row["rate"] for row in figures["rates"]]
                right.plot(rates, values, marker=marker, ms=5, color=colour, label=words)
        right.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
        right.set(xlabel="share of targets", ylabel="F1", ylim=(0, 1.04))
        right.set_title("whatever the rate", loc="left")
        right.legend(loc="lower right")
        figure.savefig(path, dpi=160, facecolor="white", metadata={"Software": None})
    return path
