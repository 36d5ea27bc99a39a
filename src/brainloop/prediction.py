"""Prediction: a trained head on any folder of images."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy.special import logsumexp

from brainloop._types import FloatArray, Progress, no_progress
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
    label : str
        What it most likely is: the target, or ``not TARGET``; of several classes one of them.
    probability : float
        Of being a target, or of being of the class `label`: calibrated, that is averaged over what the head may be
        (`Head.probability`).
    log_odds : float
        Of the same, at the head's most probable weights, nats.
    classes : dict of str to float
        The probability of each class; empty where one target was looked for.
    """

    path: str
    label: str
    probability: float
    log_odds: float
    classes: dict[str, float] = field(default_factory=dict)


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
        One a file, copies of one image included; surest targets first, or class by class the surest first.
    skipped : list of Skipped
        What could not be used, and why.
    """
    head = study.head()
    pool = scan(Path(folder), progress)
    vectors = study.embed(pool.images, pool.root, progress)
    failed = {skipped.path for skipped in vectors.failed}
    images = [image for image in pool.images if image.path not in failed]
    features = load_features(study.model_path("features"))(vectors.rows(image.hash for image in images))
    paths = [image.path for image in images]
    found = {one.path: one for one in _predictions(study, paths, head.probability(features), head.log_odds(features))}
    copies = {
        copy.path: replace(found[copy.duplicate_of], path=copy.path)
        for copy in pool.skipped
        if copy.duplicate_of in found
    }
    order = (lambda one: (one.label, -one.probability, one.path)) if study.settings.classes else _surest_target
    predictions = sorted((found | copies).values(), key=order)
    return predictions, [entry for entry in (*pool.skipped, *vectors.failed) if entry.path not in copies]


def _surest_target(one: Prediction) -> tuple[float, str]:
    return -one.probability, one.path


def _predictions(
    study: Study, paths: Sequence[str], probability: FloatArray, log_odds: FloatArray
) -> Iterator[Prediction]:
    target, classes = study.settings.target, study.settings.classes
    if not classes:
        for path, p, z in zip(paths, probability.tolist(), log_odds.tolist(), strict=True):
            yield Prediction(path, target if z > 0 else f"not {target}", p, z)
        return
    for path, each, z in zip(paths, probability.astype(np.float64), log_odds.astype(np.float64), strict=True):
        k = int(z.argmax())
        of_rest = float(z[k] - logsumexp(np.delete(z, k)))
        named = dict(zip(classes, each.tolist(), strict=True))
        yield Prediction(path, classes[k], float(each[k]), of_rest, named)


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


def _row(prediction: Prediction) -> dict[str, str | float]:
    row: dict[str, str | float] = {"path": prediction.path, "label": prediction.label}
    row |= {"probability": prediction.probability, "log_odds": prediction.log_odds}
    return row | {f"probability_{name}": p for name, p in prediction.classes.items()}


def _write_csv(path: Path, predictions: Sequence[Prediction]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, list(_row(predictions[0])) if predictions else [])
        rows.writeheader()
        rows.writerows(_row(prediction) for prediction in predictions)


def _write_parquet(path: Path, predictions: Sequence[Prediction]) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.Table.from_pylist([_row(prediction) for prediction in predictions])
    pyarrow.parquet.write_table(table, path)
