"""The figures of the talk's experiments: one file each, all in the report's look."""

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from brainloop.bench.experiments import EXPERIMENTS
from brainloop.report.figures import COLOURS, STYLE, TALK

__all__ = ["draw"]

LOOK: dict[str, dict[str, Any]] = {
    "truth": {"color": COLOURS["ink"], "marker": "v", "ls": (0, (4, 2))},
    "brainloop": {"color": COLOURS["study"], "marker": "o", "ls": "-"},
    "talk": {"color": COLOURS["nontarget"], "marker": "s", "ls": "-"},
    "hard": {"color": COLOURS["target"], "marker": "^", "ls": "-"},
}
"""Each system's look everywhere; colour, marker and dashes each tell them apart by themselves."""

ORDER = tuple(LOOK)
CAPTION = "InnerEye 2019: other images, another person"
PANEL = (3.6, 3.5)
"""Width and height of one panel, in."""

PINK = "#cc79a7"
"""Okabe and Ito's reddish purple: what is no system."""

Results = Mapping[str, Any]


def draw(figures: Results, out: Path) -> list[Path]:
    """Draw every experiment that was run and the headline, as PNG files in a folder; give their paths."""
    drawn: dict[str, Figure] = {}
    with matplotlib.rc_context(STYLE):
        drawn["headline"] = _headline(figures)
        for number, name in enumerate(EXPERIMENTS, start=1):
            result = figures["experiments"].get(name)
            if result is not None and (figure := DRAWERS[name](result, figures)) is not None:
                drawn[f"{number:02d}-{name}"] = figure
        paths = []
        for name, figure in drawn.items():
            paths.append(out / f"{name}.png")
            figure.savefig(paths[-1], dpi=160, facecolor="white", metadata={"Software": None})
    return paths


def _headline(figures: Results) -> Figure:
    rows = figures["by"]
    people = sorted({row["recording"]: row["observer_auc"] or 0 for row in rows}.items(), key=lambda person: person[1])
    figure, panels = _panels(len(people))
    points = figures["checkpoints"]
    for axes, (person, auc) in zip(panels, people, strict=True):
        own = [row["systems"] for row in rows if row["recording"] == person]
        for name in ORDER:
            mean = np.mean([row[name]["auc"] for row in own], axis=0)
            spread = np.mean([[value or 0 for value in row[name]["sd"]] for row in own], axis=0)
            axes.fill_between(points, mean - spread, mean + spread, color=LOOK[name]["color"], alpha=0.13, lw=0)
            axes.plot(points, mean, label=name, ms=4.5, **LOOK[name])
        _talk_points(axes)
        axes.set_title(f"{person}: decoder AUC {auc:.2f}", loc="left")
        axes.set_xlabel("looks")
    panels[0].set_ylabel("AUC on images never shown")
    return _finish(figure, panels[0], figures, "mean over tasks")


def _checkpoints(result: Results, figures: Results) -> Figure:
    series = result["series"]
    figure, (left, right) = _panels(2, share=False)
    for name in ORDER:
        _curve(left, result["at"], series[name], name)
    _talk_points(left)
    left.set(xlabel="looks", ylabel="AUC on images never shown")
    names = [name for name in series if name not in ("talk", "hard", "truth")][::-1]
    gains, errors = (_numbers([series[name][key][-1] for name in names]) for key in ("gain", "gain_se"))
    colours = [LOOK["brainloop"]["color"] if name == "brainloop" else COLOURS["muted"] for name in names]
    right.axvline(0, color=COLOURS["ink"], lw=0.9)
    for row, (gain, error, colour) in enumerate(zip(gains, np.nan_to_num(errors), colours, strict=True)):
        right.errorbar(gain, row, xerr=2 * error, fmt="o", color=colour, capsize=3, ms=5)
    right.set(xlabel=f"gain in AUC over talk at {result['at'][-1]} looks, ± 2 SE", ylim=(-0.6, len(names) - 0.4))
    right.set_yticks(range(len(names)), names)
    right.grid(axis="y", visible=False)
    return _finish(figure, left, figures)


def _soft_labels(result: Results, figures: Results) -> Figure:
    figure, (left, right) = _panels(2, share=False)
    names = list(result["series"])
    half = len(names) // 2
    ticks = np.arange(half)
    for k, part in enumerate((names[:half], names[half:])):
        look = LOOK["talk" if k == 0 else "brainloop"]
        place = ticks + (k - 0.5) * 0.2
        of = [result["series"][name] for name in part]
        label = part[0].split(", ")[1]
        auc, spread = _numbers([one["auc"] for one in of]), np.nan_to_num(_numbers([one["sd"] for one in of]))
        left.errorbar(place, auc, spread, fmt=look["marker"], color=look["color"], capsize=3, label=label)
        gain, error = _numbers([one["gain"] for one in of]), np.nan_to_num(_numbers([one["gain_se"] for one in of]))
        right.errorbar(place[1:], gain[1:], 2 * error[1:], fmt=look["marker"], color=look["color"], capsize=3)
    rules = [name.split(", ")[0] for name in names[:half]]
    left.set_xticks(ticks, rules)
    right.set_xticks(ticks[1:], rules[1:])
    left.set(xlim=(-0.5, half - 0.5), ylabel=f"AUC after {result['looks']} random looks, ± 1 SD", xlabel="label rule")
    right.set(xlim=(0.5, half - 0.5), ylabel="gain over hard labels, ± 2 SE", xlabel="label rule")
    right.axhline(0, color=COLOURS["ink"], lw=0.9)
    return _finish(figure, left, figures)


