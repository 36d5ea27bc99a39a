"""The built-in backbone: histograms of oriented gradients (HOG) and of colours, which need no weights."""

import hashlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab
from skimage.feature import hog

__all__ = ["BuiltinBackbone"]

_SIDE = 64  # px; cells of 8 px below it, as Dalal and Triggs (2005) have for a shape of this size
_CELL = 8
_ORIENTATIONS = 9
_BINS = 6  # of each of L*, a* and b*
_LAB_RANGE = ((0.0, 100.0), (-80.0, 80.0), (-80.0, 80.0))  # of nearly all sRGB colours


class BuiltinBackbone:
    """HOG (Dalal and Triggs, CVPR 2005) and colour histograms, of images of any size from 8 x 8 on.

    An image is brought to 64 x 64 pixels. HOG has 9 orientations in cells of 8 pixels and blocks of 2 x 2
    cells. Beside it stand histograms of L*, a* and b* in each quarter, as square roots (the Hellinger map).
    Both parts have norm 1.
    """

    name = "builtin"
    batch = 1

    def __init__(self) -> None:
        blocks = _SIDE // _CELL - 1
        self.width = blocks * blocks * 4 * _ORIENTATIONS + 4 * 3 * _BINS
        recipe = f"builtin 1 {_SIDE} {_CELL} {_ORIENTATIONS} {_BINS} {_LAB_RANGE}"
        self.fingerprint = hashlib.blake2b(recipe.encode(), digest_size=16).hexdigest()

    def prepare(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bring one image, shape (H, W, 3), to shape (64, 64, 3)."""
        if rgb.shape[:2] == (_SIDE, _SIDE):
            return rgb
        return np.asarray(Image.fromarray(rgb).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))

    def embed(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed prepared images, shape (n, 64, 64, 3), as vectors, shape (n, width)."""
        return np.stack([np.concatenate([_shape(rgb), _colour(rgb)]) for rgb in batch])


def _shape(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    features = hog(
        rgb.astype(np.float32) / 255,
        orientations=_ORIENTATIONS,
        pixels_per_cell=(_CELL, _CELL),
        cells_per_block=(2, 2),
        channel_axis=-1,
    )
    return _unit(np.asarray(features, dtype=np.float32))


def _colour(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    lab = rgb2lab(rgb)
    half = _SIDE // 2
    counts = [
        np.histogram(np.clip(quarter[..., channel], low, high), bins=_BINS, range=(low, high))[0]
        for quarter in (lab[:half, :half], lab[:half, half:], lab[half:, :half], lab[half:, half:])
        for channel, (low, high) in enumerate(_LAB_RANGE)
    ]
    return _unit(np.sqrt(np.concatenate(counts)).astype(np.float32))


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else vector
