"""The report: one HTML file that needs no network, no script and no other file."""

from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from scipy.special import expit

from brainloop._files import write_whole
from brainloop._types import Progress, no_progress
from brainloop.classifier.system import SYSTEMS
from brainloop.labels import soft_labels
from brainloop.report import figures
from brainloop.report.findings import Findings, find
from brainloop.report.galleries import Gallery, choose, thumbnail
from brainloop.settings import Settings
from brainloop.study import Study

__all__ = ["write_report"]


def write_report(study: Study, path: Path | None = None, *, progress: Progress = no_progress) -> Path:
    """Write a study's report.

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
        If no round is over yet.
    """
    path = study.folder / "reports" / "report.html" if path is None else Path(path)
    page = render(study, progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page.encode())
    return path


def render(study: Study, progress: Progress = no_progress) -> str:
    """Give the page; see `write_report`."""
    findings = find(study)
    galleries = choose(findings)
    here = files("brainloop.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"auc": "{:.3f}".format, "count": "{:,}".format, "percent": _percent, "time": _time}
    environment.globals["number"] = _number
    return environment.from_string((here / "template.html.j2").read_text(encoding="utf-8")).render(
        f=findings,
        system=SYSTEMS[findings.settings.system],
        who=figures.who_looked(findings.settings),
        style=(here / "style.css").read_text(encoding="utf-8"),
        figures=_figures(findings),
        talk=figures.TALK,
        galleries=galleries,
        thumbnails=_thumbnails(study, galleries, progress),
        labels=_labels(findings),
        reuse=_reuse(findings),
        ending=ending(findings),
        settings=[
            (field.name, getattr(findings.settings, field.name), field.metadata["reason"]) for field in fields(Settings)
        ],
    )


def ending(findings: Findings) -> str:
    """Say in words whether the study has converged, and if not, why it stands where it stands."""
    settings, last = findings.settings, findings.last
    below = f"a confidence below {settings.confidence_threshold:g}"
    unsure = f"{_percent(last.unsure)} of the pool had {below}"
    criterion = "convergence asks for under 5 % in two rounds running"
    if last.converged and last.unsure == 0:
        return f"Converged after round {last.number}: no image had {below}, so that nothing is left to ask."
    if last.converged:
        return f"Converged after round {last.number}: {unsure}, and for two rounds running it was under 5 %."
    if last.looks >= settings.max_looks:
        return f"Not converged: it stopped at the limit of {settings.max_looks:,} looks, when {unsure}; {criterion}."
    return f"Not over: after round {last.number} {unsure}; {criterion}, or {settings.max_looks:,} looks."


def _figures(findings: Findings) -> dict[str, str]:
    drawn = {}
    rounds, usable = findings.rounds, findings.usable
    if any(round_.auc is not None for round_ in rounds):
        label = figures.LABELS[figures.who_looked(findings.settings)]
        points = "; ".join(f"{r.auc:.3f} after {r.looks} looks" for r in rounds if r.auc is not None)
        for over in ("looks", "minutes"):
            description = f"AUC over {over}: {points}. The talk's five points beside it."
            drawn[f"auc-{over}"] = (figures.auc_figure(rounds, over, label=label), description)
    drawn["unsure"] = (
        figures.unsure_figure(rounds, findings.settings.confidence_threshold),
        "Unsure share of the pool: " + "; ".join(f"{r.unsure:.1%} after {r.looks} looks" for r in rounds),
    )
    prevalence = [findings.prevalence(round_.number) for round_ in rounds]
    if all(share is not None for share in prevalence):
        drawn["prevalence"] = (
            figures.prevalence_figure([share for share in prevalence if share is not None]),
            "Targets among the presentations: "
            + "; ".join(f"{p:.1%} in round {k}" for k, p in enumerate(prevalence, 1)),
        )
    if usable.any():
        shown = None if findings.shown_target is None else findings.shown_target[usable]
        drawn["scores"] = (
            figures.score_figure(findings.looks.evidence[usable], shown),
            "Histogram of the evidence of single looks by class",
        )
    seen = findings.times_answered > 0
    if seen.any():
        drawn["labels"] = (
            figures.soft_label_figure(
                expit(findings.belief.evidence[seen]),
                None if findings.truth is None else findings.truth[seen],
                findings.settings.label_threshold,
            ),
            "Histogram of the soft labels of the images that were looked at, by class",
        )
    for number, (name, mean) in enumerate(findings.erps.items()):
        if mean.channels and np.isfinite(mean.mean).any():
            drawn[f"erp-{number}"] = (figures.erp_figure(mean), f"Mean EEG response to targets and non-targets, {name}")
    return {name: figures.svg(figure, name, words) for name, (figure, words) in drawn.items()}


def _thumbnails(study: Study, galleries: dict[str, Gallery], progress: Progress) -> dict[int, tuple[str, str]]:
    wanted = {tile.image.id: tile.image for gallery in galleries.values() for tile in gallery.tiles}
    made = {}
    for done, (number, image) in enumerate(wanted.items()):
        progress(done, len(wanted))
        made[number] = thumbnail(study, image)
    progress(len(wanted), len(wanted))
    return made


def _labels(findings: Findings) -> dict[str, Any]:
    # How right the talk's labels are, whatever rule the head learns by.
    seen = findings.times_answered > 0
    said = soft_labels(findings.belief.evidence[seen], findings.settings.label_threshold)
    about: dict[str, Any] = {"n": int(seen.sum()), "targets": int(said.label.sum()), "wrong": None}
    if findings.truth is not None and seen.any():
        wrong = said.label.astype(bool) != findings.truth[seen]
        about |= {"wrong": float(wrong.mean()), "weight": float(said.weight[wrong].sum() / said.weight.sum())}
    return about


def _reuse(findings: Findings) -> list[tuple[str, Any]]:
    if findings.settings.observer != "replay":
        return []
    rows = [("all", findings.reuse())]
    if (target := findings.shown_target) is not None:
        rows = [("targets", findings.reuse(target)), ("non-targets", findings.reuse(~target)), *rows]
    return rows


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def _number(value: float | None, form: str, scale: float = 1) -> str:
    return "\N{EN DASH}" if value is None else form % (scale * value)
