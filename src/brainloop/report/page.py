"""The parts of a study's page that do not depend on how many classes it tells apart."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined
from matplotlib.figure import Figure
from scipy.special import expit

from brainloop._types import Progress
from brainloop.classifier.system import SYSTEMS
from brainloop.labels import soft_labels
from brainloop.report import figures
from brainloop.report.findings import Answers, StudyFindings
from brainloop.report.galleries import Gallery, thumbnails
from brainloop.report.people import clock_time, people_findings
from brainloop.report.people_figure import drawn_drift
from brainloop.settings import Settings
from brainloop.study import Study

__all__ = ["ending", "fill_page"]


def fill_page(
    template: str,
    study: Study,
    findings: StudyFindings,
    *,
    drawn: Mapping[str, tuple[Figure, str]],
    galleries: Mapping[str, Gallery[Any]],
    progress: Progress,
    **more: Any,
) -> str:
    """Fill a template of this folder.

    Parameters
    ----------
    template : str
        Its file, which extends ``base.html.j2``.
    study : Study
        Whose page it is.
    findings : StudyFindings
        What the page says, as `f`.
    drawn : mapping of str to (Figure, str)
        Figures beside those of any study, each with what it shows.
    galleries : mapping of str to Gallery
        By name; each tile has an `image`.
    progress : Progress
        Called with (thumbnails made, thumbnails).
    **more
        What else the template speaks of.
    """
    folder, settings = files("brainloop.report"), findings.settings
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        loader=FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
    )  # fmt: skip
    environment.filters |= {"auc": "{:.3f}".format, "count": "{:,}".format, "percent": _percent, "time": _time}
    environment.filters["clock"] = clock_time
    environment.globals["number"] = _number
    people = people_findings(study, findings.last.number)
    everything = {**_figures(findings), **drawn_drift(people), **drawn}
    return environment.get_template(template).render(
        f=findings,
        last=findings.last,
        s=settings,
        system=SYSTEMS[settings.system],
        who=figures.who_looked(settings),
        style=(folder / "style.css").read_text(encoding="utf-8"),
        figures={name: figures.svg(figure, name, words) for name, (figure, words) in everything.items()},
        galleries=galleries,
        thumbnails=thumbnails(study, (tile.image for one in galleries.values() for tile in one.tiles), progress),
        labels=_labels(findings.answers, settings.label_threshold),
        reuse=_reuse(findings),
        people=people,
        ending=ending(findings),
        settings=[(field.name, getattr(settings, field.name), field.metadata["reason"]) for field in fields(Settings)],
        **more,
    )


def ending(findings: StudyFindings) -> str:
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


def _figures(findings: StudyFindings) -> dict[str, tuple[Figure, str]]:
    rounds, usable = findings.rounds, findings.usable
    drawn = {
        "unsure": (
            figures.unsure_figure(rounds, findings.settings.confidence_threshold),
            "Unsure share of the pool: " + "; ".join(f"{r.unsure:.1%} after {r.looks} looks" for r in rounds),
        )
    }
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
    if (answers := findings.answers).evidence.size:
        drawn["labels"] = (
            figures.soft_label_figure(
                expit(answers.evidence), answers.is_target, findings.settings.label_threshold, answers.noun
            ),
            f"Histogram of the soft labels of the {answers.noun} that were looked at, by class",
        )
    for number, (name, mean) in enumerate(findings.erps.items()):
        if mean.channels and np.isfinite(mean.mean).any():
            drawn[f"erp-{number}"] = (figures.erp_figure(mean), f"Mean EEG response to targets and non-targets, {name}")
    return drawn


def _labels(answers: Answers, threshold: float) -> dict[str, Any]:
    # How right the talk's labels are, whatever rule the head learns by.
    said = soft_labels(answers.evidence, threshold)
    about: dict[str, Any] = {"n": answers.evidence.size, "wrong": None}
    if answers.is_target is not None and answers.evidence.size:
        wrong = said.label.astype(bool) != answers.is_target
        about |= {"wrong": float(wrong.mean()), "weight": float(said.weight[wrong].sum() / said.weight.sum())}
    return about


def _reuse(findings: StudyFindings) -> Sequence[tuple[str, Any]]:
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
