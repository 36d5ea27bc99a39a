"""Tables for others: rows as CSV or as Parquet, by the file's suffix."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from brainloop._files import write_whole
from brainloop.errors import MissingExtraError, SettingsError

__all__ = ["Row", "writer_of"]

Row = Mapping[str, Any]


def writer_of(path: Path) -> Callable[[Sequence[Row]], None]:
    """Choose how rows are written, by the file's suffix, before any work is done for them.

    Parameters
    ----------
    path : Path
        A ``.csv`` or a ``.parquet`` file; its folder is made where there is none.

    Returns
    -------
    callable
        Takes rows, all of the same columns, and writes them to the path, whole or not at all.

    Raises
    ------
    SettingsError
        If the suffix is another.
    MissingExtraError
        If Parquet is wanted and pyarrow is not installed.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise SettingsError(f"expected a file that ends in .csv or .parquet; {path.name!r} came")
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("pyarrow", "parquet", "writing Parquet", error) from error
    encode = _csv if path.suffix == ".csv" else _parquet

    def write(rows: Sequence[Row]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, encode(rows))

    return write


def _csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]) if rows else [])
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def _parquet(rows: Sequence[Row]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    data = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), data)
    return data.getvalue()
