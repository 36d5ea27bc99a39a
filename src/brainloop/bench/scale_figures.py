"""The picture of the bench of scale: how each stage grows, and scan against index over the rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from brainloop.bench.scale_markdown import STAGE_WORDS, count, seconds_of
from brainloop.report.figures import COLOURS, STYLE, WHOLE_PAGE_WIDTH

__all__ = ["draw"]

STAGE_LOOK = {
    "scan": ("muted", "s"), "decode": ("nontarget", "o"), "embed": ("target", "o"), "score_linear": ("study", "o"),
    "score_kernel": ("study", "D"), "query": ("orange", "^"), "train": ("pink", "v"), "store_sqlite": ("sky", "P"),
    "store_postgres": ("sky", "X"),
}  # fmt: skip
INDEX_LOOK = {
    "faiss flat": ("nontarget", "s"), "faiss IVF": ("orange", "^"), "faiss HNSW": ("target", "D"),
    "usearch": ("pink", "v"),
}  # fmt: skip


def draw(figures: Mapping[str, Any], path: Path) -> Path:
    """Draw what was measured, stage by stage and index by index, as a PNG; give its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WHOLE_PAGE_WIDTH, 4.2))
        left, right = figure.subplots(1, 2)
        if "costs" in figures:
            _stages(left, figures["costs"])
        if "index" in figures:
            _index(right, figures["index"])
        for axes in (left, right):
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(round(value))))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: seconds_of(value)))
            axes.xaxis.set_minor_formatter(NullFormatter())
        figure.savefig(path, dpi=130, facecolor="white", metadata={"Software": None})
    return path


def _stages(axes: Axes, costs: Mapping[str, Any]) -> None:
    for name, (colour, marker) in STAGE_LOOK.items():
        one = costs["stages"][name]
        if one is not None:
            axes.plot(one["sizes"], one["seconds"], marker=marker, ms=4, lw=1.4, color=COLOURS[colour],
                      label=STAGE_WORDS[name])  # fmt: skip
    axes.set(xlabel="images, looks", ylabel="time of one core; of the store, on the clock")
    axes.set_title("every stage", loc="left")
    axes.legend(loc="upper left", fontsize=7, bbox_to_anchor=(1.0, 1.0))


def _index(axes: Axes, index: Mapping[str, Any]) -> None:
    rows = [row["n"] for row in index["rows"]]
    axes.plot(rows, [row["scan_s"] for row in index["rows"]], "o-", ms=4, color=COLOURS["study"], label="scan, exact")
    for name, (colour, marker) in INDEX_LOOK.items():
        found = [row["indexes"][name] for row in index["rows"]]
        axes.plot(rows, [one["target"]["query_s"] for one in found], marker=marker, ms=4, color=COLOURS[colour],
                  label=f"{name}, a query")  # fmt: skip
        axes.plot(
            rows, [one["build_s"] for one in found], marker=marker, ms=4, ls=":", color=COLOURS[colour], mfc="none"
        )
    axes.plot([], [], ":", color=COLOURS["muted"], label="making the index")
    axes.set(xlabel="rows of 1280 numbers", ylabel="time")
    axes.set_title("the 100 likeliest targets", loc="left")
    axes.legend(loc="upper left", fontsize=7, bbox_to_anchor=(1.0, 1.0))
