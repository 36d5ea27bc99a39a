"""Embeddings: one vector an image, computed once and kept on disk.

The cache of a backbone is a folder of two append-only files: `vectors.bin`, rows of little-endian floats, and
`keys.txt`, the hash of each row's image, one a line. Rows reach the disk before their keys do, so whenever
the process is killed, the keys that are there name whole rows; what lies beyond them is cut off before the
next row is written.
"""

import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from brainloop._files import locked, write_whole
from brainloop._types import Progress, no_progress
from brainloop.errors import ImageError, SettingsError, StudyError
from brainloop.images.backbones import Backbone
from brainloop.images.decode import decode, open_file, reason_of
from brainloop.images.pool import Image, Skipped, content_hash

__all__ = ["Embedded", "Embeddings", "Precision", "default_workers", "embed", "embed_images"]

Precision = Literal["float32", "float16"]

_KEY = re.compile(rb"[0-9a-f]{32}\n")
_KEY_BYTES = 33
_COMMIT_S = 1.0  # work that a kill may cost; two fsync take milliseconds, so more often would be felt
_JOB = 16  # images: a job long enough for its thread switch to cost nothing, short enough for smooth progress


@dataclass(frozen=True)
class Embeddings:
    """The vectors of a cache.

    Attributes
    ----------
    hashes : tuple of str
        Content hash of each row's image.
    matrix : ndarray, shape (n, width)
        The vectors, as they are stored, mapped from disk and read-only.
    failed : tuple of Skipped
        The images asked for that could not be embedded, and why.
    """

    hashes: tuple[str, ...]
    matrix: NDArray[np.floating[Any]]
    failed: tuple[Skipped, ...] = ()
    _row: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_row", {key: row for row, key in enumerate(self.hashes)})

    def __contains__(self, key: object) -> bool:
        return key in self._row

    def rows(self, hashes: Iterable[str]) -> NDArray[np.float32]:
        """Return the vectors of some images, in the order asked for, shape (k, width).

        Raises
        ------
        ImageError
            One of them has no vector.
        """
        try:
            rows = [self._row[key] for key in hashes]
        except KeyError as error:
            raise ImageError(f"no vector of the image with hash {error}: embed it first") from error
        return np.asarray(self.matrix[rows], dtype=np.float32)


