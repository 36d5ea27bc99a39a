"""``brainloop bench audit``: annotations made wrong on purpose, doubted by a classifier, looked at by replayed people.

Class folders are the truth. Some annotations of every class are changed to another class, drawn by the seed; each class
is audited in turn. Every row ranks all annotations of a class, and is scored on how far up the wrong ones come.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.bench.audit_baseline import baseline
from brainloop.bench.machine import machine
from brainloop.bench.preparation import class_folders, people_of
from brainloop.bench.statistics import Grid, plain, spread
from brainloop.classifier.system import SYSTEMS
from brainloop.errors import SettingsError
from brainloop.observers.answers import Answers, decode
from brainloop.observers.replay import Replay
from brainloop.presentation.block import Block, Response
from brainloop.settings import Settings
from brainloop.uses.audit import Suspicion, plan, shortlist
from brainloop.uses.doubt import Doubt, doubt

__all__ = ["FLIPPED", "AuditData", "bench_audit", "flipped", "prepare_audit"]

FLIPPED = 0.1
"""Share of each class's annotations that is changed to another class."""

CURVE = np.arange(0, 601, 50)
"""Presentations a class at which the curves have a point."""

SCORES = ("auroc", "precision_at_errors", "precision_at_50")
LOOKING = ("shortlist", "shuffled", "brain")
"""The rows for which somebody looks; `brain` comes last, as it gets as many looks as the shortlist took."""


@dataclass(frozen=True, eq=False)
class AuditData:
    """All that the bench computes with.

    Parameters
    ----------
    vectors : array, shape (n_images, width)
        Embeddings.
    truth : array of int, shape (n_images,)
        Class folder of each image.
    settings : Settings
        Of every audit, but for the seed; its classes are the folders.
    people : mapping of str to Answers
        Each person's recordings, decoded.
    """

    vectors: FloatArray
    truth: IntArray
    settings: Settings
    people: Mapping[str, Answers]


def prepare_audit(
    images: Path, recordings: Sequence[Path], backbone: str, cache: Path, *, progress: Progress = no_progress
) -> AuditData:
    """Embed the images and decode the recordings, once.

    Parameters
    ----------
    images : Path
        A folder of class folders.
    recordings : sequence of Path
        Files or folders.
    backbone : str
        As in `brainloop.images.backbones.load_backbone`.
    cache : Path
        Where embeddings are kept.
    progress : Progress
        Called with (people decoded, people).

    Raises
    ------
    SettingsError
        If the folder has no two classes.
    ImageError, BackboneError, RecordingError, DecoderError
        If a part cannot be used.
    """
    photographs = class_folders(images, backbone, cache)
    settings = Settings(
        images=str(images), classes=photographs.classes, use="audit", backbone=backbone, observer="replay",
        recordings=tuple(map(str, recordings)),
    )  # fmt: skip
    wanted = people_of(recordings, settings)
    people = {}
    for number, (name, own) in enumerate(wanted.items()):
        progress(number, len(wanted))
        people[name] = decode(own, decoder=settings.decoder, calibration=settings.calibration)
    progress(len(wanted), len(wanted))
    return AuditData(photographs.vectors, photographs.labels, settings, people)


