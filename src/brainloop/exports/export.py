"""What can be exported, and how it comes to its place: whole or not at all."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from brainloop._files import write_whole
from brainloop._types import Progress, no_progress
from brainloop.errors import SettingsError, StudyError
from brainloop.exports.croissant import write_croissant
from brainloop.exports.folders import write_fiftyone, write_huggingface, write_imagefolder
from brainloop.exports.label_studio import write_label_studio
from brainloop.exports.labels import check_parquet, write_csv, write_parquet
from brainloop.exports.onnx_model import check_exportable, export_onnx
from brainloop.exports.results import ImageResult, image_results
from brainloop.study import Study

__all__ = ["WHAT", "export_study"]

WHAT = {
    "labels": "labels.csv: a row an image with posterior, evidence, looks, label and certainty",
    "parquet": "labels.parquet: the same table, typed",
    "imagefolder": "imagefolder/: copies of the images in class folders, as torchvision and Keras read them",
    "huggingface": "huggingface/: copies of the images and a metadata.csv, for Hugging Face's datasets",
    "labelstudio": "labelstudio/: a task an image with its label as prediction, and the labelling config",
    "fiftyone": "fiftyone/: copies of the images and a labels.json, as FiftyOne imports them",
    "croissant": "croissant/: copies of the images and a croissant.json, for MLCommons' loaders",
    "onnx": "onnx/: model.onnx, from pixels to probability, and predict.py, which needs onnxruntime alone",
    "model": "head.safetensors, features.safetensors, model.txt: as brainloop itself reads them",
    "recordings": "recordings.zip: the EEG as a BIDS data set, with the evidence of each presentation in its events",
}
"""What can be exported, with a line on each; the names of files and folders are those before the colon."""

FILES = {"labels": ["labels.csv"], "parquet": ["labels.parquet"], "recordings": ["recordings.zip"]}
FILES["model"] = ["head.safetensors", "features.safetensors", "model.txt"]
"""Of what is not a folder of its own name."""

OF_IMAGES = ("labels", "parquet", "imagefolder", "huggingface", "labelstudio", "fiftyone", "croissant")


@dataclass(frozen=True)
class _Job:
    """What a writer is given."""

    study: Study
    results: Sequence[ImageResult]
    progress: Progress


def export_study(
    study: Study,
    folder: Path,
    what: Sequence[str],
    *,
    force: bool = False,
    zipped: bool = False,
    progress: Progress = no_progress,
) -> list[Path]:
    """Write what a study has learned, as files and folders for others.

    Each is written beside its place and then renamed: it is there whole, or as it was before.

    Parameters
    ----------
    study : Study
        Which.
    folder : Path
        Where; made where there is none.
    what : sequence of str
        Names of `WHAT`.
    force : bool
        Whether files and folders of the same names are replaced.
    zipped : bool
        Whether a folder becomes one file, ``NAME.zip``.
    progress : Progress
        Called with (images copied or checked, images), for one thing after the other.

    Returns
    -------
    list of Path
        The files and folders.

    Raises
    ------
    SettingsError
        If something else is asked for, or would be overwritten.
    StudyError
        If there is no model yet, no recording, or no label; nothing is written then.
    MissingExtraError
        If a package is not installed.
    BackboneError
        If the model's backbone cannot be written as ONNX.
    """
    paths = {one: [folder / name for name in _names(one, zipped)] for one in _known(what)}
    if not force and (there := [path for several in paths.values() for path in several if path.exists()]):
        raise SettingsError(
            f"{', '.join(str(path) for path in there[:3])} {'is' if len(there) == 1 else 'are'} there already; export "
            "into another folder, or replace with --force"
        )
    results = _check(study, what)
    folder.mkdir(parents=True, exist_ok=True)
    job = _Job(study, results, progress)
    for one in paths:
        partial = folder / f".{one}.partial"
        shutil.rmtree(partial, ignore_errors=True)  # of an export that was killed
        partial.mkdir()
        try:
            WRITERS[one](job, partial)
            if one in FILES:
                for path in paths[one]:
                    (partial / path.name).replace(path)
            elif zipped:
                write_zip(partial, paths[one][0], one)
            else:
                _replace(partial, paths[one][0])
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return [path for several in paths.values() for path in several]


def write_zip(folder: Path, path: Path, name: str) -> None:
    """Write a folder as one file; in it, the folder has the name that is given."""
    partial = path.with_name(f"{path.name}.partial")
    with ZipFile(partial, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                packed = file.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp", ".gif", ".onnx")
                archive.write(file, Path(name) / file.relative_to(folder), ZIP_STORED if packed else ZIP_DEFLATED)
    partial.replace(path)


def _known(what: Sequence[str]) -> list[str]:
    if unknown := sorted(set(what) - set(WHAT)):
        raise SettingsError(f"expected some of {', '.join(WHAT)} to export, got {', '.join(unknown)}")
    return list(dict.fromkeys(what))


def _names(one: str, zipped: bool) -> list[str]:
    return FILES.get(one, [f"{one}.zip" if zipped else one])


def _check(study: Study, what: Sequence[str]) -> list[ImageResult]:
    """Say why something cannot be written before anything is; give what is known of the images, where that is asked."""
    of_images = [one for one in what if one in OF_IMAGES]
    use = study.settings.use
    if use != "train" and (other := [one for one in what if one != "recordings"]):
        raise StudyError(
            f"expected a study that trains a classifier to export {', '.join(other)} of; {study.folder} is for "
            f"{'an audit' if use == 'audit' else 'a review'}, whose results brainloop {use} writes"
        )
    if "recordings" in what and not any((study.folder / "recordings").glob("sub-*")):
        raise StudyError(f"there is no recording in {study.folder} to export; calibrate with a headset first")
    if "model" in what or set(of_images) - {"labels", "parquet", "labelstudio"}:
        study.head()
    if "onnx" in what:
        check_exportable(study)
    if "parquet" in what:
        check_parquet()
    return image_results(study) if of_images else []


def _replace(partial: Path, path: Path) -> None:
    """Put a folder in its place; what was there goes once the new one is there in full."""
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)  # of an export that was killed
    if path.is_dir():
        path.rename(old)
    else:
        path.unlink(missing_ok=True)
    partial.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _write_labels(job: _Job, folder: Path) -> None:
    write_csv(job.results, folder / "labels.csv")


def _write_parquet(job: _Job, folder: Path) -> None:
    write_parquet(job.results, folder / "labels.parquet")


def _write_label_studio(job: _Job, folder: Path) -> None:
    names, rounds = job.study.settings.names, job.study.store.rounds()
    classes = names if len(names) > 1 else (*names, f"not {names[0]}")
    version = f"brainloop {job.study.folder.resolve().name}, round {rounds[-1].number if rounds else 0}"
    images = job.study.settings.images
    write_label_studio(job.results, folder, images=images, classes=classes, model_version=version)


def _write_onnx(job: _Job, folder: Path) -> None:
    export_onnx(job.study, folder, job.progress)


def _write_model(job: _Job, folder: Path) -> None:
    study, settings = job.study, job.study.settings
    number = study.store.rounds()[-1].number
    for name, kept in (("head", f"head-{number:03d}"), ("features", "features")):
        shutil.copyfile(study.models.path(kept), folder / f"{name}.safetensors")
    several = len(settings.names) > 1
    said = MODEL.format(
        what=f"{', '.join(settings.names)} apart" if several else f"{settings.target!r} from everything else",
        number=number, backbone=settings.backbone, output=settings.backbone_output,
        shape=f"(n, {len(settings.names)})" if several else "(n,)",
    )  # fmt: skip
    write_whole(folder / "model.txt", said.encode())


MODEL = """A classifier that tells {what}, trained in {number} rounds of looks.

