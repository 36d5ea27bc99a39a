"""Parquet: a table with types; classes may be numbers whose names Hugging Face keeps beside the schema."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from brainloop._types import Progress
from brainloop.annotations.columns import SAMPLE, Asked
from brainloop.annotations.json_text import answers
from brainloop.annotations.lookup import Lookup
from brainloop.annotations.records import Keys, guess_keys, image_name
from brainloop.annotations.values import Amendment, Entry, Problem
from brainloop.errors import AnnotationError, MissingExtraError

__all__ = ["Parquet", "open_parquet"]


@dataclass(frozen=True)
class Parquet:
    """A table in a Parquet file, one annotation a row."""

    format: ClassVar[str] = "parquet"
    path: Path
    keys: Keys

    def entries(self, progress: Progress) -> Iterator[Entry | Problem]:
        """Read batch by batch, the two columns alone."""
        file = _open(self.path)
        names, number, total = _class_names(file.schema_arrow, self.keys.label), 0, file.metadata.num_rows
        try:
            for batch in file.iter_batches(columns=self._columns(file.schema_arrow)):
                for row in batch.to_pylist():
                    number += 1
                    row[self.keys.label] = _named(row.get(self.keys.label), names)
                    yield from self.keys.entries(f"{self.path.name}, row {number}", row)
                progress(number, total)
        except _broken() as error:
            yield Problem(f"{self.path.name}, row {number + 1}", f"cannot be read, nor what follows: {error}")

    def amended(self, amendment: Amendment) -> bytes:
        """Keep all columns and their types; three are added."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(self.path)
            paths, given = table[self.keys.path].to_pylist(), table[self.keys.label].to_pylist()
        except _broken() as error:
            raise AnnotationError(f"expected a whole Parquet file at {self.path}: {error}; write it again") from error
        names = _class_names(table.schema, self.keys.label)
        labels, columns = list(given), {key: [None] * len(given) for key in _ADDED}
        for row, (path, old) in enumerate(zip(paths, given, strict=True)):
            chosen = answers(_named(old, names))
            change = amendment.of(image_name(path), chosen[0]) if len(chosen) == 1 else None
            if change is None:
                continue
            labels[row] = names.index(change.now) if change.now in names else change.now
            for key, value in change.columns.items():
                columns[key][row] = value  # type: ignore[call-overload]
        at = table.schema.get_field_index(self.keys.label)
        field = table.schema.field(at)
        try:
            table = table.set_column(at, field, pa.array(labels, field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
            raise AnnotationError(
                f"the classes of {self.path} are of the type {field.type}, which has no place for a new one: {error}; "
                "save them as text"
            ) from error
        for key, kind in _ADDED.items():
            if key in table.column_names:
                table = table.drop_columns([key])
            table = table.append_column(key, pa.array(columns[key], kind))
        out = io.BytesIO()
        pq.write_table(table.replace_schema_metadata(_with_added(table.schema.metadata)), out)
        return out.getvalue()

    def _columns(self, schema: Any) -> list[str]:
        """List what is to be read: of an image that is in the table itself, its path alone."""
        import pyarrow as pa

        inner = pa.types.is_struct(schema.field(self.keys.path).type)
        return [f"{self.keys.path}.path" if inner else self.keys.path, self.keys.label]


# The names of their types in Arrow and in Hugging Face's features.
_ADDED = {"original_label": "string", "reason": "string", "certainty": "float64"}


def open_parquet(path: Path, lookup: Lookup, asked: Asked) -> Parquet:
    """Find the columns of a Parquet file.

    Raises
    ------
    AnnotationError
        If it is none, or has no such columns.
    MissingExtraError
        If pyarrow is not installed.
    """
    file = _open(path)
    import pyarrow as pa

    schema = file.schema_arrow
    plain = [
        f"{field.name}.path" if pa.types.is_struct(field.type) else field.name
        for field in schema
        if (not pa.types.is_binary(field.type) and not pa.types.is_nested(field.type)) or _is_image(field.type)
    ]
    try:
        batch = next(file.iter_batches(batch_size=SAMPLE, columns=plain), None)
        rows = batch.to_pylist() if batch is not None else []
    except _broken() as error:
        raise AnnotationError(f"expected a whole Parquet file at {path}: {error}; write it again") from error
    return Parquet(path, guess_keys(path, rows, lookup, asked))


def _open(path: Path) -> Any:
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", f"reading {path.name}", error) from error
    try:
        return pq.ParquetFile(path)
    except _broken() as error:
        raise AnnotationError(f"expected a Parquet file at {path}: {error}; write it again") from error


def _broken() -> tuple[type[Exception], ...]:
    """List what Arrow raises over a file that is damaged."""
    import pyarrow as pa

    return pa.ArrowException, OSError, ValueError, KeyError, OverflowError


def _is_image(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(kind)) and kind.get_field_index("path") >= 0


def _class_names(schema: Any, label: str) -> list[str]:
    """List the names of classes that are numbers, as `datasets` writes them; none where it did not."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        names = features[label]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return [str(name).strip() for name in names] if isinstance(names, list) else []


def _named(label: Any, names: list[str]) -> Any:
    return names[label] if type(label) is int and 0 <= label < len(names) else label


def _with_added(metadata: dict[bytes, bytes] | None) -> dict[bytes, bytes]:
    """Tell Hugging Face's features of the three columns, without which `datasets` would refuse the file."""
    metadata = dict(metadata or {})
    try:
        told = json.loads(metadata.get(b"huggingface", b"{}"))
        told["info"]["features"] |= {key: {"dtype": kind, "_type": "Value"} for key, kind in _ADDED.items()}
    except (ValueError, KeyError, TypeError, RecursionError):
        return metadata
    return metadata | {b"huggingface": json.dumps(told).encode()}
