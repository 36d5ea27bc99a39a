"""Prediction: a trained head on any folder of images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy.special import logsumexp

from brainloop._types import FloatArray, Progress, no_progress
from brainloop.classifier.features import load_features
from brainloop.images.pool import Skipped, scan
from brainloop.study import Study

__all__ = ["Prediction", "predict"]


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

    @property
    def row(self) -> dict[str, str | float]:
        """All of it as a row of a table, a column a class."""
        row: dict[str, str | float] = {"path": self.path, "label": self.label}
        row |= {"probability": self.probability, "log_odds": self.log_odds}
        return row | {f"probability_{name}": p for name, p in self.classes.items()}


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
    features = load_features(study.models.path("features"))(vectors.rows(image.hash for image in images))
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
