"""The combined brain-computer visual network: image and EEG together, for each image of a study that was looked at.

After Manor, Mishali and Geva (2016), "Multimodal neural network for rapid serial visual presentation brain computer
interface", Front. Comput. Neurosci. 10:130; in the project's own currency. With the classifier's log-odds `z` and the
brain's evidence `L`, both in nats:

    late       z + L                                    nothing is learned
    stacked    a z + b L + c                            see `brainloop.uses.stacking`
    joint      a z + b L + c + g(image, EEG, z, L)      see `brainloop.uses.joint`

All is out of fold by image: what is said of an image comes from a classifier, and from weights, that learned from other
images alone; and the classifier's log-odds that weights are learned from are out of fold too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.classifier.heads import AnyHead
from brainloop.classifier.measure import Auc, auc_interval
from brainloop.classifier.system import SYSTEMS
from brainloop.errors import SettingsError, StudyError
from brainloop.evidence import add_up
from brainloop.study import Study, StudyData
from brainloop.uses.heard import total_evidence
from brainloop.uses.out_of_fold import N_FOLDS, folds, out_of_fold

__all__ = ["METHODS", "Fusion", "fuse"]

Method = Literal["late", "stacked", "joint"]
METHODS: tuple[Method, ...] = ("late", "stacked", "joint")


@dataclass(frozen=True, eq=False)
class Fusion:
    """What classifier and brain say of each image that was looked at, alone and together; all arrays (n_images,).

    Parameters
    ----------
    target : str
        What was looked for.
    method : {"late", "stacked", "joint"}
        How the two were combined.
    paths : tuple of str
        Of the images, below the study's folder of images.
    looks : array of int
        That gave a usable response.
    log_odds : array
        ``z``, of the classifier alone, out of fold, nats.
    evidence : array
        ``L``, of the looks alone, nats.
    combined : array
        Log-odds of both together, out of fold, nats.
    known, truth : arrays of bool
        Whether it is known, by class folder, annotation or correction, what an image shows; and whether it is the
        target.
    """

    target: str
    method: Method
    paths: tuple[str, ...]
    looks: IntArray
    log_odds: FloatArray
    evidence: FloatArray
    combined: FloatArray
    known: BoolArray
    truth: BoolArray

    @cached_property
    def auc(self) -> dict[str, Auc] | None:
        """AUC of ``classifier``, ``brain`` and ``combined`` on images of known class; None without both classes."""
        truth = self.truth[self.known]
        if not 0 < truth.sum() < truth.size:
            return None
        scores = {"classifier": self.log_odds, "brain": self.evidence, "combined": self.combined}
        return {name: auc_interval(truth, each[self.known]) for name, each in scores.items()}


def fuse(study: Study, method: Method = "late", *, progress: Progress = no_progress) -> list[Fusion]:
    """Combine classifier and brain for each image that was looked at.

    Parameters
    ----------
    study : Study
        One that trains a classifier.
    method : {"late", "stacked", "joint"}
        How; the last two learn from the images of known class, and the last from the recordings' epochs too.
    progress : Progress
        Called with (folds done, folds).

    Returns
    -------
    list of Fusion
        One for each class that was looked for.

    Raises
    ------
    StudyError
        If nobody has looked yet, the study does not train a classifier, or its epochs are not at hand.
    SettingsError
        If the method is unknown, or too few images are of known class.
    RecordingError
        If a recording cannot be used.
    """
    if method not in METHODS:
        raise SettingsError(f"method: expected one of {', '.join(METHODS)}; {method!r} came")
    if study.settings.use != "train":
        raise StudyError(
            f"expected a study that trains a classifier, got {study.folder}, which is for {study.settings.use}: there "
            "classifier and looks are added up as they come"
        )
    data = study.data()
    evidence, seen = total_evidence(study, data)
    looked = [one for target in study.settings.names if (one := _looked(study, data, target)).rows.size]
    if not looked or seen.size < N_FOLDS:
        raise StudyError(
            f"expected looks with a usable response in {study.folder}, found too few; brainloop run {study.folder}"
        )
    numbers = _numbers(study, progress) if method == "joint" else {}
    features, _ = study.features(data)
    said = _classifier(study, features, evidence, seen, progress, learns=method != "late")
    found = []
    for one in looked:
        z = said.alone[one.rows, one.place]
        both = z + one.evidence if method == "late" else _learned(method, one, said, features, numbers, study)
        found.append(
            Fusion(
                one.target, method, one.paths, one.looks, z, one.evidence, both, one.known, one.truth,
            )
        )  # fmt: skip
    return found


@dataclass(frozen=True, eq=False)
class _Looked:
    """Images that were looked at for one class; arrays (n_images,)."""

    target: str
    place: int  # among the study's classes
    rows: IntArray  # of the pool
    paths: tuple[str, ...]
    looks: IntArray
    evidence: FloatArray
    sources: list[list[str]]  # of the usable looks at each image
    known: BoolArray
    truth: BoolArray


def _looked(study: Study, data: StudyData, target: str) -> _Looked:
    looks = study.store.looks()
    counted = np.array(
        [reason is None and one == target for reason, one in zip(looks.rejected, looks.target, strict=True)], dtype=bool
    )
    index = data.index(looks.image[counted])
    rows, image = np.unique(index, return_inverse=True)
    sources: list[list[str]] = [[] for _ in rows]
    for k, look in zip(image, np.flatnonzero(counted), strict=True):
        sources[k].append(looks.source[look])
    known, truth = _truth(study, data, target)
    paths = {one.id: one.path for one in study.store.images()}
    return _Looked(
        target, study.settings.names.index(target), rows, tuple(paths[one] for one in data.ids[rows].tolist()),
        np.bincount(image, minlength=rows.size), add_up(image, looks.evidence[counted], rows.size), sources,
        known[rows], truth[rows],
    )  # fmt: skip


def _truth(study: Study, data: StudyData, target: str) -> tuple[BoolArray, BoolArray]:
    """Say of each image of the pool whether it is known, and whether it is the target; corrections come last."""
    known = np.full(data.ids.size, data.truth is not None)
    truth = np.zeros(data.ids.size, dtype=bool) if data.truth is None else data.truth[target].copy()
    row = {one: k for k, one in enumerate(data.ids.tolist())}
    for image, (what, is_it) in study.store.corrections().items():
        if image in row and (what == target or is_it):
            known[row[image]], truth[row[image]] = True, what == target and is_it
    return known, truth


@dataclass(frozen=True, eq=False)
class _Said:
    """What the classifier says of each image of the pool, (n_pool, n_classes) log-odds; nan of one never looked at."""

    fold: IntArray  # (n_pool,)
    alone: FloatArray  # out of fold
    within: tuple[FloatArray, ...]  # the same without fold k, for each k: what weights that are tested on k learn from


def _classifier(
    study: Study, features: FloatArray, evidence: FloatArray, seen: IntArray, progress: Progress, *, learns: bool
) -> _Said:
    settings = study.settings
    system = SYSTEMS[settings.system]

    def said_of(rows: IntArray) -> FloatArray:
        def learn(among: IntArray) -> AnyHead:
            own = rows[among]
            return system.learn(
                features[own], evidence[own], label_threshold=settings.label_threshold, seed=settings.seed
            )

        said = np.full((len(features), len(settings.names)), np.nan)
        said[rows] = out_of_fold(learn, features[rows], fold[rows]).reshape(rows.size, -1)
        return said

    # The truth has no part in the folds, as it has none in the study.
    likely = np.asarray((evidence[seen].reshape(seen.size, -1) > 0).any(axis=1), dtype=bool)
    fold = np.full(len(features), -1)
    fold[seen] = folds(likely, seed=settings.seed)
    within = []
    for k in range(N_FOLDS if learns else 0):
        progress(k, N_FOLDS)
        within.append(said_of(seen[fold[seen] != k]))
    return _Said(fold, said_of(seen), tuple(within))


def _learned(
    method: Method,
    looked: _Looked,
    said: _Said,
    features: FloatArray,
    numbers: Mapping[str, FloatArray],
    study: Study,
) -> FloatArray:
    """Log-odds of both together, (n_images,), each by weights from the images of known class in the other folds."""
    from brainloop.uses.stacking import train_stacked

    rows, both = looked.rows, np.empty(looked.rows.size)
    if method == "joint":
        seen = np.array([np.mean([numbers[one] for one in own], axis=0) for own in looked.sources])
    for k, within in enumerate(said.within):
        here = said.fold[rows] == k
        train = ~here & looked.known
        z_train, z_here = within[rows[train], looked.place], said.alone[rows[here], looked.place]
        if method == "stacked":
            weights = train_stacked(z_train, looked.evidence[train], looked.truth[train])
            both[here] = weights.log_odds(z_here, looked.evidence[here])
            continue
        from brainloop.uses.joint import Pairs, train_joint

        pairs, tested = (
            Pairs(z, looked.evidence[part], features[rows[part]], seen[part])
            for z, part in ((z_train, train), (z_here, here))
        )
        fold = np.unique(said.fold[rows[train]], return_inverse=True)[1]
        joint = train_joint(pairs, looked.truth[train], fold, seed=study.settings.seed)
        both[here] = joint.log_odds(tested)
    return both


def _numbers(study: Study, progress: Progress) -> dict[str, FloatArray]:
    """Describe every epoch that answered, by its source."""
    from brainloop.eeg.recordings import read_recordings
    from brainloop.uses.responses import responses

    settings = study.settings
    if settings.observer != "replay":
        raise StudyError(
            f"method 'joint' learns from the epochs of replayed recordings; in {study.folder} the observer is "
            f"{settings.observer}. Take method 'stacked', which learns from their evidence"
        )
    read = read_recordings(settings.recordings, target=settings.target_event, nontarget=settings.nontarget_event)
    numbers: dict[str, FloatArray] = {}
    for done, recording in enumerate(read):
        progress(done, len(read))
        numbers |= responses(recording)
    looks = study.store.looks()
    wanted = {source for source, reason in zip(looks.source, looks.rejected, strict=True) if reason is None}
    if missing := sorted(wanted - set(numbers)):
        raise StudyError(
            f"expected the epochs of {len(wanted)} looks in {', '.join(settings.recordings)}; {len(missing)} of them, "
            f"such as {missing[0]}, are not there any more: put back the recordings, or take method 'stacked'"
        )
    return numbers
