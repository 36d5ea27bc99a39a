"""The figures of a report: one look, and colours that survive colour blindness, print and a dark page.

Text is drawn as outlines, so that a figure looks the same everywhere. Each colour becomes a variable of the page with
the printed colour as its fallback, so that a figure follows the page from light to dark.
"""

import io
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, PercentFormatter
from scipy.special import expit

from brainloop._types import BoolArray, FloatArray
from brainloop.classifier.system import SYSTEMS
from brainloop.eeg.erp import ERP
from brainloop.errors import StudyError
from brainloop.settings import Settings
from brainloop.store import Round
from brainloop.study import Study

__all__ = [
    "LABELS",
    "TALK",
    "auc_figure",
    "curve",
    "erp_channels",
    "erp_figure",
    "prevalence_figure",
    "save_png",
    "score_figure",
    "soft_label_figure",
    "svg",
    "unsure_figure",
    "who_looked",
]

TALK = ((200, 4.2, 0.80), (400, 8.7, 0.86), (589, 13.3, 0.88), (718, 17.2, 0.90), (795, 20.6, 0.92))
"""Looks, minutes and AUC of the run that Vaisman (2019), GTC talk S9554, shows: other photographs, another person."""

LABELS = {
    "replay": "this study, EEG replayed",
    "simulated": "this study, simulated person",
    "live": "this study, a person looking",
    "own": "this study",
    "truth": "this study, told the truth",
}
"""What the AUC curve is called, by who looked: a picture travels without its caption."""

# Okabe and Ito (2008), "Color Universal Design": told apart by every colour vision, and in grey by lightness.
COLOURS = {
    "target": "#d55e00",
    "nontarget": "#0072b2",
    "study": "#009e73",
    "ink": "#1c2127",
    "muted": "#5f6873",
    "rule": "#dfe3e8",
    "page": "#ffffff",
    "orange": "#e69f00",
    "sky": "#56b4e9",
    "yellow": "#f0e442",
    "pink": "#cc79a7",
}

STYLE: dict[Any, Any] = {
    "axes.facecolor": "none",  # the page's own shows through
    "axes.edgecolor": COLOURS["muted"],
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelcolor": COLOURS["ink"],
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": COLOURS["ink"],
    "axes.titlesize": 9.5,
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9,
    "grid.color": COLOURS["rule"],
    "grid.linewidth": 0.7,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.labelcolor": COLOURS["ink"],
    "lines.linewidth": 1.9,
    "svg.fonttype": "path",
    "svg.hashsalt": "brainloop",  # or ids are random, and no two reports the same
    "text.color": COLOURS["ink"],
    "text.parse_math": False,  # a "$" in a name is a dollar
    "xtick.color": COLOURS["muted"],
    "xtick.labelcolor": COLOURS["ink"],
    "xtick.labelsize": 8.5,
    "ytick.color": COLOURS["muted"],
    "ytick.labelcolor": COLOURS["ink"],
    "ytick.labelsize": 8.5,
}

RARE = (0.10, 0.20)
"""Share of targets at which a P300 lasts: it shrinks as targets grow frequent (Duncan-Johnson and Donchin 1977)."""

HALF_PAGE = (5.4, 3.7)
"""Width and height of a figure that stands beside another, in; readable on a telephone too."""

WHOLE_PAGE_WIDTH = 10.8


@matplotlib.rc_context(STYLE)
def auc_figure(rounds: Sequence[Round], over: str = "looks", *, label: str = "this study") -> Figure:
    """Draw the AUC of the classifier after each round, with the talk's five points as context.

    Parameters
    ----------
    rounds : sequence of Round
        Those without an AUC are left out.
    over : {"looks", "minutes"}
        The abscissa: presentations answered, or viewing and machine time.
    label : str
        What the legend calls the curve.
    """
    figure, axes = _figure(HALF_PAGE)
    measured = [round_ for round_ in rounds if round_.auc is not None]
    minutes = over == "minutes"
    x = [(r.viewing_s + r.machine_s) / 60 if minutes else r.looks for r in measured]
    auc, low, high = np.array([(r.auc, r.auc_low, r.auc_high) for r in measured], dtype=float).reshape(-1, 3).T
    talk = [point[1 if minutes else 0] for point in TALK]
    axes.plot(
        talk, [point[2] for point in TALK], ":", color=COLOURS["muted"], lw=1.2, marker="D", ms=4.5, mfc="none",
        label="InnerEye 2019: other images, another person",
    )  # fmt: skip
    curve(axes, x, auc, low, high, label)
    bottom = min([0.78, *(low - 0.02)])
    axes.set(
        xlabel="time, viewing and machine (min)" if minutes else "looks (presentations answered)",
        ylabel="area under the ROC curve",
        xlim=(0, 1.06 * max([*x, *talk])),
        ylim=(np.floor(bottom * 20) / 20, 1.0),
    )
    axes.legend(loc="lower right")
    return figure


