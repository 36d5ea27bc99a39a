"""What a study knows of each image by now: looks, classifier, and both together."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, softmax

from brainloop._types import FloatArray
from brainloop.evidence import add_up
from brainloop.study import Study
from brainloop.uses.heard import CORRECTION

__all__ = ["ClassResult", "ImageResult", "image_results"]


@dataclass(frozen=True)
class ClassResult:
    """What is known of an image and one class.

    Parameters
    ----------
    posterior : float or None
        Probability by classifier and evidence together; None where the classifier says nothing, as no round is over or
        the image is neither of the pool nor of the test part.
    classifier : float or None
        The same by the classifier alone, calibrated (`Head.probability`).
    evidence : float
        Of all usable looks for this class, or of the correction, nats.
    """

    posterior: float | None
    classifier: float | None
    evidence: float


@dataclass(frozen=True)
class ImageResult:
    """What is known of an image.

    Parameters
    ----------
    id : int
        Its place in the store.
    path : str
        Below the study's folder of images.
    part : str
        As in `brainloop.store.PoolImage`.
    label : str or None
        Its class folder.
    name : str
        The target; of several classes the likeliest.
    probability, classifier : float or None
        Of showing `name`; as in `ClassResult`.
    evidence : float
        The same, nats.
    decided : str or None
        What it is taken for, ``not TARGET`` included; None where `probability` is.
    certainty : float or None
        Probability of what it is taken for.
    looks : int
        That were answered, rejected ones included.
    correction : bool or None
        What a person said: whether it is `said`.
    said : str or None
        What of.
    by_class : dict of str to ClassResult
        By class; of the target alone where there is one.
    """

    id: int
    path: str
    part: str
    label: str | None
    name: str
    probability: float | None
    classifier: float | None
    evidence: float
    decided: str | None
    certainty: float | None
    looks: int
    correction: bool | None
    said: str | None
    by_class: dict[str, ClassResult]


def image_results(study: Study) -> list[ImageResult]:
    """Say what is known of every image of a study by now, in the order of their ids; also before its first round.

    The posterior is ``sigmoid(logit(p) + L)`` of the classifier's calibrated probability and the evidence, and of
    several classes ``softmax(log p + L)``.
    """
    images, names = study.store.images(), study.settings.sought
    looks, said = study.store.looks(), study.store.corrections()
    seen = np.bincount(looks.image, minlength=images[-1].id + 1)
    evidence = _evidence(study, images[-1].id + 1)
    alone = _alone(study, images[-1].id + 1)
    both = expit(logit(alone) + evidence) if len(names) == 1 else softmax(np.log(alone) + evidence, axis=1)
    results = []
    for image in images:
        by_class = {
            name: ClassResult(_or_none(both[image.id, k]), _or_none(alone[image.id, k]), float(evidence[image.id, k]))
            for k, name in enumerate(names)
        }
        known = not np.isnan(both[image.id]).any()
        name = names[int(both[image.id].argmax())] if known else names[0]
        main = by_class[name]
        decided, certainty = (name, main.posterior) if known else (None, None)
        if len(names) == 1 and main.posterior is not None and main.posterior < 0.5:
            decided, certainty = f"not {name}", 1 - main.posterior
        about, correction = said.get(image.id, (None, None))
        result = ImageResult(
            image.id, image.path, image.part, image.label, name, main.posterior, main.classifier, main.evidence,
            decided, certainty, int(seen[image.id]), correction, about, by_class,
        )  # fmt: skip
        results.append(result)
    return results


def _evidence(study: Study, n_ids: int) -> FloatArray:
    """Add up what looks and corrections say of each image and class: (n_ids, n_names), nats."""
    names, looks = study.settings.sought, study.store.looks()
    usable = np.array([reason is None for reason in looks.rejected], dtype=bool)
    k = np.array([names.index(target) for target in looks.target], dtype=np.int64)
    cells = looks.image[usable] * len(names) + k[usable]
    evidence = add_up(cells, looks.evidence[usable], n_ids * len(names)).reshape(n_ids, len(names))
    for image, (target, is_target) in study.store.corrections().items():
        evidence[image] = 0
        evidence[image, names.index(target)] = CORRECTION if is_target else -CORRECTION
    return evidence


def _alone(study: Study, n_ids: int) -> FloatArray:
    """Give the classifier's probabilities, (n_ids, n_names); nan where it says nothing."""
    alone = np.full((n_ids, len(study.settings.sought)), np.nan)
    # Not before a round is over: the images may be being embedded by another process until then.
    if study.settings.use == "train" and study.store.rounds():
        data = study.data()
        head, (pool, test) = study.head(), study.features(data)
        alone[data.ids] = head.probability(pool).reshape(len(pool), -1)
        if len(test):
            ids = [image.id for image in study.store.images() if image.part == "test"]
            alone[ids] = head.probability(test).reshape(len(test), -1)
    return alone


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
