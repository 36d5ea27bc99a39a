"""The audit: the least believable annotations are looked at, and looks confirm or clear them.

Looked for is ``not CLASS``, among images annotated as that class: what is right is the filler, what is wrong the rare
target. The classifier's log-odds that an annotation is wrong, out of fold (`brainloop.uses.doubt`), and the evidence of
the looks add up. Annotations are never touched: what is found is written beside them (`brainloop.uses.audit_findings`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, logit

from brainloop._files import load_tensors, save_tensors
from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.annotations import read_annotations
from brainloop.classifier.query import confidence
from brainloop.errors import SettingsError
from brainloop.images.pool import scan
from brainloop.presentation.block import Block
from brainloop.presentation.composition import Composition, compose
from brainloop.settings import Settings
from brainloop.store import Round
from brainloop.study import Study, StudyData
from brainloop.uses.doubt import Doubt, doubt
from brainloop.uses.heard import corrections
from brainloop.uses.sift import Sifted, close_sifting, listen

__all__ = ["Audit", "Suspicion", "audit_settings", "plan", "shortlist"]


@dataclass(frozen=True, eq=False)
class Suspicion(Sifted):
    """What is known of each annotation; see `brainloop.uses.sift.Sifted`, in which looked for is ``not CLASS``.

    Parameters
    ----------
    doubt : Doubt
        The classifier's.
    shortlisted : array of bool, shape (n,)
        Whether it is among the least believable of its class.
    told : array of bool, shape (n,)
        Whether a person has said at leisure what it is, which is then the evidence.
    """

    doubt: Doubt
    shortlisted: BoolArray
    told: BoolArray

    @property
    def posterior(self) -> FloatArray:
        """Log-odds that each annotation is wrong, classifier and looks together, shape (n,), nats."""
        # The word of someone who took their time stands, whatever a classifier thinks.
        return np.where(self.told, self.evidence, self.log_odds + self.evidence)

    @property
    def heard(self) -> BoolArray:
        """Whether anybody has looked at it, shape (n,)."""
        return np.asarray((self.looks > 0) | self.told)

    @property
    def wrong(self) -> BoolArray:
        """Whether it is to be changed, shape (n,): looks spoke, and another class is likelier than the given one."""
        likelier = self.doubt.change_log_odds(self.evidence) > 0
        return np.asarray(self.heard & np.where(self.told, self.evidence > 0, likelier))

    def right(self, threshold: float) -> BoolArray:
        """Say which were cleared: looks spoke, and left that confidence that the annotation is right, shape (n,)."""
        return np.asarray(self.heard & (self.posterior <= -logit(threshold)))

    def unsure(self, settings: Settings) -> BoolArray:
        """Say which are to be looked at, or looked at again, shape (n,).

        Every one of the shortlist once, however sure the classifier is: nothing is changed that nobody has seen.
        """
        doubtful = (self.looks == 0) | (confidence(self.posterior) < settings.confidence_threshold)
        return np.asarray(self.shortlisted & doubtful & (self.looks < settings.looks_per_image) & ~self.told)


def shortlist(doubted: Doubt, share: float, classes: Sequence[int]) -> BoolArray:
    """Choose the least believable annotations of each class.

    Parameters
    ----------
    doubted : Doubt
        The classifier's.
    share : float
        Of each class's annotations.
    classes : sequence of int
        Whose annotations.

    Returns
    -------
    array of bool, shape (n,)
    """
    chosen = np.zeros(doubted.given.size, dtype=bool)
    for k in classes:
        members = np.flatnonzero(doubted.given == k)
        chosen[members[np.argsort(-doubted.log_odds[members], kind="stable")][: round(share * members.size)]] = True
    return chosen


def plan(
    suspicion: Suspicion,
    names: Sequence[str],
    number: int,
    n_looks: int,
    settings: Settings,
    soa: float,
    pending: IntArray | None = None,
) -> list[Block]:
    """Plan a round: the class with most doubt left, and of it what looks have said least of, among believable fillers.

    One class a round, as whoever looks for one thing does not change to another within seconds.

    Parameters
    ----------
    suspicion : Suspicion
        What is known.
    names : sequence of str
        Of all classes.
    number, n_looks : int
        Of the round; presentations in it, at most.
    settings : Settings
        Block size, confidence threshold, looks an image and seed.
    soa : float
        Onset to onset, s.
    pending : array of int, optional
        Rows that other stations are looking at.

    Returns
    -------
    list of Block
        Rows of the pool, looked at for ``not CLASS``; empty when nothing is left to ask.
    """
    unsure, given, probability = suspicion.unsure(settings), suspicion.doubt.given, expit(suspicion.posterior)
    free = np.ones(given.size, dtype=bool)
    if pending is not None:
        free[pending] = False
    unsure &= free
    if not unsure.any():
        return []
    rng = np.random.default_rng([settings.seed, 2, number])
    k = int(np.bincount(given[unsure], weights=(probability * (1 - probability))[unsure]).argmax())
    members = np.flatnonzero((given == k) & free)
    asked = np.flatnonzero(unsure[members])
    asked = asked[np.lexsort((confidence(suspicion.posterior[members[asked]]), suspicion.looks[members[asked]]))]
    # A handful of doubts that are left needs no full round of fillers: so many that targets are as rare as they may be,
    # in half a block at least, as a P300 needs others to stand out from.
    n_needed = int(np.ceil(probability[members[asked]].sum() / Composition().prevalence[0]))
    n_looks = min(n_looks, max(asked.size, n_needed, settings.block_size // 2))
    orders = compose(asked, probability[members], n_looks, settings.block_size, soa, rng)
    return [
        Block(number, 1 + turn, tuple(map(int, members[order])), soa, f"not {names[k]}")
        for turn, order in enumerate(orders)
    ]


class Audit:
    """The use of a study that audits annotations; see `brainloop.uses.use.Use`.

    Attributes
    ----------
    names : tuple of str
        The classes of all annotations, of which `Settings.classes` are audited.
    audited : array of bool, shape (n_pool,)
        Whether an image's annotation is one of these.
    """

    def __init__(self, study: Study, data: StudyData) -> None:
        self._study, self._data = study, data
        said = {image.id: image.annotation or "" for image in study.store.images()}
        given = [said[image] for image in data.ids.tolist()]
        self.names = tuple(sorted(set(given)))
        places = {name: k for k, name in enumerate(self.names)}
        self._doubt = _doubted(study, data, np.array([places[name] for name in given], dtype=np.int64))
        classes = study.settings.classes
        self.audited = np.isin(given, classes)
        audited = [places[name] for name in classes if name in places]
        self._listed = shortlist(self._doubt, study.settings.shortlist, audited)
        self._given = given

    def believe(self, last_round: int | None = None) -> Suspicion:
        """Add the evidence of the looks up to a round, or of all, to what the classifier says."""
        heard = listen(self._study, self._data, self._doubt.log_odds, last_round)
        told = np.zeros(self._data.ids.size, dtype=bool)
        told[corrections(self._study, self._data, last_round)[0]] = True
        return Suspicion(heard.log_odds, heard.evidence, heard.looks, self._doubt, self._listed, told)

    def unsure(self, belief: Any) -> BoolArray:
        """Say which annotations are still to be looked at; see `Suspicion.unsure`."""
        return np.asarray(belief.unsure(self._study.settings))

    def catch_up(self) -> Suspicion:
        """Add the evidence of all looks to what the classifier says, which learns nothing from them."""
        return self.believe(len(self._study.store.rounds()))

    def plan(
        self,
        belief: Any,
        number: int,
        n_looks: int,
        soa: float,
        *,
        person: str = "",  # noqa: ARG002 - to whoever looks the same is shown
        pending: IntArray | None = None,
    ) -> list[Block]:
        """Show what is least certain of the class with most doubt left."""
        return plan(belief, self.names, number, n_looks, self._study.settings, soa, pending)

    def close(self, belief: Any, rounds: Sequence[Round], machine_s: float) -> Round:
        """Say how much is still unsure and, where truth is known, how well what is wrong is told from what is right."""
        truth, rows = self._data.truth, np.flatnonzero(self.audited)
        is_wrong = None if truth is None else np.array([truth[f"not {self._given[row]}"][row] for row in rows], bool)
        return close_sifting(self._study, rounds, machine_s, self.unsure(belief), belief.posterior[rows], is_wrong)


def audit_settings(
    images: Path,
    *,
    annotations: Path | None = None,
    classes: Sequence[str] = (),
    progress: Progress = no_progress,
    **values: Any,
) -> Settings:
    """Make the settings of an audit.

    Parameters
    ----------
    images : Path
        The images' folder.
    annotations : Path, optional
        What `brainloop.annotations.read_annotations` reads; the class folders by default.
    classes : sequence of str
        Whose annotations are audited; all by default.
    progress : Progress
        Called with (files scanned, files).
    **values
        Of `Settings`.

    Raises
    ------
    SettingsError
        If the annotations do not have these classes, or only one; or a recording or a simulation is to answer, and the
        class folders do not tell it what is wrong.
    AnnotationError, ImageError
        If nothing can be made of the annotations, or there is no image.
    """
    pool = scan(images, progress)
    found = read_annotations(annotations or images, pool).classes
    listed = ", ".join(f"{name} ({count})" for name, count in found.items()) or "none"
    if unknown := [name for name in classes if name not in found]:
        raise SettingsError(f"expected classes that images are annotated with: {listed}; {unknown[0]!r} came")
    if len(found) < 2:
        raise SettingsError(f"an audit expects annotations of two classes or more; found: {listed}")
    # An audit comes to its end by itself: each image is looked at so often and no more.
    settings = Settings(
        images=str(images), annotations=str(annotations) if annotations else None,
        classes=tuple(classes) or tuple(found), use="audit", **{"max_looks": 1_000_000} | values,
    )  # fmt: skip
    if settings.observer in ("replay", "simulated"):
        if annotations is None or annotations.resolve() == images.resolve():
            raise SettingsError(
                "the class folders are the annotations here, so that no recording and no simulation can know which of "
                "them are wrong: let a person look, with --observer live, in the studio; or give other annotations "
                "with --annotations"
            )
        if not set(settings.classes) & set(pool.classes):
            raise SettingsError(
                f"a {settings.observer} observer needs the truth: expected class folders of the annotations' names "
                f"below {images}; there are: {', '.join(pool.classes) or 'none'}"
            )
    return settings


def _doubted(study: Study, data: StudyData, given: IntArray) -> Doubt:
    """Read what the classifier says, or train it where nothing has been kept of these very annotations."""
    path = study.models.path("doubt")
    if path.exists():
        kept, words = load_tensors(path)
        if np.array_equal(kept["ids"], data.ids) and np.array_equal(kept["given"], given):
            return Doubt(given, kept["log_probability"], float(words["noise"]))
    features, _ = study.features(data)
    found = doubt(features, given, int(given.max()) + 1, seed=study.settings.seed)
    tensors: dict[str, Any] = {"ids": data.ids, "given": given, "log_probability": found.log_probability}
    save_tensors(path, tensors, {"noise": repr(found.noise)})
    return found
