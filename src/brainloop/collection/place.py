"""A place: a folder at any URL of fsspec, read and written with patience and never half."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from brainloop._files import write_whole
from brainloop.errors import BrainloopError, MissingExtraError, StudyError

__all__ = ["PAUSES", "Place"]

PAUSES = (0.2, 0.6, 1.8, 5.4)
"""Seconds between tries: an object store that asks to slow down, or a network that is gone for some seconds."""

T = TypeVar("T")

# Trying again changes nothing about these.
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, BrainloopError)


@dataclass(frozen=True)
class Place:
    """A folder on this machine or in an object store.

    Parameters
    ----------
    url : str
        A path, or a URL such as ``s3://bucket/folder`` or ``memory://folder``.
    """

    url: str

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        import fsspec

        # Listings are not kept: they would fill the memory, and miss what other machines write.
        how = {} if "://" not in self.url else {"use_listings_cache": False}
        try:
            fs, path = fsspec.core.url_to_fs(self.url, **how)
        except ImportError as error:
            kind = self.url.split("://", 1)[0]
            raise MissingExtraError("s3fs" if kind == "s3" else kind, "s3", f"the URL {self.url}", error) from error
        except ValueError as error:
            raise StudyError(
                f"expected a folder or a URL such as s3://bucket/folder; {self.url!r} came: {error}"
            ) from error
        return fs, str(path).rstrip("/")

    @property
    def fs(self) -> Any:
        """The file system of fsspec."""
        return self._opened[0]

    @property
    def local(self) -> Path | None:
        """The folder, if it lies on this machine."""
        from fsspec.implementations.local import LocalFileSystem

        return Path(self._opened[1]) if isinstance(self.fs, LocalFileSystem) else None

    def path(self, name: str = "") -> str:
        """Where a file lies, as the file system names it."""
        return f"{self._opened[1]}/{name}" if name else self._opened[1]

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        try:
            return int(self._patiently("looking at", name, lambda: self.fs.info(self.path(name)))["size"])
        except FileNotFoundError:
            return None

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """Read a file, or its bytes from `start` to `end`.

        Raises
        ------
        FileNotFoundError
            If there is none.
        StudyError
            If it cannot be read, however often it is tried.
        """

        def read() -> bytes:
            data = bytes(self.fs.cat_file(self.path(name), start=start, end=end))
            if start is not None and end is not None and len(data) != end - start:
                raise OSError(f"{end - start:,} bytes were asked for and {len(data):,} came")
            return data

        return self._patiently("reading", name, read)

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole, or not at all."""
        if self.local is not None:
            target = self.local / name
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, data)
            return
        # An object appears when it is whole.
        self._patiently("writing", name, lambda: self.fs.pipe_file(self.path(name), data))

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Give a path to write a large file at; it takes its place, whole, when the ``with`` statement ends well."""
        if self.local is not None:
            target = self.local / name
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f"{target.name}.partial")
            yield partial
            with partial.open("r+b") as file:
                os.fsync(file.fileno())
            partial.replace(target)
            return
        with tempfile.TemporaryDirectory() as folder:
            partial = Path(folder) / "partial"
            yield partial
            self._patiently("writing", name, lambda: self.fs.put_file(str(partial), self.path(name)))

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens where there is none."""
        try:
            self._patiently("removing", name, lambda: self.fs.rm_file(self.path(name)))
        except FileNotFoundError:
            return

    def entries(self, folder: str = "") -> list[dict[str, Any]]:
        """List a folder, in the order of names: of each entry `name` (whole), `type`, `size` and what else is known.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        found = self._patiently("listing", folder, lambda: self.fs.ls(self.path(folder), detail=True))
        return sorted((entry for entry in found if entry["name"] != self.path(folder)), key=lambda entry: entry["name"])

    def names(self, folder: str = "", suffix: str = "") -> list[str]:
        """List the files in a folder, by their names in it, in order; none where there is no folder."""
        try:
            entries = self.entries(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        names = [entry["name"].rsplit("/", 1)[-1] for entry in entries if entry["type"] == "file"]
        return [name for name in names if name.endswith(suffix)]

    def _patiently(self, doing: str, name: str, act: Callable[[], T]) -> T:
        for pause in (*PAUSES, None):
            try:
                return act()
            except _FINAL:
                raise
            except Exception as error:  # clients of object stores raise almost anything
                if pause is None or self.local is not None:
                    what = f"{self.url}/{name}" if name else self.url
                    tries = "" if self.local is not None else f" failed {len(PAUSES) + 1} times"
                    raise StudyError(
                        f"{doing} {what}{tries}: {type(error).__name__}: {error}; what was done is kept: see that "
                        "the place can be reached, and give the same command again to go on from there"
                    ) from error
                time.sleep(pause)
        raise AssertionError("the last try returns or raises")
