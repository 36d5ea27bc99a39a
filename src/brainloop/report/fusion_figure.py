"""The picture of fusion: ROC curves of classifier, brain and both, and the plane of what the two say."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brainloop._types import BoolArray, FloatArray
from brainloop.errors import StudyError
from brainloop.report.figures import COLOURS, STYLE, WHOLE_PAGE_WIDTH
from brainloop.uses.fusion import Fusion

__all__ = ["fusion_figure", "save_fusion"]

LOOK: dict[str, dict[str, Any]] = {
    "classifier": {"color": COLOURS["nontarget"], "ls": (0, (4, 2))},
    "brain": {"color": COLOURS["target"], "ls": (0, (1, 1.5))},
    "combined": {"color": COLOURS["study"], "ls": "-"},
}


@matplotlib.rc_context(STYLE)
def fusion_figure(fusion: Fusion) -> Figure:
    """Draw what is known of the images of known class.

    Parameters
    ----------
    fusion : Fusion
        Of one class that was looked for.

    Raises
    ------
    StudyError
        If no image, or none of a class, is of known class.
    """
    if fusion.auc is None:
        raise StudyError(
            f"a picture of {fusion.target} expects images that are known to show it and others that are known not to; "
            "correct some images on the study's page, or leave the picture out"
        )
    truth = fusion.truth[fusion.known]
    scores = {"classifier": fusion.log_odds, "brain": fusion.evidence, "combined": fusion.combined}
    figure = Figure(figsize=(WHOLE_PAGE_WIDTH, 4.4))
    left, right = figure.subplots(1, 2)
    for name, look in LOOK.items():
        false, true = _roc(truth, scores[name][fusion.known])
        auc = fusion.auc[name]
        left.plot(false, true, label=f"{name}: AUC {auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}]", **look)
    left.plot([0, 1], [0, 1], color=COLOURS["rule"], lw=0.9)
    left.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.005))
    left.legend(loc="lower right")
    left.set_title(f"{fusion.target}: {truth.size} images looked at, {truth.sum()} of them targets", loc="left")
    _plane(right, fusion, truth)
    return figure


def _plane(axes: Axes, fusion: Fusion, truth: BoolArray) -> None:
    z, evidence = fusion.log_odds[fusion.known], fusion.evidence[fusion.known]
    for kind, name, marker in ((False, "nontarget", "o"), (True, "target", "^")):
        own = truth == kind
        label = "target" if kind else "not a target"
        axes.scatter(z[own], evidence[own], s=14, marker=marker, color=COLOURS[name], alpha=0.6, lw=0, label=label)
    ends = np.array([z.min(), z.max()])
    axes.plot(ends, -ends, color=COLOURS["ink"], lw=1, label="z + L = 0")
    axes.set(xlabel="classifier's log-odds z, out of fold (nats)", ylabel="brain's evidence L (nats)")
    axes.set_ylim(evidence.min() - 0.5, evidence.max() + 0.5)
    axes.legend(loc="best")
    axes.set_title(f"what the two say; combined: {fusion.method}", loc="left")


def _roc(truth: BoolArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(truth, scores)
    return false, true


def save_fusion(fusion: Fusion, path: Path) -> None:
    """Save the picture as a PNG file; errors as `fusion_figure`."""
    with matplotlib.rc_context(STYLE):
        fusion_figure(fusion).savefig(path, dpi=160, facecolor="white", metadata={"Software": None})
