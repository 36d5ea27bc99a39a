"""Listing: the images of a collection that a study's last head is surest of, or least sure of, as a table."""

from dataclasses import dataclass

import numpy as np

from brainloop._types import Progress, no_progress
from brainloop.classifier.features import load_features
from brainloop.collection import Collection, Ranking, rank
from brainloop.engine import Engine
from brainloop.errors import SettingsError, StudyError
from brainloop.study import Study

__all__ = ["Listed", "list_top"]


@dataclass(frozen=True)
class Listed:
    """One image of a collection and what a head says of it.

    Parameters
    ----------
    path, hash : str
        Of the image, in its collection.
    label : str
        What it most likely is: the target, or ``not TARGET``; of several classes one of them.
    log_odds : float
        Of being a target, or of being of the class `label`, at the head's most probable weights, nats.
    probability : float
        Of the same, averaged over what the head may be (`Head.probability`).
    """

    path: str
    hash: str
    label: str
    log_odds: float
    probability: float


def list_top(
    study: Study,
    collection: Collection,
    engine: Engine | None = None,
    *,
    top: int = 1000,
    by: str = "target",
    progress: Progress = no_progress,
) -> tuple[list[Listed], Ranking]:
    """Rank a collection by a study's last head.

    Parameters
    ----------
    study : Study
        With one finished round or more.
    collection : Collection
        Embedded with the study's backbone.
    engine : Engine, optional
        Where it runs.
    top : int
        How many images at most.
    by : {"target", "unsure"}
        The surest first, or the least sure.
    progress : Progress
        Called with (shards scored, shards).

    Raises
    ------
    SettingsError
        If `by` is something else.
    StudyError
        If the study has no head yet, or the collection is of another backbone.
    """
    if by not in ("target", "unsure"):
        raise SettingsError(f"by: expected target or unsure; {by!r} came")
    known = study.store.fact("backbone")
    if collection.fingerprint and collection.fingerprint != known:
        raise StudyError(
            f"the vectors of {collection.url} were made by the backbone {collection.manifest.backbone}, with another "
            f"fingerprint than that of {study.folder}: collect the images with --backbone {study.settings.backbone}"
        )
    features, head = load_features(study.models.path("features")), study.head()
    n_unsure, n_surest = (top, 0) if by == "unsure" else (0, top)
    ranking = rank(collection, features, head, engine, n_unsure=n_unsure, n_surest=n_surest, progress=progress)
    rows = ranking.unsure if by == "unsure" else ranking.surest
    log_odds = ranking.unsure_log_odds if by == "unsure" else ranking.surest_log_odds
    probability = head.probability(features(collection.vectors(rows)))
    classes, target = study.settings.classes, study.settings.target
    likeliest = probability.argmax(axis=1) if classes else np.zeros(len(rows), dtype=int)
    chosen = probability[np.arange(len(rows)), likeliest] if classes else probability
    images = collection.rows_of(rows)
    return [
        Listed(image.path, image.hash, classes[k] if classes else (target if z > 0 else f"not {target}"), z, p)
        for image, k, z, p in zip(images, likeliest.tolist(), log_odds.tolist(), chosen.tolist(), strict=True)
    ], ranking
