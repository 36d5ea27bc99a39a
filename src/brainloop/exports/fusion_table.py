"""What fusion says of each image, as a table: CSV or Parquet."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy.special import expit

from brainloop._files import write_whole
from brainloop.errors import SettingsError
from brainloop.exports.labels import check_parquet, table
from brainloop.uses.fusion import Fusion

__all__ = ["COLUMNS", "check_path", "rows", "write_fusion"]

COLUMNS = {
    "path": "Of the image, below the study's folder of images",
    "target": "What was looked for",
    "looks": "That gave a usable response",
    "classifier": "Probability by the classifier alone, out of fold",
    "evidence": "Of the looks alone, nats",
    "combined": "Probability by classifier and looks together, out of fold",
    "is_target": "Whether it shows the target; empty where that is not known",
}
"""Columns of the table, with what they hold."""


def check_path(path: Path, *, force: bool) -> None:
    """Say now whether a table can be written there.

    Raises
    ------
    SettingsError
        If the suffix is neither .csv nor .parquet, or there is a file already and it is not to be replaced.
    MissingExtraError
        If Parquet is wanted and pyarrow is not installed.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise SettingsError(f"expected a file that ends in .csv or .parquet; {path.name!r} came")
    if path.exists() and not force:
        raise SettingsError(f"{path} is there already; name another file, or replace it with --force")
    if path.suffix == ".parquet":
        check_parquet()


def rows(fusions: Sequence[Fusion]) -> list[dict[str, Any]]:
    """Give a row an image and class that was looked for, the likeliest targets of each first."""
    return [
        {
            "path": one.paths[k], "target": one.target, "looks": int(one.looks[k]),
            "classifier": float(expit(one.log_odds[k])), "evidence": float(one.evidence[k]),
            "combined": float(expit(one.combined[k])), "is_target": bool(one.truth[k]) if one.known[k] else None,
        }
        for one in fusions for k in (-one.combined).argsort(kind="stable").tolist()
    ]  # fmt: skip


def write_fusion(fusions: Sequence[Fusion], path: Path, *, force: bool = False) -> None:
    """Write the table, whole or not at all; errors as `check_path`."""
    check_path(path, force=force)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        write_whole(path, table(rows(fusions)).encode())
        return
    import pyarrow
    import pyarrow.parquet

    kinds = {"path": pyarrow.string(), "target": pyarrow.string(), "looks": pyarrow.int64()}
    schema = pyarrow.schema(
        {name: kinds.get(name, pyarrow.bool_() if name == "is_target" else pyarrow.float64()) for name in COLUMNS}
    )
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows(fusions), schema=schema), buffer)
    write_whole(path, buffer.getvalue())
