"""Drawing some rows of a collection at random."""

import numpy as np

from brainloop._types import IntArray
from brainloop.collection.collection import Collection
from brainloop.errors import StudyError

__all__ = ["draw"]


def draw(collection: Collection, n: int, rng: np.random.Generator) -> IntArray:
    """Draw rows that have a vector, each as likely as any other.

    Parameters
    ----------
    collection : Collection
        Embedded.
    n : int
        How many at most.
    rng : numpy.random.Generator
        Draws.

    Returns
    -------
    array of int, shape (at most n,)
        Rows, rising.

    Raises
    ------
    StudyError
        If none has a vector.
    """
    # A few more than are wanted, for those without a vector. Without replacement in a range that fits no memory.
    drawn = np.array(rng.choice(collection.n_images, min(collection.n_images, n + n // 50 + 100), replace=False))
    drawn = drawn[~np.isin(drawn, collection.dropped())]
    drawn = drawn[np.isfinite(collection.vectors(drawn)[:, 0])][:n]
    if not drawn.size:
        raise StudyError(f"expected embedded images in {collection.url}, found none; give `brainloop collect` again")
    return np.sort(drawn)
