"""Visual content review: what a model, a person and both together find in images that nobody has seen.

Of each class in turn half of the images train a classifier with a few labels, the other half is the stream, thinned to
a rate of targets. It is sorted by the model alone, by one look at every image alone, and by a review: the model, and
looks at what it is not sure of. All three know the rate. Recordings answer; what a review asks and believes is
`brainloop.uses.review`'s own, in memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.bench.jobs import run_jobs
from brainloop.bench.machine import machine
from brainloop.bench.preparation import class_folders, people_of
from brainloop.bench.statistics import plain
from brainloop.classifier.system import SYSTEMS
from brainloop.errors import SettingsError
from brainloop.evidence import add_up
from brainloop.observers.answers import Answers, decode
from brainloop.observers.oracle import CERTAIN
from brainloop.observers.replay import Replay
from brainloop.presentation.block import Block
from brainloop.settings import Settings
from brainloop.uses.review import Reviewed, Trained, believe
from brainloop.uses.review_queue import is_sure, plan
from brainloop.uses.sift import Sifted

__all__ = ["bench_review", "review_settings"]

RATES = (0.05, 0.12, 0.3)
"""Shares of targets in the stream."""

CONFIDENCES = (0.8, 0.9, 0.95, 0.99)
"""Thresholds of the curve from fast to thorough."""

MOST_CLASSES = 5

FEWEST_IMAGES = 20
"""Of a class that is looked for: half of them come, the other half trains."""

LABELS = 100
"""Clean labels that train the classifier."""

TRAINING_RATE = 0.12
"""Share of targets among them, whatever the stream's: a study's usual one."""

STREAM = 500
"""Images of the stream at most."""

BY_HAND_S = 1.7
"""What someone takes to answer yes or no to an image at leisure, s: Krishna et al. (2016), "Embracing error to enable
rapid crowdsourcing", CHI. Their answers are taken as right: so were the class folders made."""


@dataclass(frozen=True, eq=False)
class Stream:
    """A trained classifier and the images that come."""

    trained: Trained
    features: FloatArray
    truth: BoolArray


@dataclass(frozen=True)
class Sorting:
    """How a way of sorting did on a stream; looks are those an image, over all images."""

    precision: float
    recall: float
    f1: float
    images_per_hour: float
    looks: float
    silent: float

    @classmethod
    def of(
        cls, posterior: FloatArray, truth: BoolArray, looks: IntArray | None = None, seconds: float = np.nan
    ) -> "Sorting":
        """Score the signs of log-odds, (n,), after looks, (n,), that took some seconds; with no look, none."""
        said = posterior > 0
        hits, n = int((said & truth).sum()), truth.size
        seen = np.zeros(n, dtype=np.int64) if looks is None else looks
        return cls(
            hits / said.sum() if said.any() else np.nan, hits / truth.sum(), 2 * hits / (said.sum() + truth.sum()),
            3600 * n / seconds if seconds else np.inf, float(seen.mean()), float((seen == 0).mean()),
        )  # fmt: skip


def review_settings(backbone: str) -> Settings:
    """Give the settings of the bench's reviews; 100 looks a round, where a study has 50, halve its time."""
    return Settings(
        images=".", target="target", use="review", model=".", backbone=backbone, observer="own", looks_per_round=100
    )


