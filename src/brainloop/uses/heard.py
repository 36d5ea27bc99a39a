"""What is known of each image by having asked: the evidence of looks, and what persons said at leisure."""

import numpy as np
from scipy.special import logit

from brainloop._types import FloatArray, IntArray
from brainloop.evidence import add_up
from brainloop.study import Study, StudyData
from brainloop.uses.trust import is_shared, trust, usable_looks

__all__ = ["CORRECTION", "corrections", "total_evidence"]

CORRECTION = float(logit(0.99))
"""Evidence of a person's correction, nats: who looks at an image for as long as they like errs about once in a hundred
times. The test labels of ten well-kept data sets were wrong in .2 to 10 % (Northcutt, Athalye and Mueller 2021,
"Pervasive label errors in test sets", NeurIPS 34). It is finite, so that no one image decides what is learned."""


def corrections(study: Study, data: StudyData, last_round: int | None = None) -> tuple[IntArray, FloatArray]:
    """Give what persons said of images of the pool by looking at them at leisure, up to a round or all.

    Returns
    -------
    images : array of int, shape (n_told,)
        Rows of the pool, rising.
    evidence : array, shape (n_told,), or (n_told, n_classes) where classes are told apart
        `CORRECTION` for what an image was said to be, ``-CORRECTION`` for what not, nats.
    """
    sought = study.settings.sought
    said = {
        image: (sought.index(target), is_target)
        for image, (target, is_target) in study.store.corrections(last_round).items()
        if target in sought
    }
    ids = np.array(list(said), dtype=np.int64)
    there = np.isin(ids, data.ids)  # one may have become unusable since
    evidence = np.zeros((ids.size, len(sought)))
    for row, (k, is_target) in enumerate(said.values()):
        evidence[row, k] = CORRECTION if is_target else -CORRECTION
    return data.index(ids[there]), _by_class(evidence, study)[there]


def total_evidence(study: Study, data: StudyData, last_round: int | None = None) -> tuple[FloatArray, IntArray]:
    """Add up what is known of each image, up to a round or all; a correction stands in place of what looks said.

    Where two people or more have looked, the evidence of each counts as the others and the classifier bear it out
    (`brainloop.uses.trust`).

    Returns
    -------
    evidence : array, shape (n_pool,), or (n_pool, n_classes) where classes are told apart
        Nats; 0 for an image, and a class, that nothing is known of.
    seen : array of int
        Rows of the pool that gave a usable response, or were corrected; each once, rising.
    """
    # A rejected epoch says nothing. Its evidence of 0 would do no harm by the posterior rule; the talk's rule, which
    # makes a target of every score of .5, would train on it.
    looks, sought = study.store.looks(), study.settings.sought
    usable = usable_looks(looks, last_round)
    heard = trust(study, data, last_round, looks).evidence if is_shared(looks, usable) else looks.evidence[usable]
    image, k = data.index(looks.image[usable]), np.array([sought.index(one) for one in looks.target], dtype=np.int64)
    cell = image * len(sought) + k[usable]
    each = add_up(cell, heard, data.ids.size * len(sought)).reshape(-1, len(sought))
    evidence = _by_class(each, study)
    told, said = corrections(study, data, last_round)
    evidence[told] = said
    return evidence, np.union1d(image, told)


def _by_class(evidence: FloatArray, study: Study) -> FloatArray:
    """Keep classes apart where they are told apart; otherwise each image was looked at for one thing alone."""
    return evidence if study.settings.use == "train" and study.settings.classes else evidence.sum(axis=1)
