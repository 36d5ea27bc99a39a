"""Prediction: a trained head on any folder of images."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

from brainloop._types import Progress, no_progress
from brainloop.classifier.features import load_features
from brainloop.errors import MissingExtraError, SettingsError
from brainloop.images.pool import Skipped, scan
from brainloop.study import Study

__all__ = ["Prediction", "predict", "writer_of"]


@dataclass(frozen=True)
class Prediction:
    """What a head says of one image.

    Parameters
    ----------
    path : str
        Of the image, in its folder.
    probability : float
        Of being a target: calibrated, that is averaged over what the head may be (`Head.probability`).
    log_odds : float
        At the head's most probable weights, nats.
    is_target : bool
        Whether it is more likely a target than not.
    """

    path: str
    probability: float
    log_odds: float
    is_target: bool


def predict(
    study: Study, folder: Path | str, *, progress: Progress = no_progress
) -> tuple[list[Prediction], list[Skipped]]:
    """Classify the images of a folder with a study's last head.

    Parameters
    ----------
    study : Study
        With one finished round or more.
    folder : path
        Scanned recursively.
    progress : Progress
        Called with (files scanned, files), then with (images embedded, images).

    Returns
    -------
    predictions : list of Prediction
        One a file, copies of one image included; surest targets first.
    skipped : list of Skipped
        What could not be used, and why.
    """
    head = study.head()
    pool = scan(Path(folder), progress)
    vectors = study.embed(pool.images, pool.root, progress)
    failed = {skipped.path for skipped in vectors.failed}
    images = [image for image in pool.images if image.path not in failed]
    features = load_features(study.model_path("features"))(vectors.rows(image.hash for image in images))
    scores = zip(head.probability(features), head.log_odds(features), strict=True)
    found = {image.path: (float(p), float(z)) for image, (p, z) in zip(images, scores, strict=True)}
    copies = {copy.path: found[copy.duplicate_of] for copy in pool.skipped if copy.duplicate_of in found}
    predictions = [
        Prediction(path, probability, z, z > 0)
        for path, (probability, z) in sorted((found | copies).items(), key=lambda item: (-item[1][0], item[0]))
    ]
    return predictions, [entry for entry in (*pool.skipped, *vectors.failed) if entry.path not in copies]


def writer_of(path: Path) -> Callable[[Sequence[Prediction]], None]:
    """Choose how predictions are written, by the file's suffix, before any work is done for them.

    Parameters
    ----------
    path : Path
        A ``.csv`` or a ``.parquet`` file.

    Returns
    -------
    callable
        Takes predictions and writes them to the path.

    Raises
    ------
    SettingsError
        If the suffix is another.
    MissingExtraError
        If Parquet is wanted and pyarrow is not installed.
    """
    if path.suffix == ".csv":
        return partial(_write_csv, path)
    if path.suffix != ".parquet":
        raise SettingsError(f"expected a file that ends in .csv or .parquet; {path.name!r} came")
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", "writing Parquet", error) from error
    return partial(_write_parquet, path)


def _write_csv(path: Path, predictions: Sequence[Prediction]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, [field.name for field in fields(Prediction)])
        rows.writeheader()
        rows.writerows(asdict(prediction) for prediction in predictions)


def _write_parquet(path: Path, predictions: Sequence[Prediction]) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.Table.from_pylist([asdict(prediction) for prediction in predictions])
    pyarrow.parquet.write_table(table, path)
