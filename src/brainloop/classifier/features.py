"""Feature maps: from a frozen backbone's embeddings to what a head is trained on.

A map is fitted once a study, on the unlabelled pool and never on test images. It turns embeddings (n, width) into
features (n, n_components), centred and of unit mean square norm over the pool, so that one grid of penalties fits every
map and every backbone.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.linalg import eigh, svd

from brainloop._blas import one_thread
from brainloop._files import load_tensors, save_tensors
from brainloop._types import FloatArray
from brainloop.errors import SettingsError, StudyError

__all__ = ["FEATURES", "FeatureMap", "Nystroem", "Projection", "load_features"]

N_FITTED = 20_000
"""Images of the pool that means and principal components are fitted on, at most; of a larger pool a random part."""

MOST_LANDMARKS = 2_000
"""Above this the landmarks' eigenvectors take longer than a round may."""

CHUNK = 4_096
"""Images whose kernel is held at a time: 16 MB at 1,000 landmarks."""


@dataclass(frozen=True)
class Projection:
    """Centred principal components of the pool's embeddings, scaled to unit mean square norm.

    With 256 components a head's AUC was that of the full 1280 within .002 at 200 to 800 looks (three tasks, four seeds
    each).

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
    def fit(cls, pool: FloatArray, n_components: int = 256, *, seed: int = 0) -> "Projection":
        """Fit on the pool's embeddings, shape (n_images, width); of more than 20,000 on a random part."""
        return cls(*_principal_components(_part(pool, N_FITTED, seed), n_components))

    @property
    def n_components(self) -> int:
        """Number of features."""
        return int(self.components.shape[1])

    def __call__(self, embeddings: FloatArray) -> FloatArray:
        """Project embeddings, (n, width) -> (n, n_components), in the embeddings' own precision."""
        # Centred after the product: before it, the whole pool would be copied.
        with one_thread():  # one result, however many cores there are
            features = embeddings @ self.components.astype(embeddings.dtype)
        features -= (self.mean @ self.components).astype(embeddings.dtype)
        return np.asarray(features)

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all."""
        save_tensors(path, {"mean": self.mean, "components": self.components}, {"features": "linear"})

    @classmethod
    def load(cls, path: Path) -> "Projection":
        """Read what `save` wrote."""
        tensors, _ = load_tensors(path)
        return cls(**tensors)


@dataclass(frozen=True)
class Nystroem:
    """Kernel principal components of the pool under an RBF kernel, by landmarks.

    The kernel of two embeddings, both scaled to unit norm, is ``exp(-gamma |a - b|^2 / s)``, `s` the median squared
    distance between landmarks. Landmarks are a random part of the pool; the kernel with them, whitened by the
    landmarks' own, is the Nystroem approximation of the kernel's feature space (Williams and Seeger 2001), in which the
    pool's leading principal components are kept (kernel PCA: Schölkopf, Smola and Müller 1998). With all images as
    landmarks it is kernel PCA.

    Parameters
    ----------
    landmarks : array, shape (n_landmarks, width)
        Embeddings of the landmarks, scaled to unit norm.
    sharpness : float
        ``gamma / s``.
    components : array, shape (n_landmarks, n_components)
        From the kernel with the landmarks to the features.
    offset : array, shape (n_components,)
        The pool's mean, taken off.

    References
    ----------
    Williams and Seeger (2001), "Using the Nyström method to speed up kernel machines", NIPS 13.
    Schölkopf, Smola and Müller (1998), "Nonlinear component analysis as a kernel eigenvalue problem", Neural
    Computation 10.
    """

    landmarks: FloatArray
    sharpness: float
    components: FloatArray
    offset: FloatArray

    @classmethod
    def fit(
        cls, pool: FloatArray, n_components: int = 128, *, n_landmarks: int = 1000, gamma: float = 1.0, seed: int = 0
    ) -> "Nystroem":
        """Fit on the pool.

        Parameters
        ----------
        pool : array, shape (n_images, width)
            Embeddings of the unlabelled pool. Of more than 20,000 the components are fitted on a random part.
        n_components : int
            Features, at most.
        n_landmarks : int
            Images that stand for the pool, 2,000 at most.
        gamma : float
            How fast the kernel falls: to ``exp(-gamma)`` at the median squared distance.
        seed : int
            Of the choice of landmarks and of the part.

        Raises
        ------
        SettingsError
            If more landmarks are asked for.
        """
        if not 1 <= n_landmarks <= MOST_LANDMARKS:
            raise SettingsError(f"n_landmarks: expected 1 to {MOST_LANDMARKS}; {n_landmarks} came")
        part = _part(pool, N_FITTED, seed)
        landmarks = _unit(_part(part, n_landmarks, seed + 1))
        with one_thread():  # one result, however many cores there are
            distance = _squared_distance(landmarks.astype(np.float64), landmarks.astype(np.float64))
            apart = distance[np.triu_indices(len(landmarks), 1)]
            median = float(np.median(apart)) if apart.size else 0.0
            sharpness = gamma / (median or 1.0)
            value, vector = eigh(np.exp(-sharpness * distance))
            kept = value > 1e-6 * value[-1]  # smaller ones are noise of the embeddings' float32, and whitening lifts it
            whitening = vector[:, kept] / np.sqrt(value[kept])
            mean, components = _principal_components(_kernel(part, landmarks, sharpness) @ whitening, n_components)
        return cls(landmarks, sharpness, whitening @ components, mean @ components)

    @property
    def n_components(self) -> int:
        """Number of features."""
        return int(self.components.shape[1])

    def __call__(self, embeddings: FloatArray) -> FloatArray:
        """Map embeddings, (n, width) -> (n, n_components), in the embeddings' own precision."""
        landmarks = self.landmarks.astype(embeddings.dtype)
        components = self.components.astype(embeddings.dtype)
        features = np.empty((len(embeddings), self.n_components), dtype=embeddings.dtype)
        with one_thread():
            for start in range(0, len(embeddings), CHUNK):
                rows = slice(start, start + CHUNK)
                features[rows] = _kernel(embeddings[rows], landmarks, self.sharpness) @ components
        features -= self.offset.astype(embeddings.dtype)
        return features

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all."""
        tensors = {"landmarks": self.landmarks, "components": self.components, "offset": self.offset}
        save_tensors(path, tensors, {"features": "kernel", "sharpness": repr(float(self.sharpness))})

    @classmethod
    def load(cls, path: Path) -> "Nystroem":
        """Read what `save` wrote."""
        tensors, words = load_tensors(path)
        return cls(**tensors, sharpness=float(words["sharpness"]))


FeatureMap = Projection | Nystroem
"""From embeddings (n, width) to features (n, n_components)."""

FEATURES: dict[str, type[Projection] | type[Nystroem]] = {"linear": Projection, "kernel": Nystroem}
"""The feature maps, by the name that a head's kind and a saved map use."""


