import numpy as np
from pyriemann.estimation import XdawnCovariances
from pyriemann.tangentspace import TangentSpace
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from brainloop.decoder.tangent import train_xdawn_ts


def test_its_scores_are_those_of_pyriemanns_pipeline(scaled, first, rest):
    X, y, weight = scaled
    samples = X.transpose(0, 2, 1).reshape(-1, X.shape[1])
    reference = make_pipeline(
        XdawnCovariances(
            nfilter=4,
            estimator="lwf",
            xdawn_estimator=lambda response: response @ response.T / response.shape[1],
            baseline_cov=ledoit_wolf(samples, assume_centered=True)[0],
        ),
        TangentSpace(metric="riemann"),
        LogisticRegression(max_iter=1000),
    ).fit(X, y.astype(int))
    new = rest.X / np.sqrt((first.X**2).mean())
    np.testing.assert_allclose(
        train_xdawn_ts(X, y, weight).score(new), reference.decision_function(new), rtol=1e-3, atol=1e-3
    )
