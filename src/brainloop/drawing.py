"""Drawing: a study of more images than fit works on a part, and draws it anew by what its classifier says of all.

The first part is drawn at random. Once the classifier is sure of it, all images of the collection are scored, and the
part becomes: what was looked at; those that the classifier is least sure of; the surest targets, as what it has not met
yet is as likely among these; and some at random, for the query weighs a look by what it tells of the whole.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from brainloop._types import Progress, no_progress
from brainloop.classifier.features import load_features
from brainloop.collection import Collection, draw, rank
from brainloop.engine import Engine
from brainloop.errors import StudyError
from brainloop.store import PoolImage
from brainloop.study import Study

__all__ = ["Drawn", "draw_anew"]

UNSURE, SUREST = 0.5, 0.1
"""Of the working part, the shares that are least sure, and surest targets; the rest is drawn at random."""


@dataclass(frozen=True)
class Drawn:
    """What a drawing came to.

    Parameters
    ----------
    images : int
        Of the collection, that were scored.
    new : int
        Of the working part, that were not in it before.
    unsure : int
        Of the new ones, those with a confidence below the study's threshold.
    """

    images: int
    new: int
    unsure: int


def draw_anew(study: Study, engine: Engine, *, progress: Progress = no_progress) -> Drawn:
    """Score a study's whole collection with its last head, and draw the working part of its pool anew.

    Parameters
    ----------
    study : Study
        That draws from a collection, with a round or more that is over. Nobody may be at work on it.
    engine : Engine
        What scores.
    progress : Progress
        Called with (shards scored, shards).

    Raises
    ------
    StudyError
        If the study draws from no collection, no round is over, or another station is at work.
    """
    if study.settings.collection is None:
        raise StudyError(f"expected a study that draws from a collection, and the pool of {study.folder} is whole")
    if at_work := study.at_work():
        raise StudyError(f"expected nobody at work while images are drawn; stop {', '.join(at_work)} first")
    settings, collection = study.settings, Collection.open(study.settings.collection)
    n_unsure, n_surest = round(UNSURE * settings.working), round(SUREST * settings.working)
    with study.running("drawing" if study.store.is_shared else "local"):
        head, number = study.head(), study.store.rounds()[-1].number
        features = load_features(study.models.path("features"))
        there = {image.id: image.part for image in study.store.images()}
        never = {row for row, part in there.items() if part not in ("pool", "aside")}
        # As many more as can turn out to be set aside for measuring.
        ranking = rank(
            collection, features, head, engine, n_unsure=n_unsure + len(never), n_surest=n_surest + len(never),
            progress=progress,
        )  # fmt: skip
        unsure = [row for row in ranking.unsure.tolist() if row not in never][:n_unsure]
        surest = [row for row in ranking.surest.tolist() if row not in never][:n_surest]
        rng = np.random.default_rng([settings.seed, 8, number])
        others = rng.permutation(draw(collection, settings.working + len(never), rng)).tolist()
        wanted = dict.fromkeys([*unsure, *surest, *(row for row in others if row not in never)])
        chosen = list(wanted)[: settings.working]
        before = {row for row, part in there.items() if part == "pool"}
        looked_at = set(study.store.looks().image.tolist()) | set(study.store.corrections())
        new = np.array([row for row in chosen if row not in there], dtype=np.int64)
        images = [
            PoolImage(row, image.hash, image.path, image.label, "pool")
            for row, image in zip(new.tolist(), collection.rows_of(new), strict=True)
        ]
        back = [row for row in chosen if there.get(row) == "aside"]
        study.renew(images, {"pool": back, "aside": sorted(before - set(chosen) - looked_at)})
        study.store.note("drawn", number)
    threshold = logit(settings.confidence_threshold)
    log_odds = dict(zip(ranking.unsure.tolist(), np.abs(ranking.unsure_log_odds).tolist(), strict=True))
    is_unsure = sum(log_odds[row] < threshold for row in unsure if row not in before)
    return Drawn(ranking.n, len(set(chosen) - before), is_unsure)
