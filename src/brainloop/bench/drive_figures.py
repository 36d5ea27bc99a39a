"""The figure of the drive's bench: how drivers learn with and without a brain, and what is found in the running EEG."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from brainloop.report.figures import COLOURS, STYLE, WHOLE_PAGE_WIDTH

__all__ = ["draw"]

LOOK = {
    "plain": ("plain", COLOURS["muted"], "-", 1.8),
    "random_feedback": ("random feedback", COLOURS["muted"], ":", 1.4),
    "brain": ("brain", COLOURS["study"], "-", 2.2),
    "reward_model": ("reward model", COLOURS["target"], "-", 1.8),
    "oracle_hazard": ("oracle", COLOURS["nontarget"], "--", 1.4),
    "shaped_ttc": ("time to collision", COLOURS["nontarget"], ":", 1.4),
}


def draw(figures: Mapping[str, Any], path: Path) -> Path:
    """Draw collisions and progress over decisions, and hits over false alarms, as a PNG; give its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WHOLE_PAGE_WIDTH, 3.7))
        axes = figure.subplots(1, 3, width_ratios=(4, 4, 3))
        for axis, name, words in zip(axes, ("collision_rate", "progress"), ("collisions", "progress"), strict=False):
            for agent, (label, colour, line, width) in LOOK.items():
                curve = figures["agents"][agent]["curve"]
                steps = [point["steps"] for point in curve]
                axis.plot(steps, [point[name] for point in curve], color=colour, ls=line, lw=width, label=label)
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:g}k"))
            axis.yaxis.set_major_formatter(PercentFormatter(1, 0))
            axis.set(xlabel="decisions in training", ylim=(0, 1))
            axis.set_title(words, loc="left")
        axes[0].legend(loc="upper right")
        found = figures["detection"]
        rates = [point["false_alarms_per_hour"] for point in found["curve"]]
        for what, name, line in (("hits", "hits", "-"), ("by chance", "chance_hits", ":")):
            values = [point[name] for point in found["curve"]]
            axes[2].plot(rates, values, color=COLOURS["study" if line == "-" else "muted"], ls=line, label=what)
        low, high = zip(*(point["ci"]["hits"] for point in found["curve"]), strict=True)
        if None not in (*low, *high):
            axes[2].fill_between(rates, low, high, color=COLOURS["study"], alpha=0.15, lw=0)
        axes[2].set_xscale("log")
        axes[2].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes[2].yaxis.set_major_formatter(PercentFormatter(1, 0))
        axes[2].set(xlabel="false alarms an hour", ylim=(0, 1))
        axes[2].set_title("hazards detected", loc="left")
        axes[2].legend(loc="upper left")
        figure.savefig(path, dpi=160, facecolor="white", metadata={"Software": None})
    return path
