"""What an audit found: a verdict and a reason for each annotation, and the annotations amended, as files."""

import csv
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.special import expit

from brainloop._files import write_whole
from brainloop._types import Progress, no_progress
from brainloop.annotations import Change, read_annotations, write_amended
from brainloop.errors import SettingsError, StudyError
from brainloop.images.pool import scan
from brainloop.study import Study
from brainloop.uses.audit import Audit

__all__ = ["VERDICTS", "Finding", "Verdict", "changes", "check_free", "findings", "write"]

Verdict = Literal["wrong", "right", "open", "not looked at"]

VERDICTS: dict[Verdict, str] = {
    "wrong": "looks and classifier agree on another class, or one outweighs the other: it is changed",
    "open": "looks left it unsure: it stays as it is",
    "right": "looks cleared it: it stays as it is",
    "not looked at": "it was believable enough, or its turn has not come: it stays as it is",
}
"""What is said of an annotation, and what follows."""


@dataclass(frozen=True)
class Finding:
    """What is known of one annotation.

    Parameters
    ----------
    path : str
        The image, below the images' folder.
    given, other : str
        Its class by the annotation, and the likeliest other one by the classifier.
    verdict : {"wrong", "right", "open", "not looked at"}
        See `VERDICTS`.
    certainty : float
        Of ``wrong``, the probability that `other` is right; otherwise that the annotation is.
    shortlisted : bool
        Whether it is among the least believable of its class.
    log_odds : float
        The classifier's, out of fold, that the annotation is wrong, nats.
    evidence : float
        Of the looks, that it is wrong, nats.
    looks : int
        That gave a usable response.
    reason : str
        The same in words.
    id : int
        Of the image in the study's store.
    """

    path: str
    given: str
    other: str
    verdict: Verdict
    certainty: float
    shortlisted: bool
    log_odds: float
    evidence: float
    looks: int
    reason: str
    id: int

    @property
    def posterior(self) -> float:
        """Log-odds that the annotation is wrong, classifier and looks together, nats."""
        return self.log_odds + self.evidence


def findings(study: Study) -> list[Finding]:
    """Say what is known of every annotation that is audited, from the looks so far; the most suspicious first.

    Raises
    ------
    StudyError
        If the study is no audit.
    """
    if study.settings.use != "audit":
        raise StudyError(f"expected an audit in {study.folder}; its use is {study.settings.use!r}: brainloop audit")
    data, settings = study.data(), study.settings
    audit = Audit(study, data)
    known = audit.believe()
    doubted, wrong, right = known.doubt, known.wrong, known.right(settings.confidence_threshold)
    kept, changed = expit(-known.posterior), doubted.certainty(known.evidence)
    paths = {image.id: image.path for image in study.store.images()}
    found = []
    for row in np.lexsort((-known.posterior, -known.heard.astype(int))).tolist():
        if not audit.audited[row]:
            continue
        given, other = int(doubted.given[row]), int(doubted.other[row])
        verdict: Verdict = (
            "not looked at" if not known.heard[row] else "wrong" if wrong[row] else "right" if right[row] else "open"
        )
        about = f"classifier, out of fold: {audit.names[other]} {np.exp(doubted.log_probability[row, other]):.2f}, "
        about += f"{audit.names[given]} {np.exp(doubted.log_probability[row, given]):.2f}"
        if known.told[row]:
            about += f"; a person says it is {'not ' if known.evidence[row] > 0 else ''}{audit.names[given]}"
        elif known.looks[row]:
            one = known.looks[row] == 1
            about += f"; {'1 look says' if one else f'{known.looks[row]} looks say'} "
            about += f"{'not ' if known.evidence[row] > 0 else ''}{audit.names[given]}, {known.evidence[row]:+.1f} nats"
        found.append(
            Finding(
                path=paths[int(data.ids[row])], given=audit.names[given], other=audit.names[other], verdict=verdict,
                certainty=float(changed[row] if verdict == "wrong" else kept[row]),
                shortlisted=bool(known.shortlisted[row]), log_odds=float(doubted.log_odds[row]),
                evidence=float(known.evidence[row]), looks=int(known.looks[row]), reason=about, id=int(data.ids[row]),
            )
        )  # fmt: skip
    return found


def changes(found: list[Finding]) -> list[Change]:
    """Give the changes that follow from findings."""
    return [
        Change(one.path, one.given, one.other, one.reason, one.certainty) for one in found if one.verdict == "wrong"
    ]


def check_free(folder: Path, *, force: bool = False) -> None:
    """Raise a `SettingsError` where an audit's files are there already and are not to be replaced."""
    there = [name for name in ("findings.csv", "audit.html") if (folder / name).exists()]
    if there and not force:
        raise SettingsError(
            f"{folder / there[0]} is there already: give another folder, or ask for it to be replaced with --force"
        )


def write(study: Study, folder: Path, *, force: bool = False, progress: Progress = no_progress) -> list[Path]:
    """Write the annotations amended, in the format they came in, and a table of all findings.

    Parameters
    ----------
    study : Study
        The audit, at whatever point it stands.
    folder : Path
        Where; made where there is none.
    force : bool
        Replace files of an earlier writing. The annotations themselves are never replaced.
    progress : Progress
        Called with (files scanned, files).

    Returns
    -------
    list of Path
        The amended annotations (``*-amended.*``) and ``findings.csv``.

    Raises
    ------
    SettingsError
        If a file is there already and `force` is not given.
    StudyError
        If the study is no audit.
    AnnotationError
        If the annotations are not what they were.
    """
    check_free(folder, force=force)
    found, table = findings(study), folder / "findings.csv"
    images = Path(study.settings.images)
    source = Path(study.settings.annotations or images)
    annotations = read_annotations(source, scan(images, progress))
    original = annotations.reader.path if annotations.reader else Path("annotations.csv")
    amended = folder / f"{original.stem}-amended{original.suffix}"
    write_amended(annotations, changes(found), amended, force=force)
    text = io.StringIO()
    rows = csv.DictWriter(text, [field.name for field in fields(Finding) if field.name != "id"], extrasaction="ignore")
    rows.writeheader()
    rows.writerows(asdict(one) for one in found)
    write_whole(table, text.getvalue().encode())
    return [amended, table]
