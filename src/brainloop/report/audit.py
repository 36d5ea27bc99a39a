"""The audit's gallery: annotations before and after, as one HTML file that needs nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined

from brainloop._files import write_whole
from brainloop._types import Progress, no_progress
from brainloop.report.figures import svg
from brainloop.report.galleries import thumbnails
from brainloop.report.people import clock_time, people_findings
from brainloop.report.people_figure import drawn_drift
from brainloop.study import Study
from brainloop.uses.audit_findings import VERDICTS, Finding, check_free, findings, write

__all__ = ["AuditedClass", "audited_classes", "write_audit"]

MOST_TILES = 36
"""Images a gallery shows, at most; it says how many more there are."""


@dataclass(frozen=True)
class AuditedClass:
    """One class, before and after.

    Parameters
    ----------
    name : str
        The class.
    annotated : int
        Annotations of it.
    doubted : list of Finding
        Its shortlist before anybody looked, the least believable first.
    changed : dict of str to list of Finding
        By the new class, what the audit changed, the surest first.
    still_open, cleared : list of Finding
        What looks left unsure, and what they cleared, of the shortlist.
    joined : list of Finding
        Images that were annotated as another class and come to this one.
    """

    name: str
    annotated: int
    doubted: list[Finding]
    changed: dict[str, list[Finding]]
    still_open: list[Finding]
    cleared: list[Finding]
    joined: list[Finding]


def audited_classes(found: Sequence[Finding], names: Sequence[str]) -> list[AuditedClass]:
    """Sort findings by class; those with most changes first."""
    wrong = sorted((one for one in found if one.verdict == "wrong"), key=lambda one: -one.certainty)
    classes = []
    for name in names:
        own = [one for one in found if one.given == name]
        listed = sorted((one for one in own if one.shortlisted), key=lambda one: -one.log_odds)
        changed: dict[str, list[Finding]] = {}
        for one in wrong:
            if one.given == name:
                changed.setdefault(one.other, []).append(one)
        classes.append(
            AuditedClass(
                name, len(own), listed, changed,
                [one for one in listed if one.verdict == "open"], [one for one in listed if one.verdict == "right"],
                [one for one in wrong if one.other == name],
            )
        )  # fmt: skip
    return sorted(classes, key=lambda one: -sum(map(len, one.changed.values())))


def write_audit(study: Study, folder: Path, *, force: bool = False, progress: Progress = no_progress) -> list[Path]:
    """Write the amended annotations, the table of findings and the gallery.

    Parameters
    ----------
    study : Study
        The audit, at whatever point it stands.
    folder : Path
        Where; made where there is none.
    force : bool
        Replace files of an earlier writing.
    progress : Progress
        Called with (thumbnails made, thumbnails).

    Returns
    -------
    list of Path
        What `brainloop.uses.audit_findings.write` gives, and ``audit.html``; each whole, or not at all.

    Raises
    ------
    SettingsError
        If a file is there already and `force` is not given.
    StudyError, AnnotationError
        As `brainloop.uses.audit_findings.write`.
    """
    page = folder / "audit.html"
    check_free(folder, force=force)
    written = write(study, folder, force=force)
    write_whole(page, render(study, progress).encode())
    return [*written, page]


def render(study: Study, progress: Progress = no_progress) -> str:
    """Give the gallery's page; see `write_audit`."""
    found = findings(study)
    classes = audited_classes(found, study.settings.classes)
    here = files("brainloop.report")
    people = people_findings(study)
    drift = {name: svg(figure, name, words) for name, (figure, words) in drawn_drift(people).items()}
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        loader=FunctionLoader(lambda name: (here / name).read_text(encoding="utf-8")),
    )  # fmt: skip
    environment.filters |= {"percent": _percent, "nats": lambda value: f"{value:+.1f}".replace("-", "\N{MINUS SIGN}")}
    environment.filters["clock"] = clock_time
    return environment.get_template("audit.html.j2").render(
        people=people,
        drift=drift.get("drift"),
        settings=study.settings,
        style=(here / "style.css").read_text(encoding="utf-8"),
        classes=classes,
        counts={verdict: sum(one.verdict == verdict for one in found) for verdict in VERDICTS},
        verdicts=VERDICTS,
        n_annotations=len(found),
        n_doubted=sum(one.shortlisted for one in found),
        looks=study.store.looks().image.size,
        most=MOST_TILES,
        thumbnails=_thumbnails(study, classes, progress),
    )


def _thumbnails(study: Study, classes: Sequence[AuditedClass], progress: Progress) -> Mapping[int, tuple[str, str]]:
    galleries = [
        gallery
        for one in classes
        for gallery in (one.doubted, one.still_open, one.cleared, one.joined, *one.changed.values())
    ]
    wanted = {one.id for gallery in galleries for one in gallery[:MOST_TILES]}
    return thumbnails(study, [image for image in study.store.images() if image.id in wanted], progress)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"
