"""A collection: images beyond memory, as a folder of shards at any URL.

collection.json          where the images lie, backbone, shape of the vectors, rows of each shard
pool/00000.parquet       one row an image: path, hash, label, size, stamp (when it was modified, or its version)
vectors/00000.npy        one row an image: its vector, float16 by default; NaN where there is none
failed/00000.json        rows of the shard that have no vector, and why not
skipped/00000.parquet    files that are not used, and why not
dropped/00000.json       rows whose file has changed since; it has a row of its own
parts/                   vectors of a shard that is not complete yet
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brainloop._files import write_whole
from brainloop._types import IntArray
from brainloop.collection.parquet import column_of_paths, foreign_shards, read_table
from brainloop.collection.place import Place
from brainloop.collection.shards import NpyShard, ParquetShard
from brainloop.errors import ImageError, SettingsError, StudyError
from brainloop.images.pool import Image, content_hash

__all__ = ["MAX_BYTES", "SHARD_ROWS", "Collection", "Manifest", "is_collection"]

SHARD_ROWS = 65_536
"""Rows of a shard at most: 168 MB at width 1280, one object of a store's best size."""

MAX_BYTES = 1 << 30
"""Largest file that is read from afar: no image that is accepted is larger, and it is read into memory."""


@dataclass(frozen=True)
class Manifest:
    """What `collection.json` says.

    Parameters
    ----------
    root : str
        Folder or URL that the images lie below; empty where the collection was made by others.
    backbone, output : str, str or None
        What embeds them, as `brainloop.images.backbones.load_backbone` takes it.
    fingerprint : str
        The backbone's; empty where it is not known.
    width : int
        Of a vector.
    dtype : str
        float16 or float32.
    shard_rows : int
        Rows of a shard at most.
    shards : tuple of int
        Rows of each.
    """

    root: str
    backbone: str
    output: str | None
    fingerprint: str
    width: int
    dtype: str
    shard_rows: int = SHARD_ROWS
    shards: tuple[int, ...] = ()
    version: int = 1

    def save(self, place: Place) -> None:
        """Write it, whole or not at all."""
        place.write("collection.json", json.dumps(asdict(self)).encode())

    @classmethod
    def load(cls, place: Place) -> "Manifest":
        """Read it; FileNotFoundError where there is none, StudyError where it cannot be read."""
        data = place.read("collection.json")
        try:
            values = json.loads(data)
            return cls(**values | {"shards": tuple(int(n) for n in values["shards"])})
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(
                f"expected a collection's collection.json at {place.url}; it cannot be read: {error}; put back a copy"
            ) from error