def _active_learning(result: Results, figures: Results) -> Figure:
    heads = list(dict.fromkeys(name.split(", ")[2] for name in result["series"]))
    figure, panels = _panels(len(heads))
    for axes, head in zip(panels, heads, strict=True):
        for name, one in result["series"].items():
            rule, query, whose = name.split(", ")
            if whose == head:
                look = LOOK[rule.split("'")[0]] | {"ls": "-" if query == "active" else ":"}
                look["mfc"] = look["color"] if query == "active" else "white"
                axes.plot(result["at"], one["auc"], label=f"{rule}, {query}", ms=4.5, **look)
        axes.set_title(head, loc="left")
        axes.set_xlabel("looks")
    panels[0].set_ylabel("AUC on images never shown")
    return _finish(figure, panels[0], figures)


def _training_share(result: Results, figures: Results) -> Figure:
    figure, (axes,) = _panels(1)
    for name in ORDER:
        _curve(axes, result["at"], result["series"][name], name)
    axes.set(xlabel=f"share of the training images, each looked at once (all: {result['images'][-1]:,.0f})",
             ylabel="AUC on images never shown", xlim=(0, 1.04))  # fmt: skip
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    return _finish(figure, axes, figures)


def _time(result: Results, figures: Results) -> Figure:
    figure, panels = _panels(2)
    ways = {"own": f"the recordings' own SOA, {result['own_soa_s']:.2f} s", "fast": "5 Hz (SOA 0.2 s)"}
    for axes, (way, title) in zip(panels, ways.items(), strict=True):
        longest = 0.0
        for name in ORDER:
            minutes, auc = result["series"][name][f"minutes_{way}"], result["series"][name]["auc"]
            axes.plot(minutes, auc, label=name, **LOOK[name] | {"marker": ""})
            longest = max(longest, minutes[-1])
        clicking = result["series"]["clicking"]
        axes.plot(clicking["minutes_own"], clicking["auc"], color=PINK, ls="-.",
                  label=f"clicking, {result['click_s']:g} s an image")  # fmt: skip
        axes.plot([point[1] for point in TALK], [point[2] for point in TALK], ls="", **_TALK_LOOK)
        axes.set(xlabel="viewing and machine time (min)", xlim=(0, 1.05 * max(longest, TALK[-1][1])))
        axes.set_title(title, loc="left")
    panels[0].set_ylabel("AUC on images never shown")
    more = f"calibration, {result['calibration_minutes']:.1f} min, comes once and apart"
    return _finish(figure, panels[0], figures, more)


def _compensation(result: Results, figures: Results) -> Figure:
    at = [k for k, looks in enumerate(result["at"]) if looks in (400, 795)] or [len(result["at"]) - 1]
    figure, panels = _panels(len(at))
    for axes, k in zip(panels, at, strict=True):
        for name, one in result["series"].items():
            auc, spread = (_numbers([row[k] for row in one[key]]) for key in ("auc", "sd"))
            _band(axes, result["error_rate"], auc, spread, name)
        axes.set_title(f"{result['at'][k]} looks", loc="left")
        axes.set_xlabel("balanced error rate of the decoder")
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    panels[0].set_ylabel("AUC on images never shown")
    return _finish(figure, panels[0], figures, "noise of 0 to 4 SD was added to the decoder's scores")


def _confidence(result: Results, figures: Results) -> Figure:
    figure, panels = _panels(len(result["series"]))
    looks = {
        "images": (COLOURS["ink"], "s", "measured"),
        "control": (COLOURS["muted"], "D", "control: other looks dealt anew"),
        "difference": (PINK, "o", "difference: known of the image"),
    }
    for axes, (kind, one) in zip(panels, result["series"].items(), strict=True):
        axes.axhline(0, color=COLOURS["ink"], lw=0.9)
        for k, (what, (colour, marker, label)) in enumerate(looks.items()):
            rho, low, high = (_numbers(one[what][key]) for key in ("rho", "low", "high"))
            x = np.array(result["difficulty"]) + (k - 1) * 0.03
            spread = np.abs([rho - low, high - rho])
            axes.errorbar(x, rho, spread, color=colour, marker=marker, capsize=3, ms=5, lw=1.3, label=label)
        axes.set(xlabel="difficulty", xticks=result["difficulty"])
        axes.set_title(kind, loc="left")
    panels[0].set_ylabel("Spearman's correlation of weight\nand agreement, 95 % interval")
    return _finish(figure, panels[0], figures, f"{result['looks_an_image']} looks at each image")


