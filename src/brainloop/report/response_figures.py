"""Figures of a person's responses: over time, over the head, trial by trial, and all at once."""

from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from brainloop._types import BoolArray, FloatArray
from brainloop.eeg.erp import ERP
from brainloop.report.figures import COLOURS, STYLE, WHOLE_PAGE_WIDTH

__all__ = [
    "MIN_MAPPED",
    "Peak",
    "channels_figure",
    "drawn_channels",
    "map_figure",
    "matrix_figure",
    "p300",
    "smoothing",
    "strongest",
    "trials_figure",
]

DIVERGING = LinearSegmentedColormap.from_list(
    "diverging", ["#00324f", COLOURS["nontarget"], "#8fc1e0", "#f4f4f2", "#f2b48a", COLOURS["target"], "#652c00"]
)
"""Blue through white to orange, the two classes' hues: told apart by every colour vision, and 0 is the lightest."""

LIGHT_INK = "#1c2128"
"""For lines on an image, which stays as light on a dark page: one off the page's ink, which turns."""

P300_WINDOW = (0.25, 0.6)
"""When a P300 to images has its peak, s: from easy images to hard ones (Polich 2007), and the filter's delay."""

MAP_TIMES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
"""Moments of the maps that stand beside the P300's, s."""

MIN_MAPPED = 8
"""Electrodes with positions that a map is interpolated from: fewer lie further apart than EEG stays alike."""

HEAD = np.deg2rad(115)
"""From the vertex to the outline of the head, seen from its centre: the ears and the nasion."""

CENTRE = np.array([0.0, 0.0, 0.04])
"""Of the head, in MNE's head frame, m."""

MOST_CHANNELS = 20
"""Panels that are still read."""


class Peak(NamedTuple):
    """The peak of a P300: its channel and sample, and the difference of the classes' means there, V."""

    channel: int
    sample: int
    value: float


def p300(mean: ERP) -> Peak | None:
    """Find the P300: where targets exceed non-targets most clearly from .25 to .6 s.

    A positive difference only: the causal high-pass turns a P300 into a negative wave after it, as large at times.

    Parameters
    ----------
    mean : ERP
        Of both classes.

    Returns
    -------
    Peak or None
        None where a class has no interval, or no channel is more positive to targets.
    """
    late = np.flatnonzero((mean.times >= P300_WINDOW[0]) & (mean.times <= P300_WINDOW[1]))
    clear = _clearness(mean)[:, late]
    if not clear.size or not clear.max() > 0:
        return None
    channel, place = np.unravel_index(clear.argmax(), clear.shape)
    sample = int(late[place])
    return Peak(int(channel), sample, float(mean.mean[1, channel, sample] - mean.mean[0, channel, sample]))


def strongest(mean: ERP) -> list[int]:
    """Order channels by their clearest difference of the classes, of either sign, the greatest first."""
    return [int(channel) for channel in np.argsort(-np.abs(_clearness(mean)).max(axis=1), kind="stable")]


def _clearness(mean: ERP) -> FloatArray:
    """Give target less non-target in half-widths of its channel's 95 % interval, shape (n_channels, n_times).

    The half-width is the channel's median: at the peak of a response whose latency varies it is wider than elsewhere.
    """
    half_width = np.median(np.sqrt((mean.half_width**2).sum(axis=0)), axis=1, keepdims=True)
    return np.asarray((mean.mean[1] - mean.mean[0]) / np.maximum(half_width, 1e-12))


def drawn_channels(mean: ERP) -> list[int]:
    """Choose the channels of `channels_figure`: all, or the twenty that tell the classes apart best, in their order."""
    return sorted(strongest(mean)[:MOST_CHANNELS])


