"""The values that pass through this room: what a file says, what was made of it, what is to change."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from brainloop._types import Progress

__all__ = ["Amendment", "Annotations", "Change", "Entry", "Problem", "Reader"]


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be used: where it stands (``labels.csv, line 17``) and why not."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One annotation as a file has it: where it stands, what it calls the image, what it calls the class."""

    where: str
    name: str
    label: str


@dataclass(frozen=True, slots=True)
class Change:
    """A new annotation of an image.

    Attributes
    ----------
    path : str
        The image, as in `Annotations.labels`.
    given, now : str
        The class it was given, and the one it gets.
    reason : str
        In words.
    certainty : float
        That the change is right, in [0, 1].
    """

    path: str
    given: str
    now: str
    reason: str
    certainty: float

    @property
    def columns(self) -> dict[str, str | float]:
        """What an amended file says beside the new class."""
        return {"original_label": self.given, "reason": self.reason, "certainty": round(self.certainty, 6)}


class Amendment:
    """The changes of a file, by what the file calls the images; it notes which have found their place."""

    def __init__(self, changes: Mapping[str, Change]) -> None:
        self._changes = changes
        self._placed: set[str] = set()

    def below(self, folder: str) -> "Amendment":
        """Give the same changes by what a file in a folder below calls the images."""
        inner = Amendment({name.removeprefix(folder): change for name, change in self._changes.items()})
        inner._placed = self._placed
        return inner

    def of(self, name: str, label: str) -> Change | None:
        """Give the change of an annotation, if there is one."""
        change = self._changes.get(name)
        if change is None or change.given != label:
            return None
        self._placed.add(change.path)
        return change

    @property
    def unplaced(self) -> list[str]:
        """Images whose annotation was not found where it had been read."""
        return sorted({change.path for change in self._changes.values()} - self._placed)


class Reader(Protocol):
    """One file of one format; every format is one such class."""

    @property
    def path(self) -> Path:
        """The file that an amended one could take the place of."""

    @property
    def format(self) -> str:
        """As in `Annotations.format`."""

    def entries(self, progress: Progress) -> Iterator[Entry | Problem]:
        """Read the annotations one after the other, and what cannot be read as one."""

    def amended(self, amendment: Amendment) -> bytes:
        """Give the file's content with the changes made; all else stays as it is."""


@dataclass(frozen=True)
class Annotations:
    """What a file or folder says about the images of a pool.

    Attributes
    ----------
    source : Path
        The file or folder.
    format : str
        ``folders``, ``csv`` (any separator), ``jsonl``, ``parquet``, ``coco``, ``label-studio``, ``label-studio-min``
        or ``huggingface`` (a folder with ``metadata`` files).
    labels : dict of str to str
        From an image's path below the pool's root, with forward slashes, to its class.
    problems : tuple of Problem
        What was left out, and why.
    unannotated : tuple of str
        Images of the pool without an annotation that counts.
    repeated : int
        Annotations that said again what another had said.
    names : dict of str to str
        From what the file calls an image to its path; empty where folders are the annotations.
    reader : Reader or None
        Writes the amended file; None where folders are the annotations, as they are never moved.
    """

    source: Path
    format: str
    labels: dict[str, str]
    problems: tuple[Problem, ...]
    unannotated: tuple[str, ...]
    repeated: int = 0
    names: dict[str, str] = field(default_factory=dict, repr=False)
    reader: Reader | None = field(default=None, repr=False)

    @property
    def classes(self) -> dict[str, int]:
        """Number of images of each class, in the order of their names."""
        counts: dict[str, int] = {}
        for label in self.labels.values():
            counts[label] = counts.get(label, 0) + 1
        return dict(sorted(counts.items()))
