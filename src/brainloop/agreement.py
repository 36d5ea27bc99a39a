"""Agreement: whose evidence counts how much, told from what the others and the classifier say of the same images.

Evidence is as good as the calibration that it came by, and a person is not the same all day. Taken for two Gaussians of
one variance ``s2`` with the means ``m1`` at targets and ``m0`` at others, evidence is given anew by a straight line::

    L' = a L + b,    a = (m1 - m0) / s2,    b = -a (m0 + m1) / 2

with ``a = 1, b = 0`` where the calibration still holds and ``a = 0`` for answers at random. What was a target is not
known, but probable: by what the others say, re-estimated too, by the classifier, and by the look itself. So means and
probabilities are found in turn (expectation and maximisation), as Dawid and Skene found the error rates of observers
who answer in categories. Of one image a person says much the same twice, right or wrong: what somebody said of it is
not held for or against another look of theirs, and for the others their looks at it count as one, the mean.

References
----------
Dawid and Skene (1979), "Maximum likelihood estimation of observer error-rates using the EM algorithm", Appl. Stat. 28.
Raykar et al. (2010), "Learning from crowds", J. Mach. Learn. Res. 11: the classifier among the observers.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from brainloop._types import BoolArray, FloatArray, IntArray

__all__ = ["Agreement", "Fit", "reestimate"]

FEWEST = 50
"""Looks that a person must have answered before their calibration is doubted: ten seconds of looking at 5 Hz."""

KNOWN_LOOKS = 100.0
"""Looks that a person's calibration counts for, against theirs in the study: so many at images that are known for
certain, in blocks with a target in eight. With 25 or 50, four good people at 300 images lost .01 of AUC to chance; with
200, of somebody who answers at random at 300 images more is believed (ten design seeds)."""

STRETCH_LOOKS = 100.0
"""Looks that all of a person's count for, against those of one stretch."""

CONTINUITY = 0.5
"""What a look of the next stretch counts in a stretch; of the next but one this squared, and so on."""

TARGETS = 1 / 8
"""Share of targets in a block, about."""

MOST_GAIN = 3.0
"""Nobody is taken for more than three times as sure as calibrated: more would be chance."""

PASSES, CLOSE = 200, 1e-3
"""Passes at most, and the change of gains and offsets that ends them."""


@dataclass(frozen=True, eq=False)
class Fit:
    """How evidence goes with what others say, of people or of stretches; arrays of shape (n,).

    Parameters
    ----------
    looks : array of int
        How many.
    gain, offset : array
        ``a`` and ``b``, nats.
    auc : array, shape (3, n)
        Area under the ROC curve of single looks against what the others say, and its 95 % interval; NaN where nobody
        else says anything.
    """

    looks: IntArray
    gain: FloatArray
    offset: FloatArray
    auc: FloatArray


@dataclass(frozen=True, eq=False)
class Agreement:
    """What came of re-estimation.

    Parameters
    ----------
    evidence : array, shape (n_looks,)
        Of each look, by the gain and offset of its stretch, nats.
    people, stretches : Fit
        Of each person, shape (n_people,), and of each stretch, (n_stretches,).
    """

    evidence: FloatArray
    people: Fit
    stretches: Fit


