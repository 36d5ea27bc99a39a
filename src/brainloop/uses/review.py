"""Review: a trained classifier sorts new images, and a person looks at those that it is not sure of.

What is known of an image is ``z + L``: the classifier's log-odds and the evidence of all looks. An image whose
posterior reaches the threshold on confidence is sorted, silently if nobody has looked; the others wait, and those come
first whose look can take away most. After each round the classifier is trained on what had trained it before and on
the looks of the review together, so that one look sorts many images, and the queue is another.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, log_softmax, logit

from brainloop._files import load_tensors, save_tensors, write_whole
from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.classifier.heads import AnyHead
from brainloop.classifier.system import SYSTEMS
from brainloop.errors import SettingsError, StudyError
from brainloop.presentation.block import Block
from brainloop.settings import Settings
from brainloop.store import Round
from brainloop.study import Study, StudyData
from brainloop.uses.heard import CORRECTION, corrections, total_evidence
from brainloop.uses.review_queue import is_sure, plan
from brainloop.uses.sift import Sifted, close_sifting, listen

__all__ = [
    "Review",
    "ReviewCounts",
    "Reviewed",
    "Sorted",
    "Trained",
    "believe",
    "open_review",
    "piles",
    "review_counts",
    "write_sorted",
]

MOST_LOOKS = 1_000_000
"""A review ends when nothing waits, not after so many looks as a training."""

FURTHEST = 2.0
"""Nats by which a stated rate of targets may move what the classifier says: of one that is far off it must not become
certain that there are as many targets as was said."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What has trained the classifier before the review.

    Parameters
    ----------
    features : array, shape (n_images, n_features)
        Of the images that it was trained on.
    evidence : array, shape (n_images,)
        Of each being a target, nats.
    """

    features: FloatArray
    evidence: FloatArray


@dataclass(frozen=True, eq=False)
class Reviewed(Sifted):
    """What is known of each image under review, and the classifier that says so by now; see `Sifted`."""

    head: AnyHead


def believe(trained: Trained, features: FloatArray, heard: Sifted, settings: Settings) -> Reviewed:
    """Train the classifier on all that is known, and say what is known of each image.

    Parameters
    ----------
    trained : Trained
        What it was trained on before.
    features : array, shape (n_pool, n_features)
        Of the images under review.
    heard : Sifted
        What looks have said; its log-odds do not matter.
    settings : Settings
        How to learn, and the rate of targets, if it is known.
    """
    told = np.flatnonzero(heard.evidence)
    head = SYSTEMS[settings.system].learn(
        np.concatenate([trained.features, features[told]]),
        np.concatenate([trained.evidence, heard.evidence[told]]),
        label_threshold=settings.label_threshold,
        seed=settings.seed,
    )
    log_odds = head.log_odds(features).astype(np.float64)
    if settings.target_rate is not None:
        log_odds += _shift(log_odds + heard.evidence, settings.target_rate)
    return Reviewed(log_odds, heard.evidence, heard.looks, head)


class Review:
    """The use of a study that reviews new images; see `brainloop.uses.use.Use`.

    Raises
    ------
    StudyError
        If the study whose classifier sorts is not there any more, or sees images in another way than this one.
    """

    def __init__(self, study: Study, data: StudyData) -> None:
        self._study, self._data = study, data
        self._features, _ = study.features(data)
        self._trained = _trained(study)

    def believe(self, last_round: int | None = None) -> Reviewed:
        """Train on what trained the classifier before and on the looks up to a round, or by now."""
        heard = listen(self._study, self._data, np.zeros(self._data.ids.size), last_round)
        return believe(self._trained, self._features, heard, self._study.settings)

    def unsure(self, belief: Sifted) -> BoolArray:
        """Say which images wait for a look, shape (n_pool,).

        Classifier and looks together are not sure of them (`is_sure`), they were not looked at as often as an image may
        be, and no person has said at leisure what they are.
        """
        settings = self._study.settings
        left = ~is_sure(belief.posterior, settings.confidence_threshold) & (belief.looks < settings.looks_per_image)
        left[corrections(self._study, self._data)[0]] = False
        return np.asarray(left)

    def catch_up(self) -> Reviewed:
        """Train on all looks: the classifier of a review is trained within a moment."""
        return self.believe(len(self._study.store.rounds()))

    def plan(
        self,
        belief: Sifted,
        number: int,
        n_looks: int,
        soa: float,
        *,
        person: str = "",  # noqa: ARG002 - to whoever looks the same is shown
        pending: IntArray | None = None,
    ) -> list[Block]:
        """Ask about those that wait, in blocks of rare targets."""
        settings, free = self._study.settings, np.arange(belief.looks.size)
        rng = np.random.default_rng([settings.seed, 2, number])
        waiting = self.unsure(belief)
        if pending is not None and pending.size:
            free = np.setdiff1d(free, pending)
            belief = Sifted(belief.log_odds[free], belief.evidence[free], belief.looks[free])
        orders = plan(belief, waiting[free], n_looks, settings, soa, rng)
        return [
            Block(number, 1 + k, tuple(map(int, free[order])), soa, settings.target) for k, order in enumerate(orders)
        ]

    def close(self, belief: Sifted, rounds: Sequence[Round], machine_s: float) -> Round:
        """Save the head, and where every image is sorted by now; count what still waits."""
        cast("Reviewed", belief).head.save(self._study.models.path(f"head-{len(rounds) + 1:03d}"))
        write_sorted(self._study, self.piles(belief))
        truth = None if self._data.truth is None else self._data.truth[self._study.settings.target]
        done = close_sifting(self._study, rounds, machine_s, self.unsure(belief), belief.posterior, truth)
        return replace(done, converged=False)  # more images may come

    def piles(self, belief: Sifted) -> "list[Sorted]":
        """Say where each image is sorted, likeliest targets first."""
        study, ids = self._study, self._data.ids
        paths = {image.id: image.path for image in study.store.images()}
        posterior, waiting, target = belief.posterior, self.unsure(belief), study.settings.target
        found = []
        for row in np.argsort(-posterior, kind="stable").tolist():
            is_target, probability = bool(posterior[row] > 0), float(expit(posterior[row]))
            by_person = belief.looks[row] > 0 or belief.evidence[row] != 0
            found.append(
                Sorted(
                    id=int(ids[row]), path=paths[int(ids[row])], label=target if is_target else f"not {target}",
                    posterior=probability, evidence=float(belief.evidence[row]), looks=int(belief.looks[row]),
                    sorted_by="open" if waiting[row] else "person" if by_person else "model",
                    certainty=probability if is_target else 1 - probability,
                )
            )  # fmt: skip
        return found


@dataclass(frozen=True)
class Sorted:
    """Where an image under review was sorted.

    Parameters
    ----------
    id : int
        Its place in the store.
    path : str
        Below the study's folder of images.
    label : str
        The target, or ``not TARGET``; while it is open, what is likelier.
    posterior : float
        Probability of the target, by classifier and looks together.
    evidence : float
        Of all looks, or of a correction, nats.
    looks : int
        So far, with a usable response.
    sorted_by : {"model", "person", "open"}
        The model alone, the model and a person's looks, or nobody yet: it waits.
    certainty : float
        Posterior probability of the label.
    """

    id: int
    path: str
    label: str
    posterior: float
    evidence: float
    looks: int
    sorted_by: Literal["model", "person", "open"]
    certainty: float


@dataclass(frozen=True)
class ReviewCounts:
    """What a review came to by now.

    Parameters
    ----------
    images, by_model, by_person, open, targets : int
        All; sorted by the model alone; sorted after looks; those that wait; those labelled as targets, open or not.
    looks : int
        Presentations that were answered, fillers among them.
    precision, recall : float or None
        Of the labels, open ones by what is likelier, where class folders tell the truth; None where they do not, and
        where the denominator is nothing.
    images_per_hour : float or None
        Images sorted an hour of looking, rests between blocks included; None before the first look.
    """

    images: int
    by_model: int
    by_person: int
    open: int
    targets: int
    looks: int
    precision: float | None
    recall: float | None
    images_per_hour: float | None


def open_review(
    folder: Path,
    model: Path,
    images: Path,
    target: str | None = None,
    *,
    progress: Progress = no_progress,
    **values: Any,
) -> Study:
    """Open a review, or make it where there is none.

    Parameters
    ----------
    folder : Path
        The review's own.
    model : Path
        Folder of the trained study.
    images : Path
        Folder of the images to review.
    target : str, optional
        One of what the model was trained for; may be left out if that is one thing.
    progress : Progress
        Called with (files scanned, files).
    **values
        Other settings of a new review, by name.

    Raises
    ------
    SettingsError
        If a setting is out of range, or the folder holds another review.
    StudyError
        If the model is no study, or the folder holds other things.
    ImageError
        If the images' folder is missing or holds no usable image.
    """
    if (folder / "study.toml").exists():
        study = Study.open(folder)
        made = study.settings
        if (made.use, made.model, made.images) != ("review", str(model.resolve()), str(images.resolve())):
            raise SettingsError(
                f"{folder} holds another study: one of use {made.use!r}, of {made.images}; name another folder"
            )
        return study
    names = Study.open(model).settings.names
    if target is None and len(names) > 1:
        raise SettingsError(f"{model} tells {', '.join(names)} apart: say with --target which of them is looked for")
    settings = Settings(
        images=str(images), target=target or names[0], use="review", model=str(model),
        **{"max_looks": MOST_LOOKS} | values,
    )  # fmt: skip
    return Study.create(folder, settings, progress=progress)


def piles(study: Study) -> list[Sorted]:
    """Say of every image under review where it is sorted by now, likeliest targets first."""
    review = Review(study, study.data())
    return review.piles(review.believe())


def write_sorted(study: Study, found: Sequence[Sorted]) -> Path:
    """Write ``sorted.csv`` into a review's folder, a row an image, likeliest first, as after every round."""
    text, path = io.StringIO(newline=""), study.folder / "sorted.csv"
    rows = csv.DictWriter(text, [field.name for field in fields(Sorted) if field.name != "id"], extrasaction="ignore")
    rows.writeheader()
    rows.writerows(asdict(one) for one in found)
    write_whole(path, text.getvalue().encode())
    return path