def bench_audit(data: AuditData, seeds: Sequence[int], *, progress: Progress = no_progress) -> dict[str, Any]:
    """Audit with every person at every seed.

    Parameters
    ----------
    data : AuditData
        Photographs and people, from `prepare_audit`.
    seeds : sequence of int
        One set of wrong annotations and one deal of responses each.
    progress : Progress
        Called with (audits done, audits).

    Returns
    -------
    dict
        By row (``shortlist``, ``model``, ``brain``, ``cleanlab``, ``shuffled``): ``auroc``, ``precision_at_errors`` (as
        many annotations as are wrong, from the top), ``precision_at_50``, and ``looks``, the presentations a class,
        fillers included; means over classes, people and seeds. ``errors_left_share``: annotations that are wrong after
        the amendment, a wrong new one included, over those made wrong; ``right_changed_share``: of right ones.

    Raises
    ------
    SettingsError
        If there is no seed.
    MissingExtraError
        If cleanlab, the baseline, is not installed.
    """
    if not seeds:
        raise SettingsError("expected one seed or more, none came; give --seeds 1 or more")
    cells: list[list[dict[str, Any]]] = [[] for _ in data.people]
    for number, seed in enumerate(seeds):
        task = _Task.of(data, seed)
        for k, answers in enumerate(data.people.values()):
            progress(number * len(data.people) + k, len(seeds) * len(data.people))
            cells[k].append(task.audit(answers))
    progress(len(seeds) * len(data.people), len(seeds) * len(data.people))
    names = cells[0][0]
    photographs = Path(data.settings.images).name
    grid = Grid(
        tuple((photographs, person) for person in data.people),
        {name: np.array([[one[name] for one in of] for of in cells], dtype=float) for name in names},
    )
    return _summary(grid) | {
        "by_recording": [
            {"recording": person, "observer_auc": plain(answers.auc or np.nan)} | _summary(grid.alone(k))
            for k, (person, answers) in enumerate(data.people.items())
        ],
        "settings": {
            "images": int(data.truth.size), "classes": list(data.settings.classes), "flipped": FLIPPED,
            "shortlist": data.settings.shortlist, "looks_per_image": data.settings.looks_per_image,
            "confidence_threshold": data.settings.confidence_threshold, "seeds": list(seeds),
        },
        "machine": machine(),
    }  # fmt: skip


def _summary(grid: Grid) -> dict[str, Any]:
    best = _best(grid)
    return (
        _rows(grid)
        | {name: plain(grid.mean(name)) for name in ("errors_left_share", "right_changed_share")}
        | {
            "precision_over_cleanlab": grid.gain("shortlist/precision_at_errors", f"{best}/precision_at_errors"),
            "precision_over_model": grid.gain("shortlist/precision_at_errors", "model/precision_at_errors"),
            "cleanlab_variants": {name: plain(grid.mean(f"{name}/precision_at_errors")) for name in _variants(grid)},
            "noise_estimated": plain(grid.mean("noise")),
            "shortlist_holds": plain(grid.mean("holds")),
            "target_share": plain(grid.mean("target_share")),
            "curve": {"looks": CURVE.tolist()} | {row: plain(grid.mean(f"{row}/curve")) for row in LOOKING},
            "found_by_look": plain(grid.mean("found_by_look")),
        }
    )


def _variants(grid: Grid) -> list[str]:
    return sorted({name.rpartition("/")[0] for name in grid.values if name.startswith("cleanlab, ")})


def _best(grid: Grid) -> str:
    """Choose the variant of the baseline that came out best, by these very figures: it is the most it could be."""
    return max(_variants(grid), key=lambda name: float(grid.mean(f"{name}/precision_at_errors")))


def _rows(grid: Grid) -> dict[str, Any]:
    names = {"shortlist": "shortlist", "model": "model", "brain": "brain", "cleanlab": _best(grid)}
    return {
        row: {what: plain(grid.mean(f"{name}/{what}")) for what in (*SCORES, "looks")}
        | {"sd": plain(spread(grid.values[f"{name}/precision_at_errors"]))}
        for row, name in (names | {"shuffled": "shuffled"}).items()
    }


Respond = Callable[[Block], Iterable[Response]]
"""Whoever answers a block."""


class _Heard:
    """What looks at the annotations of one class have said so far; it grows with every round."""

    def __init__(self, n_images: int, n_first: int) -> None:
        self.evidence = np.zeros(n_images)
        self.looks = np.zeros(n_images, dtype=np.int64)
        self.first = np.zeros((n_first, n_images))  # evidence of each image's first looks, one by one
        self.course = [(0, self.evidence.copy())]  # presentations, and what was known after so many

    def hear(self, respond: Respond, blocks: Sequence[Block]) -> None:
        """Show a round's blocks and add up what they evoke."""
        presentations, _ = self.course[-1]
        for block in blocks:
            for image, response in zip(block.images, respond(block), strict=True):
                presentations += 1
                if response.rejected is None:
                    if self.looks[image] < len(self.first):
                        self.first[self.looks[image], image] = response.evidence
                    self.evidence[image] += response.evidence
                    self.looks[image] += 1
        self.course.append((presentations, self.evidence.copy()))