def reestimate(
    image: IntArray,
    person: IntArray,
    stretch: IntArray,
    evidence: FloatArray,
    log_odds: FloatArray | None = None,
) -> Agreement:
    """Re-estimate each person's evidence, stretch by stretch.

    A person of whom there are fewer than `FEWEST` looks, and one who is alone, keep their evidence as it was.

    Parameters
    ----------
    image : array of int, shape (n_looks,)
        What each look was about: an image or, of several classes, an image and a class; from 0.
    person : array of int, shape (n_looks,)
        Who looked, from 0.
    stretch : array of int, shape (n_looks,)
        The stretch of time it lies in, from 0: each of one person, those of a person in order and without a gap.
    evidence : array, shape (n_looks,)
        By each person's own calibration, nats.
    log_odds : array, shape (n_images,), optional
        What a classifier says that was not trained on the image, nats; by default nothing but a share of targets,
        which is estimated.

    Returns
    -------
    Agreement
        Evidence, and how it was found.
    """
    n_people, n_stretches = int(person.max(initial=-1)) + 1, int(stretch.max(initial=-1)) + 1
    whose = np.zeros(n_stretches, dtype=np.int64)
    whose[stretch] = person
    n_looks = np.bincount(person, minlength=n_people)
    judged = (n_looks >= FEWEST) & (np.count_nonzero(n_looks) > 1)
    _, pair = np.unique(image * max(n_people, 1) + person, return_inverse=True)
    seen = np.unique(image)
    n_images = int(image.max(initial=-1)) + 1
    rate: FloatArray = np.full(n_images, logit(TARGETS)) if log_odds is None else log_odds[:n_images]

    gain: FloatArray = np.ones(n_stretches)
    offset: FloatArray = np.zeros(n_stretches)
    own = _Line(np.ones(n_people), np.zeros(n_people))
    for _ in range(PASSES if judged.any() else 0):
        each = gain[stretch] * evidence + offset[stretch]
        prior = _others(image, pair, each, rate)
        sums = _sums(stretch, n_stretches, expit(prior + each), evidence)
        alone = _sums(stretch, n_stretches, expit(prior), evidence)
        known = _Line(np.ones(n_people), np.zeros(n_people))
        own = _borne_out(_by(whose, n_people, sums), _by(whose, n_people, alone), known, KNOWN_LOOKS)
        known = _Line(own.gain[whose], own.middle[whose])
        line = _borne_out(_continued(sums, whose), _continued(alone, whose), known, STRETCH_LOOKS)
        was = gain, offset
        gain, offset = _applied(line, judged[whose])
        if log_odds is None:
            total = np.bincount(image, gain[stretch] * evidence + offset[stretch])
            rate = np.full(rate.size, logit(np.clip(expit(rate + total)[seen].mean(), 0.01, 0.99)))
        if max(np.abs(gain - was[0]).max(), np.abs(offset - was[1]).max()) < CLOSE:
            break

    each = gain[stretch] * evidence + offset[stretch]
    probability = expit(_others(image, pair, each, rate))
    return Agreement(
        each,
        Fit(n_looks, *_applied(own, judged), _aucs(person, n_people, evidence, probability)),
        Fit(
            np.bincount(stretch, minlength=n_stretches),
            gain,
            offset,
            _aucs(stretch, n_stretches, evidence, probability),
        ),
    )


@dataclass(frozen=True, eq=False)
class _Line:
    """Gain of evidence, and the middle between its classes, nats."""

    gain: FloatArray
    middle: FloatArray


