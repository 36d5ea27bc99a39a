"""A study's models: files in its folder and, where stations share the study, what all of them take from the store."""

import shutil
from pathlib import Path

from brainloop._files import write_whole
from brainloop.store import Store

__all__ = ["Models"]


class Models:
    """The models of a study.

    Parameters
    ----------
    folder : Path
        Where their files lie.
    store : Store
        The study's.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self._store = store

    def path(self, name: str) -> Path:
        """Where a model of that name lies."""
        return self.folder / f"{name}.safetensors"

    def has(self, name: str) -> bool:
        """Say whether a model is here; it is taken from the store if it is only there."""
        path = self.path(name)
        if not path.exists() and self._store.is_shared and (data := self._store.published(name)) is not None:
            write_whole(path, data)
        return path.exists()

    def publish(self, name: str) -> None:
        """Give a model to all stations, where there are several; one that another gave first takes its place."""
        if not self._store.is_shared:
            return
        path = self.path(name)
        self._store.publish(name, path.read_bytes())
        write_whole(path, self._store.published(name) or b"")

    def note_erasure(self) -> None:
        """Tell all stations that somebody was erased, so that each drops what was made with them."""
        self._store.note("erasures", 1 + (self._store.fact("erasures") or 0))
        self.heed_erasures()

    def heed_erasures(self) -> None:
        """Drop copies of heads, exports and reports that are older than the last erasure at any station."""
        if not self._store.is_shared:
            return
        heeded, erasures = self.folder / "erasures", str(self._store.fact("erasures") or 0)
        if (heeded.read_text(encoding="utf-8") if heeded.exists() else "0") == erasures:
            return
        for path in self.folder.glob("head-*"):
            path.unlink()
        for made in ("exports", "reports"):
            shutil.rmtree(self.folder.parent / made, ignore_errors=True)
        write_whole(heeded, erasures.encode())
