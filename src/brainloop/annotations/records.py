"""JSON objects, one an annotation: JSON lines, and the list that Label Studio calls JSON-MIN."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from brainloop._types import Progress
from brainloop.annotations.columns import SAMPLE, Asked, guess_columns
from brainloop.annotations.json_text import answers, dump_json, in_kind, load_json, parse_json
from brainloop.annotations.lookup import Lookup
from brainloop.annotations.text import LONGEST, TextFile, encoding_of
from brainloop.annotations.values import Amendment, Entry, Problem
from brainloop.errors import AnnotationError

__all__ = ["JsonLines", "JsonList", "Keys", "guess_keys", "open_json_lines", "open_json_list"]


@dataclass(frozen=True, slots=True)
class Keys:
    """Under which keys an object has its image and its class."""

    path: str
    label: str

    def entries(self, where: str, record: Any) -> Iterator[Entry | Problem]:
        """Read one object."""
        if not isinstance(record, dict):
            yield Problem(where, "is no JSON object")
            return
        name = image_name(record.get(self.path))
        for label in answers(record.get(self.label)) or [""]:
            yield Entry(where, name, label)

    def amended(self, record: Any, amendment: Amendment) -> Any | None:
        """Give an object with its change, or None where it has none."""
        if not isinstance(record, dict):
            return None
        given = answers(record.get(self.label))
        change = amendment.of(image_name(record.get(self.path)), given[0]) if given else None
        if change is None:
            return None
        return {**record, self.label: in_kind(record[self.label], change.now), **change.columns}


@dataclass(frozen=True)
class JsonLines:
    """A file with one object a line."""

    format: ClassVar[str] = "jsonl"
    file: TextFile
    keys: Keys

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    def entries(self, progress: Progress) -> Iterator[Entry | Problem]:
        """Read line by line."""
        for number, line in self.file.lines(progress):
            if not line.strip():
                continue
            where = f"{self.path.name}, line {number}"
            try:
                yield from self.keys.entries(where, _parse_line(line))
            except ValueError as error:
                yield Problem(where, f"is no JSON: {error}")

    def amended(self, amendment: Amendment) -> bytes:
        """Keep every line as it stands, but for those that change."""
        return self.file.encode("".join(self._amended_line(line, amendment) for _, line in self.file.lines()))

    def _amended_line(self, line: str, amendment: Amendment) -> str:
        try:
            record = self.keys.amended(_parse_line(line), amendment)
        except ValueError:
            return line
        return line if record is None else dump_json(record) + line[len(line.rstrip("\r\n")) :]


@dataclass(frozen=True)
class JsonList:
    """A file with a list of objects."""

    format: ClassVar[str] = "label-studio-min"
    path: Path
    keys: Keys

    def entries(self, progress: Progress) -> Iterator[Entry | Problem]:
        """Read object by object."""
        records = _list_of(self.path)
        for number, record in enumerate(records, start=1):
            progress(number, len(records))
            yield from self.keys.entries(f"{self.path.name}, object {number}", record)

    def amended(self, amendment: Amendment) -> bytes:
        """Keep every object, but for those that change."""
        records = _list_of(self.path)
        return dump_json([self.keys.amended(record, amendment) or record for record in records]).encode()


def open_json_lines(path: Path, lookup: Lookup, asked: Asked) -> JsonLines:
    """Find the keys of JSON lines. Raises AnnotationError if there are none."""
    file = TextFile(path, encoding_of(path))
    records = []
    for _, line in islice(file.lines(), 2 * SAMPLE):
        try:
            records.append(_parse_line(line))
        except ValueError:
            continue
    return JsonLines(file, guess_keys(path, records, lookup, asked))


def open_json_list(path: Path, records: Sequence[Any], lookup: Lookup, asked: Asked) -> JsonList:
    """Find the keys of a list of objects. Raises AnnotationError if there are none."""
    return JsonList(path, guess_keys(path, records, lookup, asked))


def guess_keys(path: Path, records: Sequence[Any], lookup: Lookup, asked: Asked) -> Keys:
    """Find under which keys objects have their image and their class, as `guess_columns` does for a table."""
    sample = [record for record in records if isinstance(record, dict)][:SAMPLE]
    names = list(dict.fromkeys(key for record in sample for key in record))
    if not names:
        raise AnnotationError(f"expected JSON objects with an image and a class each, found none in {path}")
    rows = [
        [image_name(record.get(name)) or " ".join(answers(record.get(name))) for name in names] for record in sample
    ]
    found = guess_columns([names, *rows], lookup, path.name, asked, header=True)
    return Keys(names[found.path], names[found.label])


def image_name(value: Any) -> str:
    """Give what a value calls an image; Hugging Face has ``{"path": ..., "bytes": ...}``."""
    if isinstance(value, dict):
        value = value.get("path")
    return value.strip() if isinstance(value, str) else str(value) if type(value) is int else ""


def _parse_line(line: str) -> Any:
    if len(line) >= LONGEST:
        raise ValueError(f"it is longer than {LONGEST:,} characters")
    return parse_json(line)


def _list_of(path: Path) -> list[Any]:
    records = load_json(path)
    if not isinstance(records, list):
        raise AnnotationError(f"expected the JSON list in {path} that was there before; read it again")
    return records
