"""Files that a kill cannot leave half-written, and a lock that a kill cannot leave behind."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from brainloop._types import FloatArray
from brainloop.errors import StudyError

__all__ = ["load_tensors", "locked", "save_tensors", "write_whole"]


def write_whole(path: Path, data: bytes) -> None:
    """Write a file in one step: whoever reads it sees the old content or the new, never a part."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    if sys.platform != "win32":  # after a power cut, too, the new name must be there
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def save_tensors(path: Path, tensors: Mapping[str, FloatArray], words: Mapping[str, str] | None = None) -> None:
    """Write arrays, and words beside them, as a safetensors file."""
    from safetensors.numpy import save

    whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    write_whole(path, save(whole, metadata=dict(words or {})))


def load_tensors(path: Path) -> tuple[dict[str, FloatArray], dict[str, str]]:
    """Read the arrays and the words that `save_tensors` wrote.

    Raises
    ------
    StudyError
        If there is no such file, or it is another kind of file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except (SafetensorError, FileNotFoundError) as error:
        raise StudyError(f"expected a model that brainloop wrote at {path}: {error}; run the study again") from error


@contextmanager
def locked(folder: Path, busy: str) -> Iterator[None]:
    """Hold a folder's lock, which the system lets go of whenever its holder ends, killed or not.

    Parameters
    ----------
    folder : Path
        Made where there is none.
    busy : str
        What to say when another process holds it.

    Raises
    ------
    StudyError
        If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("wb") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StudyError(busy) from error
        yield
