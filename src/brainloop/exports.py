"""Exports: what a study knows of each image, its model, its recordings, as files for others."""

import csv
import io
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from scipy.special import expit, logit

from brainloop._files import write_whole
from brainloop.errors import SettingsError, StudyError
from brainloop.evidence import add_up
from brainloop.loop import CORRECTION
from brainloop.study import Study

__all__ = ["WHAT", "ImageResult", "export_study", "image_results"]

WHAT = ("labels", "model", "recordings")
"""What can be exported."""


@dataclass(frozen=True)
class ImageResult:
    """What is known of an image.

    Parameters
    ----------
    id : int
        Its place in the store.
    path : str
        Below the study's folder of images.
    part : str
        As in `brainloop.store.PoolImage`.
    label : str or None
        Its class folder.
    probability : float or None
        Of being a target, by classifier and evidence together: ``sigmoid(logit(classifier) + evidence)``; None where
        the classifier says nothing, as no round is over or the image is neither of the pool nor of the test part.
    classifier : float or None
        The same by the classifier alone, calibrated (`Head.probability`).
    evidence : float
        Of all usable looks, or of the correction, nats.
    looks : int
        That were answered, rejected ones included.
    correction : bool or None
        What a person said that it is.
    """

    id: int
    path: str
    part: str
    label: str | None
    probability: float | None
    classifier: float | None
    evidence: float
    looks: int
    correction: bool | None


def image_results(study: Study) -> list[ImageResult]:
    """Say what is known of every image of a study by now, in the order of their ids; also before its first round."""
    images, said = study.store.images(), study.store.corrections()
    looks, n_ids = study.store.looks(), images[-1].id + 1
    usable = np.array([reason is None for reason in looks.rejected], dtype=bool)
    evidence = add_up(looks.image[usable], looks.evidence[usable], n_ids)
    for number, is_target in said.items():
        evidence[number] = CORRECTION if is_target else -CORRECTION
    alone = np.full(n_ids, np.nan)
    if study.store.rounds():
        # Not before: the images may be being embedded by another process until then.
        data = study.data()
        head, (pool, test) = study.head(), study.features(data)
        alone[data.ids] = head.probability(pool)
        if len(test):
            alone[[image.id for image in study.store.images() if image.part == "test"]] = head.probability(test)
    both, seen = expit(logit(alone) + evidence), np.bincount(looks.image, minlength=n_ids)
    return [
        ImageResult(
            image.id, image.path, image.part, image.label, _or_none(both[image.id]), _or_none(alone[image.id]),
            float(evidence[image.id]), int(seen[image.id]), said.get(image.id),
        )
        for image in images
    ]  # fmt: skip


def export_study(study: Study, folder: Path, what: Sequence[str]) -> list[Path]:
    """Write what a study has learned, as files for others.

    Parameters
    ----------
    study : Study
        Which.
    folder : Path
        Where; files of an earlier export are replaced.
    what : sequence of {"labels", "model", "recordings"}
        ``labels.csv``, a row an `ImageResult`; ``head.safetensors`` and ``features.safetensors`` with a ``model.txt``
        that says how to use them; ``recordings.zip``, the BIDS data set.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    SettingsError
        If something else is asked for.
    StudyError
        If there is no model yet, or no recording; nothing is written then.
    """
    if unknown := sorted(set(what) - set(WHAT)):
        raise SettingsError(f"expected some of {', '.join(WHAT)} to export, got {', '.join(unknown)}")
    recordings = study.folder / "recordings"
    if "recordings" in what and not any(recordings.glob("sub-*")):
        raise StudyError(f"there is no recording in {study.folder} to export; calibrate with a headset first")
    if "model" in what:
        study.head()
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    if "labels" in what:
        files.append(_write_labels(study, folder / "labels.csv"))
    if "model" in what:
        files += _write_model(study, folder)
    if "recordings" in what:
        files.append(_write_zip(recordings, folder / "recordings.zip"))
    return files


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _write_labels(study: Study, path: Path) -> Path:
    text = io.StringIO(newline="")
    rows = csv.DictWriter(text, [field.name for field in fields(ImageResult)])
    rows.writeheader()
    rows.writerows(asdict(one) for one in image_results(study))
    write_whole(path, text.getvalue().encode())
    return path


def _write_model(study: Study, folder: Path) -> list[Path]:
    number, settings = study.store.rounds()[-1].number, study.settings
    files = [folder / "head.safetensors", folder / "features.safetensors", folder / "model.txt"]
    for name, path in zip((f"head-{number:03d}", "features"), files, strict=False):
        shutil.copyfile(study.model_path(name), path)
    said = MODEL.format(
        target=settings.target, number=number, backbone=settings.backbone, output=settings.backbone_output
    )
    write_whole(files[2], said.encode())
    return files


MODEL = """A classifier that tells {target!r} from everything else, trained in {number} rounds of looks.

It works on embeddings of the backbone {backbone!r} (output: {output}), as brainloop.images makes them:

    from pathlib import Path
    from brainloop.classifier.features import load_features
    from brainloop.classifier.heads import load_head

    features = load_features(Path("features.safetensors"))
    head = load_head(Path("head.safetensors"))
    probability = head.probability(features(embeddings))  # (n, width) -> (n,)

With the study's folder at hand, any folder of images: brainloop predict STUDY IMAGES
Both files are safetensors: arrays and words, no code.
"""


def _write_zip(folder: Path, path: Path) -> Path:
    partial = path.with_name(f"{path.name}.partial")
    with ZipFile(partial, "w", ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, Path(folder.name) / file.relative_to(folder))
    partial.replace(path)
    return path