def _zero_label(result: Results, figures: Results) -> Figure | None:
    if result["own"] is None:
        return None
    figure, (axes,) = _panels(1)
    for name in ORDER:
        _curve(axes, result["at"], result["series"][name], name)
    axes.axhline(result["own"]["auc"], color=PINK, ls="-.", label="backbone's own class, no label")
    axes.set(xlabel="looks", ylabel="AUC on images never shown")
    return _finish(figure, axes, figures, f"tasks: {', '.join(result['tasks'])}")


def _difficulty(result: Results, figures: Results) -> Figure:
    figure, panels = _panels(len(result["difficulty"]))
    for k, (axes, level) in enumerate(zip(panels, result["difficulty"], strict=True)):
        for name in ORDER:
            _curve(axes, result["at"], {key: result["series"][name][key][k] for key in ("auc", "sd")}, name)
        axes.set_title(f"difficulty {level:g}", loc="left")
        axes.set_xlabel("looks")
    panels[0].set_ylabel("AUC on images never shown")
    return _finish(figure, panels[0], figures)


def _compose(result: Results, figures: Results) -> Figure:
    figure, (left, right) = _panels(2, share=False)
    for name in ORDER:
        for fillers in ("on", "off"):
            one = result["series"][f"{name}, {fillers}"]
            look = LOOK[name] | {"ls": "-" if fillers == "on" else ":"}
            look["mfc"] = look["color"] if fillers == "on" else "white"
            left.plot(result["at"], one["auc"], label=f"{name}, fillers {fillers}", ms=4.5, **look)
            right.plot(result["at"], one["target_share"], ms=4.5, **look)
    left.set(xlabel="looks", ylabel="AUC on images never shown")
    right.set(xlabel="looks", ylabel="targets among the looks so far", ylim=(0, None))
    right.axhspan(0.1, 0.2, color=COLOURS["muted"], alpha=0.18, lw=0)
    right.annotate("grey: rare enough for a lasting P300", (1, 0.09), (-4, 0), xycoords=right.get_yaxis_transform(),
                   textcoords="offset points", ha="right", va="top", fontsize=8, color=COLOURS["muted"])  # fmt: skip
    right.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    return _finish(figure, left, figures)


DRAWERS: dict[str, Callable[[Results, Results], Figure | None]] = {
    "checkpoints": _checkpoints,
    "soft_labels": _soft_labels,
    "active_learning": _active_learning,
    "training_share": _training_share,
    "time": _time,
    "compensation": _compensation,
    "confidence": _confidence,
    "zero_label": _zero_label,
    "difficulty": _difficulty,
    "compose": _compose,
}

_TALK_LOOK: dict[str, Any] = {
    "marker": "D", "ms": 4.5, "mfc": "none", "color": COLOURS["muted"], "label": CAPTION, "zorder": 1,
}  # fmt: skip


def _panels(n: int, *, share: bool = True) -> tuple[Figure, list[Axes]]:
    width, height = PANEL
    figure = Figure(figsize=(max(width * n, 5.4) + 0.3, height + 0.9))
    return figure, list(figure.subplots(1, n, sharey=share, squeeze=False)[0])


def _curve(axes: Axes, x: Any, one: Results, name: str) -> None:
    _band(axes, x, _numbers(one["auc"]), _numbers(one["sd"]), name)


def _band(axes: Axes, x: Any, mean: Any, spread: Any, name: str) -> None:
    spread = np.nan_to_num(spread)
    axes.fill_between(x, mean - spread, mean + spread, color=LOOK[name]["color"], alpha=0.13, lw=0)
    axes.plot(x, mean, label=name, ms=4.5, **LOOK[name])


def _talk_points(axes: Axes) -> None:
    axes.plot([point[0] for point in TALK], [point[2] for point in TALK], ls="", **_TALK_LOOK)


def _numbers(values: Any) -> Any:
    return np.array(values, dtype=float)  # None becomes nan


def _finish(figure: Figure, labelled: Axes, figures: Results, about: str = "") -> Figure:
    """Put the legend above and the counts below."""
    settings = figures["settings"]
    handles, labels = labelled.get_legend_handles_labels()
    short = len(labels) < 5 and max(map(len, labels)) < 20
    figure.legend(handles, labels, loc="outside upper left", ncols=4 if short else 3, columnspacing=1.4)
    counts = [(len(settings[key]), what) for key, what in
              (("tasks", "task"), ("recordings", "observer"), ("seeds", "paired seed"))]  # fmt: skip
    words = [", ".join(f"{n} {what}{'s' * (n != 1)}" for n, what in counts), about]
    # A band has an edge, and with it a meaning, only where there are two seeds.
    if len(settings["seeds"]) > 1 and any(
        isinstance(drawn, PolyCollection) for axes in figure.axes for drawn in axes.collections
    ):
        words.append("band: ± 1 SD between seeds")
    lines = fill("; ".join(filter(None, words)), int(14 * figure.get_figwidth()))  # characters of 8 points in an inch
    figure.supxlabel(lines, fontsize=8, color=COLOURS["muted"], x=0.01, ha="left")
    return figure
