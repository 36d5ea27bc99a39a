"""From folders to an arena: images embedded once, recordings decoded once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainloop._types import FloatArray, IntArray, Progress, no_progress
from brainloop.bench.arena import Arena, Photographs
from brainloop.bench.zero_label import own_score
from brainloop.eeg.recordings import Recording, read_recordings
from brainloop.errors import SettingsError
from brainloop.images.backbones import load_backbone
from brainloop.images.embeddings import embed
from brainloop.images.pool import scan
from brainloop.observers.answers import decode
from brainloop.settings import Settings

__all__ = ["ClassFolders", "class_folders", "people_of", "prepare"]


@dataclass(frozen=True, eq=False)
class ClassFolders:
    """Photographs in class folders, embedded.

    Parameters
    ----------
    classes : tuple of str
        Names of the folders.
    labels : array of int, shape (n_images,)
        The folder of each image, as a place in `classes`.
    vectors : array, shape (n_images, width)
        Embeddings.
    """

    classes: tuple[str, ...]
    labels: IntArray
    vectors: FloatArray


def class_folders(folder: Path, backbone: str, cache: Path, *, progress: Progress = no_progress) -> ClassFolders:
    """Embed the images of all class folders below a folder.

    Raises
    ------
    SettingsError
        If there are fewer than two class folders.
    ImageError, BackboneError
        If a part cannot be used.
    """
    pool = scan(folder)
    embedded = embed(pool.images, pool.root, load_backbone(backbone), cache, progress=progress)
    images = [image for image in pool.images if image.hash in embedded and image.label is not None]
    classes = tuple(sorted({str(image.label) for image in images}))
    if len(classes) < 2:
        raise SettingsError(
            f"expected two class folders or more with images in {folder}; there are: {', '.join(classes) or 'none'}"
        )
    labels = np.array([classes.index(str(image.label)) for image in images])
    return ClassFolders(classes, labels, embedded.rows(image.hash for image in images))


def prepare(
    tasks: Sequence[str],
    recordings: Sequence[Path],
    settings: Settings,
    checkpoints: Sequence[int],
    cache: Path,
    *,
    progress: Progress = no_progress,
) -> Arena:
    """Embed every task's images, once, and decode every person's recordings, once.

    Parameters
    ----------
    tasks : sequence of str
        ``DIR:CLASS`` each: a folder of class folders, and which of them is looked for.
    recordings : sequence of Path
        Files or folders; the recordings that one of them gives of one person are one person's.
    settings : Settings
        Backbone, decoder, and all that rehearsals are made of.
    checkpoints : sequence of int
        Numbers of looks, rising.
    cache : Path
        Where embeddings are kept.
    progress : Progress
        Called with (tasks and people ready, all of them).

    Raises
    ------
    SettingsError
        If a task is not ``DIR:CLASS``, or its folder has no such class.
    ImageError, BackboneError, RecordingError, DecoderError
        If a part cannot be used.
    """
    wanted = _named([_task(task) for task in tasks])
    people = people_of(recordings, settings)
    ready, total = 0, len(wanted) + len(people)
    embedded, answers = {}, {}
    for name, (folder, target) in wanted.items():
        progress(ready, total)
        embedded[name] = _photographs(folder, target, settings, cache)
        ready += 1
    for name, own in people.items():
        progress(ready, total)
        answers[name] = decode(own, decoder=settings.decoder, calibration=settings.calibration)
        ready += 1
    progress(total, total)
    return Arena(embedded, answers, settings, tuple(sorted(set(checkpoints))))


def _task(text: str) -> tuple[Path, str]:
    folder, colon, target = text.rpartition(":")
    if not colon or not folder or not target:
        raise SettingsError(f"expected a task as DIR:CLASS, such as photos:rose; {text!r} came")
    return Path(folder), target


def _named(tasks: Sequence[tuple[Path, str]]) -> dict[str, tuple[Path, str]]:
    """Name tasks by their class, with the folder where two share it."""
    classes = [target for _, target in tasks]
    return {
        target if classes.count(target) == 1 else f"{folder.name}/{target}": (folder, target)
        for folder, target in tasks
    }


def _photographs(folder: Path, target: str, settings: Settings, cache: Path) -> Photographs:
    pool = scan(folder)
    classes = pool.classes
    if not 0 < classes.get(target, 0) < len(pool):
        raise SettingsError(
            f"expected a class folder {target!r} and others in {folder}; there are: {', '.join(classes) or 'none'}"
        )
    backbone = load_backbone(settings.backbone, output=settings.backbone_output)
    embedded = embed(pool.images, pool.root, backbone, cache, dtype=settings.precision)
    images = [image for image in pool.images if image.hash in embedded]
    own, about = own_score(settings.backbone, target, images, pool.root, cache)
    return Photographs(
        embedded.rows(image.hash for image in images), np.array([image.label == target for image in images]), own, about
    )


def people_of(paths: Sequence[Path], settings: Settings) -> dict[str, list[Recording]]:
    """Group each path's recordings by person, under a short name that no other has."""
    people: dict[str, list[Recording]] = {}
    for path in dict.fromkeys(Path(path).resolve() for path in paths):
        own: dict[str, list[Recording]] = {}
        for one in read_recordings([path], target=settings.target_event, nontarget=settings.nontarget_event):
            own.setdefault(one.person, []).append(one)
        folder = path if path.is_dir() else path.parent
        for person, recordings in own.items():
            name = f"{folder.name}/{person}"
            if name in people:
                name = f"{folder.parent.name}/{name}" if path.is_dir() else f"{name} ({path.name})"
            people[name] = recordings
    return people
