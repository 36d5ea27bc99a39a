"""The parts of a study's images: which are shown, which only measure, which calibrate, which stay aside."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from brainloop._types import BoolArray, IntArray
from brainloop.annotations import Annotations
from brainloop.errors import SettingsError
from brainloop.images.pool import Image, Pool
from brainloop.settings import Settings
from brainloop.store import PoolImage

__all__ = ["CALIBRATION_PREVALENCE", "assign_parts", "calibration_part", "is_known", "split"]

CALIBRATION_TARGETS = 40
"""Targets set apart for a person's calibration, at most: four minutes at 5 Hz show 144 of them, so that none has to
come more than four times, and a decoder cannot learn the images in place of the response."""

CALIBRATION_PREVALENCE = 0.12
"""Share of targets among the images set apart: rare enough for a P300 (Polich 2007), frequent enough to have some."""

CALIBRATION_SHARE = 4
"""At most one in so many of the pool's images of a class is set apart: the pool is there to be looked through."""


def assign_parts(pool: Pool, settings: Settings, annotations: Annotations | None) -> list[PoolImage]:
    """Say which images are shown, which only measure, and which stay aside; without truth, all are shown."""
    said = annotations.labels if annotations else {}
    if settings.use == "audit":
        given = said if annotations else {image.path: image.label for image in pool.images}
        return [
            PoolImage(
                number, *_facts(image), "aside" if given.get(image.path) is None else "pool", given.get(image.path)
            )
            for number, image in enumerate(pool.images)
        ]
    images = [replace(image, label=said.get(image.path)) for image in pool.images] if annotations else pool.images
    labels = [image.label for image in images]
    part = np.full(len(images), "pool", dtype=object)
    known = is_known(labels, settings)
    some_are_missing = len(settings.names) > 1 and any(name in labels for name in settings.names)
    if not known and (settings.observer in ("replay", "simulated") or some_are_missing):
        classes = Counter(label for label in labels if label is not None)
        there = ", ".join(f"{label} ({count})" for label, count in classes.items()) or "none"
        wanted = f"{'an annotation' if annotations else 'a class folder'} {' and '.join(map(repr, settings.names))}"
        where = f"in {settings.annotations}" if annotations else f"below {settings.images}"
        why = "" if some_are_missing else f"a {settings.observer} observer needs the truth: "
        raise SettingsError(f"{why}expected {wanted} and others {where}; what is there: {there}")
    if known and settings.use == "train":
        kind = np.array([-1 if label not in settings.names else settings.names.index(label) for label in labels])
        # Where annotations tell, an image without one is no known non-target either.
        usable = np.array([annotations is None or label is not None for label in labels], dtype=bool)
        rows = np.flatnonzero(usable & (kind >= 0) if settings.classes else usable)
        chosen = split(kind[rows] if settings.classes else kind[rows] == 0, settings)
        shown, never_shown = (rows[one] for one in chosen)
        part[:] = "aside"
        part[shown], part[never_shown] = "pool", "test"
        if settings.observer == "live":
            part[calibration_part(kind == 0, shown, settings)] = "calibration"
    return [PoolImage(number, *_facts(image), str(part[number])) for number, image in enumerate(images)]


def _facts(image: Image) -> tuple[str, str, str | None]:
    return image.hash, image.path, image.label


def is_known(labels: Sequence[str | None], settings: Settings) -> bool:
    """Say whether class folders tell the truth about what is looked for.

    Parameters
    ----------
    labels : sequence of str or None
        Class folder of each image.
    settings : Settings
        What is looked for.
    """
    counts = Counter(labels)
    if settings.use == "audit":
        return None not in counts and any(counts[name] for name in settings.names)
    return all(0 < counts[name] < len(labels) for name in settings.names)


def split(kind: BoolArray | IntArray, settings: Settings) -> tuple[IntArray, IntArray]:
    """Thin one class out to the prevalence and set a stratified test part aside, by the seed.

    Parameters
    ----------
    kind : array of bool or of int, shape (n_images,)
        Whether each is a target, or its class.
    settings : Settings
        Prevalence, test share and seed.

    Returns
    -------
    pool, test : array of int
        Indices, rising.
    """
    rng = np.random.default_rng([settings.seed, 0])
    classes = [True, False] if kind.dtype == bool else np.unique(kind).tolist()
    members = [rng.permutation(np.flatnonzero(kind == one)) for one in classes]
    if settings.prevalence is not None:
        targets, others = members
        odds = settings.prevalence / (1 - settings.prevalence)
        members = [targets[: round(others.size * odds)], others[: round(targets.size / odds)]]
    n_test = [round(own.size * settings.test_share) for own in members]
    test = [own[:n] for own, n in zip(members, n_test, strict=True)]
    pool = [own[n:] for own, n in zip(members, n_test, strict=True)]
    return np.sort(np.concatenate(pool)), np.sort(np.concatenate(test))


def calibration_part(truth: BoolArray, pool: IntArray, settings: Settings) -> IntArray:
    """Set images of the pool apart for calibration alone, by the seed.

    A decoder must not meet in the study the image it was trained on.

    Parameters
    ----------
    truth : array of bool, shape (n_images,)
        Whether each is a target.
    pool : array of int
        Indices of the pool.
    settings : Settings
        Its seed.

    Returns
    -------
    array of int
        Indices, rising: targets and others in the prevalence of a calibration, as far as the pool can spare them.
    """
    rng = np.random.default_rng([settings.seed, 4])
    targets, others = rng.permutation(pool[truth[pool]]), rng.permutation(pool[~truth[pool]])
    n_targets = min(CALIBRATION_TARGETS, targets.size // CALIBRATION_SHARE)
    wanted = round(n_targets * (1 - CALIBRATION_PREVALENCE) / CALIBRATION_PREVALENCE)
    n_others = min(wanted, others.size // CALIBRATION_SHARE)
    return np.sort(np.concatenate([targets[:n_targets], others[:n_others]]))
