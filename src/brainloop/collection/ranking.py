"""Ranking: of any number of images those a head is least sure of and those it is surest of, in bounded memory."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import logsumexp

from brainloop._types import FloatArray, IntArray, Progress, no_progress
from brainloop.classifier.features import FeatureMap, Projection
from brainloop.classifier.heads import AnyHead
from brainloop.collection.collection import Collection
from brainloop.collection.scoring import Scorer
from brainloop.collection.shards import NpyShard, ParquetShard
from brainloop.collection.top import Top
from brainloop.engine import Engine, LocalEngine
from brainloop.errors import SettingsError, StudyError

__all__ = ["Ranking", "rank"]


@dataclass(frozen=True)
class Ranking:
    """What a head says of a collection.

    Parameters
    ----------
    unsure, surest : array of int
        Rows of the collection: the least sure first, and the surest targets first.
    unsure_log_odds, surest_log_odds : array
        Log-odds of each, nats.
    n : int
        Images that were scored.
    n_left_out : int
        Rows without a vector, or whose file has changed since.
    """

    unsure: IntArray
    surest: IntArray
    unsure_log_odds: FloatArray
    surest_log_odds: FloatArray
    n: int
    n_left_out: int


def rank(
    collection: Collection,
    features: FeatureMap,
    head: AnyHead,
    engine: Engine | None = None,
    *,
    n_unsure: int = 0,
    n_surest: int = 0,
    of_class: int | None = None,
    progress: Progress = no_progress,
) -> Ranking:
    """Score every image of a collection and keep those that matter.

    Least sure are those of the log-odds nearest to 0. Of several classes the log-odds are those of the likeliest class
    against the rest, or of the one that is asked for. Of equal ones the lower row comes first, so that the result is
    the same whatever engine computes it, in whatever order.

    Parameters
    ----------
    collection : Collection
        Embedded with the backbone that features and head know.
    features, head
        Of a study.
    engine : Engine, optional
        Where; threads of this process by default.
    n_unsure, n_surest : int
        How many of either, at most.
    of_class : int, optional
        Index of the class that is asked for, of several.
    progress : Progress
        Called with (shards scored, shards).

    Raises
    ------
    SettingsError
        If a number is below 0, or there is no such class.
    StudyError
        If the vectors are of another width, or a shard is missing or damaged.
    """
    if n_unsure < 0 or n_surest < 0:
        raise SettingsError(f"n_unsure, n_surest: expected 0 or more; {n_unsure} and {n_surest} came")
    n_classes = Scorer(features, head).n_outputs
    if of_class is not None and not 0 <= of_class < max(n_classes, 2):
        raise SettingsError(f"of_class: expected 0 to {n_classes - 1}; {of_class} came")
    width = len(features.mean) if isinstance(features, Projection) else features.landmarks.shape[1]
    if collection.width != width:
        raise StudyError(
            f"expected vectors of width {width}, as the classifier knows them; {collection.url} holds vectors of width "
            f"{collection.width}; embed it with the study's backbone"
        )
    make = partial(_Worker, features, head, n_unsure, n_surest, of_class)
    unsure, surest, n = Top.of(n_unsure), Top.of(n_surest), 0
    for found in (engine or LocalEngine()).map(make, _pieces(collection), progress):
        unsure, surest, n = unsure.merged(found.unsure), surest.merged(found.surest), n + found.n
    return Ranking(unsure.rows, surest.rows, unsure.values, surest.values, n, collection.n_images - n)


@dataclass(frozen=True)
class _Piece:
    """A shard, where its rows begin, and which of them do not count."""

    shard: NpyShard | ParquetShard
    start: int
    dropped: IntArray


@dataclass(frozen=True)
class _Found:
    unsure: Top
    surest: Top
    n: int


def _pieces(collection: Collection) -> list[_Piece]:
    dropped = collection.dropped()
    pieces = []
    for shard, start in collection.shards():
        first, last = np.searchsorted(dropped, [start, start + shard.n])
        pieces.append(_Piece(shard, start, dropped[first:last]))
    return pieces


class _Worker:
    def __init__(self, features: FeatureMap, head: AnyHead, n_unsure: int, n_surest: int, of_class: int | None) -> None:
        self._score = Scorer(features, head)
        self._n_unsure, self._n_surest, self._of_class = n_unsure, n_surest, of_class

    def __call__(self, piece: _Piece) -> _Found:
        unsure, surest, n, row = Top.of(self._n_unsure), Top.of(self._n_surest), 0, piece.start
        for block in piece.shard.blocks():
            z = self._log_odds(self._score(block))
            rows = np.arange(row, row + len(z))
            row += len(z)
            z[np.isin(rows, piece.dropped)] = np.nan
            n += int(np.isfinite(z).sum())
            unsure = unsure.with_more(np.abs(z), rows, z)
            surest = surest.with_more(-z, rows, z)
        return _Found(unsure, surest, n)

    def _log_odds(self, scores: FloatArray) -> FloatArray:
        """Give one number an image: of several classes that of one against the rest."""
        if scores.ndim == 1:
            return scores
        k = scores.argmax(axis=1) if self._of_class is None else np.full(len(scores), self._of_class)
        chosen = k[:, None]
        rest = scores.copy()
        np.put_along_axis(rest, chosen, -np.inf, axis=1)
        return np.asarray(np.take_along_axis(scores, chosen, axis=1)[:, 0] - logsumexp(rest, axis=1))
