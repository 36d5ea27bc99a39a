"""What a scan knows already, on disk: which files it has read, and which contents it has seen.

Two tables in a temporary file of SQLite, so that memory stays bounded at any number of images: about 150 bytes of disk
an image. A look-up in a table beyond memory costs a read of the disk, which an SSD does some thousand times a second:
to 100 million images a scan is held up by the images, at a billion by these tables.
"""

import sqlite3
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

__all__ = ["Known"]


class Known:
    """Files by path and stamp, contents by hash; use it in a ``with`` statement, at whose end the file is gone."""

    def __enter__(self) -> "Known":
        self._folder = tempfile.TemporaryDirectory(prefix="brainloop-scan-")
        self._base = sqlite3.connect(Path(self._folder.name) / "known.sqlite")
        self._base.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;"
            "CREATE TABLE file (path TEXT PRIMARY KEY, stamp TEXT, hash BLOB, number INTEGER) WITHOUT ROWID;"
            "CREATE TABLE content (hash BLOB PRIMARY KEY, path TEXT) WITHOUT ROWID;"
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()
        self._folder.cleanup()

    def add_files(self, files: Iterable[tuple[str, str, str, int]]) -> None:
        """Note files: path, stamp, hash of the content in hex or "", row or -1; a later takes an earlier's place."""
        rows = ((path, stamp, bytes.fromhex(key), number) for path, stamp, key, number in files)
        self._base.executemany("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?)", rows)

    def file(self, path: str) -> tuple[str, str, int] | None:
        """Give stamp, hash and row of a file, or None."""
        row = self._base.execute("SELECT stamp, hash, number FROM file WHERE path = ?", (path,)).fetchone()
        return None if row is None else (row[0], row[1].hex(), row[2])

    def first(self, key: str, path: str) -> str:
        """Give the path that a content was first seen at; this one, if it is new."""
        known = self._base.execute("SELECT path FROM content WHERE hash = ?", (bytes.fromhex(key),)).fetchone()
        if known is not None:
            return str(known[0])
        self._base.execute("INSERT INTO content VALUES (?, ?)", (bytes.fromhex(key), path))
        return path
