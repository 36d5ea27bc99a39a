"""From evidence to what a classifier learns: the talk's soft labels, and the likelihood of the response.

A *rule* is a loss of the classifier's log-odds ``z`` and an image's total evidence ``L``, with its two derivatives by
``z``. The rule `talk` is the talk's, as it gives it: ``y = [c >= THR]``, ``w = c if y else 1 - c``, ``c = sigmoid(L)``,
loss ``-w (y log p + (1 - y) log(1 - p))``. The rule `posterior` is minus the log-likelihood of the response under the
classifier, up to a constant: ``softplus(z) - softplus(z + L)``.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_expit, logsumexp, softmax

from brainloop._types import FloatArray, IntArray
from brainloop.evidence import talk_score

__all__ = [
    "RULES",
    "Loss",
    "SoftLabels",
    "posterior_loss",
    "posterior_loss_multiclass",
    "soft_labels",
    "talk_loss",
]


class SoftLabels(NamedTuple):
    """The talk's labels and their weights, each of shape (n_images,)."""

    label: IntArray
    weight: FloatArray


class Loss(NamedTuple):
    """A loss and its first two derivatives by the log-odds, each of the log-odds' shape."""

    value: FloatArray
    gradient: FloatArray
    curvature: FloatArray


def soft_labels(evidence: FloatArray, threshold: float = 0.5) -> SoftLabels:
    """Turn evidence into the talk's soft labels.

    Parameters
    ----------
    evidence : array, shape (n,)
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
    """Cross-entropy on the talk's soft labels, weighted by them; shapes as in `soft_labels`, nats."""
    label, weight = soft_labels(evidence, threshold)
    p = expit(log_odds)
    value = -weight * (label * log_expit(log_odds) + (1 - label) * log_expit(-log_odds))
    return Loss(value, weight * (p - label), weight * p * (1 - p))


def posterior_loss(log_odds: FloatArray, evidence: FloatArray) -> Loss:
    """Minus the log-likelihood of the response, ``softplus(z) - softplus(z + L)``; all arrays (n,), nats.

    With ``p = sigmoid(z)`` the response's density is ``p f1 + (1 - p) f0``; divided by ``f0`` and with
    ``L = log(f1 / f0)`` its log is ``softplus(z + L) - softplus(z)``. It is maximum likelihood if response and image
    are independent given the class. Not convex: the curvature ``p(1 - p) - q(1 - q)``, ``q = sigmoid(z + L)``, is
    negative where the evidence is the less sure of the two.
    """
    p, q = expit(log_odds), expit(log_odds + evidence)
    value = log_expit(-(log_odds + evidence)) - log_expit(-log_odds)
    return Loss(value, p - q, p * (1 - p) - q * (1 - q))


def posterior_loss_multiclass(logits: FloatArray, evidence: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Minus the log-likelihood of responses to K classes, ``logsumexp(z) - logsumexp(z + L)``.

    Parameters
    ----------
    logits : array, shape (n, n_classes)
        The classifier's logits.
    evidence : array, shape (n, n_classes)
        Total evidence for each class against the rest, nats; 0 where a class was not looked for.

    Returns
    -------
    value : array, shape (n,)
        The loss, nats.
    gradient : array, shape (n, n_classes)
        Its derivative by the logits.
    """
    both = logits + evidence
    value = logsumexp(logits, axis=1) - logsumexp(both, axis=1)
    return np.asarray(value), np.asarray(softmax(logits, axis=1) - softmax(both, axis=1))


RULES: dict[str, Callable[..., Loss]] = {"posterior": posterior_loss, "talk": talk_loss}
"""The losses that a head can be trained with, by the name that a study's settings use."""