@dataclass(frozen=True)
class Collection:
    """Images and their vectors, by row; use `Collection.open`.

    Parameters
    ----------
    place : Place
        The collection's folder.
    manifest : Manifest
        What is in it.
    foreign : sequence of ParquetShard
        The files, where others made them.
    """

    place: Place
    manifest: Manifest
    foreign: Sequence[ParquetShard] = field(default=(), repr=False)

    @classmethod
    def open(cls, url: str | Path) -> "Collection":
        """Open a collection, or a folder of Parquet files with a column of vectors.

        Parameters
        ----------
        url : str or Path
            A folder, or a URL that fsspec knows.

        Raises
        ------
        StudyError
            If there is neither, or the place cannot be reached.
        MissingExtraError
            If the URL or Parquet needs a package that is not installed.
        """
        place = Place(str(url))
        try:
            return cls(place, Manifest.load(place))
        except FileNotFoundError:
            shards = foreign_shards(place)
        if not shards:
            raise StudyError(
                f"expected a collection at {url}, found neither collection.json nor Parquet files with vectors; make "
                f"one with: brainloop collect IMAGES {url}"
            )
        counts = tuple(shard.n for shard in shards)
        return cls(place, Manifest("", "", None, "", shards[0].width, "float32", max(counts), counts), shards)

    @property
    def url(self) -> str:
        """Where it lies."""
        return self.place.url

    @property
    def n_images(self) -> int:
        """Number of rows."""
        return sum(self.manifest.shards)

    @property
    def width(self) -> int:
        """Length of a vector."""
        return self.manifest.width

    @property
    def fingerprint(self) -> str:
        """Of the backbone; empty where it is not known."""
        return self.manifest.fingerprint

    def shard(self, number: int) -> NpyShard | ParquetShard:
        """Give one shard of vectors."""
        if self.foreign:
            return self.foreign[number]
        n, manifest = self.manifest.shards[number], self.manifest
        return NpyShard(self.place, f"vectors/{number:05d}.npy", n, manifest.width, manifest.dtype)

    def shards(self) -> Iterator[tuple[NpyShard | ParquetShard, int]]:
        """Yield each shard of vectors and the row that it begins with."""
        for number, start in enumerate(self._starts[:-1].tolist()):
            yield self.shard(number), start

    def dropped(self) -> IntArray:
        """Give the rows that do not count any more, as their files have changed since, rising."""
        found: list[int] = []
        for name in self.place.names("dropped", ".json") if not self.foreign else []:
            found += json.loads(self.place.read(f"dropped/{name}"))
        return np.unique(np.array(found, dtype=np.int64))

    def rows_of(self, rows: IntArray) -> list[Image]:
        """Give the images of some rows, in the order asked for.

        Raises
        ------
        SettingsError
            If there is no such row.
        """
        found: dict[int, Image] = {}
        for number, wanted in self._by_shard(rows):
            columns = ["path", "hash", "label"]
            name = f"pool/{number:05d}.parquet"
            if self.foreign:
                name = self.foreign[number].name
                columns = [column_of_paths(self.place, name)]
            table = read_table(self.place, name, columns).take(wanted - self._starts[number])
            values = [column.to_pylist() for column in table.columns]
            if self.foreign:
                values = [[str(path) for path in values[0]], [""] * len(wanted), [None] * len(wanted)]
            for row, path, key, label in zip(wanted.tolist(), *values, strict=True):
                found[row] = Image(key, path, label)
        return [found[row] for row in np.asarray(rows).tolist()]

    def vectors(self, rows: IntArray) -> NDArray[np.float32]:
        """Give the vectors of some rows, in the order asked for, shape (k, width); NaN where there is none.

        Raises
        ------
        SettingsError
            If there is no such row.
        StudyError
            If a shard is missing or damaged.
        """
        rows = np.asarray(rows, dtype=np.int64)
        found = np.empty((len(rows), self.width), dtype=np.float32)
        for number, wanted in self._by_shard(rows):
            vectors = self.shard(number).rows(wanted - self._starts[number])
            mine = np.flatnonzero((rows >= self._starts[number]) & (rows < self._starts[number + 1]))
            found[mine] = vectors[np.searchsorted(wanted, rows[mine])]
        return found

    def open_image(self, image: Image) -> bytes:
        """Read an image's file.

        Raises
        ------
        ImageError
            If it is not there, too large, or not what was scanned.
        """
        data = read_image(Place(self.manifest.root), image.path)
        if content_hash(data).hexdigest() != image.hash:
            raise ImageError(f"{image.path}: changed since it was scanned; give the command `collect` again")
        return data

    def fetch(self, image: Image, folder: Path) -> Path:
        """Copy an image's file into a folder, under the name of its content; nothing is read if it is there already.

        Raises
        ------
        ImageError
            If it is not there, not what was scanned, or no image that may be decoded.
        """
        from brainloop.images.decode import check_header

        if not re.fullmatch("[0-9a-f]{32}", image.hash):
            raise ImageError(f"{image.path}: expected an image with the hash of its content; {image.hash!r} came")
        # A name from afar names no file here.
        there = [path for path in folder.glob(f"{image.hash}.*") if path.suffix != ".partial"]
        if there:
            return there[0]
        data = self.open_image(image)
        suffix = (check_header(BytesIO(data)).format or "image").lower()
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / f"{image.hash}.{suffix}", data)
        return folder / f"{image.hash}.{suffix}"

    @cached_property
    def _starts(self) -> IntArray:
        return np.concatenate([[0], np.cumsum(self.manifest.shards, dtype=np.int64)]).astype(np.int64)

    def _by_shard(self, rows: IntArray) -> Iterator[tuple[int, IntArray]]:
        """Yield the number of each shard that holds some of the rows, and these, rising, each once."""
        rising = np.unique(np.asarray(rows, dtype=np.int64))
        if rising.size and (rising[0] < 0 or rising[-1] >= self.n_images):
            wrong = rising[0] if rising[0] < 0 else rising[-1]
            raise SettingsError(f"rows: expected 0 to {self.n_images - 1} of {self.url}; {wrong} came")
        numbers = np.searchsorted(self._starts, rising, side="right") - 1
        for number in np.unique(numbers).tolist():
            yield number, rising[numbers == number]


def is_collection(url: str) -> bool:
    """Say whether there is a collection that `brainloop collect` made."""
    return Place(url).size("collection.json") is not None


def read_image(root: Place, path: str) -> bytes:
    """Read an image's file below a folder or URL; ImageError says why not."""
    from brainloop.images.decode import open_file, reason_of

    if root.local is not None:
        try:
            with open_file(root.local / path) as file:
                return file.read()
        except OSError as error:
            raise ImageError(reason_of(error)) from error
    try:
        size = root.size(path)
        if size is None:
            raise ImageError("vanished between scan and read")
        if size > MAX_BYTES:
            raise ImageError(f"it has {size:,} bytes, limit is {MAX_BYTES:,}")
        return root.read(path)
    except FileNotFoundError as error:
        raise ImageError("vanished between scan and read") from error
    except PermissionError as error:
        raise ImageError(f"unreadable: {error}") from error
