"""What stands out from the empty road, in a frame from a camera that does not move in its car."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brainloop._types import FloatArray

__all__ = ["FRAME", "RoadView"]

FRAME = 96, 54
"""Width and height of the frames that it is made for, pixels."""

TOP, BOTTOM = 0.38, 0.80
"""The road, from the horizon to the bonnet, as shares of the height."""

DASHBOARD = 0.93
"""The row, as a share of the height, that crosses the bar of the speed."""

CELL = 1, 2
"""Height and width of the cells whose largest value is kept, pixels."""

NOISE, MOST = 0.03, 10.0
"""Added to a pixel's usual deviation, as a share of full scale; and the largest multiple of it that counts."""

SPEEDS = 5
"""Knots of the speed's linear spline."""


@dataclass(frozen=True, eq=False)
class RoadView:
    """How far each part of the road differs from what is usual there, and the speed on the dashboard.

    Background subtraction by the median (McFarlane and Schofield 1995, Mach. Vis. Appl. 8), in multiples of the median
    absolute deviation, so that a lane mark counts for little and a person on plain asphalt for much. It is fitted on
    frames alone: nobody says what they show.

    Parameters
    ----------
    usual : array of shape (rows, width, 3)
        Median of each pixel of the road, 0 to 1.
    deviation : array of shape (rows, width)
        Median absolute deviation from it, summed over the colours.
    """

    usual: FloatArray
    deviation: FloatArray

    @classmethod
    def fit(cls, frames: NDArray[np.uint8]) -> "RoadView":
        """Learn what is usual from frames of drives, shape (n, 54, 96, 3)."""
        road = _road(frames)
        usual = np.median(road, axis=0)
        return cls(usual, np.median(np.abs(road - usual), axis=0).sum(axis=-1))

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give the vectors of frames, shape (n, 54, 96, 3) -> (n, width)."""
        unusual = np.abs(_road(frames) - self.usual).sum(axis=-1) / (self.deviation + NOISE)
        n, rows, columns = unusual.shape
        tall, wide = CELL
        trimmed = unusual[:, : rows // tall * tall, : columns // wide * wide]
        cells = trimmed.reshape(n, rows // tall, tall, columns // wide, wide).max(axis=(2, 4)).reshape(n, -1)
        cells = np.minimum(cells, MOST)
        cells /= np.maximum(np.linalg.norm(cells, axis=1, keepdims=True), 1e-6)
        return np.hstack([cells, _speed(frames)]).astype(np.float32)


def _road(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    height = frames.shape[1]
    part = frames[:, int(height * TOP) : int(height * BOTTOM)]
    return np.asarray(part.astype(np.float32) / 255)


def _speed(frames: NDArray[np.uint8]) -> FloatArray:
    """Read the yellow bar, as the weights of a linear spline, shape (n, SPEEDS)."""
    row = frames[:, int(frames.shape[1] * DASHBOARD)].astype(np.float64)
    length = (row[..., 0] - row[..., 2] > 50).mean(axis=1, keepdims=True)
    return np.asarray(np.maximum(0.0, 1 - np.abs(length / 0.55 - np.linspace(0, 1, SPEEDS)) * (SPEEDS - 1)))
