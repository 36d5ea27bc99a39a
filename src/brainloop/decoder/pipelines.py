"""The classification pipelines: epochs in volts in, a decision value out."""

from collections.abc import Callable
from typing import Any

import numpy as np

from brainloop._types import FloatArray

__all__ = ["PIPELINES", "lda", "xdawn_ts"]


def xdawn_ts() -> Any:
    """Make xDAWN covariances + tangent space + logistic regression, best for P300 in MOABB's table.

    Each epoch is stacked on the mean responses of both classes, all through four xDAWN filters a class;
    their covariance, with Ledoit-Wolf shrinkage, is mapped to the tangent space at the Riemannian mean,
    where a linear classifier does. Without the mean response to non-targets the Muse recordings (four
    channels) lose .05 of AUC.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Takes epochs of shape (n, n_channels, n_times) in V.

    References
    ----------
    Rivet et al. (2009), "xDAWN algorithm to enhance evoked potentials", IEEE Trans. Biomed. Eng. 56.
    Barachant and Congedo (2014), "A plug and play P300 BCI using information geometry", arXiv:1409.0107.
    Chevallier et al. (2024), "The largest EEG-based BCI reproducibility study", arXiv:2404.15319.
    """
    from pyriemann.estimation import XdawnCovariances
    from pyriemann.tangentspace import TangentSpace
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    return make_pipeline(
        FunctionTransformer(_microvolts),
        # Shrinkage for the filters too: with an average reference the channels' covariance has no inverse.
        XdawnCovariances(nfilter=4, estimator="lwf", xdawn_estimator="lwf"),
        TangentSpace(metric="riemann"),
        LogisticRegression(C=1.0, max_iter=1000),
    )


def lda() -> Any:
    """Make linear discriminant analysis with Ledoit-Wolf shrinkage on every other sample of every channel.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Takes epochs of shape (n, n_channels, n_times) in V.

    References
    ----------
    Blankertz et al. (2011), "Single-trial analysis and classification of ERP components", NeuroImage 56.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    return make_pipeline(FunctionTransformer(_features), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))


def _microvolts(X: FloatArray) -> FloatArray:
    """V to uV: squares of volts are too close to what the iterations of the Riemannian mean call zero."""
    return X * 1e6


def _features(X: FloatArray) -> FloatArray:
    """Mean of each two samples, flattened, uV: 31 Hz does below 15 Hz, with half as much to estimate."""
    pairs = X[:, :, : X.shape[2] // 2 * 2].reshape(*X.shape[:2], -1, 2)
    return np.asarray(pairs.mean(axis=3) * 1e6).reshape(len(X), -1)


PIPELINES: dict[str, Callable[[], Any]] = {"xdawn_ts": xdawn_ts, "lda": lda}
"""Every decoder's pipeline, by the name that settings and reports use."""
