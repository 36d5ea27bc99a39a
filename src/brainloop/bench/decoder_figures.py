"""The figures of the decoder's bench: every method on every recording, and a new person's way."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from brainloop.report.figures import COLOURS, STYLE, WHOLE_PAGE_WIDTH

__all__ = ["draw"]

Results = Mapping[str, Any]

SPLITS = {"blocks": "five blocks in time", "time": "first 40 % trains, the rest is tested"}

MARKERS = "sD^vPX"
"""Of the single decoders, in their order; the ensemble is a disc."""

PALETTE = (COLOURS["muted"], "#56b4e9", COLOURS["nontarget"], COLOURS["target"], "#cc79a7", "#e69f00")
"""Of the single decoders; Okabe and Ito's."""


def draw(figures: Results, out: Path) -> list[Path]:
    """Draw `auc.png`, and `transfer.png` where there was a new person, into a folder; give their paths."""
    out.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        drawn = {"auc": _aucs(figures)}
        if any(one["auc"] is not None for one in figures["transfer"].values()):
            drawn["transfer"] = _transfer(figures)
        paths = []
        for name, figure in drawn.items():
            paths.append(out / f"{name}.png")
            figure.savefig(paths[-1], dpi=160, facecolor="white", metadata={"Software": None})
    return paths


def _aucs(figures: Results) -> Figure:
    rows = figures["recordings"][::-1]  # the first on top
    methods = [name for name in rows[0]["methods"] if not name.startswith("control_")]
    figure = Figure(figsize=(WHOLE_PAGE_WIDTH, 1.5 + 0.7 * len(rows)))
    panels = figure.subplots(1, 2, sharey=True, sharex=True, squeeze=False)[0]
    for axes, (split, words) in zip(panels, SPLITS.items(), strict=True):
        for k, method in enumerate(methods):
            last = k == len(methods) - 1
            place = np.arange(len(rows)) + 0.13 * ((len(methods) - 1) / 2 - k)
            measured = [row["methods"][method][split] for row in rows]
            auc = np.array([one.get("auc", np.nan) for one in measured])
            ends = np.array([one.get("ci", [np.nan, np.nan]) for one in measured]).T
            axes.errorbar(
                auc, place, xerr=np.abs(ends - auc), label=method, ls="", ms=6.5 if last else 5, capsize=0, lw=1.1,
                marker="o" if last else MARKERS[k % len(MARKERS)],
                color=COLOURS["study"] if last else PALETTE[k % len(PALETTE)],
            )  # fmt: skip
        axes.set_title(words, loc="left")
        axes.set_xlabel("AUC, single trials, 95 % interval")
        axes.grid(axis="y", visible=False)
    panels[0].set_yticks(
        range(len(rows)),
        [f"{row['dataset']}\n{row['name']}\n{row['n']} trials, {row['channels']} channels" for row in rows],
    )
    panels[0].set_ylim(-0.5, len(rows) - 0.5)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(methods), columnspacing=1.4)
    return figure


def _transfer(figures: Results) -> Figure:
    transfer = figures["transfer"]
    sizes = list(transfer)
    figure = Figure(figsize=(5.4, 3.9))
    axes = figure.subplots()
    people = [f"{one['dataset']}/{one['person']}" for one in transfer[sizes[0]]["people"]]
    for k, name in enumerate(people):
        own = [transfer[size]["people"][k].get("auc", np.nan) for size in sizes]
        look: dict[str, Any] = {"color": PALETTE[k % len(PALETTE)], "marker": MARKERS[k % len(MARKERS)]}
        axes.plot(range(len(sizes)), own, lw=1.1, ms=4.5, label=name, **look)
    mean = [np.nan if transfer[size]["auc"] is None else transfer[size]["auc"] for size in sizes]
    axes.plot(range(len(sizes)), mean, "o-", color=COLOURS["study"], ms=6, label=f"mean of {len(people)}")
    axes.set_xticks(range(len(sizes)), sizes)
    axes.set(xlabel="own trials, beside those of other people", ylabel="AUC on later trials")
    figure.legend(loc="outside upper left", ncols=2, columnspacing=1.4)
    after = figures["settings"]["tested_after"]
    tested = [one["n"] for one in transfer[sizes[0]]["people"] if "n" in one]
    lines = f"tested on what comes after the first {after} trials,\nat the last point after the first {sizes[-1]}"
    if tested:
        lines += f"; trials a person at the first point: {', '.join(map(str, tested))}"
    figure.supxlabel(lines, fontsize=8, color=COLOURS["muted"], x=0.01, ha="left")
    return figure
