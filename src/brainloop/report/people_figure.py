"""The figure of people: how well each tells targets apart over the day, and what their looks count."""

from collections.abc import Sequence
from datetime import UTC, datetime

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from brainloop.report.class_figures import CLASS_COLOURS
from brainloop.report.figures import COLOURS, STYLE, WHOLE_PAGE_WIDTH
from brainloop.report.people import PersonFindings

__all__ = ["drawn_drift", "drift_figure", "drift_words"]

MARKERS = "osD^vPX*"
"""Beside the colours, for print."""


@matplotlib.rc_context({**STYLE, "date.converter": "concise"})
def drift_figure(people: Sequence[PersonFindings]) -> Figure:
    """Draw AUC and weight of each stretch of time, one line a person.

    Parameters
    ----------
    people : sequence of PersonFindings
        Stretches whose time nobody wrote down are left out.
    """
    figure = Figure(figsize=(WHOLE_PAGE_WIDTH, 3.4))
    for axes, what, label, level in zip(
        figure.subplots(1, 2), ("auc", "weight"), ("AUC of single looks", "weight of a look"), (0.5, 1.0), strict=True
    ):
        axes.axhline(level, color=COLOURS["muted"], lw=1.2, ls="--")
        for k, person in enumerate(people):
            drawn = [
                (0.5 * (one.begin + one.end), getattr(one, what))
                for one in person.stretches
                if one.begin is not None and one.end is not None and getattr(one, what) is not None
            ]
            axes.plot(
                _local([at for at, _ in drawn]), [value for _, value in drawn], marker=MARKERS[k % len(MARKERS)],
                ms=4.5, color=CLASS_COLOURS[k % len(CLASS_COLOURS)], label=person.name,
            )  # fmt: skip
        axes.set(xlabel="time of day", ylabel=label)
        highest = max([level, *(getattr(one, what) or 0.0 for person in people for one in person.stretches)])
        axes.set_ylim(*((0.3, 1.0) if what == "auc" else (0.0, 1.1 * highest)))
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=6)
    return figure


def drawn_drift(people: Sequence[PersonFindings]) -> dict[str, tuple[Figure, str]]:
    """Give the figure as ``drift``, with its words; nothing where fewer than two looked, or no time is known."""
    timed = any(one.begin is not None for person in people for one in person.stretches)
    return {"drift": (drift_figure(people), drift_words(people))} if len(people) > 1 and timed else {}


def drift_words(people: Sequence[PersonFindings]) -> str:
    """Say what the figure shows, for who does not see it."""
    return "AUC and weight over time: " + "; ".join(
        f"{person.name} "
        + ", ".join(f"{'?' if one.auc is None else f'{one.auc:.2f}'} / {one.weight:.2f}" for one in person.stretches)
        for person in people
    )


def _local(times: Sequence[float]) -> NDArray[np.datetime64]:
    """Give times as the clock of this machine shows them."""
    shown = [datetime.fromtimestamp(at, UTC).astimezone().replace(tzinfo=None) for at in times]
    return np.array(shown, dtype="datetime64[ms]")
