"""Scanning: every usable image below a folder or URL, in shards; what was read before is not read again."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from brainloop._types import Progress, no_progress
from brainloop.collection.collection import SHARD_ROWS, Collection, Manifest, read_image
from brainloop.collection.known import Known
from brainloop.collection.parquet import read_table, write_table
from brainloop.collection.place import Place
from brainloop.errors import ImageError, SettingsError, StudyError
from brainloop.images.backbones import Backbone
from brainloop.images.decode import check_header
from brainloop.images.pool import Image, Skipped, Walk, content_hash, identify

__all__ = ["Scan", "scan_collection"]

WINDOW = 1_024
"""Files that are looked at together."""

THREADS_AFAR = 32
"""Files that are read at a time from an object store, whose answers take some 20 ms each."""


@dataclass
class Scan:
    """What a scan came to: images added, files that were known, files that are not used (the first of them)."""

    n_new: int = 0
    n_known: int = 0
    n_skipped: int = 0
    skipped: list[Skipped] = field(default_factory=list)


@dataclass(frozen=True)
class _File:
    """A listed file: its path below the root, its size, and what tells that it has changed."""

    path: str
    size: int
    stamp: str


def scan_collection(
    url: str | Path,
    root: str | Path,
    backbone: Backbone,
    *,
    spec: str = "builtin",
    output: str | None = None,
    dtype: str = "float16",
    shard_rows: int = SHARD_ROWS,
    progress: Progress = no_progress,
) -> Scan:
    """List the images below a folder or URL in a collection, which is made if it is not there.

    A file whose path, size and stamp are known is not read. A file that has changed gets a new row, and its old one
    does not count any more. Only headers are checked; embedding tells which files are damaged. A scan that is cut short
    keeps the shards that were full.

    Parameters
    ----------
    url : str or Path
        The collection's folder or URL.
    root : str or Path
        Where the images lie.
    backbone : Backbone
        What will embed them.
    spec, output : str, str or None
        How `brainloop.images.backbones.load_backbone` is asked for it again, on another machine.
    dtype : {"float16", "float32"}
        Of the vectors on disk.
    shard_rows : int
        Rows of a shard, at most 65,536.
    progress : Progress
        Called with (files looked at, files listed so far).

    Raises
    ------
    SettingsError
        If a number or name is out of range.
    ImageError
        If there is no folder of images.
    StudyError
        If the collection is of other images, another backbone or another precision, or a place cannot be reached.
    """
    if dtype not in ("float16", "float32") or not 1 <= shard_rows <= SHARD_ROWS:
        raise SettingsError(
            f"expected dtype float16 or float32 and 1 to {SHARD_ROWS} rows a shard; {dtype!r} and {shard_rows} came"
        )
    place, images = Place(str(url)), Place(str(root))
    if images.local is not None:
        if not images.local.is_dir():
            raise ImageError(f"expected a folder of images, found none at {root}: give the folder's path")
        images = Place(str(images.local.resolve()))
    fresh = Manifest(images.url, spec, output, backbone.fingerprint, backbone.width, dtype, shard_rows)
    try:
        manifest = Manifest.load(place)
    except FileNotFoundError:
        manifest = fresh
    _agree(manifest, fresh, place)
    with Known() as known:
        number = _remember(Collection(place, manifest), known)
        return _Scanner(place, images, manifest, known, number).run(progress)


def _agree(manifest: Manifest, fresh: Manifest, place: Place) -> None:
    for name, what in (("root", "images"), ("fingerprint", "backbone"), ("dtype", "precision")):
        was, now = getattr(manifest, name), getattr(fresh, name)
        if was != now:
            was, now = (manifest.backbone, fresh.backbone) if name == "fingerprint" else (was, now)
            raise StudyError(
                f"{place.url} is a collection of the {what} {was}, with other vectors than {now} would give; name it "
                "again, or make another collection"
            )


def _remember(collection: Collection, known: Known) -> int:
    """Fill in what earlier scans have read; give the number of the next shard of skipped files."""
    row, names = 0, collection.place.names("skipped", ".parquet")
    for name in names:
        table = read_table(collection.place, f"skipped/{name}", ["path", "stamp"])
        known.add_files(
            (path, stamp, "", -1) for path, stamp in zip(*(c.to_pylist() for c in table.columns), strict=True)
        )
    for number, n in enumerate(collection.manifest.shards):
        table = read_table(collection.place, f"pool/{number:05d}.parquet", ["path", "stamp", "hash"])
        rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
        if len(rows) != n:
            raise StudyError(
                f"expected {n} rows in {collection.url}/pool/{number:05d}.parquet, found {len(rows)}; put back a copy"
            )
        known.add_files((path, stamp, key, row + at) for at, (path, stamp, key) in enumerate(rows))
        for path, _, key in rows:
            known.first(key, path)
        row += n
    return len(names)


class _Scanner:
    """One scan: what it has found since it last wrote a shard."""

    def __init__(self, place: Place, images: Place, manifest: Manifest, known: Known, number: int) -> None:
        self._place, self._images, self._manifest, self._known = place, images, manifest, known
        self._number = number
        self._found: list[tuple[Image, _File]] = []
        self._skipped: list[tuple[Skipped, str]] = []
        self._dropped: list[int] = []
        self._row = sum(manifest.shards)
        self._scan = Scan()

    def run(self, progress: Progress) -> Scan:
        walk = Walk(self._images.local) if self._images.local is not None else None
        files = _local(self._images.local, walk) if walk and self._images.local else _afar(self._images)
        done = 0
        with ThreadPoolExecutor(None if walk else THREADS_AFAR) as threads:
            while window := list(islice(files, WINDOW)):
                fresh = [file for file in window if self._is_new(file)]
                for file, read in zip(fresh, threads.map(self._identify, fresh), strict=True):
                    self._take(file, read)
                done += len(window)
                progress(done, done)
        for skipped in walk.skipped if walk else ():
            self._skip(skipped, "")
        self._write()
        if not self._manifest.shards:
            first = "; ".join(f"{item.path}: {item.reason}" for item in self._scan.skipped[:3]) or "no file at all"
            raise ImageError(f"no usable image in {self._images.url} ({first}); give another folder or other files")
        return self._scan

    def _is_new(self, file: _File) -> bool:
        known = self._known.file(file.path)
        if known is not None and known[0] == file.stamp:
            self._scan.n_known += 1
            return False
        return True

    def _identify(self, file: _File) -> str | ImageError:
        if self._images.local is not None:
            return identify(self._images.local, file.path)
        try:
            data = read_image(self._images, file.path)
            check_header(BytesIO(data))
        except ImageError as error:
            return error
        return content_hash(data).hexdigest()

    def _take(self, file: _File, read: str | ImageError) -> None:
        if isinstance(read, ImageError):
            self._skip(Skipped(file.path, str(read)), file.stamp)
            return
        before = self._known.file(file.path)
        first = self._known.first(read, file.path)
        if before is not None and before[1] == read:
            self._skipped.append((Skipped(file.path, "touched, not changed", file.path), file.stamp))
            return
        if before is not None and before[2] >= 0:
            self._dropped.append(before[2])
        if first != file.path or (before is not None and before[2] >= 0 and before[1] == read):
            self._skip(Skipped(file.path, f"duplicate of {first}", first), file.stamp)
            return
        folders = PurePosixPath(file.path).parts[:-1]
        self._known.add_files([(file.path, file.stamp, read, self._row)])
        self._found.append((Image(read, file.path, folders[0] if folders else None), file))
        self._row += 1
        self._scan.n_new += 1
        if len(self._found) == self._manifest.shard_rows:
            self._write()

    def _skip(self, skipped: Skipped, stamp: str) -> None:
        self._scan.n_skipped += 1
        if len(self._scan.skipped) < WINDOW:
            self._scan.skipped.append(skipped)
        if stamp:  # what the walk itself skipped is found again each time
            self._skipped.append((skipped, stamp))

    def _write(self) -> None:
        """Write what was found as a shard; the manifest, which makes it count, is written last."""
        number = len(self._manifest.shards)
        if self._found:
            columns: dict[str, list[Any]] = {
                "path": [image.path for image, _ in self._found],
                "hash": [image.hash for image, _ in self._found],
                "label": [image.label for image, _ in self._found],
                "size": [file.size for _, file in self._found],
                "stamp": [file.stamp for _, file in self._found],
            }
            write_table(self._place, f"pool/{number:05d}.parquet", columns)
            self._manifest = replace(self._manifest, shards=(*self._manifest.shards, len(self._found)))
            self._manifest.save(self._place)
        if self._dropped:
            count = len(self._place.names("dropped", ".json"))
            self._place.write(f"dropped/{count:05d}.json", json.dumps(self._dropped).encode())
        if self._skipped:
            columns = {
                "path": [skipped.path for skipped, _ in self._skipped],
                "reason": [skipped.reason for skipped, _ in self._skipped],
                "duplicate_of": [skipped.duplicate_of for skipped, _ in self._skipped],
                "stamp": [stamp for _, stamp in self._skipped],
            }
            write_table(self._place, f"skipped/{self._number:05d}.parquet", columns)
            self._number += 1
        self._found, self._dropped, self._skipped = [], [], []


def _local(root: Path, walk: Walk) -> Iterator[_File]:
    for path in walk.files():
        try:
            status = (root / path).stat()
        except OSError:
            yield _File(path, 0, "gone")  # reading it says why
            continue
        yield _File(path, status.st_size, f"{status.st_size}-{status.st_mtime_ns}")


def _afar(images: Place) -> Iterator[_File]:
    """List an object store folder by folder; one folder's listing is in memory at a time."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            entries = images.entries(folder)
        except FileNotFoundError as error:
            raise ImageError(f"expected images below {images.url}, found nothing there: give another URL") from error
        for entry in entries:
            name = entry["name"].rstrip("/").rsplit("/", 1)[-1]
            path = f"{folder}/{name}" if folder else name
            if entry["type"] == "directory" and not name.startswith("."):
                waiting.append(path)
            elif entry["type"] == "file" and not name.startswith(".") and name:
                version = (
                    entry.get("ETag") or entry.get("etag") or entry.get("LastModified") or entry.get("created") or ""
                )
                yield _File(path, int(entry["size"] or 0), f"{entry['size']}-{version}")
