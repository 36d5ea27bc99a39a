"""Scores: a feature map and its head as one product, over blocks of vectors of half precision.

A linear head on principal components is one vector of weights on the embeddings themselves. A linear head on a
Nystroem map is one vector of weights on the kernel with the landmarks. Either way nothing of the width of the features
is ever made of the millions.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainloop._types import FloatArray
from brainloop.classifier.features import FeatureMap, Projection
from brainloop.classifier.head import Head
from brainloop.classifier.heads import AnyHead

__all__ = ["Scorer", "widen"]

CHUNK = 256
"""Rows at a time of a product with few columns: 1.3 MB of float32 at width 1280 stay in the second cache."""

KERNEL_CHUNK = 2_048
"""Rows at a time of a product with landmarks: long enough for a product of matrices to reach its full speed."""

_EXPONENT = np.int16(0x7C00)
_SIGN_AND_REST = np.int32(np.uint32(0x8FFFE000).view(np.int32))
_REBIAS = np.float32(2.0**112)  # float32 counts exponents from 127, float16 from 15


@dataclass
class Scorer:
    """Log-odds of blocks of vectors, as ``head.log_odds(features(vectors))`` gives them.

    It keeps its buffers from one block to the next, so that each thread has its own.

    Parameters
    ----------
    features : FeatureMap
        The study's feature map.
    head : AnyHead
        A trained head on it.
    """

    features: FeatureMap
    head: AnyHead
    _weights: NDArray[np.float32] | None = field(default=None, init=False, repr=False)
    _bias: FloatArray = field(default_factory=lambda: np.zeros(1), init=False, repr=False)
    _landmarks: NDArray[np.float32] | None = field(default=None, init=False, repr=False)
    _of_landmarks: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32), init=False, repr=False)
    _sharpness: float = field(default=0.0, init=False, repr=False)
    _buffers: dict[str, NDArray[Any]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.head, Head):
            return  # a network has no one vector
        weight = self.head.weight.astype(np.float64).reshape(len(self.head.weight), -1)
        bias = np.atleast_1d(np.asarray(self.head.bias, dtype=np.float64))
        weights = self.features.components.astype(np.float64) @ weight
        if isinstance(self.features, Projection):
            self._bias = bias - self.features.mean.astype(np.float64) @ weights
        else:
            self._bias = bias - self.features.offset.astype(np.float64) @ weight
            # The kernel's factor of the product is in the landmarks already.
            landmarks, self._sharpness = self.features.landmarks.astype(np.float64), self.features.sharpness
            self._landmarks = np.ascontiguousarray((2 * self._sharpness * landmarks).astype(np.float32))
            self._of_landmarks = (self._sharpness * ((landmarks**2).sum(axis=1) + 1)).astype(np.float32)
        self._weights = np.ascontiguousarray(weights.astype(np.float32))

    @property
    def n_outputs(self) -> int:
        """Numbers a row: one, or one a class."""
        if isinstance(self.head, Head):
            return int(np.size(self.head.bias))
        return 1 if self.head.output.ndim == 1 else int(self.head.output.shape[1])

    def __call__(self, vectors: FloatArray) -> NDArray[np.float32]:
        """Give log-odds (n,), or logits (n, K), of vectors (n, width) of float16 or float32; not finite of none."""
        scores = np.empty((len(vectors), self.n_outputs), dtype=np.float32)
        chunk = CHUNK if self._weights is not None and self._landmarks is None else KERNEL_CHUNK
        wide = self._buffer("wide", (min(chunk, len(vectors)), vectors.shape[1]), np.float32)
        for start in range(0, len(vectors), chunk):
            part = vectors[start : start + chunk]
            rows = wide[: len(part)]
            widen(part, rows, self._buffer("bits", rows.shape, np.int16))
            scores[start : start + len(part)] = self._scores(rows)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def _scores(self, rows: NDArray[np.float32]) -> FloatArray:
        if self._weights is None:
            return np.asarray(self.head.log_odds(self.features(rows))).reshape(len(rows), -1)
        if self._landmarks is None:
            return rows @ self._weights + self._bias.astype(np.float32)
        return self._kernel(rows, self._landmarks) @ self._weights + self._bias.astype(np.float32)

    def _kernel(self, rows: NDArray[np.float32], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the kernel with the landmarks, in one buffer: (n, n_landmarks). The rows are scaled in place."""
        norm = np.sqrt(np.einsum("nw,nw->n", rows, rows))[:, None]
        with np.errstate(invalid="ignore"):  # of infinite numbers, which have no score
            rows /= np.where(norm == 0, np.float32(1), norm)
        kernel = self._buffer("kernel", (len(rows), len(landmarks)), np.float32)
        np.matmul(rows, landmarks.T, out=kernel)
        kernel -= self._of_landmarks
        if not norm.all():  # a vector of norm 0 is nearer to every landmark than those of norm 1
            kernel[norm[:, 0] == 0] += np.float32(self._sharpness)
        np.minimum(kernel, 0, out=kernel)
        np.exp(kernel, out=kernel)
        return kernel

    def _buffer(self, name: str, shape: tuple[int, int], dtype: type[np.generic]) -> NDArray[Any]:
        held = self._buffers.get(name)
        if held is None or held.shape[1] != shape[1] or len(held) < shape[0]:
            held = self._buffers[name] = np.empty(shape, dtype=dtype)
        return held[: shape[0]]


def widen(vectors: FloatArray, out: NDArray[np.float32], bits: NDArray[np.int16]) -> None:
    """Write vectors of half precision as float32; NumPy does it a number at a time, which takes four times as long.

    A number's bits are moved to where float32 has them, the sign drawn along, and its exponent is put right by a
    product with a power of two, which is exact and mends numbers below the normal range too. What is infinite or no
    number would not survive it: NumPy converts those.

    Parameters
    ----------
    vectors : array of float16 or float32, shape (n, width)
        C-contiguous, or converted by NumPy.
    out : array of float32, shape (n, width)
        Where to.
    bits : array of int16, shape (n, width)
        To work in.
    """
    if vectors.dtype != np.float16 or not vectors.flags.c_contiguous:
        np.copyto(out, vectors)
        return
    half, single = vectors.view(np.int16), out.view(np.int32)
    np.bitwise_and(half, _EXPONENT, out=bits)
    if bits.size and bits.max() == _EXPONENT:
        np.copyto(out, vectors)
        return
    np.copyto(single, half)
    np.left_shift(single, 13, out=single)
    np.bitwise_and(single, _SIGN_AND_REST, out=single)
    np.multiply(out, _REBIAS, out=out)
