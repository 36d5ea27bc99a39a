"""The report: one HTML file that needs no network, no script and no other file."""

from pathlib import Path

from matplotlib.figure import Figure

from brainloop._files import write_whole
from brainloop._types import Progress, no_progress
from brainloop.errors import StudyError
from brainloop.report import classes, figures
from brainloop.report.findings import Findings, find
from brainloop.report.galleries import choose
from brainloop.report.page import fill_page
from brainloop.study import Study

__all__ = ["write_report"]


def write_report(study: Study, path: Path | None = None, *, progress: Progress = no_progress) -> Path:
    """Write the report of a study that trains a classifier, of one target or of several classes.

    Parameters
    ----------
    study : Study
        With one finished round or more.
    path : Path, optional
        Where; ``reports/report.html`` in the study's folder by default.
    progress : Progress
        Called with (thumbnails made, thumbnails).

    Returns
    -------
    Path
        Where it was written: whole, or not at all.

    Raises
    ------
    StudyError
        If no round is over yet, or the study is an audit or a review, whose own commands write what they found.
    """
    path = study.folder / "reports" / "report.html" if path is None else Path(path)
    page = render(study, progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page.encode())
    return path


def render(study: Study, progress: Progress = no_progress) -> str:
    """Give the page; see `write_report`."""
    settings = study.settings
    if settings.use != "train":
        how = {
            "audit": f"brainloop audit {settings.images} --out {study.folder}",
            "review": f"brainloop review {settings.model} {settings.images} --out {study.folder}",
        }[settings.use]
        raise StudyError(
            f"expected a study that trains a classifier in {study.folder}, found one of use {settings.use!r}; its own "
            f"command writes what it found: {how}"
        )
    if settings.classes:
        return classes.render(study, progress)
    findings = find(study)
    return fill_page(
        "template.html.j2",
        study,
        findings,
        drawn=_curves(findings),
        galleries=choose(findings),
        progress=progress,
        talk=figures.TALK,
    )


def _curves(findings: Findings) -> dict[str, tuple[Figure, str]]:
    rounds = findings.rounds
    if not any(round_.auc is not None for round_ in rounds):
        return {}
    label = figures.LABELS[figures.who_looked(findings.settings)]
    points = "; ".join(f"{r.auc:.3f} after {r.looks} looks" for r in rounds if r.auc is not None)
    return {
        f"auc-{over}": (
            figures.auc_figure(rounds, over, label=label),
            f"AUC over {over}: {points}. The talk's five points beside it.",
        )
        for over in ("looks", "minutes")
    }
