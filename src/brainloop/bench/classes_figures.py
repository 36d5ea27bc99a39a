"""The figure of the bench of several classes: accuracy over looks in every way, and what is taken for what."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from brainloop.bench.classes_markdown import WAYS
from brainloop.report.class_figures import draw_confusion
from brainloop.report.figures import COLOURS, STYLE, WHOLE_PAGE_WIDTH

__all__ = ["draw"]

LOOK: dict[str, dict[str, Any]] = {
    "brainloop": {"color": COLOURS["study"], "marker": "o", "ls": "-"},
    "random_query": {"color": COLOURS["study"], "marker": "o", "ls": ":", "mfc": COLOURS["page"]},
    "brainloop_one_vs_rest": {"color": COLOURS["study"], "marker": "s", "ls": "--", "mfc": COLOURS["page"]},
    "talk_one_vs_rest": {"color": COLOURS["nontarget"], "marker": "D", "ls": "-"},
    "truth": {"color": COLOURS["ink"], "marker": "v", "ls": (0, (4, 2))},
}
"""Each way's look, told apart without its colour too."""


def draw(figures: Mapping[str, Any], path: Path) -> Path:
    """Draw accuracy over looks, and the confusion matrix of ours after the last look, as a PNG; give its path."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WHOLE_PAGE_WIDTH, 4.9))
        left, right = figure.subplots(1, 2, width_ratios=(6, 5))
        for way, words in WAYS.items():
            accuracy = (figures if way == "brainloop" else figures[way])["at"]
            left.plot(figures["looks"], accuracy, ms=5, label=words, **LOOK[way])
        left.set(xlabel="looks, over all classes", ylabel="accuracy on images never shown")
        left.legend(loc="lower right")
        draw_confusion(right, np.array(figures["confusion"]), figures["classes"], cell=270 / len(figures["classes"]))
        right.set_title(f"brainloop, {figures['looks'][-1]:,} looks", loc="left")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130, facecolor="white", metadata={"Software": None})
    return path