def review_counts(study: Study, sorted_: Sequence[Sorted] | None = None) -> ReviewCounts:
    """Count what a review came to by now.

    Parameters
    ----------
    study : Study
        A review.
    sorted_ : sequence of Sorted, optional
        Its `piles`, if they are at hand.
    """
    settings, data = study.settings, study.data()
    found = piles(study) if sorted_ is None else sorted_
    said = np.array([one.label == settings.target for one in found], dtype=bool)
    by = [one.sorted_by for one in found]
    precision = recall = None
    if data.truth is not None:
        is_target = data.truth[settings.target][data.index(np.array([one.id for one in found]))]
        hits = int((said & is_target).sum())
        precision = hits / int(said.sum()) if said.any() else None
        recall = hits / int(is_target.sum()) if is_target.any() else None
    blocks = [(block, answered) for block, answered in study.store.blocks() if answered]
    seconds = sum(answered * block.soa for block, answered in blocks) + settings.pause * max(0, len(blocks) - 1)
    n_sorted = len(by) - by.count("open")
    return ReviewCounts(
        images=len(by), by_model=by.count("model"), by_person=by.count("person"), open=by.count("open"),
        targets=int(said.sum()), looks=sum(answered for _, answered in blocks), precision=precision, recall=recall,
        images_per_hour=n_sorted / seconds * 3600 if seconds else None,
    )  # fmt: skip


