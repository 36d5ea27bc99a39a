"""The report of a study of several classes: its page, and the images that say most about its classifier."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from scipy.special import softmax

from brainloop._types import FloatArray, IntArray, Progress, no_progress
from brainloop.report.class_figures import accuracy_figure, asked_figure, confusion_figure
from brainloop.report.class_findings import ClassFindings, find_classes
from brainloop.report.figures import LABELS, WHOLE_PAGE_WIDTH, who_looked
from brainloop.report.galleries import N_TILES, Gallery, in_words
from brainloop.report.page import fill_page
from brainloop.store import PoolImage
from brainloop.study import Study

__all__ = ["ClassTile", "choose_classes", "listed", "render"]

MOST_SURE = 72
"""Tiles of all classes' galleries together; each class has one or more, and a row of `PER_CLASS` at most."""

PER_CLASS = 6


@dataclass(frozen=True)
class ClassTile:
    """One image of a gallery: what is shown below it.

    Parameters
    ----------
    image : PoolImage
        The image.
    said : str
        The class it is said to be of.
    p : float
        The probability of that class.
    truth : str or None
        Its class, where truth is known.
    looks : int or None
        At it; None where nobody may look.
    evidence : tuple of (str, float)
        The total evidence for each class that something is known of, nats.
    """

    image: PoolImage
    said: str
    p: float
    truth: str | None
    looks: int | None = None
    evidence: tuple[tuple[str, float], ...] = ()

    @property
    def probability(self) -> str:
        """The probability, in words short enough for a thumbnail."""
        return in_words(self.p)


def render(study: Study, progress: Progress = no_progress) -> str:
    """Give the page; see `brainloop.report.html.write_report`."""
    findings = find_classes(study)
    galleries, drawn = choose_classes(findings), _figures(findings)
    return fill_page(
        "classes.html.j2",
        study,
        findings,
        drawn=drawn,
        galleries=galleries,
        progress=progress,
        measures=findings.measures,
        rows=findings.rows(),
        named=listed(findings.classes),
        # As wide as its cells need, so that its words are as large as those of other figures; the page has 72 rem.
        matrix_width=round(72 * drawn["confusion"][0].get_figwidth() / WHOLE_PAGE_WIDTH) if "confusion" in drawn else 0,
    )


def choose_classes(findings: ClassFindings) -> dict[str, Gallery[ClassTile]]:
    """Choose the images of each gallery.

    Returns
    -------
    dict of Gallery
        ``sure-0`` and on, one a class: those of the pool that are said to be of it, the surest first. ``unsure``: those
        of the pool whose likeliest class is least sure. Where truth is known and images were kept aside, ``mistakes``:
        the surest that are wrong among those, by the classifier alone.
    """
    asked, classes = findings.asked, findings.classes
    said, p = asked.argmax(axis=1), softmax(asked, axis=1).max(axis=1)
    n = min(PER_CLASS, max(1, MOST_SURE // len(classes)))
    galleries = {}
    for k, name in enumerate(classes):
        own = np.flatnonzero(said == k)
        # By log-odds, as probabilities near one are all the same number.
        galleries[f"sure-{k}"] = _pool(findings, name, own[np.argsort(-_margin(asked[own]), kind="stable")], n)
    galleries["unsure"] = _pool(findings, "unsure", np.argsort(p, kind="stable"), N_TILES)
    if findings.test_truth is not None:
        z = findings.test_logits
        said, p = z.argmax(axis=1), softmax(z, axis=1).max(axis=1)
        wrong = np.flatnonzero(said != findings.test_truth)
        wrong = wrong[np.argsort(-_margin(z[wrong]), kind="stable")]
        tiles = [
            ClassTile(findings.test[i], classes[said[i]], float(p[i]), classes[findings.test_truth[i]])
            for i in wrong[:N_TILES]
        ]
        galleries["mistakes"] = Gallery("mistakes", tiles, wrong.size)
    return galleries


def listed(names: tuple[str, ...], most: int = 8) -> str:
    """Name them in words, the first of them where they are many."""
    shown = list(names) if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} more"]
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def _figures(findings: ClassFindings) -> dict[str, tuple[Figure, str]]:
    classes, measures, rounds = findings.classes, findings.measures, findings.rounds
    words = "Looks for each class in each round; in all " + "; ".join(
        f"{n} for {name}" for n, name in zip(findings.looks_for.sum(axis=0), classes, strict=True)
    )
    drawn = {"asked": (asked_figure(findings.looks_for, classes), words)}
    if measures is None:
        return drawn
    label = LABELS[who_looked(findings.settings)]
    points = "; ".join(f"{r.accuracy:.3f} after {r.looks} looks" for r in rounds if r.accuracy is not None)
    for over in ("looks", "minutes"):
        figure = accuracy_figure(rounds, over, findings.chance, label=label)
        drawn[f"accuracy-{over}"] = (figure, f"Accuracy over {over}: {points}")
    cells = "; ".join(
        f"of {true} " + ", ".join(f"{n} said {said}" for n, said in zip(row, classes, strict=True) if n)
        for true, row in zip(classes, measures.confusion.tolist(), strict=True)
    )
    drawn["confusion"] = (confusion_figure(measures.confusion, classes), f"Confusion matrix: {cells}")
    return drawn


def _margin(logits: FloatArray) -> FloatArray:
    """Log-odds of the likeliest class against all others, shape (n,)."""
    rest = np.sort(logits, axis=1)
    return np.asarray(rest[:, -1] - np.logaddexp.reduce(rest[:, :-1], axis=1))


def _pool(findings: ClassFindings, name: str, order: IntArray, n: int) -> Gallery[ClassTile]:
    classes, asked, evidence = findings.classes, findings.asked, findings.belief.evidence
    p = softmax(asked[order[:n]], axis=1).max(axis=1)
    tiles = [
        ClassTile(
            findings.pool[i], classes[asked[i].argmax()], float(share),
            None if findings.truth is None else classes[findings.truth[i]],
            int(findings.times_seen[i]),
            tuple((classes[k], float(evidence[i, k])) for k in np.flatnonzero(evidence[i])),
        )
        for i, share in zip(order[:n], p, strict=True)
    ]  # fmt: skip
    return Gallery(name, tiles, order.size)
