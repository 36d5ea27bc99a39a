"""Trust: how well each person of a study tells targets apart over the day, and what their evidence counts.

Where two people or more have looked, the evidence of each is re-estimated from what the others say of the same images
and from what a classifier says that was not trained on them (`brainloop.agreement`). All follows from the looks of the
rounds that are asked about, so that a study that is trained again comes to the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from weakref import WeakKeyDictionary

import numpy as np

from brainloop._files import load_tensors
from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.agreement import Fit, reestimate
from brainloop.classifier.heads import AnyHead
from brainloop.classifier.query import TOLD
from brainloop.classifier.system import SYSTEMS
from brainloop.evidence import add_up
from brainloop.store import Looks
from brainloop.study import Study, StudyData
from brainloop.uses.doubt import Doubt
from brainloop.uses.out_of_fold import N_FOLDS, folds, out_of_fold

__all__ = ["COLUMNS", "PersonTrust", "Stretch", "Trust", "is_shared", "table", "telling", "trust", "usable_looks"]

STRETCH = 100
"""Looks in a stretch of time, 20 s of looking at 5 Hz; a session ends one too."""

ALIKE = 0.2
"""How alike two looks of one person at one image are, beyond its class, as an intraclass correlation: what an image has
that this person takes for a target it has again the second time. It is argued, not measured: no recording at hand shows
one image to one person twice. It makes a second look worth two thirds of the first, and a third one half."""

LEAST_TELLING = 0.01
"""What a look tells at least: somebody has to look at something, even if they count for nothing now."""

COLUMNS = ("person", "looks", "AUC", "95 % interval", "weight", "weight over time")
"""Of `table`."""


@dataclass(frozen=True)
class Stretch:
    """Some of a person's looks, one after the other.

    Parameters
    ----------
    begin, end : float
        When the store took the first and the last of them, Unix time, s; NaN where it did not keep that.
    looks : int
        With a usable response.
    weight, offset : float
        ``a`` and ``b`` (nats) of the evidence ``a L + b`` that they count for; 1 and 0 by calibration.
    auc, auc_low, auc_high : float
        Of single looks against what the others and the classifier say, and its 95 % interval; NaN where nobody says
        anything.
    """

    begin: float
    end: float
    looks: int
    weight: float
    offset: float
    auc: float
    auc_low: float
    auc_high: float


@dataclass(frozen=True)
class PersonTrust:
    """What a person's looks count; as in `Stretch`, over all of them, but that `weight` is that of the last stretch.

    Parameters
    ----------
    person : str
        Their name.
    looks : int
        With a usable response.
    weight, offset : float
        By now.
    auc, auc_low, auc_high : float
        Over all looks.
    telling : float
        What a look of theirs tells by now, as a share of what the image's true label would.
    stretches : tuple of Stretch
        In order.
    """

    person: str
    looks: int
    weight: float
    offset: float
    auc: float
    auc_low: float
    auc_high: float
    telling: float
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, eq=False)
class Trust:
    """What the looks of everybody count.

    Parameters
    ----------
    people : tuple of PersonTrust
        By name.
    evidence : array, shape (n_looks,)
        Of each usable look, in the order of the plan, re-estimated, nats.
    """

    people: tuple[PersonTrust, ...]
    evidence: FloatArray


_kept: WeakKeyDictionary[Study, dict[bytes, Trust]] = WeakKeyDictionary()


def usable_looks(looks: Looks, last_round: int | None = None) -> BoolArray:
    """Say which looks gave a usable response, up to a round or all, shape (n_looks,)."""
    usable = np.array([reason is None for reason in looks.rejected], dtype=bool)
    return usable if last_round is None else usable & (looks.round <= last_round)


def is_shared(looks: Looks, usable: BoolArray) -> bool:
    """Say whether two people or more gave the usable looks, so that each can be judged by the others."""
    return len({looks.person[k] for k in np.flatnonzero(usable)}) > 1


def trust(study: Study, data: StudyData, last_round: int | None = None, looks: Looks | None = None) -> Trust:
    """Find what everybody's looks count, up to a round or all.

    Somebody who is alone, or of whom there are few looks, keeps the evidence of their calibration (weight 1).

    Parameters
    ----------
    study : Study
        Of any use.
    data : StudyData
        Its pool.
    last_round : int, optional
        The last round that counts.
    looks : Looks, optional
        The store's, if they were read already: another station may have added some since.
    """
    looks, sought = looks or study.store.looks(), study.settings.sought
    rows = np.flatnonzero(usable_looks(looks, last_round))
    image, evidence = data.index(looks.image[rows]), looks.evidence[rows]
    target = np.array([sought.index(looks.target[k]) for k in rows], dtype=np.int64)
    names = sorted({looks.person[k] for k in rows})
    person = np.array([names.index(looks.person[k]) for k in rows], dtype=np.int64)
    stretch = _stretches(person, [looks.session[k] for k in rows])
    kept, digest = _kept.setdefault(study, {}), blake2b(repr((names, data.ids.size)).encode())
    for part in (image, target, person, stretch, evidence, looks.at[rows]):
        digest.update(part.tobytes())
    if (key := digest.digest()) not in kept:
        # What a round has learned from is asked for again by its plan and its report; older rounds by nobody.
        while len(kept) > 1:
            del kept[next(iter(kept))]
        kept[key] = _found(study, data, names, image, target, person, stretch, evidence, looks.at[rows])
    return kept[key]


def _found(
    study: Study,
    data: StudyData,
    names: Sequence[str],
    image: IntArray,
    target: IntArray,
    person: IntArray,
    stretch: IntArray,
    evidence: FloatArray,
    at: FloatArray,
) -> Trust:
    width = len(study.settings.sought)
    cells, cell = np.unique(image * width + target, return_inverse=True)
    # It learns from what all say, as calibrated: trained once more, on what came of it, it changed the AUC of all
    # evidence by .001 at most (seven design studies), for twice the time.
    log_odds = _classifier(study, data, image, target, evidence)
    agreed = reestimate(cell, person, stretch, evidence, None if log_odds is None else log_odds.ravel()[cells])
    whole = []
    for k, name in enumerate(names):
        own = np.unique(stretch[person == k])
        parts = tuple(_part(agreed.stretches, s, at[stretch == s]) for s in own)
        auc, low, high = agreed.people.auc[:, k].tolist()
        # With evidence that is right, this is the variance that a look takes from an even chance, whatever the class.
        recent = agreed.evidence[person == k][-2 * STRETCH :]
        told = max(LEAST_TELLING, float((np.tanh(recent / 2) ** 2).mean()))
        whole.append(
            PersonTrust(
                name, int(agreed.people.looks[k]), parts[-1].weight, parts[-1].offset, auc, low, high, told, parts
            )
        )
    return Trust(tuple(whole), agreed.evidence)


def _part(fit: Fit, s: int, at: FloatArray) -> Stretch:
    known = at[np.isfinite(at)]
    begin, end = (float(known.min()), float(known.max())) if known.size else (np.nan, np.nan)
    return Stretch(begin, end, int(fit.looks[s]), float(fit.gain[s]), float(fit.offset[s]), *fit.auc[:, s].tolist())


def _stretches(person: IntArray, session: Sequence[str]) -> IntArray:
    """Cut the looks of each person, in order, into stretches of one session each, numbered person by person."""
    stretch = np.zeros(person.size, dtype=np.int64)
    number = -1
    for one in range(int(person.max(initial=-1)) + 1):
        now, length = None, 0
        for k in np.flatnonzero(person == one).tolist():
            if session[k] != now or length == STRETCH:
                number, now, length = number + 1, session[k], 0
            stretch[k] = number
            length += 1
    return stretch


def _classifier(
    study: Study, data: StudyData, image: IntArray, target: IntArray, evidence: FloatArray
) -> FloatArray | None:
    """Say of each image of the pool what a classifier says that did not learn from looks at it, (n_pool, n_sought).

    None while too few images were looked at to learn from.
    """
    settings = study.settings
    width = len(settings.sought)
    if settings.use == "audit":
        return _of_audit(study, data, width)
    seen = np.unique(image)
    if seen.size < 2 * N_FOLDS:
        return None
    cell = np.searchsorted(seen, image) * width + target
    total = add_up(cell, evidence, seen.size * width).reshape(-1, width)
    fold = folds(total.argmax(axis=1) if width > 1 else total[:, 0] > 0, seed=settings.seed)
    known = total if width > 1 else total[:, 0]
    features = study.feature_map(data)(data.pool[seen])
    before: dict[str, FloatArray] = {}
    if settings.use == "review" and study.models.path("trained").exists():
        before = load_tensors(study.models.path("trained"))[0]  # what had trained the classifier before the review
    system = SYSTEMS[settings.system]

    def learn(rows: IntArray) -> AnyHead:
        given = [features[rows], known[rows]]
        if before:
            given = [np.concatenate(pair) for pair in zip((before["features"], before["evidence"]), given, strict=True)]
        return system.learn(*given, label_threshold=settings.label_threshold, seed=settings.seed)

    log_odds = np.zeros((data.ids.size, width))
    log_odds[seen] = out_of_fold(learn, features, fold).reshape(-1, width)
    return log_odds


def _of_audit(study: Study, data: StudyData, width: int) -> FloatArray | None:
    """Read what an audit's classifier doubts: it never learns from looks."""
    path = study.models.path("doubt")
    if not path.exists():
        return None
    kept, words = load_tensors(path)
    if not np.array_equal(kept["ids"], data.ids):
        return None
    doubt = Doubt(kept["given"].astype(np.int64), kept["log_probability"], float(words["noise"]))
    return np.repeat(doubt.log_odds[:, None], width, axis=1)


