"""A reward model: what a frame would evoke in whoever watched, learned by our own loop; nobody watches any more.

Frames are images, hazards are the target that is looked for; evidence, rule, query and head are those of any study.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from brainloop._types import BoolArray, FloatArray, Progress, no_progress
from brainloop.classifier.features import FeatureMap, load_features
from brainloop.classifier.heads import AnyHead
from brainloop.classifier.system import BRAINLOOP
from brainloop.driving.frames import SIZE, frame_scenes
from brainloop.driving.road_backbone import train_backbone
from brainloop.driving.road_view import FRAME
from brainloop.driving.scene import draw
from brainloop.driving.watchers import SimulatedWatcher
from brainloop.eeg.erp import ERP
from brainloop.errors import StudyError
from brainloop.images.backbones import load_backbone
from brainloop.presentation.block import Block, Response
from brainloop.rehearsal import Task, rehearse
from brainloop.settings import Settings
from brainloop.study import Study

__all__ = ["LOOKS", "Learned", "RewardModel", "learn_hazards"]

HAZARD = "hazard"

LOOKS = 6_000
"""Frames that a person looks at, twenty minutes at five a second."""

N_FRAMES, N_TEST = 6_000, 1_000
"""Frames of the pool, and of other roads that only measure."""


@dataclass(frozen=True, eq=False)
class RewardModel:
    """From frames to the evidence that they would evoke.

    Parameters
    ----------
    embed : callable
        From frames, shape (n, height, width, 3), to vectors, shape (n, width).
    features : FeatureMap
        From vectors to what the head takes.
    head : AnyHead
        From features to the log-odds of a hazard, nats.
    prevalence : float
        Share of hazards that the head expects: its log-odds hold it, evidence does not.
    size : tuple of (int, int)
        Width and height of the frames that it was made for, pixels.
    """

    embed: Callable[[NDArray[np.uint8]], FloatArray]
    features: FeatureMap
    head: AnyHead
    prevalence: float
    size: tuple[int, int] = FRAME

    def evidence(self, frames: NDArray[np.uint8]) -> FloatArray:
        """Predict the evidence of a hazard in each frame, shape (n, height, width, 3) -> (n,), nats."""
        p = self.head.probability(self.features(self.embed(frames)))
        return np.asarray(logit(np.clip(p, 1e-6, 1 - 1e-6)) - logit(self.prevalence))

    @classmethod
    def of(cls, study: Study) -> "RewardModel":
        """Take the classifier of a study that looked for one target among frames, as `brainloop drive frames` draws.

        Raises
        ------
        StudyError
            If it told several classes apart, or has not finished a round.
        """
        if study.settings.classes:
            raise StudyError(
                f"a reward model comes from a study of one target; {study.folder} tells "
                f"{', '.join(study.settings.classes)} apart"
            )
        backbone = load_backbone(study.settings.backbone, output=study.settings.backbone_output)

        def embed(frames: NDArray[np.uint8]) -> FloatArray:
            return backbone.embed(np.stack([backbone.prepare(frame) for frame in frames]))

        features, head = load_features(study.models.path("features")), study.head()
        pool = features(study.data().pool)
        return cls(embed, features, head, float(head.probability(pool).mean()), SIZE)


@dataclass(frozen=True, eq=False)
class Learned:
    """A reward model, and how well it knows hazards on roads that it has not seen.

    Parameters
    ----------
    model : RewardModel
        After the last look.
    looks : int
        How many there were.
    auc : float
        Of its evidence on frames of other roads.
    """

    model: RewardModel
    looks: int
    auc: float


def learn_hazards(
    *, seed: int = 0, looks: int = LOOKS, observer_auc: float = 0.85, progress: Progress = no_progress
) -> Learned:
    """Learn what alarms a simulated person, from frames that flash by, by the loop in memory.

    Parameters
    ----------
    seed : int
        Of frames, person and loop.
    looks : int
        Presentations.
    observer_auc : float
        Of the person's responses; see `SimulatedWatcher`.
    progress : Progress
        Called with (looks, looks in all).
    """
    # Roads differ, as each is drawn from 2**31.
    (pool, truth), (test, test_truth) = _frames(N_FRAMES, 2 * seed), _frames(N_TEST, 2 * seed + 1)
    backbone = train_backbone(seed=seed)
    vectors = backbone(pool)
    task = Task(vectors, {HAZARD: truth}, backbone(test), {HAZARD: test_truth}, seed=seed)
    settings = Settings(images="frames", target=HAZARD, observer="own", soa=0.2, looks_per_round=150, seed=seed)
    checkpoints = range(settings.looks_per_round, looks + 1, settings.looks_per_round)
    observer = _Glances(truth, SimulatedWatcher(observer_auc, seed=seed))
    for now in rehearse(BRAINLOOP, task, observer, settings, checkpoints):
        progress(now.looks, looks)
    features = BRAINLOOP.fit_features(vectors, seed=seed)
    head = now.belief.head
    model = RewardModel(backbone, features, head, float(head.probability(features(vectors)).mean()))
    return Learned(model, now.looks, task.auc(model.evidence(test)))


def _frames(count: int, seed: int) -> tuple[NDArray[np.uint8], BoolArray]:
    scenes = frame_scenes(count, seed)
    return np.stack([draw(scene, FRAME) for scene in scenes]), np.array([scene.hazard for scene in scenes])


class _Glances:
    """The observer who is a `SimulatedWatcher` looking at single frames; see `observers.observer.Observer`."""

    soa = 0.2
    facts: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, truth: BoolArray, person: SimulatedWatcher) -> None:
        self._truth, self._person = truth, person

    def respond(self, block: Block, start: int = 0) -> Iterator[Response]:
        for position in range(start, len(block.images)):
            evidence = self._person.answer(bool(self._truth[block.images[position]]))
            yield Response(
                score=evidence, evidence=evidence, rejected=None, onset=float(block.onsets[position]),
                source=f"simulated#{block.number}.{position}", person="simulated", session="simulated",
            )  # fmt: skip

    def recall(self, blocks: Sequence[Block]) -> None:
        """Nothing to recall."""

    def erps(self) -> dict[str, ERP]:
        return {}