def bench_review(
    images: Path,
    recordings: Sequence[Path],
    settings: Settings,
    seeds: Sequence[int],
    cache: Path,
    *,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Sort streams of images by model, by looks and by review.

    Parameters
    ----------
    images : Path
        Folder of class folders; each of the first five of them, by name, is the target once.
    recordings : sequence of Path
        Files or folders; one observer a person.
    settings : Settings
        From `review_settings`.
    seeds : sequence of int
        Each is a split of the images, a deal of the responses and a course of the reviews.
    cache : Path
        Where embeddings are kept.
    progress : Progress
        Called with (streams sorted, streams).

    Returns
    -------
    dict
        ``review``, ``model``, ``brain`` and ``by_hand``, means over all streams; ``rates``, the same for each rate;
        ``curve``, of reviews at the middle rate by threshold on confidence; ``people``, what each person's review came
        to; settings and machine. Ready for JSON.

    Raises
    ------
    SettingsError
        If there are not two class folders or more, one of them with 20 images or more.
    ImageError, BackboneError, RecordingError, DecoderError
        If a part cannot be used.
    """
    photographs = class_folders(images, settings.backbone, cache)
    vectors, labels = photographs.vectors, np.array(photographs.classes)[photographs.labels]
    people = {name: decode(own, decoder=settings.decoder) for name, own in people_of(recordings, settings).items()}
    names, counts = np.unique(labels, return_counts=True)
    targets = names[(counts >= FEWEST_IMAGES) & (counts < labels.size)][:MOST_CLASSES].tolist()
    if not targets:
        there = ", ".join(f"{name} ({n})" for name, n in zip(names, counts, strict=True)) or "none"
        raise SettingsError(
            f"expected two class folders or more in {images}, one of them with {FEWEST_IMAGES} images or more; there "
            f"are: {there}"
        )
    jobs = [(target, seed) for target in targets for seed in seeds]
    found = run_jobs(_sorted_streams, (vectors, labels, settings, people), jobs, progress=progress)
    middle = RATES[len(RATES) // 2]
    rates = [
        {"rate": rate, **{way: _mean(found, way, rate) for way in ("review", "model", "brain")}, "by_hand": _by_hand()}
        for rate in RATES
    ]
    return {
        **{way: _mean(found, way) for way in ("review", "model", "brain")},
        "by_hand": _by_hand(),
        "rates": rates,
        "curve": [{"confidence": one, **_mean(found, f"review at {one}", middle)} for one in CONFIDENCES],
        "people": {
            name: {"auc": own.recordings[0].facts["auc"], "soa": own.soa,
                   **{way: _mean(found, way, person=name) for way in ("review", "brain")}}
            for name, own in people.items()
        },
        "settings": {
            "classes": targets, "labels": LABELS, "training_rate": TRAINING_RATE, "stream": STREAM,
            "seeds": list(seeds), "confidence": settings.confidence_threshold,
            "looks_per_image": settings.looks_per_image, "block_size": settings.block_size, "pause": settings.pause,
            "by_hand_s": BY_HAND_S,
        },
        "machine": machine(),
    }  # fmt: skip


def _sorted_streams(
    shared: tuple[FloatArray, Any, Settings, Mapping[str, Answers]], target: str, seed: int
) -> dict[tuple[str, float, str], Sorting]:
    """Sort the streams of one target and one seed in every way: by way, rate and person."""
    vectors, labels, settings, people = shared
    truth, settings = labels == target, replace(settings, seed=seed)
    found = {}
    with threadpool_limits(1):
        for rate in RATES:
            told, stream = replace(settings, target_rate=rate), _stream(vectors, truth, rate, settings)
            n = stream.truth.size
            unseen = Sifted(np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int64))
            alone = believe(stream.trained, stream.features, unseen, told)
            found["model", rate, ""] = Sorting.of(_likeliest(alone.posterior, stream.truth.mean()), stream.truth)
            for name, answers in people.items():
                found["brain", rate, name] = _every_image_once(stream, answers, told)
                thresholds = CONFIDENCES if rate == RATES[len(RATES) // 2] else ()
                for threshold in {*thresholds, settings.confidence_threshold}:
                    one = _reviewed(stream, alone, answers, replace(told, confidence_threshold=threshold))
                    if threshold in thresholds:
                        found[f"review at {threshold}", rate, name] = one
                    if threshold == settings.confidence_threshold:
                        found["review", rate, name] = one
    return found


def _stream(vectors: FloatArray, truth: BoolArray, rate: float, settings: Settings) -> Stream:
    """Split the images in halves: one trains, with few labels, the other comes, at the rate."""
    rng = np.random.default_rng([settings.seed, 0])
    targets, others = (rng.permutation(np.flatnonzero(truth == kind)) for kind in (True, False))
    (own_targets, targets), (own_others, others) = np.array_split(targets, 2), np.array_split(others, 2)
    pool = own_others.size * TRAINING_RATE / (1 - TRAINING_RATE)
    system, n_labelled = SYSTEMS[settings.system], round(LABELS * TRAINING_RATE)
    feature_map = system.fit_features(vectors[[*own_targets[: round(pool)], *own_others]], seed=settings.seed)
    labelled = np.concatenate([own_targets[:n_labelled], own_others[: LABELS - n_labelled]])
    n = min(STREAM, int(targets.size / rate), int(others.size / (1 - rate)))
    stream = np.concatenate([targets[: round(n * rate)], others[: n - round(n * rate)]])
    trained = Trained(feature_map(vectors[labelled]), np.where(truth[labelled], CERTAIN, -CERTAIN))
    return Stream(trained, feature_map(vectors[stream]), truth[stream])


def _reviewed(stream: Stream, belief: Reviewed, answers: Answers, settings: Settings) -> Sorting:
    """Review a stream until nothing waits."""
    observer, rng = _observer(stream, answers, settings), np.random.default_rng([settings.seed, 2])
    evidence, looks, seconds, n_blocks = belief.evidence.copy(), belief.looks.copy(), 0.0, 0
    while True:
        unsure = ~is_sure(belief.posterior, settings.confidence_threshold)
        waiting = unsure & (looks < settings.looks_per_image)
        orders = plan(belief, waiting, settings.looks_per_round, settings, observer.soa, rng)
        if not orders:
            return Sorting.of(belief.posterior, stream.truth, looks, seconds)
        for order in orders:
            seconds += (settings.pause if n_blocks else 0.0) + _look(observer, order, settings.target, evidence)
            looks[order] += 1
            n_blocks += 1
        heard = Sifted(belief.log_odds, evidence.copy(), looks.copy())
        belief = believe(stream.trained, stream.features, heard, settings)


def _every_image_once(stream: Stream, answers: Answers, settings: Settings) -> Sorting:
    """Show every image once, in random order."""
    observer, rng = _observer(stream, answers, settings), np.random.default_rng([settings.seed, 3])
    n, evidence, seconds = stream.truth.size, np.zeros(stream.truth.size), 0.0
    for number, order in enumerate(np.array_split(rng.permutation(n), -(-n // settings.block_size))):
        seconds += (settings.pause if number else 0.0) + _look(observer, order, settings.target, evidence)
    return Sorting.of(_likeliest(evidence, stream.truth.mean()), stream.truth, np.ones(n, dtype=np.int64), seconds)


def _likeliest(log_odds: FloatArray, rate: float) -> FloatArray:
    """Shift log-odds, (n,), until as many are above 0 as there are targets: the cut that a single source does best by.

    At its own sign it would call next to nothing a target where targets are rare.
    """
    return log_odds - np.quantile(log_odds, 1 - rate, method="higher") + 1e-9


def _observer(stream: Stream, answers: Answers, settings: Settings) -> Replay:
    return Replay(answers, {settings.target: stream.truth}, seed=settings.seed)


def _look(observer: Replay, order: IntArray, target: str, evidence: FloatArray) -> float:
    """Show a block, add what it says to the evidence, and give how long it took, s."""
    block = Block(1, 1, tuple(order.tolist()), observer.soa, target)
    said = np.array([response.evidence for response in observer.respond(block)])
    evidence += add_up(order, said, evidence.size)
    return block.seconds


def _mean(
    found: Sequence[Mapping[tuple[str, float, str], Sorting]], way: str, rate: float | None = None, person: str = ""
) -> dict[str, Any]:
    """Average over all streams of a way, a rate and a person, or of every one; rates an hour as time an image."""
    some = [
        one
        for streams in found
        for (its_way, its_rate, its_person), one in streams.items()
        if its_way == way and rate in (None, its_rate) and (not person or its_person == person)
    ]
    means = {
        what: plain(float(np.nanmean([getattr(one, name) for one in some])))
        for what, name in (
            ("precision", "precision"), ("recall", "recall"), ("f1", "f1"), ("looks_per_image", "looks"),
            ("silent_share", "silent"),
        )
    }  # fmt: skip
    hours = float(np.mean([1 / one.images_per_hour for one in some]))
    return means | {"images_per_hour": plain(1 / hours) if hours else None}


def _by_hand() -> dict[str, Any]:
    right = dict.fromkeys(("precision", "recall", "f1"), 1.0)
    return right | {"images_per_hour": plain(3600 / BY_HAND_S), "looks_per_image": 1.0, "silent_share": 0.0}
