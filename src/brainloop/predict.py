"""Prediction: a trained head on any folder of images."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from scipy.special import expit

from brainloop._types import Progress, no_progress
from brainloop.errors import MissingExtraError, SettingsError
from brainloop.images.pool import Skipped, scan
from brainloop.study import Study

__all__ = ["Prediction", "predict", "write_predictions"]


@dataclass(frozen=True)
class Prediction:
    """What a head says of one image: its path, the probability of being a target, and the log-odds in nats."""

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
        Called with (images embedded, images).

    Returns
    -------
    predictions : list of Prediction
        Surest targets first.
    skipped : list of Skipped
        What could not be used, and why.
    """
    head = study.head()
    pool = scan(Path(folder))
    vectors = study.embed(pool.images, pool.root, progress)
    failed = {skipped.path for skipped in vectors.failed}
    images = [image for image in pool.images if image.path not in failed]
    log_odds = head.log_odds(vectors.rows(image.hash for image in images))
    predictions = [
        Prediction(images[k].path, float(expit(log_odds[k])), float(log_odds[k]), bool(log_odds[k] > 0))
        for k in np.argsort(-log_odds, kind="stable")
    ]
    return predictions, [*pool.skipped, *vectors.failed]


def write_predictions(predictions: Sequence[Prediction], path: Path) -> None:
    """Write predictions as CSV or Parquet, by the file's suffix.

    Raises
    ------
    SettingsError
        If the suffix is another.
    MissingExtraError
        If Parquet is wanted and pyarrow is not installed.
    """
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.DictWriter(file, [field.name for field in fields(Prediction)])
            rows.writeheader()
            rows.writerows(asdict(prediction) for prediction in predictions)
    elif path.suffix == ".parquet":
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise MissingExtraError("pyarrow", "parquet", "writing Parquet", error) from error
        table = pyarrow.Table.from_pylist([asdict(prediction) for prediction in predictions])
        pyarrow.parquet.write_table(table, path)
    else:
        raise SettingsError(f"expected a file that ends in .csv or .parquet; {path.name!r} came")
