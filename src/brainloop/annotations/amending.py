"""Annotations with changes, as a new file in the format of the old one."""

from collections.abc import Sequence
from pathlib import Path

from brainloop._files import write_whole
from brainloop.annotations.folders import metadata_files
from brainloop.annotations.table import table_of
from brainloop.annotations.values import Amendment, Annotations, Change
from brainloop.errors import AnnotationError, SettingsError

__all__ = ["write_amended"]


def write_amended(annotations: Annotations, changes: Sequence[Change], path: Path, *, force: bool = False) -> Path:
    """Write annotations with changes as a new file, in the same format.

    Whatever else the original says stays in it. Beside a class that changed stand ``original_label``, ``reason`` and
    ``certainty``: in a table as three more columns; in COCO and JSON at the annotation. Label Studio's tasks keep the
    annotations they have, and get a new one. Of class folders, which are never moved, and of several metadata files,
    the new file is a CSV table.

    Parameters
    ----------
    annotations : Annotations
        As `read_annotations` gave them.
    changes : sequence of Change
        At most one an image.
    path : Path
        The new file.
    force : bool
        Replace a file that is there.

    Returns
    -------
    Path
        The new file.

    Raises
    ------
    AnnotationError
        If the original is not what it was when it was read; nothing is written then.
    SettingsError
        If a change is not one of these annotations, or the new file would replace another or the original.
    """
    changed = _checked(annotations, changes)
    _check_path(annotations.source, path, force=force)
    if annotations.reader is None:
        rows = ((image, label, changed.get(image)) for image, label in annotations.labels.items())
        data = table_of(rows)
    else:
        named = {name: changed[image] for name, image in annotations.names.items() if image in changed}
        amendment = Amendment(named)
        try:
            data = annotations.reader.amended(amendment)
        except OSError as error:
            raise AnnotationError(f"cannot read {annotations.source} again: {error.strerror or error}") from error
        if missed := amendment.unplaced:
            raise AnnotationError(
                f"{annotations.source} is not what it was when it was read: it no longer says what it said of "
                f"{missed[0]}" + (f" and {len(missed) - 1} more" if len(missed) > 1 else "") + "; read it again"
            )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror or error}; give another place") from error
    return path


def _checked(annotations: Annotations, changes: Sequence[Change]) -> dict[str, Change]:
    """Give the changes by image, each of which must be one of these annotations."""
    changed: dict[str, Change] = {}
    for change in changes:
        given = annotations.labels.get(change.path)
        if given != change.given:
            raise SettingsError(f"expected {change.path} to be annotated as {change.given!r}, found {given!r}")
        if change.path in changed:
            raise SettingsError(f"expected one change an image, got two of {change.path}")
        if not change.now.strip() or not 0 <= change.certainty <= 1:
            raise SettingsError(f"expected a class and a certainty in [0, 1] for {change.path}, got {change}")
        changed[change.path] = change
    return changed


def _check_path(source: Path, path: Path, *, force: bool) -> None:
    originals = metadata_files(source) if source.is_dir() else [source]
    if path.exists() and any(original.exists() and path.samefile(original) for original in originals):
        raise SettingsError(f"{path} is the original, which is never touched: give another path")
    if path.is_dir():
        raise SettingsError(f"expected a file to write, found the folder {path}: give a file's path")
    if path.exists() and not force:
        raise SettingsError(f"{path} is there already: give another path, or ask for it to be replaced with --force")
