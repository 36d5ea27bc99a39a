"""Folders of images with labels: class folders, Hugging Face's imagefolder, FiftyOne."""

import json
import re
import shutil
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from brainloop._types import Progress, no_progress
from brainloop.exports.labels import row, table
from brainloop.exports.results import ImageResult
from brainloop.study import Study

__all__ = ["Placed", "folder_names", "place", "unused", "write_fiftyone", "write_huggingface", "write_imagefolder"]

LEFT_OUT = "left-out.csv"
"""Names the images that could not be copied, and why."""

# What Windows, macOS or Linux do not allow in a name; the longest that all allow, less room for a number.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LONGEST = 100


@dataclass(frozen=True)
class Placed:
    """An image that was copied: its result, and its file's name relative to the folder of images, with ``/``."""

    result: ImageResult
    file_name: str


def folder_names(names: Iterable[str]) -> dict[str, str]:
    """Give each class a folder's name that every system allows, and that no other class has.

    A name that is allowed stays as it is; of others the characters that are not become ``_``.
    """
    folders: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        folders[name] = unused(_allowed(name), taken)
    return folders


def place(
    study: Study, results: Sequence[ImageResult], root: Path, *, by_class: bool, progress: Progress = no_progress
) -> list[Placed]:
    """Copy every image that has a label into a folder, or into a folder for each class.

    Images are copied, not linked: what is done to an export must not reach the originals. Names are those of the
    originals, as far as every system allows them and no two are the same, with or without their suffix. What cannot be
    copied is left out, and named in ``left-out.csv``.

    Parameters
    ----------
    study : Study
        Whose images.
    results : sequence of ImageResult
        What is known of them.
    root : Path
        Where; made where there is none.
    by_class : bool
        Whether into class folders.
    progress : Progress
        Called with (images copied, images).
    """
    labelled = [one for one in results if one.decided is not None]
    folders = folder_names(dict.fromkeys(str(one.decided) for one in labelled)) if by_class else {}
    taken: dict[str, set[str]] = {}
    placed, left_out = [], []
    root.mkdir(parents=True, exist_ok=True)
    for done, one in enumerate(labelled):
        progress(done, len(labelled))
        folder, original = folders.get(str(one.decided), ""), PurePosixPath(one.path)
        # A suffix stays as it is, for readers know an image by it; those that the pool takes have no odd characters.
        name = unused(_allowed(original.stem), taken.setdefault(folder, set())) + original.suffix
        file_name = f"{folder}/{name}" if folder else name
        try:
            (root / folder).mkdir(exist_ok=True)
            shutil.copyfile(Path(study.settings.images) / one.path, root / file_name)
        except OSError as error:
            left_out.append({"path": one.path, "reason": error.strerror or str(error)})
        else:
            placed.append(Placed(one, file_name))
    progress(len(labelled), len(labelled))
    if left_out:
        (root / LEFT_OUT).write_text(table(left_out), encoding="utf-8", newline="")
    return placed


def write_imagefolder(study: Study, results: Sequence[ImageResult], folder: Path, progress: Progress) -> None:
    """Write class folders, as torchvision's ImageFolder and many others read them."""
    place(study, results, folder, by_class=True, progress=progress)


def write_huggingface(study: Study, results: Sequence[ImageResult], folder: Path, progress: Progress) -> None:
    """Write images and a ``metadata.csv``, as the imagefolder of Hugging Face's datasets reads them."""
    placed = place(study, results, folder, by_class=False, progress=progress)
    rows = [{"file_name": one.file_name} | row(one.result) for one in placed]
    (folder / "metadata.csv").write_text(table(rows), encoding="utf-8", newline="")


def write_fiftyone(study: Study, results: Sequence[ImageResult], folder: Path, progress: Progress) -> None:
    """Write a FiftyOneImageClassificationDataset: ``data/`` and ``labels.json``, evidence and looks as attributes.

    References
    ----------
    https://docs.voxel51.com/user_guide/import_datasets.html#fiftyoneimageclassificationdataset
    """
    placed = place(study, results, folder / "data", by_class=False, progress=progress)
    labels = {}
    for one in placed:
        said = row(one.result)
        label, confidence = said.pop("label"), said.pop("certainty")
        key = one.file_name.removesuffix(PurePosixPath(one.file_name).suffix)
        labels[key] = {"label": label, "confidence": confidence, "attributes": said}
    classes = sorted({str(one.result.decided) for one in placed})
    written = json.dumps({"classes": classes, "labels": labels}, indent=1, ensure_ascii=False)
    (folder / "labels.json").write_text(written, encoding="utf-8")


def _allowed(name: str) -> str:
    """Make a name that every system allows; ``..`` and nothing at all become ``_``."""
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", name))[:_LONGEST].strip().rstrip(".")
    return f"_{name}" if not name or _RESERVED.fullmatch(name) or name.startswith(".") else name


def unused(name: str, taken: set[str]) -> str:
    """Give a name, or with a number if it is taken; capitals do not count, as some systems do not tell them apart."""
    chosen, number = name, 1
    while chosen.casefold() in taken:
        number += 1
        chosen = f"{name}-{number}"
    taken.add(chosen.casefold())
    return chosen
