"""Splits in time that do not leak: epochs that overlap are never on both sides."""

import numpy as np

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.errors import SettingsError

__all__ = ["FIRST_SHARE", "first_share", "in_blocks"]

FIRST_SHARE = 0.4
"""Share of a recording, in time, that trains where the rest answers or is tested."""


def first_share(
    onsets: FloatArray, runs: IntArray, *, share: float = FIRST_SHARE, purge: float
) -> tuple[IntArray, IntArray]:
    """Split presentations in time: the first to train on, the rest to test on.

    Parameters
    ----------
    onsets : array of shape (n,)
        Within the run, s.
    runs : int array of shape (n,)
        Index of the run; runs follow each other in time.
    share : float
        Share of the presentations that come first.
    purge : float
        Length of an epoch, s: what begins less than that before the first of the rest is left out.

    Returns
    -------
    train, rest : int arrays
        Indices into `onsets`, in time.

    Raises
    ------
    SettingsError
        If the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise SettingsError(f"expected a share between 0 and 1, got {share}")
    in_time = np.lexsort((onsets, runs))
    n_train = int(share * len(in_time))
    first, rest = in_time[:n_train], in_time[n_train:]
    return first[~_overlaps(first, rest, onsets, runs, purge)], rest


def in_blocks(
    onsets: FloatArray, runs: IntArray, *, n_blocks: int = 5, purge: float
) -> list[tuple[IntArray, IntArray]]:
    """Split presentations in contiguous blocks in time; each is tested once, with the others for training.

    Parameters
    ----------
    onsets : array of shape (n,)
        Within the run, s.
    runs : int array of shape (n,)
        Index of the run; runs follow each other in time.
    n_blocks : int
        Number of blocks, of equal numbers of presentations.
    purge : float
        Length of an epoch, s: what begins less than that before or after a block is left out of its training.

    Returns
    -------
    list of (train, test)
        Indices into `onsets`, in time.
    """
    if n_blocks < 2:
        raise SettingsError(f"expected two blocks or more, got {n_blocks}")
    blocks = np.array_split(np.lexsort((onsets, runs)), n_blocks)
    folds: list[tuple[IntArray, IntArray]] = []
    for k, test in enumerate(blocks):
        others = np.concatenate([block for j, block in enumerate(blocks) if j != k])
        folds.append((others[~_overlaps(others, test, onsets, runs, purge)], test))
    return folds


def _overlaps(train: IntArray, test: IntArray, onsets: FloatArray, runs: IntArray, purge: float) -> BoolArray:
    """Whether each training epoch overlaps any test epoch of its run, shape (n_train,)."""
    overlap = np.zeros(len(train), dtype=bool)
    for run in np.unique(runs[test]):
        tested = np.sort(onsets[test[runs[test] == run]])
        here = np.flatnonzero(runs[train] == run)
        after = np.searchsorted(tested, onsets[train[here]])
        distance = np.minimum(
            np.abs(tested[np.minimum(after, len(tested) - 1)] - onsets[train[here]]),
            np.abs(tested[np.maximum(after - 1, 0)] - onsets[train[here]]),
        )
        overlap[here] = distance < purge
    return overlap
