"""CSV, TSV and their kin: any separator, any encoding, with a header or without."""

import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar

from brainloop._types import Progress
from brainloop.annotations.columns import LABEL_NAMES, PATH_NAMES, SAMPLE, Asked, Columns, found, guess_columns
from brainloop.annotations.lookup import Lookup
from brainloop.annotations.text import LONGEST, TextFile, encoding_of
from brainloop.annotations.values import Amendment, Change, Entry, Problem
from brainloop.errors import AnnotationError

__all__ = ["Table", "open_table", "table_of"]

# The usual ones first: where two read a table equally well, the earlier is it.
_SEPARATORS = (",", "\t", ";", "|", ":", "^", "~", "\x1f", " ")

# A quote that is still open after as many lines was not meant as one.
_LINES_OF_A_ROW = 20

_ADDED = ("original_label", "reason", "certainty")


@dataclass(frozen=True, slots=True)
class _Row:
    """Lines of a table as they stand, the number of the first, and their cells, or why there are none."""

    line: int
    text: str
    cells: list[str] | str


@dataclass(frozen=True)
class Table:
    """A table in a text file, one annotation a row."""

    format: ClassVar[str] = "csv"
    file: TextFile
    separator: str
    columns: Columns

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    def entries(self, progress: Progress) -> Iterator[Entry | Problem]:
        """Read the annotations row by row."""
        if self.file.is_guessed:
            yield Problem(self.path.name, f"is not UTF-8: read as {self.file.encoding}; save it as UTF-8 to be sure")
        for row in self._body(progress):
            where = f"{self.path.name}, line {row.line}"
            if isinstance(row.cells, str):
                yield Problem(where, row.cells)
            elif row.cells:
                yield Entry(where, *self._of(row.cells))

    def amended(self, amendment: Amendment) -> bytes:
        """Keep rows as they stand, but for the classes that change, and add three columns at the end."""
        header = self.columns.header
        # A file that was amended before has them already.
        have = {name: header.index(name) for name in _ADDED if header and name in header}
        added = [name for name in _ADDED if name not in have]
        text = io.StringIO(newline="")
        for row in _rows(self.file.lines(), self.separator):
            body = row.text.rstrip("\r\n")
            end = row.text[len(body) :]
            if not isinstance(row.cells, list) or not row.cells or self._why_not(row.cells):
                text.write(row.text)
                continue
            short = max(len(self.columns.header or ()) - len(row.cells), 0)
            if header is not None and tuple(row.cells) == header:
                header = None
                text.write(self.separator.join([body, *added]) + end)
            elif change := amendment.of(*self._of(row.cells)):
                text.write(self._changed([*row.cells, *[""] * short], change, have, added) + end)
            else:
                text.write(body + self.separator * (short + len(added)) + end)
        return self.file.encode(text.getvalue())

    def _body(self, progress: Progress) -> Iterator[_Row]:
        rows = _rows(self.file.lines(progress), self.separator)
        header = self.columns.header
        for row in rows:
            if header is not None and isinstance(row.cells, list) and tuple(row.cells) == header:
                header = None
                continue
            if isinstance(row.cells, list) and row.cells and (why := self._why_not(row.cells)):
                yield _Row(row.line, row.text, why)
            else:
                yield row

    def _of(self, cells: list[str]) -> tuple[str, str]:
        return cells[self.columns.path].strip(), cells[self.columns.label].strip()

    def _why_not(self, cells: list[str]) -> str:
        needed = max(self.columns.path, self.columns.label) + 1
        if self.columns.header is not None and len(cells) > len(self.columns.header):
            return f"expected {len(self.columns.header)} cells, as in the header, found {len(cells)}"
        return f"expected {needed} cells or more, found {len(cells)}" if len(cells) < needed else ""

    def _changed(self, cells: list[str], change: Change, have: dict[str, int], added: list[str]) -> str:
        said = {name: str(value) for name, value in change.columns.items()}
        new = list(cells)
        new[self.columns.label] = change.now
        for name, column in have.items():
            new[column : column + 1] = [said[name]]
        return _line([*new, *(said[name] for name in added)], self.separator)


def open_table(path: Path, lookup: Lookup, asked: Asked) -> Table:
    """Find a table's encoding, separator and columns.

    Raises
    ------
    AnnotationError
        If it has no column of images, or none of classes.
    """
    file = TextFile(path, encoding_of(path))
    names = (*PATH_NAMES, *LABEL_NAMES, asked.path, asked.label)
    best: tuple[tuple[int, int, int], str, list[list[str]]] | None = None
    for separator in _SEPARATORS:
        rows = [row.cells for row in islice(_rows(file.lines(), separator), SAMPLE + 50) if isinstance(row.cells, list)]
        cells = [row for row in rows if row][:SAMPLE]
        wide = [row for row in cells if len(row) > 1]
        if not wide:
            continue
        known = sum(cell.strip().casefold() in names for cell in wide[0])
        # Rows that name an image, then a header that says so, then rows of one width.
        widths = [len(row) for row in wide]
        score = max(found(wide, lookup)), known, max(widths.count(width) for width in set(widths))
        if best is None or score > best[0]:
            best = score, separator, cells
    if best is None:
        raise AnnotationError(
            f"expected a table with a column of images and one of classes, found no row with two cells in {path}; "
            "separate them by commas, tabs or semicolons"
        )
    _, separator, cells = best
    columns = guess_columns(cells, lookup, path.name, asked)
    return Table(file, separator, columns)


def table_of(labels: Iterable[tuple[str, str, Change | None]], path_name: str = "path") -> bytes:
    """Write a table anew: image, class and, where it has changed, from what and why."""
    lines = [_line([path_name, "label", *_ADDED], ",")]
    for path, label, change in labels:
        said = change.columns if change else dict.fromkeys(_ADDED, "")
        lines.append(_line([path, change.now if change else label, *(str(said[name]) for name in _ADDED)], ","))
    return ("\n".join(lines) + "\n").encode()


def _line(cells: list[str], separator: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator="").writerow(cells)
    return text.getvalue()


def _rows(lines: Iterator[tuple[int, str]], separator: str) -> Iterator[_Row]:
    """Parse line by line, so that a broken row ends with its line; a quoted cell may hold the ends of lines."""
    ahead: deque[tuple[int, str]] = deque()
    while True:
        taken = [ahead.popleft()] if ahead else list(islice(lines, 1))
        if not taken:
            return
        cells = _cells(taken[0][1], separator)
        while cells is None and len(taken) < _LINES_OF_A_ROW:
            more = [ahead.popleft()] if ahead else list(islice(lines, 1))
            if not more:
                break
            taken += more
            cells = _cells("".join(text for _, text in taken), separator)
        if cells is None:
            ahead.extendleft(reversed(taken[1:]))
            cells, taken = "has a quote that is not closed", taken[:1]
        yield _Row(taken[0][0], "".join(text for _, text in taken), cells)


def _cells(text: str, separator: str) -> list[str] | str | None:
    """Parse one row: its cells, none of a blank line; why it is broken; or None if it goes on in the next line."""
    if not text.strip():
        return []
    if len(text) >= LONGEST:
        return f"is longer than {LONGEST:,} characters"
    if '"' not in text:
        cells = [cell.lstrip(" ") for cell in text.rstrip("\r\n").split(separator)]
        return [cell for cell in cells if cell] if separator == " " else cells
    try:
        (cells,) = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    except ValueError:
        return "has a line end where there is none"
    except csv.Error as error:
        return None if "unexpected end" in str(error) else f"is broken: {error}"
    return cells
