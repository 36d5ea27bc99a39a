"""The audit's baseline: cleanlab's scores of annotations, with all the care that ours had."""

from typing import Any

import numpy as np

from brainloop._blas import one_thread
from brainloop._types import FloatArray
from brainloop.errors import MissingExtraError
from brainloop.uses.doubt import Doubt
from brainloop.uses.out_of_fold import folds

__all__ = ["baseline"]

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Of the logistic regression, scikit-learn's C; annotations held out choose, as they do for ours."""

QUALITIES = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
"""All of cleanlab's scores of an annotation; the first is its default."""


def baseline(vectors: FloatArray, doubted: Doubt, *, seed: int) -> dict[str, FloatArray]:
    """Score annotations by cleanlab, out of fold, in all ways that it has.

    Parameters
    ----------
    vectors : array, shape (n, width)
        Embeddings.
    doubted : Doubt
        Annotations, and our own probabilities: cleanlab gets them too.
    seed : int
        Of the folds, which are those of ours.

    Returns
    -------
    dict of str to array, shape (n,)
        By name, high where an annotation looks wrong.

    Raises
    ------
    MissingExtraError
        If cleanlab is not installed.
    """
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError as error:
        raise MissingExtraError("cleanlab", "bench", "the baseline of `brainloop bench audit`", error) from error
    sources = {
        "our classifier": np.exp(doubted.log_probability),
        "logistic regression": _regression(vectors, doubted, seed),
    }
    return {
        f"cleanlab, {source}, {quality}": -get_label_quality_scores(doubted.given, probability, method=quality)
        for source, probability in sources.items()
        for quality in QUALITIES
    }


def _regression(vectors: FloatArray, doubted: Doubt, seed: int) -> FloatArray:
    """Give a logistic regression's out-of-fold probabilities, (n, K), as cleanlab's own tutorials do."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    given, fold = doubted.given, folds(doubted.given, seed=seed)
    classes = np.arange(doubted.log_probability.shape[1])
    best: tuple[float, Any] = (np.inf, None)
    with one_thread():
        for strength in STRENGTHS:
            probability = np.zeros(doubted.log_probability.shape)
            for k in np.unique(fold):
                model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
                model.fit(vectors[fold != k], given[fold != k])
                columns = np.searchsorted(classes, model.classes_)
                probability[np.ix_(fold == k, columns)] = model.predict_proba(vectors[fold == k])
            loss = -np.log(probability[np.arange(given.size), given] + 1e-9).mean()
            best = min(best, (loss, probability), key=lambda one: one[0])
    return np.asarray(best[1])
