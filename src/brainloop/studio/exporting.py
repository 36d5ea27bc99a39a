"""What a study may give away as files: the choices of its use, what is there by now, and writing them."""

from pathlib import Path
from typing import Any

from brainloop._files import write_whole
from brainloop._types import Progress
from brainloop.errors import SettingsError
from brainloop.settings import Settings
from brainloop.study import Study

__all__ = ["choices", "export", "made"]

GROUPS = {
    "Labels": ("labels", "parquet", "imagefolder", "huggingface", "labelstudio", "fiftyone", "croissant"),
    "Classifier": ("onnx", "model"),
    "Report": ("report",),
    "Annotations": ("amended",),
    "Sorted images": ("sorted",),
    "EEG": ("recordings",),
}

OURS = {
    "report": "report.html: one page with all figures",
    "amended": "*-amended, findings.csv, audit.html: your annotations amended, why, and what they look like",
    "sorted": "sorted.csv: a row an image with its pile, posterior, looks and who sorted it",
}
"""What is not `brainloop.exports.WHAT`'s to write, in its words."""

OFFERED = {"audit": ("amended", "recordings"), "review": ("sorted", "recordings")}
"""By use; a study that trains a classifier offers all the others."""


def choices(settings: Settings) -> list[dict[str, Any]]:
    """List what a study may give: name, group, the files' names as a title, and what they are."""
    from brainloop.exports import WHAT

    every = {name: line.replace("/:", ".zip:", 1) for name, line in (WHAT | OURS).items()}
    offered = OFFERED.get(settings.use) or [name for name in every if name not in ("amended", "sorted")]
    found = []
    for group, names in GROUPS.items():
        for name in (one for one in names if one in offered):
            title, _, what = every[name].partition(": ")
            found.append({"name": name, "group": group, "title": title, "what": what})
    return found


def made(settings: Settings, folder: Path) -> list[tuple[Path, str | None]]:
    """List the files of an exports folder, each with the choice that made it."""
    by_file = {file: one["name"] for one in choices(settings) for file in one["title"].split(", ")}
    paths = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    return [(path, "amended" if "-amended" in path.stem else by_file.get(path.name)) for path in paths]


def export(study: Study, what: list[str], progress: Progress, *, force: bool) -> list[Path]:
    """Write what was chosen into the study's ``exports`` folder, folders as one file each; give the paths.

    Raises
    ------
    SettingsError
        If something is not offered, or is there already and `force` is not given.
    BrainloopError
        If it cannot be written; see `brainloop.exports.export_study`.
    """
    offered = [one["name"] for one in choices(study.settings)]
    if unknown := sorted(set(what) - set(offered)):
        raise SettingsError(f"expected some of {', '.join(offered)} to export, got {', '.join(unknown)}")
    folder = study.folder / "exports"
    if there := [path.name for path, name in made(study.settings, folder) if name in what and not force]:
        raise SettingsError(f"{', '.join(there)} would be written anew; say that this is what you want, or move them")
    folder.mkdir(exist_ok=True)
    from brainloop.exports import export_study

    names = [name for name in what if name not in OURS]
    paths = export_study(study, folder, names, force=force, zipped=True, progress=progress) if names else []
    if "report" in what:
        from brainloop.report import write_report

        paths.append(write_report(study, folder / "report.html", progress=progress))
    if "amended" in what:
        from brainloop.report.audit import write_audit

        paths += write_audit(study, folder, force=force, progress=progress)
    if "sorted" in what:
        from brainloop.uses.review import piles, write_sorted

        paths.append(folder / "sorted.csv")
        write_whole(paths[-1], write_sorted(study, piles(study)).read_bytes())
    return paths
