"""Labels as a table: a row an image, in CSV or Parquet."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from brainloop._files import write_whole
from brainloop.errors import MissingExtraError
from brainloop.exports.results import ImageResult

__all__ = ["COLUMNS", "check_parquet", "row", "write_csv", "write_parquet"]

COLUMNS = {
    "path": "Of the image, below the study's folder of images",
    "label": "What it is taken for: by classifier and evidence together; empty where neither is known yet",
    "certainty": "Probability of that label",
    "posterior": "Probability of showing the target, by classifier and evidence together",
    "evidence": "Of all usable looks at it, or of a person's correction: log-likelihood ratio of target to other, nats",
    "looks": "How often it was shown and answered, rejected epochs included",
    "correction": "What a person said that it is, at leisure",
    "part": "pool; test: never shown; calibration, aside, unusable: not part of the study",
    "folder": "Class folder that it lay in",
}
"""Columns of the table, with what they hold; each of several classes has a `posterior_CLASS`, an `evidence_CLASS`."""


def row(one: ImageResult) -> dict[str, Any]:
    """Give what is known of an image as a row of the table."""
    several = len(one.by_class) > 1
    posterior = {f"posterior_{name}" if several else "posterior": of.posterior for name, of in one.by_class.items()}
    evidence = {f"evidence_{name}" if several else "evidence": of.evidence for name, of in one.by_class.items()}
    correction = None if one.said is None else one.said if one.correction else f"not {one.said}"
    return {
        "path": one.path, "label": one.decided, "certainty": one.certainty, **posterior, **evidence,
        "looks": one.looks, "correction": correction, "part": one.part, "folder": one.label,
    }  # fmt: skip


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Write rows as CSV."""
    text = io.StringIO(newline="")
    written = csv.DictWriter(text, list(rows[0]))
    written.writeheader()
    written.writerows(rows)
    return text.getvalue()


def write_csv(results: Sequence[ImageResult], path: Path) -> None:
    """Write ``labels.csv``: UTF-8, a row an image."""
    write_whole(path, table([row(one) for one in results]).encode())


def check_parquet() -> None:
    """Say now whether Parquet can be written.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", "writing Parquet", error) from error


def write_parquet(results: Sequence[ImageResult], path: Path) -> None:
    """Write ``labels.parquet``: the same rows, typed."""
    check_parquet()
    import pyarrow
    import pyarrow.parquet

    rows = [row(one) for one in results]
    words = ("path", "label", "correction", "part", "folder")
    kinds = {name: pyarrow.string() if name in words else pyarrow.float64() for name in rows[0]}
    kinds["looks"] = pyarrow.int64()
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(kinds)), buffer)
    write_whole(path, buffer.getvalue())
