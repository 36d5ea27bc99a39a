"""The figure of the audit's bench: how fast wrong annotations come to the top of their class."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from brainloop.report.figures import COLOURS, STYLE, WHOLE_PAGE_WIDTH

__all__ = ["draw"]

ROWS = {
    "shortlist": ("classifier, then brain", COLOURS["study"], "o"),
    "shuffled": ("classifier, then shuffled evidence", COLOURS["target"], "X"),
    "brain": ("brain alone, random looks", COLOURS["nontarget"], "s"),
}


def draw(figures: Mapping[str, Any], path: Path) -> Path:
    """Draw precision over looks, and what one, two and three looks at an image found, as a PNG; give its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WHOLE_PAGE_WIDTH, 3.9))
        left, right = figure.subplots(1, 2, width_ratios=(2, 1))
        curve = figures["curve"]
        for row, (words, colour, marker) in ROWS.items():
            # A row ends where its looks do; what comes after is only held.
            n = 1 + sum(looks < figures[row]["looks"] for looks in curve["looks"])
            left.plot(curve["looks"][:n], curve[row][:n], label=words, color=colour, marker=marker, ms=4)
        at = figures["cleanlab"]["precision_at_errors"]
        left.axhline(at, color=COLOURS["muted"], lw=1.1, ls="--", label="cleanlab, the best of its six")
        left.set(xlabel="presentations a class, fillers included", ylabel="precision at the number of errors")
        left.set_title("wrong annotations come to the top", loc="left")
        left.set_ylim(0, 1)
        left.legend(loc="lower right")
        found = figures["found_by_look"]
        right.bar(range(1, len(found) + 1), found, color=COLOURS["study"], width=0.6)
        right.axhline(figures["shortlist_holds"], color=COLOURS["muted"], lw=1.1, ls="--")
        right.text(0.6, figures["shortlist_holds"] + 0.02, "on the shortlist", color=COLOURS["muted"])
        right.set_xticks(range(1, len(found) + 1))
        right.set(xlabel="looks at an image, at most", ylabel="share of errors that are changed", ylim=(0, 1.1))
        right.set_title("recall", loc="left")
        figure.savefig(path, dpi=160, facecolor="white", metadata={"Software": None})
    return path
