"""Arrivals: files that come into a folder while it is watched, each once nobody writes it any more."""

from pathlib import Path

from brainloop.images.pool import list_files

__all__ = ["Arrivals"]


class Arrivals:
    """Watch a folder by listing it again and again.

    Notifications of the system were rejected: each system has its own, and network drives have none.

    Parameters
    ----------
    folder : Path
        Watched with all below it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last: dict[str, tuple[int, int]] = {}
        self._told: dict[str, tuple[int, int]] = {}

    def look(self) -> frozenset[str]:
        """List the files by now.

        Returns
        -------
        frozenset of str
            Paths, below the folder, of files whose size and time of change are those of the last look, and that were
            not told before as they are now. A file that is still being written comes later, and one that was
            mended comes again; nothing comes at the first look.
        """
        now: dict[str, tuple[int, int]] = {}
        for path in list_files(self._folder) if self._folder.is_dir() else ():
            try:
                status = (self._folder / path).stat()
            except OSError:  # gone since it was listed
                continue
            now[path] = status.st_size, status.st_mtime_ns
        ready = {path for path, state in now.items() if self._last.get(path) == state != self._told.get(path)}
        self._told |= {path: now[path] for path in ready}
        self._last = now
        return frozenset(ready)
