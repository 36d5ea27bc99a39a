"""A pool: every image below a folder, counted once, and every file that cannot be used, with its reason."""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from brainloop._types import Progress, no_progress
from brainloop.errors import ImageError
from brainloop.images.decode import check_header, open_file, reason_of

__all__ = ["Image", "Pool", "Skipped", "Walk", "content_hash", "identify", "list_files", "scan"]

# TIFF files inside, of which Pillow would decode the thumbnail.
_CAMERA_RAW = frozenset({".dng", ".nef", ".cr2", ".arw"})


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a pool.

    Attributes
    ----------
    hash : str
        BLAKE2b (16 bytes, in hex) of the file's content: the image's identity, wherever the file moves.
    path : str
        Where it lies, relative to the pool's root, with forward slashes.
    label : str or None
        The first folder below the root, which is truth for simulation and evaluation; None directly in the
        root.
    """

    hash: str
    path: str
    label: str | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that is not used: its path below the root, why not, and which image it repeats, if any."""

    path: str
    reason: str
    duplicate_of: str | None = None


@dataclass(frozen=True)
class Pool:
    """The images of a folder, in the order of their paths, and what was skipped there."""

    root: Path
    images: tuple[Image, ...]
    skipped: tuple[Skipped, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def hashes(self) -> tuple[str, ...]:
        """The identity of each image, in order."""
        return tuple(image.hash for image in self.images)

    @property
    def classes(self) -> dict[str, int]:
        """Number of images of each class folder, in the order of their names."""
        counts = Counter(image.label for image in self.images if image.label is not None)
        return dict(sorted(counts.items()))

    def path(self, image: Image) -> Path:
        """Where the image lies on disk."""
        return self.root / image.path


def content_hash(data: bytes = b"") -> hashlib.blake2b:
    """Return BLAKE2b of 16 bytes, enough for no two files to collide by accident."""
    return hashlib.blake2b(data, digest_size=16)


def list_files(root: Path) -> list[str]:
    """List the files of a folder that `scan` would read, by their paths below it; nothing is read."""
    return sorted(Walk(root).files())


def scan(root: Path, progress: Progress = no_progress, *, only: Collection[str] | None = None) -> Pool:
    """List every usable image below a folder.

    Links to folders are followed, once: real folders come first, so that a link never takes the place of the
    folder it leads to. A file is an image by its content, whatever its name; every file that cannot be used is
    listed, but for hidden ones. Only headers are checked here, as a truncated file is found when it is decoded
    in full, for its embedding.

    Parameters
    ----------
    root : Path
        The folder.
    progress : Progress
        Called with (files read, files found).
    only : collection of str, optional
        Paths, below the folder, of the files to read; then a pool may be empty.

    Returns
    -------
    Pool
        The same for the same content, whatever order the file system lists it in.

    Raises
    ------
    ImageError
        There is no such folder, or no usable image in it.
    """
    root = Path(root)
    if not root.is_dir():
        state = "a file" if root.exists() else "nothing"
        raise ImageError(f"expected a folder of images, found {state} at {root}: give the folder's path")
    walk = Walk(root)
    paths = sorted(path for path in walk.files() if only is None or path in only)
    skipped = walk.skipped
    images: dict[str, Image] = {}
    with ThreadPoolExecutor() as threads:
        for done, (path, found) in enumerate(zip(paths, threads.map(partial(identify, root), paths), strict=True), 1):
            progress(done, len(paths))
            if isinstance(found, ImageError):
                skipped.append(Skipped(path, str(found)))
                continue
            folders = PurePosixPath(path).parts[:-1]
            image = Image(found, path, folders[0] if folders else None)
            first = images.setdefault(image.hash, image)
            if first is not image:
                elsewhere = "" if first.label == image.label else ", which lies in another class"
                skipped.append(Skipped(path, f"duplicate of {first.path}{elsewhere}", first.path))
    skipped.sort(key=lambda item: item.path)
    if not images and only is None:
        raise ImageError(_no_images(root, skipped))
    return Pool(root, tuple(images.values()), tuple(skipped))


def identify(root: Path, path: str) -> str | ImageError:
    """Give the hash of a file with a good header, or the reason against it (returned: it must not end a map)."""
    try:
        with open_file(root / path) as file:
            check_header(file)
            file.seek(0)
            digest = content_hash()
            while block := file.read(1 << 20):
                digest.update(block)
            return digest.hexdigest()
    except ImageError as error:
        return error
    except OSError as error:
        return ImageError(reason_of(error))


def _no_images(root: Path, skipped: list[Skipped]) -> str:
    if not skipped:
        return f"no image in {root}: expected JPEG, PNG, WebP, BMP, TIFF or GIF files there or below"
    first = "; ".join(f"{item.path}: {item.reason}" for item in skipped[:3])
    return f"no usable image in {root}: {len(skipped)} skipped ({first}); give another folder or other files"


class Walk:
    """One walk through a folder: paths relative to it, and in `skipped` what was passed over on the way."""

    def __init__(self, root: Path) -> None:
        self.skipped: list[Skipped] = []
        self._root = root
        self._seen = {_identity(root): ""}
        self._above = {_identity(folder) for folder in root.resolve().parents}
        self._links: list[str] = []

    def files(self) -> Iterator[str]:
        """Yield the path of every file that may be an image, folder by folder."""
        yield from self._tree("")
        while self._links:
            link = self._links.pop(0)
            if self._enter(link):
                yield from self._tree(link)

    def _tree(self, top: str) -> Iterator[str]:
        """Walk the real folders below one; links are kept for later."""
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(self._root / folder) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                self._skip(folder or ".", reason_of(error))
                continue
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                match self._kind(entry, path):
                    case "file":
                        yield path
                    case "link":
                        self._links.append(path)
                    case "folder" if self._enter(path):
                        waiting.append(path)

    def _kind(self, entry: "os.DirEntry[str]", path: str) -> str | None:
        """Return "file", "folder" or "link" (to a folder), or list why it is passed over and return None."""
        try:
            is_folder = stat.S_ISDIR(entry.stat().st_mode)
        except OSError as error:
            self._skip(path, _why_no_status(entry, error))
            return None
        if not _is_utf8(entry.name):
            self._skip(path, "its name is not valid UTF-8: rename it")
        elif is_folder and entry.name.startswith("."):
            self._skip(path, "a hidden folder")
        elif is_folder:
            return "link" if entry.is_symlink() else "folder"
        elif PurePosixPath(entry.name).suffix.lower() in _CAMERA_RAW:
            self._skip(path, "camera raw is not a supported format: convert it to JPEG or PNG")
        elif not entry.name.startswith("."):  # hidden files are the system's, not a person's
            return "file"
        return None

    def _enter(self, path: str) -> bool:
        """Note that a folder is walked, or list why it is not."""
        try:
            identity = _identity(self._root / path)
        except OSError as error:
            self._skip(path, reason_of(error))
            return False
        first = self._seen.setdefault(identity, path)
        if first == path and identity not in self._above:
            return True
        # The root is "", which every path starts with.
        if identity in self._above or path.startswith(f"{first}/" if first else ""):
            self._skip(path, "a link loop: it leads to a folder that holds it")
        else:
            self._skip(path, f"the same folder as {first}, which is scanned already")
        return False

    def _skip(self, path: str, reason: str) -> None:
        self.skipped.append(Skipped(_printable(path), reason))


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _why_no_status(entry: "os.DirEntry[str]", error: OSError) -> str:
    if not entry.is_symlink():
        return reason_of(error)
    target = _printable(str(Path(entry.path).readlink()))
    why = "which is not there" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()
    return f"a broken link: it leads to {target}, {why}"


def _is_utf8(name: str) -> bool:
    """Whether a name can be stored: Python reads bytes that are not UTF-8 as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