def default_workers() -> int:
    """Return the number of cores this process may use: each worker decodes and embeds by itself."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def embed(
    images: Sequence[Image],
    root: Path,
    backbone: Backbone,
    folder: Path,
    *,
    dtype: Precision = "float32",
    batch: int | None = None,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> Embeddings:
    """Embed the images that the cache does not hold yet.

    Each worker decodes a batch and embeds it, so that on every core decoding goes on beside the inference of
    another; no core waits, and at most two jobs a worker are in memory.

    Parameters
    ----------
    images : sequence of Image
        A pool's images, or some of them.
    root : Path
        The pool's root.
    backbone : Backbone
        What embeds them.
    folder : Path
        Folder of caches; each backbone and dtype has its own in it.
    dtype : {"float32", "float16"}
        How vectors are stored; float16 halves the cache and rounds to 3 digits.
    batch : int, optional
        Images a call of the backbone; what suits it best by default.
    workers : int, optional
        Threads; as many as there are cores by default.
    progress : Progress
        Called with (images embedded or failed, images).

    Returns
    -------
    Embeddings
        Every vector of the cache.

    Raises
    ------
    BackboneError
        The backbone failed.
    SettingsError
        `dtype`, `batch` or `workers` is out of its range.
    StudyError
        The cache is of another width, or another process is writing to it.
    """
    if dtype not in ("float32", "float16"):
        raise SettingsError(f"expected dtype float32 or float16, got {dtype!r}")
    batch = backbone.batch if batch is None else batch
    workers = default_workers() if workers is None else workers
    if batch < 1 or workers < 1:
        raise SettingsError(f"expected at least one image a batch and one worker, got {batch} and {workers}")
    folder = folder / f"{backbone.fingerprint}-{dtype}"
    cache = _open(folder, backbone, dtype)
    wanted = {image.hash: image for image in images}
    missing = [image for key, image in wanted.items() if key not in cache]
    if not missing:
        progress(len(wanted), len(wanted))
        return cache
    failed: list[Skipped] = []
    with locked(folder, f"another process is embedding into {folder}: wait until it has finished"):
        # Another process may have added rows between the look above and the lock.
        cache = _open(folder, backbone, dtype)
        missing = [image for image in missing if image.hash not in cache]
        done = len(wanted) - len(missing)
        progress(done, len(wanted))
        with _Writer(folder, len(cache.hashes), backbone.width, dtype) as writer:
            for job in _embedded(missing, root, backbone, dtype, batch, workers):
                if job.vectors is not None:
                    writer.append(job.hashes, job.vectors)
                failed += job.failed
                done += len(job.hashes) + len(job.failed)
                progress(done, len(wanted))
        cache = _open(folder, backbone, dtype)
    return Embeddings(cache.hashes, cache.matrix, tuple(failed))


@dataclass
class Embedded:
    """Some images and what became of them: the hashes and vectors of those that could be embedded, and the others."""

    hashes: list[str] = field(default_factory=list)
    vectors: NDArray[np.floating[Any]] | None = None
    failed: list[Skipped] = field(default_factory=list)


def _embedded(
    images: Sequence[Image], root: Path, backbone: Backbone, dtype: Precision, batch: int, workers: int
) -> Iterator[Embedded]:
    """Embed images in threads, in order, with a bounded number of jobs in flight."""
    size = max(batch, _JOB // batch * batch)
    jobs = (images[start : start + size] for start in range(0, len(images), size))
    flying: deque[Future[Embedded]] = deque()

    def read(image: Image) -> bytes:
        return _read(root / image.path, image)

    with ThreadPoolExecutor(workers, thread_name_prefix="embed") as threads:
        try:
            for job in jobs:
                flying.append(threads.submit(embed_images, job, read, backbone, dtype, batch))
                if len(flying) == 2 * workers:
                    yield flying.popleft().result()
            while flying:
                yield flying.popleft().result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def embed_images(
    images: Sequence[Image], read: Callable[[Image], bytes], backbone: Backbone, dtype: Precision, batch: int
) -> Embedded:
    """Read, decode and embed some images in this thread.

    Parameters
    ----------
    images : sequence of Image
        As many as may be in memory together.
    read : callable
        Gives an image's file; an ImageError of its is the reason why the image has no vector.
    backbone : Backbone
        What embeds them.
    dtype : {"float32", "float16"}
        Of the vectors.
    batch : int
        Images a call of the backbone.
    """
    job = Embedded()
    kept, prepared = [], []
    for image in images:
        try:
            rgb = decode(read(image))
        except ImageError as error:
            job.failed.append(Skipped(image.path, str(error)))
            continue
        kept.append(image)
        prepared.append(backbone.prepare(rgb))
    if not kept:
        return job
    # Decoded together and embedded together: in turns, each would find the other's data and code in the
    # processor's cache (MobileNetV2: 0.95 ms of decoding an image in turns, 0.7 ms this way).
    batches = [np.stack(prepared[start : start + batch]) for start in range(0, len(prepared), batch)]
    with np.errstate(over="ignore"):  # beyond float16's 65504; found just below
        vectors = np.concatenate([backbone.embed(pixels) for pixels in batches]).astype(dtype, copy=False)
    good = np.isfinite(vectors).all(axis=1)
    job.vectors = vectors[good]
    job.hashes = [image.hash for image, is_good in zip(kept, good, strict=True) if is_good]
    reason = f"its vector is not finite in {dtype}"
    job.failed += [Skipped(image.path, reason) for image, is_good in zip(kept, good, strict=True) if not is_good]
    return job


def _read(path: Path, image: Image) -> bytes:
    """Read a file that must still be what was scanned: its hash is the name that its vector gets."""
    try:
        with open_file(path) as file:
            data = file.read()
    except OSError as error:
        raise ImageError(reason_of(error)) from error
    if content_hash(data).hexdigest() != image.hash:
        raise ImageError("changed between scan and read: scan the folder again")
    return data


def _open(folder: Path, backbone: Backbone, dtype: Precision) -> Embeddings:
    """Map the rows whose keys are there; an empty cache where there is no folder."""
    row_bytes = backbone.width * np.dtype(dtype).itemsize
    try:
        keys = (folder / "keys.txt").read_bytes()
        rows = (folder / "vectors.bin").stat().st_size // row_bytes
    except FileNotFoundError:
        return Embeddings((), np.empty((0, backbone.width), dtype=dtype))
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    if meta["width"] != backbone.width:
        raise StudyError(f"expected vectors of width {backbone.width} in {folder}, found {meta['width']}: delete it")
    hashes = []
    # A power cut, unlike a kill, can leave a hole of zeros in a file's tail: only well-formed keys count.
    for start in range(0, min(len(keys) // _KEY_BYTES, rows) * _KEY_BYTES, _KEY_BYTES):
        key = keys[start : start + _KEY_BYTES]
        if not _KEY.fullmatch(key):
            break
        hashes.append(key[:-1].decode())
    if not hashes:
        return Embeddings((), np.empty((0, backbone.width), dtype=dtype))
    shape = (len(hashes), backbone.width)
    matrix = np.memmap(folder / "vectors.bin", dtype=np.dtype(dtype).newbyteorder("<"), mode="r", shape=shape)
    return Embeddings(tuple(hashes), matrix)


class _Writer:
    """Appends rows to a cache, cut to its valid rows first; commits about once a second and at the end."""

    def __init__(self, folder: Path, rows: int, width: int, dtype: Precision) -> None:
        write_whole(folder / "meta.json", json.dumps({"width": width, "dtype": dtype}).encode())
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._vectors = _append_from(folder / "vectors.bin", rows * width * self._dtype.itemsize)
        self._keys = _append_from(folder / "keys.txt", rows * _KEY_BYTES)
        self._waiting: list[str] = []
        self._committed = monotonic()

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._commit()
        self._vectors.close()
        self._keys.close()

    def append(self, hashes: Sequence[str], vectors: NDArray[np.floating[Any]]) -> None:
        self._vectors.write(vectors.astype(self._dtype, copy=False).tobytes())
        self._waiting += hashes
        if monotonic() - self._committed >= _COMMIT_S:
            self._commit()

    def _commit(self) -> None:
        _sync(self._vectors)
        self._keys.write("".join(f"{key}\n" for key in self._waiting).encode())
        _sync(self._keys)
        self._waiting.clear()
        self._committed = monotonic()


def _append_from(path: Path, size: int) -> Any:
    """Open a file for writing behind its first `size` bytes, whatever lay there."""
    path.touch()
    file = path.open("r+b")
    file.truncate(size)
    file.seek(size)
    return file


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