@matplotlib.rc_context(STYLE)
def channels_figure(mean: ERP) -> Figure:
    """Draw the mean response to both classes, with its 95 % interval, in every channel of `drawn_channels`."""
    chosen = drawn_channels(mean)
    columns = min(4, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(WHOLE_PAGE_WIDTH, 0.7 + 1.75 * rows))
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    milliseconds = mean.times * 1e3
    for axes, channel in zip(panels.flat, chosen, strict=False):
        for k, (colour, label) in enumerate([(COLOURS["nontarget"], "non-target"), (COLOURS["target"], "target")]):
            middle, half = mean.mean[k, channel] * 1e6, mean.half_width[k, channel] * 1e6
            axes.fill_between(milliseconds, middle - half, middle + half, color=colour, alpha=0.22, lw=0)
            axes.plot(milliseconds, middle, color=colour, label=f"{label}, n = {mean.n[k]:,}", lw=1.5)
        axes.axhline(0, color=COLOURS["muted"], lw=0.8)
        axes.set_title(mean.channels[channel])
        axes.set_xlim(milliseconds[0], milliseconds[-1])
    for axes in panels.flat[len(chosen) :]:
        axes.remove()
    for number in range(columns):  # the lowest panel of each column
        lowest = panels[(len(chosen) - 1 - number) // columns, number]
        lowest.tick_params(labelbottom=True)
        lowest.set_xlabel("time after onset (ms)")
    for axes in panels[:, 0]:
        axes.set_ylabel("mean (µV)")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


@matplotlib.rc_context(STYLE)
def map_figure(mean: ERP, positions: FloatArray, peak: Peak) -> Figure | None:
    """Draw the difference of the classes over the head, at the peak of the P300 and at other moments.

    Parameters
    ----------
    mean : ERP
        Of both classes.
    positions : array, shape (n_channels, 3)
        Right, front and up in MNE's head frame, m; channels where it is NaN are left out.
    peak : Peak
        The P300.

    Returns
    -------
    Figure or None
        An interpolated map; with fewer than 8 positions, the values at the electrodes; None without any.
    """
    known = np.isfinite(positions).all(axis=1)
    if not known.any():
        return None
    places = on_the_page(positions[known])
    names = [mean.channels[k] for k in np.flatnonzero(known)]
    difference = (mean.mean[1] - mean.mean[0])[known] * 1e6
    samples = [peak.sample, *(int(np.abs(mean.times - time).argmin()) for time in MAP_TIMES)]
    limit = float(np.abs(difference[:, samples]).max()) or 1.0
    figure = Figure(figsize=(WHOLE_PAGE_WIDTH, 1.85))
    panels = figure.subplots(1, len(samples))
    for number, (axes, sample) in enumerate(zip(panels, samples, strict=True)):
        _head(axes, places, names, difference[:, sample], limit)
        axes.set_title(f"{'peak, ' if number == 0 else ''}{1e3 * mean.times[sample]:.0f} ms")
    shades = matplotlib.cm.ScalarMappable(Normalize(-limit, limit), DIVERGING)
    bar = figure.colorbar(shades, ax=panels, shrink=0.75, pad=0.01, aspect=14)
    bar.set_label("target less\nnon-target (µV)")
    bar.outline.set_visible(False)
    return figure


def on_the_page(positions: FloatArray) -> FloatArray:
    """Lay positions on the head (n, 3) flat, shape (n, 2): nose up, the vertex at 0, the outline at 1."""
    seen = positions - CENTRE
    angle = np.arctan2(np.hypot(seen[:, 0], seen[:, 1]), seen[:, 2])
    azimuth = np.arctan2(seen[:, 1], seen[:, 0])
    return np.asarray(np.stack([np.cos(azimuth), np.sin(azimuth)], axis=1) * (angle / HEAD)[:, None])


def _head(axes: Axes, places: FloatArray, names: list[str], values: FloatArray, limit: float) -> None:
    line: dict[str, Any] = {"color": COLOURS["muted"], "lw": 1.1, "zorder": 2}
    outline = Circle((0, 0), 1, fill=False, ec=COLOURS["muted"], lw=1.1, zorder=2)
    if len(places) >= MIN_MAPPED:
        from mne.viz import plot_topomap

        image, _ = plot_topomap(
            values, places, axes=axes, show=False, cmap=DIVERGING, vlim=(-limit, limit), contours=0, sensors=False,
            outlines=None, sphere=(0, 0, 0, 1), extrapolate="local", res=96,
        )  # fmt: skip
        image.set_zorder(1)
        image.set_clip_path(Circle((0, 0), 1, transform=axes.transData))
        axes.scatter(places[:, 0], places[:, 1], s=7, color=COLOURS["ink"], zorder=3, linewidths=0)
    else:
        axes.scatter(
            places[:, 0], places[:, 1], s=270, c=values, cmap=DIVERGING, vmin=-limit, vmax=limit, zorder=3,
            edgecolors=COLOURS["muted"], linewidths=0.8,
        )  # fmt: skip
        for (x, y), name, value in zip(places, names, values, strict=True):
            shade = "white" if abs(value) > 0.45 * limit else LIGHT_INK
            number = f"{round(value, 1) + 0.0:.1f}".replace("-", "\N{MINUS SIGN}")
            axes.text(x, y, number, ha="center", va="center", fontsize=6.5, zorder=4, color=shade)
            axes.text(x, y - 0.29, name, ha="center", va="top", fontsize=6.5, color=COLOURS["ink"], zorder=4)
    axes.add_patch(outline)
    axes.plot([-0.1, 0, 0.1], [0.995, 1.12, 0.995], **line)
    for side in (-1, 1):
        axes.plot(side * np.array([0.995, 1.07, 1.09, 1.06, 0.99]), [0.16, 0.14, 0, -0.14, -0.17], **line)
    axes.set(xlim=(-1.3, 1.3), ylim=(-1.2, 1.2), aspect="equal")
    axes.axis("off")


@matplotlib.rc_context(STYLE)
def trials_figure(
    epochs: FloatArray, is_target: BoolArray, score: FloatArray, times: FloatArray, channel: str, peak_s: float | None
) -> Figure:
    """Draw single trials as an image, the highest score on top.

    Parameters
    ----------
    epochs : array, shape (n, n_times)
        One channel of the scored trials, V.
    is_target : array of bool, shape (n,)
        Whether each showed a target.
    score : array, shape (n,)
        By decoders that were not trained on them.
    times : array, shape (n_times,)
        Relative to the onset, s.
    channel : str
        Its name.
    peak_s : float or None
        When the P300 has its peak, s.
    """
    from scipy.ndimage import gaussian_filter1d

    order = np.argsort(-score, kind="stable")
    smooth = gaussian_filter1d(epochs[order] * 1e6, smoothing(len(order)), axis=0, mode="reflect")
    limit = float(np.quantile(np.abs(smooth), 0.995)) or 1.0
    figure = Figure(figsize=(5.4, 4.6))
    image, ticks = figure.subplots(1, 2, sharey=True, width_ratios=[14, 1.6])
    shown = image.imshow(
        smooth, aspect="auto", cmap=DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest",
        extent=(*_edges(times), len(order) + 0.5, 0.5),
    )  # fmt: skip
    if peak_s is not None:
        image.axvline(1e3 * peak_s, color=LIGHT_INK, lw=0.9, ls="--")
    image.set(xlabel="time after onset (ms)", ylabel="trial, by falling score", title=channel)
    image.grid(visible=False)
    for column, (members, colour) in enumerate([(is_target, "target"), (~is_target, "nontarget")]):
        rows = np.repeat(np.flatnonzero(members[order]) + 1.0, 3)
        marks = np.tile([column + 0.05, column + 0.95, np.nan], members.sum())  # one path for all
        ticks.plot(marks, rows, color=COLOURS[colour], lw=min(1.2, 500 / len(order)), solid_capstyle="butt")
    ticks.set(xlim=(0, 2), xticks=[0.5, 1.5], title="shown")
    ticks.set_xticklabels(["target", "non-target"], rotation=90)
    ticks.tick_params(length=0)
    ticks.tick_params(axis="y", labelleft=False)
    ticks.spines[:].set_visible(False)
    ticks.grid(visible=False)
    _bar(figure, shown, [image, ticks], f"{channel} (µV)")
    return figure


def smoothing(n: int) -> float:
    """Give the standard deviation of the smoothing over neighbouring trials: a hundredth of them, one at least."""
    return max(1.0, n / 100)


@matplotlib.rc_context(STYLE)
def matrix_figure(mean: ERP) -> Figure:
    """Draw the mean spatio-temporal matrix that the networks see: channels x time, target less non-target."""
    difference = (mean.mean[1] - mean.mean[0]) * 1e6
    limit = float(np.abs(difference).max()) or 1.0
    n = len(mean.channels)
    figure = Figure(figsize=(5.4, float(np.clip(1.3 + 0.28 * n, 4.6, 9.0))))
    axes = figure.subplots()
    shown = axes.imshow(
        difference, aspect="auto", cmap=DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest",
        extent=(*_edges(mean.times), n - 0.5, -0.5),
    )  # fmt: skip
    axes.set_yticks(range(n), mean.channels, fontsize=8 if n <= 32 else 5)
    axes.set(xlabel="time after onset (ms)", ylabel="channel")
    axes.grid(visible=False)
    _bar(figure, shown, [axes], "target less non-target (µV)")
    return figure


def _edges(times: FloatArray) -> tuple[float, float]:
    half = (times[1] - times[0]) / 2 if len(times) > 1 else 0.5
    return 1e3 * float(times[0] - half), 1e3 * float(times[-1] + half)


def _bar(figure: Figure, shown: Any, panels: list[Axes], label: str) -> None:
    bar = figure.colorbar(shown, ax=panels, pad=0.02, aspect=30)
    bar.set_label(label)
    bar.outline.set_visible(False)
