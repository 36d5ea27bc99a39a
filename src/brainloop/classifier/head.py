"""The head: a linear classifier on embeddings, trained on evidence, regularised by Laplace evidence."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.linalg import LinAlgError, cholesky
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from brainloop._files import load_tensors, save_tensors
from brainloop._types import FloatArray
from brainloop.errors import SettingsError
from brainloop.labels import RULES

__all__ = ["Head", "Projection", "train_head"]

PENALTIES = np.geomspace(300.0, 1e-3, 12)
"""L2 penalties to choose from, strongest first; features have unit mean square norm, so that one grid fits all."""

BIAS_PRIOR = {"posterior": (-1.73, 1.0), "talk": (0.0, 10.0)}
"""Mean and standard deviation of the bias, nats, by rule. Targets are rare: the likelihood of a few weak responses may
fall to "there are none", so the posterior rule starts from 15 %, give or take one nat. The talk knows no such prior:
its own is only so narrow that the evidence is defined."""


@dataclass(frozen=True)
class Projection:
    """Centred principal components of the pool's embeddings, scaled to unit mean square norm.

    Fitted once a study on the unlabelled pool and never on test images. With 256 components the head's AUC was that of
    the full 1280 within .002 at 200 to 800 looks (three tasks, four seeds each).

    Parameters
    ----------
    mean : array, shape (width,)
        Mean of the pool's embeddings.
    components : array, shape (width, n_components)
        Principal directions, divided by the root mean square norm of the centred pool.
    """

    mean: FloatArray
    components: FloatArray

    @classmethod
    def fit(cls, pool: FloatArray, n_components: int = 256) -> "Projection":
        """Fit on the pool's embeddings, shape (n_images, width)."""
        from sklearn.decomposition import PCA

        n_components = min(n_components, *pool.shape)
        solver = "full" if len(pool) < pool.shape[1] else "covariance_eigh"  # the faster one; both are exact
        with threadpool_limits(1, "blas"):  # one result, however many cores there are
            pca = PCA(n_components, svd_solver=solver).fit(pool.astype(np.float64))
        scale = np.sqrt(pca.explained_variance_.sum()) or 1.0
        return cls(pca.mean_, np.ascontiguousarray(pca.components_.T / scale))

    def __call__(self, embeddings: FloatArray) -> FloatArray:
        """Project embeddings, (n, width) -> (n, n_components)."""
        return np.asarray((embeddings - self.mean) @ self.components)

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all."""
        save_tensors(path, {"mean": self.mean, "components": self.components})

    @classmethod
    def load(cls, path: Path) -> "Projection":
        """Read what `save` wrote."""
        tensors, _ = load_tensors(path)
        return cls(tensors["mean"], tensors["components"])


@dataclass(frozen=True)
class Head:
    """A linear classifier in the space of the embeddings.

    Parameters
    ----------
    weight : array, shape (width,)
        Weights on the raw embeddings.
    bias : float
        Offset, nats.
    penalty : float
        The L2 penalty that the evidence chose, on the projected features.
    log_evidence : float
        Laplace approximation of the log marginal likelihood at that penalty, nats, up to a constant.
    """

    weight: FloatArray
    bias: float
    penalty: float
    log_evidence: float

    def log_odds(self, embeddings: FloatArray) -> FloatArray:
        """Give the log-odds ``z`` of being a target: (n, width) -> (n,), nats."""
        # In the embeddings' own precision: in another, the whole pool would be copied.
        return np.asarray(embeddings @ self.weight.astype(embeddings.dtype) + self.bias)

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all."""
        numbers = {"bias": self.bias, "penalty": self.penalty, "log_evidence": self.log_evidence}
        save_tensors(path, {"weight": self.weight}, {name: repr(float(value)) for name, value in numbers.items()})

    @classmethod
    def load(cls, path: Path) -> "Head":
        """Read what `save` wrote."""
        tensors, numbers = load_tensors(path)
        return cls(tensors["weight"], **{name: float(value) for name, value in numbers.items()})