def load_features(path: Path) -> FeatureMap:
    """Read a feature map of either kind.

    Raises
    ------
    StudyError
        If there is none at the path.
    """
    _, words = load_tensors(path)
    kind = words.get("features", "something else")
    if kind not in FEATURES:
        raise StudyError(f"expected a feature map ({', '.join(FEATURES)}) at {path}; {kind} came; run the study again")
    return FEATURES[kind].load(path)


def _part(pool: FloatArray, n: int, seed: int) -> FloatArray:
    """Draw `n` images at most, in the pool's order."""
    if len(pool) <= n:
        return pool
    return pool[np.sort(np.random.default_rng(seed).choice(len(pool), n, replace=False))]


def _principal_components(rows: FloatArray, n_components: int) -> tuple[FloatArray, FloatArray]:
    """Find the mean (width,) and the leading directions (width, n_components) that give unit mean square norm."""
    mean = rows.mean(axis=0, dtype=np.float64)
    centred = rows - mean
    with one_thread():  # one result, however many cores there are
        if len(rows) < rows.shape[1]:  # whichever is the faster; both are exact
            _, value, vector = svd(centred, full_matrices=False)
            variance, vector = value**2, vector.T
        else:
            variance, vector = eigh(centred.T @ centred)
            variance, vector = variance[::-1], vector[:, ::-1]
    n_components = min(n_components, *rows.shape)
    scale = np.sqrt(variance[:n_components].sum() / max(len(rows) - 1, 1)) or 1.0
    return mean, np.ascontiguousarray(vector[:, :n_components] / scale)


def _unit(embeddings: FloatArray) -> FloatArray:
    """Scale rows to unit norm; an embedding of norm 0 stays where it is."""
    norm = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.where(norm == 0, 1, norm))


def _squared_distance(a: FloatArray, b: FloatArray) -> FloatArray:
    """Squared distances between the rows of `a` (n, width) and of `b` (m, width): (n, m)."""
    distance = a @ b.T
    distance *= -2
    distance += (a * a).sum(axis=1)[:, None]
    distance += (b * b).sum(axis=1)
    return np.maximum(distance, 0, out=distance)


def _kernel(embeddings: FloatArray, landmarks: FloatArray, sharpness: float) -> FloatArray:
    """Kernel of embeddings (n, width), not yet of unit norm, with landmarks (m, width): (n, m)."""
    kernel = _squared_distance(_unit(embeddings), landmarks)
    kernel *= -sharpness
    return np.exp(kernel, out=kernel)
