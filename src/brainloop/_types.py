"""Types that every floor of the house uses."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
"""Any floating-point array; its docstring gives the shape and the unit."""

IntArray = NDArray[np.integer[Any]]
BoolArray = NDArray[np.bool_]

Progress = Callable[[int, int], None]
"""Called with (done, total) as long work goes on; only the command line and the studio draw it."""


def no_progress(done: int, total: int) -> None:
    """Draw nothing: the default wherever a `Progress` is taken."""