def telling(study: Study, data: StudyData, person: str, last_round: int | None = None) -> FloatArray | None:
    """Say what a look of somebody tells of each image of the pool by now, as a share of what its true label would.

    It is what their looks have told of late, and less of an image that they have seen: with k looks of it, as alike as
    `ALIKE` says, all of theirs together tell as much as ``k / (1 + (k - 1) ALIKE)`` looks at images of their own.

    Parameters
    ----------
    study : Study
        Of any use.
    data : StudyData
        Its pool.
    person : str
        Who is to look.
    last_round : int, optional
        The last round by which somebody is judged; what they have seen counts to this moment.

    Returns
    -------
    array, shape (n_pool,), or None
        None where nobody can be judged by another: a look then tells what it always does
        (`brainloop.classifier.query.TOLD`).
    """
    looks = study.store.looks()
    usable = usable_looks(looks)
    if not person or not is_shared(looks, usable & usable_looks(looks, last_round)):
        return None
    about = {one.person: one for one in trust(study, data, last_round, looks).people}
    share = about[person].telling if person in about else TOLD
    own = np.array([k for k in np.flatnonzero(usable).tolist() if looks.person[k] == person], dtype=np.int64)
    seen = np.bincount(data.index(looks.image[own]), minlength=data.ids.size)
    return np.asarray(share * (_worth(seen + 1) - _worth(seen)))


def _worth(k: IntArray) -> FloatArray:
    """Say how many looks at images of their own so many looks of a person at one image are worth."""
    return np.asarray(k / (1 + (k - 1) * ALIKE))


def table(found: Trust) -> list[tuple[str, ...]]:
    """Give `COLUMNS` of each person, in words and figures for a terminal or a page."""

    def auc(value: float) -> str:
        return "unknown" if np.isnan(value) else f"{value:.2f}"

    return [
        (
            one.person, str(one.looks), auc(one.auc),
            "unknown" if np.isnan(one.auc) else f"{one.auc_low:.2f} to {one.auc_high:.2f}", f"{one.weight:.2f}",
            " ".join(f"{part.weight:.2f}" for part in one.stretches[:: max(1, -(-len(one.stretches) // 8))]),
        )
        for one in found.people
    ]  # fmt: skip