def curve(axes: Axes, x: Sequence[float], value: FloatArray, low: FloatArray, high: FloatArray, label: str) -> None:
    """Draw a measure of the classifier over rounds with its 95 % interval, or what there is of one round."""
    label = f"{label}, 95 % interval"
    if len(x) > 1:
        axes.fill_between(x, low, high, color=COLOURS["study"], alpha=0.2, lw=0)
        axes.plot(x, value, "o-", color=COLOURS["study"], ms=4.5, clip_on=False, label=label)
    elif len(x):
        spread = [value - low, high - value]
        axes.errorbar(x, value, spread, fmt="o", color=COLOURS["study"], capsize=4, lw=1.4, label=label)


@matplotlib.rc_context(STYLE)
def unsure_figure(rounds: Sequence[Round], threshold: float, share: float = 0.05) -> Figure:
    """Draw the share of the pool that the classifier is unsure of, and the share below which it has converged."""
    figure, axes = _figure(HALF_PAGE)
    looks = [round_.looks for round_ in rounds]
    axes.axhline(share, color=COLOURS["muted"], lw=1.2, ls="--")
    axes.annotate(
        f"converged: below {share * 100:g} % in two rounds running", (0, share), (4, 4), fontsize=8,
        xycoords=axes.get_yaxis_transform(), textcoords="offset points", color=COLOURS["muted"],
    )  # fmt: skip
    axes.plot(looks, [round_.unsure for round_ in rounds], "o-", color=COLOURS["study"], ms=4.5)
    axes.set(
        xlabel="looks (presentations answered)",
        ylabel=f"share of the pool with confidence below {threshold:g}",
        xlim=(0, 1.06 * looks[-1]),
        ylim=(0, 1.08 * max([0.1, *(round_.unsure for round_ in rounds)])),
    )
    axes.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    return figure


