"""From evidence to what a classifier learns: the talk's soft labels, and the likelihood of the response.

A *rule* is a loss of the classifier's log-odds ``z`` and an image's total evidence ``L``, with its two derivatives by
``z``. The rule `talk` is the talk's, as it gives it: ``y = [c >= THR]``, ``w = c if y else 1 - c``, ``c = sigmoid(L)``,
loss ``-w (y log p + (1 - y) log(1 - p))``. The rule `hard` is the same with ``w = 1``. The rule `posterior` is minus
the log-likelihood of the response under the classifier, up to a constant: ``softplus(z) - softplus(z + L)``.

Every rule takes ``(log_odds, evidence, threshold)``. For two classes ``log_odds`` and ``evidence`` have shape (n,). For
K classes ``log_odds`` are logits (n, K), ``p`` their softmax, and ``evidence`` (n, K) speaks for each class against the
rest, 0 where a class was not looked for.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_expit

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.evidence import talk_score

__all__ = ["RULES", "Loss", "Rule", "SoftLabels", "hard_loss", "posterior_loss", "soft_labels", "talk_loss"]


class SoftLabels(NamedTuple):
    """The talk's labels and their weights, each of the evidence's shape."""

    label: IntArray
    weight: FloatArray


class Loss(NamedTuple):
    """A loss of each image, nats, and its first two derivatives by the image's log-odds or logits."""

    value: FloatArray  # (n,)
    gradient: FloatArray  # (n,), or (n, K)
    curvature: FloatArray  # (n,), or (n, K, K)


def soft_labels(evidence: FloatArray, threshold: float = 0.5) -> SoftLabels:
    """Turn evidence into the talk's soft labels.

    Parameters
    ----------
    evidence : array, any shape
        Total evidence of each image, nats.
    threshold : float
        The talk's THR on the score ``c = sigmoid(L)`` (``label_threshold`` in a study).

    Returns
    -------
    SoftLabels
        ``label`` is 1 where ``c >= threshold``; ``weight`` is ``c`` there and ``1 - c`` elsewhere.

    References
    ----------
    Vaisman (2019), GTC talk S9554, slide "EEG classification scores are used to generate soft labels".
    """
    score = talk_score(evidence)
    label = score >= threshold
    return SoftLabels(label.astype(np.int64), np.where(label, score, 1 - score))


def talk_loss(log_odds: FloatArray, evidence: FloatArray, threshold: float = 0.5) -> Loss:
    """Cross-entropy on the talk's soft labels, weighted by them.

    With K classes every class that was looked for is such a yes or no, of the probability ``p_k``; of three classes or
    more a "no" is not convex.
    """
    label, weight = soft_labels(evidence, threshold)
    return _cross_entropy(log_odds, label, weight * _was_looked_for(evidence))


def hard_loss(log_odds: FloatArray, evidence: FloatArray, threshold: float = 0.5) -> Loss:
    """Cross-entropy on the talk's labels without their weights."""
    label, _ = soft_labels(evidence, threshold)
    return _cross_entropy(log_odds, label, _was_looked_for(evidence).astype(np.float64))


def posterior_loss(log_odds: FloatArray, evidence: FloatArray, _threshold: float = 0.5) -> Loss:
    """Minus the log-likelihood of the response, ``softplus(z) - softplus(z + L)``; it needs no labels, so no threshold.

    With ``p = sigmoid(z)`` the response's density is ``p f1 + (1 - p) f0``; divided by ``f0`` and with
    ``L = log(f1 / f0)`` its log is ``softplus(z + L) - softplus(z)``. It is maximum likelihood if response and image
    are independent given the class. Not convex: the curvature ``p(1 - p) - q(1 - q)``, ``q = sigmoid(z + L)``, is
    negative where the evidence is the less sure of the two. With K classes it is ``logsumexp(z) - logsumexp(z + L)``.
    """
    if log_odds.ndim == 2:
        return _of_logits(log_odds, (log_odds + evidence)[:, None], np.ones((len(log_odds), 1)))
    p, q = expit(log_odds), expit(log_odds + evidence)
    value = log_expit(-(log_odds + evidence)) - log_expit(-log_odds)
    return Loss(value, p - q, p * (1 - p) - q * (1 - q))


def _was_looked_for(evidence: FloatArray) -> BoolArray:
    """Say which answers count: of several classes those with evidence; of one, all."""
    return evidence != 0 if evidence.ndim == 2 else np.ones(evidence.shape, dtype=np.bool_)


def _cross_entropy(log_odds: FloatArray, label: IntArray, weight: FloatArray) -> Loss:
    """Weighted cross-entropy of answers yes (1) and no (0), all arrays (n,), or (n, K)."""
    if log_odds.ndim == 2:
        # log p_k = z_k - lse(z), and log(1 - p_k) = lse(z without k) - lse(z): what an answer allows stays in the sum.
        allowed = np.eye(log_odds.shape[1], dtype=np.bool_) == label[:, :, None].astype(np.bool_)
        return _of_logits(log_odds, np.where(allowed, log_odds[:, None], -np.inf), weight)
    p = expit(log_odds)
    value = -weight * (label * log_expit(log_odds) + (1 - label) * log_expit(-log_odds))
    return Loss(value, weight * (p - label), weight * p * (1 - p))


def _of_logits(logits: FloatArray, answered: FloatArray, weight: FloatArray) -> Loss:
    """Sum ``weight (lse(logits) - lse(answered))`` over answers; (n, K), (n, n_answers, K), (n, n_answers)."""
    (p, whole), (q, part) = _softmax(logits), _softmax(answered)
    total = weight.sum(axis=1)
    value = total * whole - (weight * part).sum(axis=1)
    mean_q = np.einsum("na,nak->nk", weight, q)
    diagonal = np.eye(logits.shape[1]) * (total[:, None] * p - mean_q)[:, None]
    outer_p = np.einsum("n,nk,nl->nkl", total, p, p)
    outer_q = np.einsum("na,nak,nal->nkl", weight, q, q)
    return Loss(value, total[:, None] * p - mean_q, diagonal - outer_p + outer_q)


def _softmax(logits: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give softmax and logsumexp over the last axis; SciPy's take six times as long on 100 images."""
    highest = logits.max(axis=-1, keepdims=True)
    share = np.exp(logits - highest)
    total = share.sum(axis=-1, keepdims=True)
    return share / total, (highest + np.log(total))[..., 0]


Rule = Callable[[FloatArray, FloatArray, float], Loss]
"""Called with (log_odds, evidence, threshold)."""

RULES: dict[str, Rule] = {"posterior": posterior_loss, "talk": talk_loss, "hard": hard_loss}
"""The losses that a head can be trained with, by the name that a system uses."""
