"""From what a person fills in to a study, and what the page may offer them to choose from."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainloop._types import Progress, no_progress
from brainloop.errors import SettingsError
from brainloop.settings import Settings

if TYPE_CHECKING:
    from brainloop.study import Study

__all__ = ["class_folders", "create", "studies_in"]

CHOSEN = (
    "soa", "block_size", "pause", "looks_per_round", "max_looks", "prevalence", "system", "backbone", "seed",
    "target_rate",
)  # fmt: skip
"""Settings that a study may be created with, beside its name, images, and what its looks are for."""

MOST_STUDIES = 100

MOST_FOLDERS = 100

MOST_COUNTED = 10_000
"""Files of a folder that are counted while a person waits; there may be millions."""


def create(home: Path, values: Mapping[str, Any], progress: Progress = no_progress) -> "Study":
    """Make the study that a person wants: one that they look at, by the functions of the command line.

    Parameters
    ----------
    home : Path
        The folder that studies are made in.
    values : mapping
        ``name``, ``images``, and ``use``: by default ``train``, with a ``target`` or ``classes``; or ``audit``, with
        ``annotations`` (the class folders, if left out) and ``classes`` (all of them, if left out); or ``review``, with
        a ``model`` and the ``target`` of it. Other settings by their names.
    progress : Progress
        Called with (files scanned, files).

    Raises
    ------
    SettingsError, StudyError, ImageError, AnnotationError
        If a value is missing or wrong, there is such a study already, or images or annotations cannot be used.
    """
    from brainloop.study import Study

    name, images = _text(values, "name"), Path(_text(values, "images")).expanduser()
    folder = home / name
    if folder.parent != home or name.startswith("."):
        raise SettingsError(f"expected a plain name for the study, without slashes; got {name!r}")
    chosen: dict[str, Any] = {key: values[key] for key in CHOSEN if values.get(key) is not None}
    chosen["observer"] = "live"
    classes, use = _names(values), values.get("use", "train")
    if use == "audit":
        from brainloop.uses.audit import audit_settings

        annotations = Path(_text(values, "annotations")).expanduser() if values.get("annotations") else None
        settings = audit_settings(images, annotations=annotations, classes=classes, progress=progress, **chosen)
        return Study.create(folder, settings, progress=progress)
    if use == "review":
        from brainloop.uses.review import open_review

        if (folder / "study.toml").exists():
            raise SettingsError(f"{folder} holds a study already; choose another name, or go on with it")
        model, target = Path(_text(values, "model")).expanduser(), values.get("target")
        return open_review(folder, model, images, target and _text(values, "target"), progress=progress, **chosen)
    what = {"classes": classes} if classes else {"target": _text(values, "target")}
    return Study.create(folder, Settings(images=str(images), use=use, **what, **chosen), progress=progress)


def class_folders(images: str) -> list[dict[str, Any]]:
    """List the folders in a folder of images by name, each with how many files it holds; no image is opened.

    Raises
    ------
    SettingsError
        If there is no such folder, or it cannot be read.
    """
    root = Path(images).expanduser()
    found = []
    try:
        with os.scandir(root) as entries:
            names = sorted(one.name for one in entries if one.is_dir() and not one.name.startswith("."))
        for name in names[:MOST_FOLDERS]:
            with os.scandir(root / name) as entries:
                files = (one for one, _ in zip(entries, range(MOST_COUNTED), strict=False))
                found.append({"name": name, "images": sum(not one.name.startswith(".") for one in files)})
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            f"expected a folder on this computer, got {str(root)!r}: {reason}; give its path"
        ) from error
    return found


def studies_in(home: Path) -> list[dict[str, Any]]:
    """List the studies of a folder, by name, with what each is for; `trained` says whether a round of one is over."""
    found = sorted(home.glob("*/study.toml"))[:MOST_STUDIES]
    return [{"folder": str(path.parent), "name": path.parent.name, **_purpose(path)} for path in found]


def _purpose(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        values = {}
    trained = any((path.parent / "models").glob("head-*.safetensors"))
    names = [str(name) for name in values.get("classes") or [values.get("target") or ""] if name]
    return {"use": values.get("use", "train"), "names": names, "trained": trained}


def _names(values: Mapping[str, Any]) -> tuple[str, ...]:
    names = values.get("classes") or ()
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise SettingsError(f"expected a list of names as 'classes', got {names!r}")
    return tuple(name.strip() for name in names)


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(f"expected a text as {name!r}, got {value!r}; fill it in")
    return value.strip()