@matplotlib.rc_context(STYLE)
def prevalence_figure(prevalence: Sequence[float]) -> Figure:
    """Draw the share of targets among the presentations of each round, over the range in which a P300 lasts."""
    figure, axes = _figure(HALF_PAGE)
    number = np.arange(1, len(prevalence) + 1)
    axes.axhspan(*RARE, color=COLOURS["muted"], alpha=0.2, lw=0, label="rare enough for a lasting P300: 10 to 20 %")
    axes.bar(number, prevalence, color=COLOURS["target"], width=min(0.6, 0.12 * number.size))
    axes.set(
        xlabel="round", ylabel="targets among the presentations", xlim=(0.4, number.size + 0.6),
        ylim=(0, 1.08 * max([0.3, *prevalence])),
    )  # fmt: skip
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderpad=0)
    axes.xaxis.set_major_locator(FixedLocator(number.tolist()) if number.size <= 12 else MaxNLocator(10, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    return figure


@matplotlib.rc_context(STYLE)
def score_figure(evidence: FloatArray, is_target: BoolArray | None) -> Figure:
    """Draw how the evidence of single looks is distributed, by class where truth is known.

    Parameters
    ----------
    evidence : array, shape (n_looks,)
        Of usable responses, nats; one or more.
    is_target : array of bool, shape (n_looks,), or None
        What each look showed.
    """
    figure, axes = _figure(HALF_PAGE)
    low, high = np.quantile(evidence, [0.001, 0.999])
    margin = max(0.05 * (high - low), 0.1)
    edges = np.linspace(low - margin, high + margin, 41)
    highest = 0.0
    for values, colour, label in _by_class(evidence, is_target, "looks"):
        density = np.histogram(values, edges)[0] / (values.size * np.diff(edges))
        axes.stairs(density, edges, fill=True, color=colour, alpha=0.22)
        axes.stairs(density, edges, color=colour, lw=1.6, label=label)
        highest = max(highest, density.max())
    axes.axvline(0, ymax=0.8, color=COLOURS["muted"], lw=1)
    axes.set(
        xlabel="evidence of one look, L (nats); to the right it speaks for a target",
        ylabel="density within the class (1/nat)" if is_target is not None else "density (1/nat)",
        xlim=(edges[0], edges[-1]), ylim=(0, 1.25 * highest),
    )  # fmt: skip
    score = axes.secondary_xaxis("top")
    ticks = np.array([-4, -2, 0, 2, 4]) if np.ptp(edges) > 6 else np.array([-2, -1, 0, 1, 2])
    ticks = ticks[(ticks > edges[0]) & (ticks < edges[-1])]
    score.set_xticks(ticks, [f"{value:.2f}" for value in expit(ticks)])
    score.set_xlabel("score, c = sigmoid(L)")
    score.spines["top"].set_visible(False)
    axes.legend(loc="upper left", ncols=2, columnspacing=1.2)
    return figure


@matplotlib.rc_context(STYLE)
def soft_label_figure(score: FloatArray, is_target: BoolArray | None, threshold: float, what: str = "images") -> Figure:
    """Draw the soft labels of the images that were looked at, by class where truth is known.

    Parameters
    ----------
    score : array, shape (n_images,)
        ``c = sigmoid(L)`` of the total evidence of each image; one or more.
    is_target : array of bool, shape (n_images,), or None
        Whether each is a target.
    threshold : float
        The talk's THR on the score.
    what : str
        What the scores are of, if not of images.
    """
    groups = _by_class(score, is_target, what)
    figure = Figure(figsize=HALF_PAGE)
    panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (values, colour, label) in zip(panels, groups, strict=True):
        axes.hist(values, np.linspace(0, 1, 25), color=colour, alpha=0.85, edgecolor="none")
        axes.axvline(threshold, color=COLOURS["ink"], lw=1.1, ls="--")
        axes.set(ylabel=what, xlim=(0, 1))
        axes.set_title(label, loc="left", color=colour)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    panels[-1].set_xlabel("soft label, c = sigmoid(total evidence)")
    return figure


@matplotlib.rc_context(STYLE)
def erp_figure(mean: ERP) -> Figure:
    """Draw the mean response to targets and non-targets with its 95 % interval, in four channels at most."""
    chosen = erp_channels(mean)
    figure = Figure(figsize=(WHOLE_PAGE_WIDTH, 2.9))
    panels = figure.subplots(1, max(len(chosen), 3), sharey=True, squeeze=False)[0]
    for axes in panels[len(chosen) :]:
        axes.remove()
    milliseconds = mean.times * 1e3
    for axes, channel in zip(panels, chosen, strict=False):
        for k, (colour, label) in enumerate([(COLOURS["nontarget"], "non-target"), (COLOURS["target"], "target")]):
            middle, half = mean.mean[k, channel] * 1e6, mean.half_width[k, channel] * 1e6
            axes.fill_between(milliseconds, middle - half, middle + half, color=colour, alpha=0.22, lw=0)
            axes.plot(milliseconds, middle, color=colour, label=f"{label}, n = {mean.n[k]:,}", lw=1.6)
        axes.axhline(0, color=COLOURS["muted"], lw=0.8)
        axes.set(title=mean.channels[channel], xlabel="time after onset (ms)", xlim=(milliseconds[0], milliseconds[-1]))
    panels[0].set_ylabel("mean response (µV)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def erp_channels(mean: ERP, n: int = 4) -> list[int]:
    """Choose channels to draw: the midline, where a P300 is largest (Polich 2007), then the recording's own order."""
    midline = [mean.channels.index(name) for name in ("Fz", "Cz", "Pz", "Oz") if name in mean.channels]
    others = [k for k in range(len(mean.channels)) if k not in midline]
    return [*midline, *others][:n]


def svg(figure: Figure, name: str, description: str) -> str:
    """Render a figure for an HTML page.

    Parameters
    ----------
    figure : Figure
        The figure.
    name : str
        Put before every id, so that several figures can stand in one page.
    description : str
        What the figure shows, for who does not see it.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    width, height = 72 * figure.get_size_inches()
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(description)}">'
    text = head + text[text.index(">") + 1 :]
    text = re.sub(r"<!--.*?-->|<style.*?</style>|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    for role, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{role}, {colour})")
    return re.sub(r"\s*\n\s*", " ", text)


def save_png(study: Study, path: Path, *, dpi: int = 200) -> Path:
    """Write the AUC over looks as a PNG file, for a README or a slide.

    Raises
    ------
    StudyError
        If there is no AUC: no round is over yet, truth is unknown, or several classes are told apart.
    """
    rounds = study.store.rounds()
    if study.settings.classes or not any(round_.auc is not None for round_ in rounds):
        raise StudyError(
            f"expected a finished round with the AUC of one target in {study.folder}, found none; run one with class "
            f"folders: brainloop run {study.folder}"
        )
    figure = auc_figure(rounds, label=LABELS[who_looked(study.settings)])
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        figure.savefig(path, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return path


def who_looked(settings: Settings) -> str:
    """Say who answered a study: its observer, or ``truth`` where the system was told."""
    return "truth" if SYSTEMS[settings.system].told_truth else str(settings.observer)


def _figure(size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size)
    return figure, figure.subplots()


def _by_class(values: FloatArray, is_target: BoolArray | None, what: str) -> list[tuple[FloatArray, str, str]]:
    if is_target is None:
        return [(values, COLOURS["study"], f"{values.size:,} {what}")]
    groups = [
        (values[is_target], COLOURS["target"], "targets"), (values[~is_target], COLOURS["nontarget"], "non-targets"),
    ]  # fmt: skip
    return [(members, colour, f"{label}: {members.size:,} {what}") for members, colour, label in groups if members.size]
