"""How hard each image is to tell: with it, replay and simulation break the evidence's assumption on purpose."""

import numpy as np
from scipy.stats import rankdata

from brainloop._types import BoolArray, FloatArray

__all__ = ["hardness"]


def hardness(features: FloatArray, truth: BoolArray, *, seed: int) -> FloatArray:
    """Rank images by the margin of a head that was trained on true labels.

    The head is a logistic regression; each image's margin comes from the fold in which it was held out.

    Parameters
    ----------
    features : array, shape (n_images, n_features)
        Projected embeddings.
    truth : array of bool, shape (n_images,)
        Whether each is a target.
    seed : int
        Of the folds.

    Returns
    -------
    array, shape (n_images,)
        Within each class, the rank of the margin in (0, 1): near 1 for the hardest.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(max(2, min(5, int(truth.sum()), int((~truth).sum()))), shuffle=True, random_state=seed)
    head = LogisticRegression(max_iter=1000)
    margin = cross_val_predict(head, features, truth, cv=folds, method="decision_function") * np.where(truth, 1, -1)
    hard = np.empty(truth.size)
    for members in (truth, ~truth):
        hard[members] = (rankdata(-margin[members]) - 0.5) / members.sum()
    return hard
