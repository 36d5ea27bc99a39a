"""The small network: 16 tanh units on the first 64 features, and those features themselves, trained on evidence.

The connections that skip the hidden layer (Ripley 1996, "Pattern recognition and neural networks", section 5.1) make it
a linear head where the penalty has silenced the units. Without them a strong penalty, and noisy evidence chooses one,
leaves a network that answers nothing at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from brainloop._blas import one_thread
from brainloop._files import load_tensors, save_tensors
from brainloop._types import FloatArray
from brainloop.classifier.head import moderated
from brainloop.classifier.regularisation import PENALTIES, Fit, check, choose, clipped, covariance, log_evidence, prior
from brainloop.labels import RULES

__all__ = ["Mlp", "train_mlp"]

N_INPUTS = 64
N_HIDDEN = 16
_UNITS = slice(1, 1 + N_HIDDEN)

CHUNK = 1_024
"""Images whose Jacobian is held at a time: 9 MB a class."""


@dataclass(frozen=True)
class Mlp:
    """A network of one hidden layer, and connections that skip it, on features; binary or of K classes.

    Parameters
    ----------
    hidden : array, shape (1 + n_inputs, n_hidden)
        Biases (first row) and weights of the hidden units, on the first `n_inputs` features.
    output : array, shape (q,) or (q, K), q = 1 + n_hidden + n_inputs
        Bias (first), weights of the hidden units and weights of the features, of the log-odds or of the logits.
    covariance : array, shape (p, p), or None
        Laplace posterior covariance of all of them, ``hidden`` before ``output``, each row after row; None under
        cross-validation, which has no posterior.
    penalty : float
        The L2 penalty that was chosen.
    log_evidence : float
        Laplace approximation of the log marginal likelihood at that penalty, nats, up to a constant; nan under
        cross-validation.
    """

    hidden: FloatArray
    output: FloatArray
    covariance: FloatArray | None
    penalty: float
    log_evidence: float

    def log_odds(self, features: FloatArray) -> FloatArray:
        """Give the log-odds of being a target, (n, d) -> (n,) nats; of K classes the logits (n, K)."""
        activity = _activity(self.hidden.astype(features.dtype), features)
        return np.asarray(activity @ self.output.astype(features.dtype))

    def gradients(self, features: FloatArray) -> FloatArray:
        """Give the derivative of a binary head's log-odds by its parameters, (n, d) -> (n, p)."""
        return _jacobian(self.hidden, self.output, features)[:, 0]

    def variance(self, features: FloatArray) -> FloatArray:
        """Give the posterior variance of the network made linear in its parameters, (n, d) -> (n,) nats squared.

        Of K classes it is that of each logit less the mean of all, (n, K); zero under cross-validation.

        References
        ----------
        Immer, Korzepa and Bauer (2021), "Improving predictions of Bayesian neural nets via local linearization",
        AISTATS.
        """
        variance = np.zeros_like(self.log_odds(features))
        if self.covariance is None:
            return variance
        covariance = self.covariance.astype(features.dtype)
        for start in range(0, len(features), CHUNK):
            rows = slice(start, start + CHUNK)
            jacobian = _jacobian(self.hidden, self.output, features[rows]).astype(features.dtype)
            if self.output.ndim == 2:
                jacobian -= jacobian.mean(axis=1, keepdims=True)
            flat = jacobian.reshape(-1, len(covariance))  # one product of matrices, not one an image
            quadratic = np.einsum("np,np->n", flat @ covariance, flat)
            variance[rows] = np.maximum(quadratic, 0).reshape(variance[rows].shape)
        return variance

    def probability(self, features: FloatArray) -> FloatArray:
        """Give calibrated probabilities, (n, d) -> (n,); of K classes (n, K)."""
        return moderated(self.log_odds(features), self.variance(features))

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all."""
        tensors = {"hidden": self.hidden, "output": self.output}
        if self.covariance is not None:
            tensors["covariance"] = self.covariance
        words = {"penalty": repr(float(self.penalty)), "log_evidence": repr(float(self.log_evidence))}
        save_tensors(path, tensors, {"head": "mlp", **words})

    @classmethod
    def load(cls, path: Path) -> "Mlp":
        """Read what `save` wrote."""
        tensors, words = load_tensors(path)
        numbers = {name: float(words[name]) for name in ("penalty", "log_evidence")}
        return cls(tensors["hidden"], tensors["output"], tensors.get("covariance"), **numbers)


def train_mlp(
    features: FloatArray,
    evidence: FloatArray,
    *,
    rule: str = "posterior",
    label_threshold: float = 0.5,
    regularisation: str = "laplace",
    seed: int = 0,
) -> Mlp:
    """Train a small network on the images that were looked at, as `brainloop.classifier.head.train_head` a linear head.

    At every penalty L-BFGS starts from the same random weights: under a strong penalty the hidden units are silent, a
    saddle that no weaker one would leave. The log evidence has the generalised Gauss-Newton Hessian.

    Parameters
    ----------
    features, evidence, rule, label_threshold, regularisation
        As in `train_head`; features after the 64th are not used.
    seed : int
        Of the first weights and of the folds.

    Raises
    ------
    SettingsError
        If a name is unknown, shapes disagree, or a number is not finite.
    """
    check(features, evidence, rule, regularisation)
    n_outputs = 1 if evidence.ndim == 1 else evidence.shape[1]
    network = _Network(rule, label_threshold, min(N_INPUTS, features.shape[1]), n_outputs, seed)
    with one_thread():
        fit = choose(network, features.astype(np.float64, copy=False), evidence, regularisation, seed)
        spread = covariance(fit)
    hidden, output = (layer.copy() for layer in network.layers(fit.theta))
    if evidence.ndim == 1:
        output = output[:, 0]
    return Mlp(hidden, output, spread, fit.penalty, fit.log_evidence)


@dataclass(frozen=True)
class _Network:
    """The network as a function of one vector of parameters."""

    rule: str
    threshold: float
    n_inputs: int
    n_outputs: int
    seed: int

    def layers(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        split = (1 + self.n_inputs) * N_HIDDEN
        return theta[:split].reshape(-1, N_HIDDEN), theta[split:].reshape(-1, self.n_outputs)

    def path(self, features: FloatArray, evidence: FloatArray, *, laplace: bool) -> Iterator[Fit]:
        rng = np.random.default_rng(self.seed)
        # Features have unit mean square norm: weights of unit variance give hidden units inputs of unit variance.
        hidden = np.vstack([np.zeros(N_HIDDEN), rng.normal(size=(self.n_inputs, N_HIDDEN))])
        mean, bias_precision = prior(self.rule, evidence)
        output = np.zeros((1 + N_HIDDEN + self.n_inputs, self.n_outputs))
        output[0] = mean
        output[1 : 1 + N_HIDDEN] = rng.normal(size=(N_HIDDEN, self.n_outputs)) / np.sqrt(N_HIDDEN)
        start = np.concatenate([hidden.ravel(), output.ravel()])
        centre = np.zeros_like(start)
        bias = slice(hidden.size, hidden.size + self.n_outputs)
        centre[bias] = mean
        for penalty in PENALTIES:
            precision = np.full(start.size, penalty)
            precision[bias] = bias_precision

            def objective(theta: FloatArray, precision: FloatArray = precision) -> tuple[float, FloatArray]:
                value, slope = self._sum(theta, features, evidence)
                pull = precision * (theta - centre)
                return value + float(0.5 * pull @ (theta - centre)), slope + pull

            found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 300})
            if not laplace:
                yield Fit(found.x, float(penalty), np.nan, None)
                continue
            hessian = self._gauss_newton(found.x, features, evidence) + np.diag(precision)
            yield Fit(found.x, float(penalty), log_evidence(float(found.fun), precision, hessian), hessian)

    def loss(self, theta: FloatArray, features: FloatArray, evidence: FloatArray) -> float:
        return self._sum(theta, features, evidence)[0]

    def _sum(self, theta: FloatArray, features: FloatArray, evidence: FloatArray) -> tuple[float, FloatArray]:
        """Sum the loss over images, and its gradient (p,) by back-propagation."""
        hidden, output = self.layers(theta)
        activity = _activity(hidden, features)
        logits = activity @ output
        loss = RULES[self.rule](logits if evidence.ndim == 2 else logits[:, 0], evidence, self.threshold)
        by_logits = loss.gradient.reshape(-1, self.n_outputs)
        by_hidden = (by_logits @ output[_UNITS].T) * (1 - activity[:, _UNITS] ** 2)
        by_weights = features[:, : self.n_inputs].T @ by_hidden
        slope = [by_hidden.sum(axis=0), by_weights.ravel(), (activity.T @ by_logits).ravel()]
        return float(loss.value.sum()), np.concatenate(slope)

    def _gauss_newton(self, theta: FloatArray, features: FloatArray, evidence: FloatArray) -> FloatArray:
        """Sum ``J' C J`` over images: the Hessian without the network's own second derivatives.

        The loss's curvature C is clipped to its positive part, image by image. Where evidence is less sure than the
        network C is negative, the sum need not be positive definite, and without the second derivatives that were left
        out even a minimum would have no Gaussian. Clipped, the posterior is never wider than the prior.
        """
        hidden, output = self.layers(theta)
        logits = _activity(hidden, features) @ output
        if evidence.ndim == 1:
            logits = logits[:, 0]
        curvature = clipped(RULES[self.rule](logits, evidence, self.threshold).curvature)
        jacobian = _jacobian(hidden, output, features)
        weighted = curvature.reshape(-1, self.n_outputs, self.n_outputs) @ jacobian
        return np.asarray(jacobian.reshape(-1, theta.size).T @ weighted.reshape(-1, theta.size))


def _activity(hidden: FloatArray, features: FloatArray) -> FloatArray:
    """Give what the output weighs: a one, the hidden units, the features; (n, 1 + n_hidden + n_inputs)."""
    inputs = features[:, : len(hidden) - 1]
    return np.column_stack([np.ones(len(inputs), dtype=inputs.dtype), np.tanh(inputs @ hidden[1:] + hidden[0]), inputs])


def _jacobian(hidden: FloatArray, output: FloatArray, features: FloatArray) -> FloatArray:
    """Differentiate the logits by all parameters, in their order: (n, n_outputs, p)."""
    output = output.reshape(len(output), -1)
    n, n_outputs = len(features), output.shape[1]
    activity = _activity(hidden, features)
    inputs = np.column_stack([np.ones(n), features[:, : len(hidden) - 1]])
    by_unit = (1 - activity[:, _UNITS] ** 2)[:, None] * output[_UNITS].T  # (n, n_outputs, n_hidden)
    by_hidden = inputs[:, None, :, None] * by_unit[:, :, None, :]
    by_output = activity[:, None, :, None] * np.eye(n_outputs)[:, None, :]
    shape = (n, n_outputs)
    return np.concatenate([by_hidden.reshape(*shape, hidden.size), by_output.reshape(*shape, output.size)], axis=2)
