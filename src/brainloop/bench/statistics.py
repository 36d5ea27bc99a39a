"""Means over tasks, people and seeds, and errors that know what was shared."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from brainloop._types import FloatArray

__all__ = ["Grid", "plain", "spread", "standard_error"]


@dataclass(frozen=True)
class Grid:
    """What was measured, cell by cell; a cell is one task with one person.

    Parameters
    ----------
    cells : tuple of (str, str)
        Task and person of each.
    values : mapping of str to array, shape (n_cells, n_seeds, ...)
        Everything measured, by name; a seed stands for the same split of the images in every cell of its task.
    """

    cells: tuple[tuple[str, str], ...]
    values: Mapping[str, FloatArray]

    def alone(self, cell: int) -> "Grid":
        """Give one cell's part."""
        return Grid(self.cells[cell : cell + 1], {name: array[cell : cell + 1] for name, array in self.values.items()})

    def of_person(self, person: str) -> "Grid":
        """Give one person's part: every task with them."""
        mine = [k for k, (_, someone) in enumerate(self.cells) if someone == person]
        return Grid(tuple(self.cells[k] for k in mine), {name: array[mine] for name, array in self.values.items()})

    def mean(self, name: str) -> FloatArray:
        """Average over cells and seeds, shape (...)."""
        return np.asarray(self.values[name].mean(axis=(0, 1)))

    def auc(self, name: str) -> dict[str, Any]:
        """Describe an AUC: mean, and SD between seeds within a cell; ready for JSON."""
        return {"auc": plain(self.mean(name)), "sd": plain(spread(self.values[name]))}

    def contrast(self, *terms: tuple[float, str]) -> dict[str, Any]:
        """Describe a weighted sum of paired measures, such as ``(1, "brainloop"), (-1, "talk")``: mean and SE."""
        paired = np.sum([weight * self.values[name] for weight, name in terms], axis=0)
        return {"gain": plain(paired.mean(axis=(0, 1))), "gain_se": plain(standard_error(paired))}

    def gain(self, name: str, over: str) -> dict[str, Any]:
        """Describe how far a measure is above another, pair by pair; ready for JSON."""
        return self.contrast((1, name), (-1, over))


def spread(values: FloatArray) -> FloatArray:
    """Give the standard deviation between seeds within a cell, averaged over cells; nan with one seed.

    Parameters
    ----------
    values : array, shape (n_cells, n_seeds, ...)
    """
    if values.shape[1] < 2:
        return np.full(values.shape[2:], np.nan)
    return np.asarray(values.std(axis=1, ddof=1).mean(axis=0))


def standard_error(values: FloatArray) -> FloatArray:
    """Give the standard error of the mean over cells and seeds, clustered.

    What one cell gives (a task with a person) is correlated, and so is what one seed gives, as all people look at the
    same split of a task's images. With cells as clusters the error is the SD of the cells' means over the root of
    their number; with seeds as clusters likewise. The larger of the two is taken: two-way clustering adds the two
    variances less their overlap, a difference that with as few clusters as here may be negative. With one cell only the
    seeds speak, with one seed only the cells.

    Parameters
    ----------
    values : array, shape (n_cells, n_seeds, ...)
        Paired gains, say.

    Returns
    -------
    array, shape (...)
        nan where there is one cell and one seed.

    References
    ----------
    Cameron, Gelbach and Miller (2011), "Robust inference with multiway clustering", J. Bus. Econ. Stat. 29.
    """
    error = np.full(values.shape[2:], np.nan)
    for other in (1, 0):
        means = values.mean(axis=other)
        if len(means) > 1:
            error = np.fmax(error, means.std(axis=0, ddof=1) / np.sqrt(len(means)))
    return np.asarray(error)


def plain(values: FloatArray | float) -> Any:
    """Turn an array into lists of numbers for strict JSON, five decimals; None stands for what is not finite."""
    if isinstance(values, np.ndarray) and values.ndim:
        return [plain(entry) for entry in values]
    return round(float(values), 5) if np.isfinite(values) else None
