"""Which column names the images, and which their classes: by what is in them, then by what they are called."""

from collections.abc import Sequence
from dataclasses import dataclass

from brainloop.annotations.lookup import Lookup
from brainloop.errors import AnnotationError

__all__ = ["LABEL_NAMES", "PATH_NAMES", "SAMPLE", "Asked", "Columns", "found", "guess_columns", "path_of"]

PATH_NAMES = (
    "path", "file_path", "filepath", "relative_path", "file_name", "filename", "file", "image_path", "image_file",
    "image_name", "image", "img_path", "img", "photo", "picture", "url", "uri", "image_url", "name", "image_id", "id",
)  # fmt: skip
"""Common names of the column of images, the most telling first."""

LABEL_NAMES = (
    "label", "class", "category", "annotation", "target", "label_name", "class_name", "category_name", "labels",
    "choice", "ground_truth", "species", "y", "label_id", "class_id",
)  # fmt: skip
"""Common names of the column of classes, the most telling first."""

SAMPLE = 200
"""Rows that are looked at before columns and separator are decided."""

# Columns that are looked into; a table may have a million of them.
_WIDEST = 64


@dataclass(frozen=True, slots=True)
class Asked:
    """The columns that somebody asked for, by name or by number from 1.

    Attributes
    ----------
    path, label : str or None
        That of images and that of classes; None finds out.
    only_common : bool
        Whether a column of classes that nobody asked for must have a common name.
    """

    path: str | None = None
    label: str | None = None
    only_common: bool = False


@dataclass(frozen=True, slots=True)
class Columns:
    """Where images and classes stand in a row, and the header's names, if there is one."""

    path: int
    label: int
    header: tuple[str, ...] | None


def guess_columns(
    rows: Sequence[Sequence[str]],
    lookup: Lookup,
    where: str,
    asked: Asked,
    *,
    header: bool | None = None,
) -> Columns:
    """Find the columns of images and of classes in a table's first rows.

    The images' is the one that names most images of the pool; where it names none, the one with a common name. The
    classes' is the one with a common name, or the only other one.

    Parameters
    ----------
    rows : sequence of sequence of str
        At most `SAMPLE` of them, the header first, if there is one.
    lookup : Lookup
        The images.
    where : str
        What to call the table in an error.
    asked : Asked
        Which columns are known.
    header : bool or None
        Whether the first row is a header; None finds out.

    Raises
    ------
    AnnotationError
        If there is no such column, or none that is told from the others.
    """
    if not rows:
        raise AnnotationError(f"expected a table with images and classes, found no row in {where}")
    first, width = rows[0], max(len(row) for row in rows)
    names = [_key(cell) for cell in first]
    path = _given(asked.path, first, width, where)
    if path is None:
        path = path_of(names, rows, lookup)
    if path is None:
        raise AnnotationError(
            f"no column of {where} names an image of the pool: its columns are {_told(rows)}; name the one that does, "
            "or give the folder of images that it was written for"
        )
    if header is None:
        header = _is_header(first, names, path, lookup, asked)
    label = _given(asked.label, first, width, where)
    if label is None:
        others = [column for column in range(width) if column != path]
        label = _by_name(names, LABEL_NAMES, but=path) if header else None
        label = others[0] if label is None and len(others) == 1 and not asked.only_common else label
    if label is None or label == path:
        raise AnnotationError(
            f"expected a column of classes beside that of images (number {path + 1}) in {where}, found the columns "
            f"{_told(rows)}; name the one that it is, by its name or number"
        )
    return Columns(path, label, tuple(first) if header else None)


def path_of(names: Sequence[str], rows: Sequence[Sequence[str]], lookup: Lookup) -> int | None:
    """Find the column that names most images of the pool, or the one with a common name where none does."""
    hits, named = found(rows, lookup), _by_name(names, PATH_NAMES)
    best = max(range(len(hits)), key=lambda column: (hits[column], column == named))
    return best if hits[best] else named


def found(rows: Sequence[Sequence[str]], lookup: Lookup) -> list[int]:
    """Count, for each of the first columns, the cells that name an image."""
    hits = [0] * min(max(len(row) for row in rows), _WIDEST)
    for row in rows:
        for column, cell in enumerate(row[: len(hits)]):
            hits[column] += not isinstance(lookup.find(cell.strip()), str)
    return hits


def _key(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def _by_name(names: Sequence[str], known: Sequence[str], but: int | None = None) -> int | None:
    for name in known:
        if name in names and names.index(name) != but:
            return names.index(name)
    return None


def _given(column: str | None, first: Sequence[str], width: int, where: str) -> int | None:
    if column is None:
        return None
    if column in first:
        return list(first).index(column)
    keys = [_key(cell) for cell in first]
    if _key(column) in keys:
        return keys.index(_key(column))
    if column.isascii() and column.isdigit() and 1 <= int(column[:9]) <= width:
        return int(column) - 1
    raise AnnotationError(
        f"there is no column {column!r} in {where}: its columns are {_told([first])}; give a name or a number from 1"
    )


def _is_header(first: Sequence[str], names: Sequence[str], path: int, lookup: Lookup, asked: Asked) -> bool:
    """Whether a first row is a header: it names no image, and says so or has nothing like a file's name."""
    cell = first[path].strip() if path < len(first) else ""
    if not isinstance(lookup.find(cell), str):
        return False
    if any(column is not None and _key(column) in names for column in (asked.path, asked.label)):
        return True
    known = _by_name(names, PATH_NAMES) is not None or _by_name(names, LABEL_NAMES) is not None
    return known or "." not in cell[-6:]


def _told(rows: Sequence[Sequence[str]]) -> str:
    """List the columns of a first row, for an error; a long row is cut."""
    cells = [f"{number} {cell[:40]!r}" for number, cell in enumerate(rows[0][:12], start=1)]
    return ", ".join(cells) + (", ..." if len(rows[0]) > 12 else "")