It works on embeddings of the backbone {backbone!r} (output: {output}), as brainloop.images makes them:

    from pathlib import Path
    from brainloop.classifier.features import load_features
    from brainloop.classifier.heads import load_head

    features = load_features(Path("features.safetensors"))
    head = load_head(Path("head.safetensors"))
    probability = head.probability(features(embeddings))  # (n, width) -> {shape}

With the study's folder at hand, any folder of images: brainloop predict STUDY IMAGES
Both files are safetensors: arrays and words, no code.
"""


def _write_recordings(job: _Job, folder: Path) -> None:
    write_zip(job.study.folder / "recordings", folder / "recordings.zip", "recordings")


WRITERS: dict[str, Callable[[_Job, Path], None]] = {
    "labels": _write_labels,
    "parquet": _write_parquet,
    "imagefolder": lambda job, folder: write_imagefolder(job.study, job.results, folder, job.progress),
    "huggingface": lambda job, folder: write_huggingface(job.study, job.results, folder, job.progress),
    "labelstudio": _write_label_studio,
    "fiftyone": lambda job, folder: write_fiftyone(job.study, job.results, folder, job.progress),
    "croissant": lambda job, folder: write_croissant(job.study, job.results, folder, job.progress),
    "onnx": _write_onnx,
    "model": _write_model,
    "recordings": _write_recordings,
}
