"""Folders as annotations: class folders, and the ``metadata`` files of a Hugging Face imagefolder."""

import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from brainloop._types import Progress, no_progress
from brainloop.annotations.table import table_of
from brainloop.annotations.values import Amendment, Entry, Problem, Reader
from brainloop.images.pool import Pool

__all__ = ["METADATA", "Metadata", "class_folders", "metadata_files"]

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""Names under which Hugging Face's imagefolder looks for annotations."""

# Folders that Hugging Face's imagefolder takes for parts of a data set rather than for classes.
_SPLITS = frozenset({"train", "training", "validation", "valid", "val", "dev", "test", "testing", "eval", "evaluation"})


def class_folders(pool: Pool) -> Iterator[tuple[str, Entry | Problem]]:
    """Read the class of each file from the folder it lies in, with the hash of its content.

    The class is the first folder below the root; the second, if all first ones are parts of a data set, ``train``,
    ``test`` and their like. A copy has the class of its own folder.
    """
    by_path = {image.path: image.hash for image in pool.images}
    copies = {skipped.path: skipped.duplicate_of for skipped in pool.skipped if skipped.duplicate_of is not None}
    hashes = by_path | {path: by_path[first] for path, first in copies.items()}
    parents = {path: PurePosixPath(path).parts[:-1] for path in hashes}
    level = 1 if parents and all(parts and parts[0].casefold() in _SPLITS for parts in parents.values()) else 0
    for path, hash_ in hashes.items():
        if len(parents[path]) > level:
            yield hash_, Entry(path, path, parents[path][level])
    for skipped in pool.skipped:
        if skipped.duplicate_of is None:
            yield "", Problem(skipped.path, skipped.reason)


def metadata_files(folder: Path) -> list[Path]:
    """List the metadata files in a folder and below; links are not followed, hidden folders are passed over."""
    found = []
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(at, name) for name in METADATA if name in files]
    return found


@dataclass(frozen=True)
class Metadata:
    """The metadata files of one imagefolder; each names the images by their path from where it lies."""

    format: ClassVar[str] = "huggingface"
    folder: Path
    parts: tuple[Reader, ...]

    @property
    def path(self) -> Path:
        """The one file, or the one that several come to."""
        return self.parts[0].path if len(self.parts) == 1 else self.folder / METADATA[0]

    def entries(self, progress: Progress) -> Iterator[Entry | Problem]:
        """Read file by file."""
        for number, part in enumerate(self.parts, start=1):
            folder = self._below(part)
            for entry in part.entries(progress if len(self.parts) == 1 else no_progress):
                where = f"{folder}{entry.where}"
                if isinstance(entry, Problem):
                    yield Problem(where, entry.reason)
                else:
                    yield Entry(where, posixpath.join(folder, entry.name) if entry.name else "", entry.label)
            if len(self.parts) > 1:
                progress(number, len(self.parts))

    def amended(self, amendment: Amendment) -> bytes:
        """Give the one file amended; of several, one table with all their annotations, for the folder above them."""
        if len(self.parts) == 1:
            return self.parts[0].amended(amendment.below(self._below(self.parts[0])))
        entries = [entry for entry in self.entries(no_progress) if isinstance(entry, Entry)]
        rows = ((entry.name, entry.label, amendment.of(entry.name, entry.label)) for entry in entries)
        return table_of(rows, "file_name")

    def _below(self, part: Reader) -> str:
        folder = part.path.parent.relative_to(self.folder).as_posix()
        return "" if folder == "." else f"{folder}/"
