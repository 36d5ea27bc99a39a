"""Composition: from the images that the classifier asks about to blocks that a brain can answer.

Targets must stay rare, or the P300 fades; least-confident images are about half targets. So queried images go among
fillers that are surely non-targets, until the expected prevalence is in range; where it would be too low, sure targets
join. Two likely targets closer than about half a second lose one to the attentional blink: they are kept apart. An
image never comes twice in a block.
"""

from dataclasses import dataclass

import numpy as np

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.errors import SettingsError

__all__ = ["Composition", "compose", "deal"]


@dataclass(frozen=True)
class Composition:
    """How blocks are composed; each setting with its reason.

    Parameters
    ----------
    prevalence : tuple of float
        Range of the expected share of targets: a P300 needs them rare (Polich 2007; 10 to 20 %).
    apart_s : float
        Least time between two likely targets, s: the attentional blink lasts about .5 s (Raymond et al. 1992).
    likely : float
        From this probability on an image counts as a likely target.
    """

    prevalence: tuple[float, float] = (0.10, 0.20)
    apart_s: float = 0.5
    likely: float = 0.5

    def __post_init__(self) -> None:
        low, high = self.prevalence
        if not 0 <= low < high <= 1:
            raise SettingsError(f"prevalence: expected 0 <= low < high <= 1; {self.prevalence} came")


def compose(
    queried: IntArray,
    probability: FloatArray,
    n_looks: int,
    block_size: int,
    soa: float,
    rng: np.random.Generator,
    rule: Composition | None = None,
) -> list[IntArray]:
    """Compose a round's blocks from queried images and fillers.

    Parameters
    ----------
    queried : array of int, shape (n_queried,)
        Images that the query asks about, most wanted first; those that do not fit are left for a later round.
    probability : array, shape (n_images,)
        Probability that each image of the pool is a target, given all that is known.
    n_looks, block_size : int
        Presentations in the round, and in a block at most.
    soa : float
        Onset to onset, s.
    rng : numpy.random.Generator
        Draws the fillers and the order.
    rule : Composition, optional
        Default: ``Composition()``.

    Returns
    -------
    list of array of int
        The images of each block, in order. Expected prevalence is within range wherever the pool allows it.
    """
    rule = rule or Composition()
    n_looks = min(n_looks, probability.size)
    chosen = _choose(queried, probability, n_looks, rng, rule)
    blocks = deal(chosen, block_size, probability)
    gap = max(1, int(np.ceil(rule.apart_s / soa - 1e-9)))
    return [_arrange(block, probability[block] >= rule.likely, gap, rng) for block in blocks]


def _choose(
    queried: IntArray, probability: FloatArray, n_looks: int, rng: np.random.Generator, rule: Composition
) -> IntArray:
    low, high = rule.prevalence
    asked = np.zeros(probability.size, dtype=bool)
    asked[queried] = True
    others = np.flatnonzero(~asked)
    # Fillers teach too, so they are drawn at random from the surer half rather than always the very surest.
    others = others[np.lexsort((rng.random(others.size), probability[others]))]
    need = min(n_looks, others.size)
    fillers = rng.permutation(others[: max(need, others.size // 2)])[:need]

    # How many can be asked: for each number, what is expected of them and of the fillers that make up the round.
    n_asked = np.arange(min(queried.size, n_looks) + 1)
    n_asked = n_asked[n_looks - n_asked <= fillers.size]
    targets_asked = np.concatenate([[0.0], np.cumsum(probability[queried])])[n_asked]
    targets_filled = np.concatenate([[0.0], np.cumsum(probability[fillers])])[n_looks - n_asked]
    within = n_asked[targets_asked + targets_filled <= high * n_looks]
    n = int(within.max() if within.size else n_asked.min())
    chosen = np.concatenate([queried[:n], fillers[: n_looks - n]]).astype(np.int64)

    # Too few targets to be expected: the surest of them take the place of the least likely fillers.
    sure_targets = others[::-1][probability[others[::-1]] >= rule.likely]
    for image in sure_targets[~np.isin(sure_targets, chosen)]:
        if probability[chosen].mean() >= low or n == chosen.size:
            break
        chosen[n + int(np.argmin(probability[chosen[n:]]))] = image
    return chosen


def deal(images: IntArray, block_size: int, probability: FloatArray) -> list[IntArray]:
    """Deal images into blocks of nearly equal size and nearly equal expected prevalence.

    Parameters
    ----------
    images : array of int, shape (n_looks,)
        The round's images, none twice.
    block_size : int
        Presentations in a block at most.
    probability : array, shape (n_images,)
        Probability of being a target for every image of the pool.

    Returns
    -------
    list of array of int
        The images of each block.
    """
    if block_size < 1:
        raise SettingsError(f"block_size: expected 1 or more; {block_size} came")
    n_blocks = -(-images.size // block_size)
    ranked = images[np.argsort(-probability[images], kind="stable")]
    return [ranked[k::n_blocks] for k in range(n_blocks)]


def _arrange(images: IntArray, likely: BoolArray, gap: int, rng: np.random.Generator) -> IntArray:
    """Order a block so that likely targets lie `gap` positions apart or, where they are too many, as far as may be."""
    rare, rest = rng.permutation(images[likely]), rng.permutation(images[~likely])
    while gap > 1 and (rare.size - 1) * gap + 1 > images.size:
        gap -= 1
    # Positions at least `gap` apart, all such sets equally likely: draw without the spaces, then put them back.
    slack = images.size - (rare.size - 1) * (gap - 1) if rare.size else images.size
    places = np.sort(rng.choice(slack, rare.size, replace=False)) + np.arange(rare.size) * (gap - 1)
    order = np.empty_like(images)
    free = np.ones(images.size, dtype=bool)
    free[places] = False
    order[places], order[free] = rare, rest
    return order