def train_head(
    projection: Projection,
    embeddings: FloatArray,
    evidence: FloatArray,
    *,
    rule: str = "posterior",
    label_threshold: float = 0.5,
) -> Head:
    """Train a linear head on the images that were looked at.

    For each penalty of a grid, strongest first, the loss of the rule plus the penalty is minimised (L-BFGS, started
    where the last ended), and its Laplace evidence

        log p(D | penalty) ~ -loss(w*) - penalty |w*|^2 / 2 + k/2 log penalty - 1/2 log det(A' diag(h) A + penalty I)

    is computed with the loss's true curvature h; the penalty with the highest evidence wins (MacKay 1992, "The evidence
    framework applied to classification networks", eq. 8; Bishop 2006, eq. 4.137). Deterministic.

    Parameters
    ----------
    projection : Projection
        The study's projection.
    embeddings : array, shape (n_images, width)
        Embeddings of the images that were looked at, one row an image; with none, the head is the prior's.
    evidence : array, shape (n_images,)
        Total evidence of each, nats.
    rule : {"posterior", "talk"}
        The loss, see `brainloop.labels`.
    label_threshold : float
        The talk's THR on the score; used by the rule ``talk`` only.

    Raises
    ------
    SettingsError
        If the rule is unknown or shapes disagree.
    """
    if rule not in RULES:
        raise SettingsError(f"rule: expected one of {', '.join(RULES)}; {rule!r} came")
    if len(evidence) != len(embeddings):
        raise SettingsError(
            f"training expects one evidence for each embedding; {len(embeddings)} embeddings and {len(evidence)} came"
        )
    options = {"threshold": label_threshold} if rule == "talk" else {}
    features = np.column_stack([projection(embeddings), np.ones(len(evidence))])

    # Matrices this small are slower on several threads than on one, and many times slower beside other work.
    with threadpool_limits(1, "blas"):
        theta, penalty, log_evidence = _search(features, evidence, rule, options)
    weight = projection.components @ theta[:-1]
    return Head(weight, float(theta[-1] - projection.mean @ weight), penalty, log_evidence)


def _search(
    features: FloatArray, evidence: FloatArray, rule: str, options: dict[str, float]
) -> tuple[FloatArray, float, float]:
    """Find the weights (bias last), the penalty and the log evidence where that is highest."""
    mean = np.zeros(features.shape[1])
    mean[-1], bias_sd = BIAS_PRIOR[rule]
    theta = mean
    best: tuple[FloatArray, float, float] | None = None
    for penalty in PENALTIES:
        penalties = np.full(theta.size, penalty)
        penalties[-1] = bias_sd**-2

        def objective(theta: FloatArray, penalties: FloatArray = penalties) -> tuple[float, FloatArray]:
            loss = RULES[rule](features @ theta, evidence, **options)
            pull = penalties * (theta - mean)
            return float(loss.value.sum() + 0.5 * pull @ (theta - mean)), features.T @ loss.gradient + pull

        found = minimize(objective, theta, jac=True, method="L-BFGS-B", options={"maxiter": 200})
        theta = found.x
        curvature = RULES[rule](features @ theta, evidence, **options).curvature
        hessian = (features.T * curvature) @ features + np.diag(penalties)
        try:
            half_log_det = np.log(np.diag(cholesky(hessian))).sum()
        except LinAlgError:
            continue  # not a strict minimum: no Gaussian stands here, so this penalty has no evidence
        log_evidence = float(-found.fun + 0.5 * np.log(penalties).sum() - half_log_det)
        if best is None or log_evidence > best[2]:
            best = (theta.copy(), float(penalty), log_evidence)
    if best is None:
        raise SettingsError("training found no penalty with a proper minimum; is the evidence finite?")
    return best
