"""``brainloop audit``; thin, as those of `brainloop.cli`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from brainloop.errors import StudyError
from brainloop.terminal import bar, err, out

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command()(audit)


def audit(
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="The folder of the annotated images.")],
    folder: Annotated[Path, typer.Option("--out", help="The study's folder; one that is there is gone on with.")],
    annotations: Annotated[
        Path | None,
        typer.Option(
            help="Class folders, CSV, COCO, Label Studio or Hugging Face annotations; the class folders below IMAGES "
            "by default."
        ),
    ] = None,
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="Whose annotations are audited; may repeat; all by default.")
    ] = None,
    shortlist: Annotated[float, typer.Option(help="Share of a class's annotations that is looked at.")] = 0.2,
    looks: Annotated[int, typer.Option("--looks-per-image", help="At one that is still unsure, at most.")] = 4,
    observer: Annotated[
        Literal["live", "replay", "simulated"] | None,
        typer.Option(help="live: a person, in the studio. Otherwise class folders below IMAGES are the truth."),
    ] = None,
    recordings: Annotated[
        list[Path] | None, typer.Option(help="A recording to replay, or a folder of them; repeat for several.")
    ] = None,
    backbone: Annotated[
        str, typer.Option(help="builtin, an ONNX file or folder, a hub repository, or timm:NAME.")
    ] = "builtin",
    results: Annotated[
        Path | None, typer.Option(help="Where the amended annotations go; OUT/exports by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier run wrote there.")] = False,
    seed: Annotated[int, typer.Option(help="One seed, one result.")] = 0,
) -> None:
    """Find wrong annotations: a classifier doubts, looks confirm, and an amended file comes out."""
    from brainloop.report.audit import write_audit
    from brainloop.study import Study
    from brainloop.uses.audit import audit_settings
    from brainloop.uses.audit_findings import check_free

    results = results or folder / "exports"
    check_free(results, force=force)  # what would be lost in the end is said before any work is done
    if (folder / "study.toml").exists():
        study = Study.open(folder)
        _check_same(study, images, annotations)
    else:
        with bar("scanning") as progress:
            settings = audit_settings(
                images, annotations=annotations, classes=classes or (), progress=progress, shortlist=shortlist,
                looks_per_image=looks, observer=observer, recordings=tuple(map(str, recordings or ())),
                backbone=backbone, seed=seed,
            )  # fmt: skip
            study = Study.create(folder, settings, progress=progress)
    if study.settings.observer != "live":
        _run(study)
    elif not study.store.rounds():
        out.print(f"Next: brainloop studio {folder}; then this command again, for the amended annotations.")
        return
    with bar("gallery") as progress:
        written = write_audit(study, results, force=force, progress=progress)
    _tell(study)
    for path in written:
        out.print(path)


def _check_same(study: Any, images: Path, annotations: Path | None) -> None:
    """Refuse to go on with another study than the one that is asked for."""
    settings = study.settings
    asked = str(images.resolve()), annotations and str(annotations.resolve())
    if settings.use != "audit" or (settings.images, settings.annotations) != asked:
        raise StudyError(
            f"{study.folder} holds another study: use {settings.use!r}, images {settings.images}, annotations "
            f"{settings.annotations or 'its class folders'}; give another folder with --out"
        )


def _run(study: Any) -> None:
    from brainloop.loop import run

    if (rounds := study.store.rounds()) and rounds[-1].converged:
        return
    with bar("embedding") as progress:
        study.data(progress)
    for path, reason in study.store.skipped()[:10]:
        err.print(f"{path}: {reason}")
    with bar("looks") as progress:
        for done in run(study, progress=progress):
            err.print(f"round {done.number}: {done.looks} looks, {done.unsure:.1%} of the annotations are unsure")


def _tell(study: Any) -> None:
    from brainloop.uses.audit_findings import VERDICTS, findings

    found = findings(study)
    for verdict, meaning in VERDICTS.items():
        out.print(f"{sum(one.verdict == verdict for one in found):6d}  {verdict}: {meaning}")
