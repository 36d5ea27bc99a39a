"""Sifting: a classifier says what each image is, and whoever looks settles what it is not sure of.

An audit sifts annotations and a review sifts images; all that the two share is here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.classifier.measure import auc_interval
from brainloop.store import Round
from brainloop.study import Study, StudyData
from brainloop.uses.heard import total_evidence
from brainloop.uses.use import round_of

__all__ = ["Sifted", "close_sifting", "listen"]


@dataclass(frozen=True)
class Sifted:
    """What is known of each image of a pool that is sifted.

    Parameters
    ----------
    log_odds : array, shape (n_pool,)
        The classifier's, of being what is looked for, nats.
    evidence : array, shape (n_pool,)
        Of all looks so far, nats.
    looks : array of int, shape (n_pool,)
        Looks that gave a usable response.
    """

    log_odds: FloatArray
    evidence: FloatArray
    looks: IntArray

    @property
    def posterior(self) -> FloatArray:
        """Log-odds of classifier and looks together, ``z + L``, shape (n_pool,), nats."""
        return self.log_odds + self.evidence


def listen(study: Study, data: StudyData, log_odds: FloatArray, last_round: int | None = None) -> Sifted:
    """Add the looks of a study, up to a round or all, to what its classifier says, (n_pool,) nats."""
    evidence, _ = total_evidence(study, data, last_round)
    looks = study.store.looks()
    usable = np.array([reason is None for reason in looks.rejected], dtype=bool)
    if last_round is not None:
        usable &= looks.round <= last_round
    return Sifted(log_odds, evidence, np.bincount(data.index(looks.image[usable]), minlength=data.ids.size))


def close_sifting(
    study: Study,
    rounds: Sequence[Round],
    machine_s: float,
    unsure: BoolArray,
    posterior: FloatArray,
    truth: BoolArray | None,
) -> Round:
    """Say how much is still unsure and, where truth is known, how well classifier and looks together tell.

    Parameters
    ----------
    study : Study
        The study.
    rounds : sequence of Round
        Those that are over.
    machine_s : float
        What this one took so far, s.
    unsure : array of bool, shape (n_pool,)
        What is still to be asked about.
    posterior : array, shape (n,)
        Log-odds of what is measured, nats.
    truth : array of bool, shape (n,), or None
        Whether it is what was looked for; None where that is unknown.
    """
    auc = {}
    if truth is not None and 0 < truth.sum() < truth.size:
        found = auc_interval(truth, posterior, seed=study.settings.seed)
        auc = {"auc": found.value, "auc_low": found.low, "auc_high": found.high}
    return round_of(study, rounds, machine_s, float(unsure.mean()), converged=not unsure.any(), **auc)