def _shuffled(respond: Respond, seed: int) -> Respond:
    """Let answers change places within each block: as strong as before, and about nothing."""
    rng = np.random.default_rng([seed, 8])

    def answer(block: Block) -> Iterable[Response]:
        answers = list(respond(block))
        return [answers[k] for k in rng.permutation(len(answers))]

    return answer


@dataclass(frozen=True, eq=False)
class _Task:
    """One set of wrong annotations, and all that is known of it without a look."""

    truth: IntArray
    doubted: Doubt
    baseline: Mapping[str, FloatArray]
    settings: Settings

    @classmethod
    def of(cls, data: AuditData, seed: int) -> "_Task":
        """Draw the wrong annotations, and doubt all."""
        settings, n_classes = replace(data.settings, seed=seed), len(data.settings.classes)
        given = flipped(data.truth, n_classes, seed=seed)
        features = SYSTEMS[settings.system].fit_features(data.vectors, seed=seed)(data.vectors)
        doubted = doubt(features, given, n_classes, seed=seed)
        return cls(data.truth, doubted, baseline(data.vectors, doubted, seed=seed), settings)

    @property
    def wrong(self) -> BoolArray:
        """Whether each annotation is wrong, (n,)."""
        return np.asarray(self.doubted.given != self.truth)

    def audit(self, answers: Answers) -> dict[str, Any]:
        """Score every row with one person."""
        classes, z = self.settings.classes, self.doubted.log_odds
        truth = {f"not {name}": self.truth != k for k, name in enumerate(classes)}
        found: dict[str, Any] = {
            "noise": self.doubted.noise,
            "holds": self._shortlist(range(len(classes)))[self.wrong].mean(),
        }
        for name, score in {"model": z, **self.baseline}.items():
            found |= self._scores(name, score, 0.0)
        budget: list[int] = []
        for row in LOOKING:
            replay = Replay(answers, truth, seed=self.settings.seed)  # every row is dealt the same
            respond: Respond = _shuffled(replay.respond, self.settings.seed) if row == "shuffled" else replay.respond
            if row == "brain":
                heard = [self._look_at_random(respond, k, n, replay.soa) for k, n in enumerate(budget)]
            else:
                heard = [self._look(respond, k, replay.soa) for k in range(len(classes))]
                budget = budget or [of.course[-1][0] for of in heard]
            known = np.zeros_like(z) if row == "brain" else z
            evidence = np.sum([of.evidence for of in heard], axis=0)
            found |= self._scores(row, known + evidence, float(np.mean([of.course[-1][0] for of in heard])))
            found[f"{row}/curve"] = np.nanmean([self._curve(of, known, k) for k, of in enumerate(heard)], axis=0)
            if row == "shortlist":
                found |= self._amended(heard)
        return found

    def _shortlist(self, classes: Sequence[int]) -> BoolArray:
        return shortlist(self.doubted, self.settings.shortlist, classes)

    def _suspicion(self, short: BoolArray, evidence: FloatArray, looks: IntArray) -> Suspicion:
        return Suspicion(self.doubted.log_odds, evidence, looks, self.doubted, short, np.zeros_like(short))

    def _nothing_heard(self) -> _Heard:
        return _Heard(self.truth.size, self.settings.looks_per_image)

    def _look(self, respond: Respond, k: int, soa: float) -> _Heard:
        """Look at the shortlist of a class, round by round, as a study does."""
        heard, short, settings, number = self._nothing_heard(), self._shortlist([k]), self.settings, 1
        while blocks := plan(
            self._suspicion(short, heard.evidence, heard.looks), settings.classes, number, settings.looks_per_round,
            settings, soa,
        ):  # fmt: skip
            heard.hear(respond, blocks)
            number += 1
        return heard

    def _look_at_random(self, respond: Respond, k: int, n_looks: int, soa: float) -> _Heard:
        """Look at annotations of a class in any order, none twice before all were looked at once."""
        heard, members = self._nothing_heard(), np.flatnonzero(self.doubted.given == k)
        rng, size = np.random.default_rng([self.settings.seed, 9, k]), self.settings.looks_per_round
        order = np.concatenate([rng.permutation(members) for _ in range(1 + n_looks // max(members.size, 1))])[:n_looks]
        for number, start in enumerate(range(0, n_looks, size), start=1):
            images = tuple(map(int, order[start : start + size]))
            heard.hear(respond, [Block(number, number, images, soa, f"not {self.settings.classes[k]}")])
        return heard

    def _scores(self, name: str, score: FloatArray, looks: float) -> dict[str, Any]:
        """Average over classes what a ranking of their annotations is worth; one without both kinds has no say."""
        from sklearn.metrics import roc_auc_score

        each = []
        for k in np.unique(self.doubted.given):
            wrong, of = self.wrong[self.doubted.given == k], score[self.doubted.given == k]
            if 0 < wrong.sum() < wrong.size:
                each.append(
                    [roc_auc_score(wrong, of), _precision(wrong, of, int(wrong.sum())), _precision(wrong, of, 50)]
                )
        values = dict(zip(SCORES, np.mean(each, axis=0), strict=True)) | {"looks": looks}
        return {f"{name}/{what}": value for what, value in values.items()}

    def _curve(self, heard: _Heard, known: FloatArray, k: int) -> FloatArray:
        """Precision at the number of errors after each number of presentations of `CURVE`."""
        of = self.doubted.given == k
        wrong = self.wrong[of]
        if not wrong.any():
            return np.full(CURVE.size, np.nan)
        at = [_precision(wrong, (known + evidence)[of], int(wrong.sum())) for _, evidence in heard.course]
        return np.array(at)[np.searchsorted([shown for shown, _ in heard.course], CURVE, side="right") - 1]

    def _amended(self, heard: Sequence[_Heard]) -> dict[str, Any]:
        """Say what the amended annotations are worth, and what the first, second and third look at an image found."""
        looks, evidence = np.sum([of.looks for of in heard], axis=0), np.sum([of.evidence for of in heard], axis=0)
        first, wrong = np.sum([of.first for of in heard], axis=0), self.wrong
        changed = self._suspicion(looks > 0, evidence, looks).wrong
        now = np.where(changed, self.doubted.other, self.doubted.given)
        by_look = [
            self._suspicion(looks > 0, first[:n].sum(axis=0), looks).wrong[wrong].mean()
            for n in range(1, len(first) + 1)
        ]
        return {
            "errors_left_share": (now != self.truth).sum() / wrong.sum(),
            "right_changed_share": changed[~wrong].mean(),
            "found_by_look": np.array(by_look),
            "target_share": looks[wrong].sum() / looks.sum(),
        }


def flipped(truth: IntArray, n_classes: int, *, seed: int, share: float = FLIPPED) -> IntArray:
    """Change a share of each class's annotations to another class, drawn alike."""
    rng, given = np.random.default_rng([seed, 7]), truth.copy()
    for k in range(n_classes):
        members = np.flatnonzero(truth == k)
        chosen = rng.choice(members, max(1, round(share * members.size)), replace=False)
        given[chosen] = (k + rng.integers(1, n_classes, chosen.size)) % n_classes
    return given


def _precision(wrong: BoolArray, score: FloatArray, n: int) -> float:
    """Give the share of wrong ones among the `n` of the highest scores; ties fall as they may."""
    order = np.lexsort((np.random.default_rng(0).random(score.size), -score))
    return float(wrong[order[:n]].mean())
