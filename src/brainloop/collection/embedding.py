"""Embedding a collection: piece by piece on an engine, written by the workers, each shard whole or not at all."""

import json
from dataclasses import dataclass
from functools import partial

import numpy as np

from brainloop._types import Progress, no_progress
from brainloop.collection.collection import Collection, Manifest, read_image
from brainloop.collection.parquet import read_table
from brainloop.collection.place import Place
from brainloop.collection.shards import NpyShard
from brainloop.engine import Engine, LocalEngine
from brainloop.errors import BackboneError, ImageError, StudyError
from brainloop.images.backbones import Backbone, load_backbone
from brainloop.images.embeddings import Precision, embed_images
from brainloop.images.pool import Image, Skipped, content_hash

__all__ = ["PIECE", "embed_collection"]

PIECE = 512
"""Images of a piece: what a kill costs a worker, about a second's work to a minute's."""

_TOGETHER = 16  # images in memory at a time, as in `brainloop.images.embeddings`


def embed_collection(
    collection: Collection,
    engine: Engine | None = None,
    *,
    backbone: Backbone | None = None,
    progress: Progress = no_progress,
) -> list[Skipped]:
    """Compute the vectors that a collection does not hold yet.

    Workers read, decode and embed a piece of a shard and write it down; once all pieces of a shard are there they are
    joined. A shard that is whole, by its length and header, is left as it is; one that is not is embedded again.

    Parameters
    ----------
    collection : Collection
        Scanned.
    engine : Engine, optional
        Where; threads of this process by default.
    backbone : Backbone, optional
        Loaded already, to be shared by threads; otherwise each worker loads its own.
    progress : Progress
        Called with (pieces embedded, pieces).

    Returns
    -------
    list of Skipped
        Images of these shards that have no vector, and why not.

    Raises
    ------
    BackboneError
        If the backbone is not the collection's, or fails.
    StudyError
        If a place cannot be reached, or the collection was made by others.
    """
    if collection.foreign:
        raise StudyError(f"{collection.url} was made by others, and holds its vectors already; rank it as it is")
    manifest, place = collection.manifest, collection.place
    if backbone is not None:
        _check(backbone, manifest)
    missing = [number for number, (shard, _) in enumerate(collection.shards()) if shard.fault()]
    pieces = [
        _Piece(number, start, min(start + PIECE, manifest.shards[number]))
        for number in missing
        for start in range(0, manifest.shards[number], PIECE)
    ]
    left = {number: sum(piece.shard == number for piece in pieces) for number in missing}
    failed: list[Skipped] = []
    make = partial(
        _make_worker, place.url, manifest, backbone if isinstance(engine or LocalEngine(), LocalEngine) else None
    )
    for piece in (engine or LocalEngine()).map(make, pieces, progress):
        left[piece.shard] -= 1
        if left[piece.shard] == 0:
            failed += _join(collection, piece.shard, [one for one in pieces if one.shard == piece.shard])
    return failed


@dataclass(frozen=True)
class _Piece:
    """Rows `start` to `stop` of a shard."""

    shard: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        return f"parts/{self.shard:05d}-{self.start:05d}"

    def vectors(self, place: Place, manifest: Manifest) -> NpyShard:
        return NpyShard(place, f"{self.name}.npy", self.stop - self.start, manifest.width, manifest.dtype)


def _check(backbone: Backbone, manifest: Manifest) -> None:
    if backbone.fingerprint != manifest.fingerprint:
        raise BackboneError(
            f"the backbone {manifest.backbone} is not the one that the collection was begun with: its weights, its "
            "preprocessing or its output changed. Put it back, or make a new collection"
        )


def _make_worker(url: str, manifest: Manifest, backbone: Backbone | None) -> "_Worker":
    return _Worker(Place(url), manifest, backbone or load_backbone(manifest.backbone, output=manifest.output))


class _Worker:
    def __init__(self, place: Place, manifest: Manifest, backbone: Backbone) -> None:
        _check(backbone, manifest)
        self._place, self._manifest, self._backbone = place, manifest, backbone
        self._images = Place(manifest.root)
        self._table: tuple[int, list[Image]] = (-1, [])

    def __call__(self, piece: _Piece) -> _Piece:
        if piece.vectors(self._place, self._manifest).fault() is None:
            return piece  # an earlier run got so far
        vectors = np.full((piece.stop - piece.start, self._manifest.width), np.nan, dtype=self._manifest.dtype)
        failed: dict[int, str] = {}
        images = self._pool(piece.shard)[piece.start : piece.stop]
        step = max(self._backbone.batch, _TOGETHER // self._backbone.batch * self._backbone.batch)
        for start in range(0, len(images), step):
            some = images[start : start + step]
            dtype: Precision = "float16" if self._manifest.dtype == "float16" else "float32"
            job = embed_images(some, self._read, self._backbone, dtype, self._backbone.batch)
            row = {image.hash: start + at for at, image in enumerate(some)}
            if job.vectors is not None:
                vectors[[row[key] for key in job.hashes]] = job.vectors
            at_path = {image.path: start + at for at, image in enumerate(some)}
            failed |= {piece.start + at_path[skipped.path]: skipped.reason for skipped in job.failed}
        # The reasons first: that the vectors are there means that all is.
        self._place.write(f"{piece.name}.json", json.dumps(failed).encode())
        with self._place.writing(f"{piece.name}.npy") as path, path.open("wb") as file:
            np.save(file, vectors)
        return piece

    def _read(self, image: Image) -> bytes:
        data = read_image(self._images, image.path)
        if content_hash(data).hexdigest() != image.hash:
            raise ImageError("changed between scan and read: scan the folder again")
        return data

    def _pool(self, shard: int) -> list[Image]:
        """Read the images of a shard; a worker's pieces follow one another, so the last shard is kept."""
        if self._table[0] != shard:
            table = read_table(self._place, f"pool/{shard:05d}.parquet", ["hash", "path", "label"])
            columns = (column.to_pylist() for column in table.columns)
            self._table = shard, [Image(*row) for row in zip(*columns, strict=True)]
        return self._table[1]


def _join(collection: Collection, number: int, pieces: list[_Piece]) -> list[Skipped]:
    """Make one shard of its pieces, and remove these."""
    place, manifest = collection.place, collection.manifest
    failed: dict[str, str] = {}
    with place.writing(f"vectors/{number:05d}.npy") as path:
        shape = (manifest.shards[number], manifest.width)
        whole = np.lib.format.open_memmap(path, mode="w+", dtype=manifest.dtype, shape=shape)
        for piece in pieces:
            failed |= json.loads(place.read(f"{piece.name}.json"))
            at = piece.start
            for block in piece.vectors(place, manifest).blocks():
                whole[at : at + len(block)] = block
                at += len(block)
        whole.flush()
        del whole
        place.write(f"failed/{number:05d}.json", json.dumps(failed).encode())
    for piece in pieces:
        place.remove(f"{piece.name}.npy")
        place.remove(f"{piece.name}.json")
    start = sum(manifest.shards[:number])
    rows = sorted(int(row) for row in failed)
    images = collection.rows_of(np.array(rows, dtype=np.int64) + start)
    return [Skipped(image.path, failed[str(row)]) for image, row in zip(images, rows, strict=True)]