def _shift(posterior: FloatArray, rate: float) -> float:
    """Find what is to be added to log-odds (n,) for their mean probability to be the rate, `FURTHEST` at most."""

    def excess(shift: float) -> float:
        return float(expit(posterior + shift).mean()) - rate

    if excess(-FURTHEST) >= 0:
        return -FURTHEST
    return FURTHEST if excess(FURTHEST) <= 0 else float(brentq(excess, -FURTHEST, FURTHEST))


def _trained(study: Study) -> Trained:
    """Read what has trained the classifier; from its own study the first time, which may go on later."""
    path = study.models.path("trained")
    if not path.exists():
        model = Study.open(Path(str(study.settings.model)))
        if model.store.fact("backbone") != study.store.fact("backbone"):
            raise StudyError(
                f"the backbone {study.settings.backbone} is not the one that {model.folder} was trained with: its "
                "weights, its preprocessing or its output changed. Put it back"
            )
        data = model.data()
        features, _ = model.features(data)
        evidence, seen = total_evidence(model, data)
        if evidence.ndim == 2:
            k = model.settings.names.index(study.settings.target)
            evidence = _against_the_rest(model.head().log_odds(features) + evidence, k, seen)
        save_tensors(path, {"features": features[seen], "evidence": evidence[seen]})
        model.store.close()
    return Trained(**load_tensors(path)[0])


def _against_the_rest(posterior: FloatArray, k: int, seen: IntArray) -> FloatArray:
    """Say what looks for all classes, (n, K) logits, tell of one of them: (n,), nats."""
    found = log_softmax(posterior, axis=1)
    rest = np.logaddexp.reduce(np.delete(found, k, axis=1), axis=1)
    prevalence = np.exp(found[seen, k]).mean()
    return np.asarray((found[:, k] - rest - logit(prevalence)).clip(-CORRECTION, CORRECTION))
