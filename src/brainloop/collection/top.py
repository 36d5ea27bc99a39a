"""The top k of a stream: the same rows, whatever order the stream comes in."""

from dataclasses import dataclass

import numpy as np

from brainloop._types import FloatArray, IntArray

__all__ = ["Top"]


@dataclass(frozen=True)
class Top:
    """The k rows of the least key seen so far; of equal keys those of the lowest rows.

    Parameters
    ----------
    k : int
        How many at most.
    keys : array, shape (at most k,)
        In rising order.
    rows : array of int, of the same shape
        Rows that they belong to.
    values : array, of the same shape
        What is kept of each beside its key.
    """

    k: int
    keys: FloatArray
    rows: IntArray
    values: FloatArray

    @classmethod
    def of(cls, k: int) -> "Top":
        """Begin with none."""
        return cls(k, np.empty(0), np.empty(0, dtype=np.int64), np.empty(0))

    def with_more(self, keys: FloatArray, rows: IntArray, values: FloatArray) -> "Top":
        """Take more rows into account; those whose key is not finite never count."""
        if self.k == 0:
            return self
        # Equal to the last kept counts too: its row may be lower.
        most = self.keys[-1] if len(self.keys) == self.k else np.inf
        new = np.flatnonzero((keys <= most) & np.isfinite(keys))
        if new.size == 0:
            return self
        if new.size > 4 * self.k:  # a sort of all would cost more than the scores
            most = np.partition(keys[new], self.k - 1)[self.k - 1]
            new = new[keys[new] <= most]
        keys = np.concatenate([self.keys, keys[new]])
        rows = np.concatenate([self.rows, rows[new]])
        values = np.concatenate([self.values, values[new]])
        order = np.lexsort([rows, keys])[: self.k]
        return Top(self.k, keys[order], rows[order], values[order])

    def merged(self, other: "Top") -> "Top":
        """Bring together what two parts of the stream gave."""
        return self.with_more(other.keys, other.rows, other.values)