def _applied(line: _Line, judged: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Give gain and offset, of those that are judged."""
    return np.where(judged, line.gain, 1.0), np.where(judged, -line.gain * line.middle, 0.0)


def _others(image: IntArray, pair: IntArray, evidence: FloatArray, rate: FloatArray) -> FloatArray:
    """Say of each look what is known of its image without whoever looked, log-odds."""
    looks = np.bincount(pair)
    said = np.bincount(pair, evidence) / looks
    total = np.bincount(image, said[pair] / looks[pair])
    return np.asarray((rate + total)[image] - said[pair])


def _sums(group: IntArray, n: int, p: FloatArray, evidence: FloatArray) -> FloatArray:
    """Sum 1, p, L, p L, L L and p p over the looks of each group, (6, n)."""
    terms = (np.ones(p.size), p, evidence, p * evidence, evidence * evidence, p * p)
    return np.stack([np.bincount(group, term, minlength=n) for term in terms])


def _by(group: IntArray, n: int, sums: FloatArray) -> FloatArray:
    return np.stack([np.bincount(group, row, minlength=n) for row in sums])


def _continued(sums: FloatArray, whose: IntArray) -> FloatArray:
    """Add to each stretch its neighbours of the same person, the less the further off they are."""
    after, before = sums.copy(), sums.copy()
    same = np.flatnonzero(whose[1:] == whose[:-1])
    for k in same:
        after[:, k + 1] += CONTINUITY * after[:, k]
    for k in same[::-1]:
        before[:, k] += CONTINUITY * before[:, k + 1]
    return np.asarray(after + before - sums)


def _fit(sums: FloatArray, known: _Line, n_known: float) -> _Line:
    """Fit both classes to looks that are targets with probability p, beside so many looks that have a known line."""
    n, targets, total, at_targets, squares, _ = sums
    others, n = np.maximum(n - targets, 1e-9), np.maximum(n, 1e-9)
    targets = np.maximum(targets, 1e-9)
    high, low = at_targets / targets, (total - at_targets) / others
    within = np.maximum((squares - targets * high**2 - others * low**2) / n, 1e-9)
    weight, prior = targets * others / n, n_known * TARGETS * (1 - TARGETS)
    gain = np.clip((weight * (high - low) / within + prior * known.gain) / (weight + prior), 0, MOST_GAIN)
    middle = total / n + gain * within * (0.5 - targets / n)
    return _Line(gain, (n * middle + n_known * known.middle) / (n + n_known))


def _borne_out(sums: FloatArray, alone: FloatArray, known: _Line, n_known: float) -> _Line:
    """Fit a line, with a gain above 1 only as far as what the others say, without the look itself, bears it out.

    Evidence that comes in two heaps, as that of a key does, looks like two classes far apart whoever presses it.
    """
    line, seconded = _fit(sums, known, n_known), _fit_alone(alone, known, n_known)
    over = line.gain > np.maximum(1, seconded.gain)
    return _Line(np.where(over, np.maximum(1, seconded.gain), line.gain), np.where(over, seconded.middle, line.middle))


def _fit_alone(sums: FloatArray, known: _Line, n_known: float) -> _Line:
    """Fit both classes by what others say alone, beside so many looks that have a known line; see `_regress`."""
    n, targets, total, *_ = sums
    n = np.maximum(n, 1e-9)
    slope, within, spread = _regress(sums)
    prior = n_known * TARGETS * (1 - TARGETS)
    gain = np.clip((spread * slope / within + prior * known.gain) / (spread + prior), 0, MOST_GAIN)
    middle = total / n + gain * within * (0.5 - targets / n)
    return _Line(gain, (n * middle + n_known * known.middle) / (n + n_known))


def _aucs(group: IntArray, n: int, evidence: FloatArray, probability: FloatArray) -> FloatArray:
    """Measure the AUC of each group's looks against targets that are probable, and its 95 % interval, (3, n)."""
    return np.array([_auc(evidence[group == one], probability[group == one]) for one in range(n)]).reshape(n, 3).T


def _auc(evidence: FloatArray, probability: FloatArray) -> tuple[float, float, float]:
    """Measure an AUC where each look is of a target with some probability, and its 95 % interval.

    Weighted by the probability r and by 1 - r, looks are two mixtures of targets and others, of which the shares t1 and
    t0 are targets. Their AUC is pulled towards .5 by t1 - t0, which is known: so ``.5 + (AUC - .5) / (t1 - t0)``. With
    known truth it is the plain AUC, and the error is that of DeLong, DeLong and Clarke-Pearson (1988), "Comparing the
    areas under two or more correlated receiver operating characteristic curves", Biometrics 44.
    """
    r = probability
    if r.size < 2 or np.ptp(r) < 1e-9:
        return np.nan, np.nan, np.nan
    _, place = np.unique(evidence, return_inverse=True)
    targets, others = np.bincount(place, r), np.bincount(place, 1 - r)
    n_targets, n_others = targets.sum(), others.sum()
    below = (np.cumsum(others) - others / 2) / n_others
    above = 1 - (np.cumsum(targets) - targets / 2) / n_targets
    mixed = float(below @ targets / n_targets)
    kept = float(r @ r / n_targets - r @ (1 - r) / n_others)
    pull = r / n_targets * (below[place] - mixed) + (1 - r) / n_others * (above[place] - mixed)
    auc, half = 0.5 + (mixed - 0.5) / kept, 1.959964 * float(np.sqrt(pull @ pull)) / kept
    value, low, high = np.clip([auc, auc - half, auc + half], 0, 1).tolist()
    return value, low, high


def _regress(sums: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Regress evidence on what others say: the distance of its class means, its variance in a class, and what r tells.

    Evidence is ``m0 + (m1 - m0) r`` on average where others give a target the probability r: a slope that no vagueness
    of r makes less steep (Berkson 1950, "Are there two regressions?", J. Am. Stat. Assoc. 45). What r tells is its sum
    of squares about its mean; 0 where it says the same of all.
    """
    n, r, total, with_r, squares, rr = sums
    n = np.maximum(n, 1e-9)
    spread, shared, own = rr - r * r / n, with_r - r * total / n, squares - total * total / n
    spread = np.where(spread > 1e-9 * n, spread, 0.0)
    slope = np.divide(shared, spread, out=np.zeros_like(shared), where=spread > 0)
    # About the line it varies more than within a class, as of the images of one r some are targets and some are not.
    within = (own - 2 * slope * shared + slope**2 * spread) / n - slope**2 * (r - rr) / n
    return slope, np.maximum(within, np.maximum(own / n / 5, 1e-12)), spread
