"""The replay: real responses of real people, one epoch a presentation of the same class."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from brainloop._types import BoolArray, FloatArray
from brainloop.eeg.erp import ERP
from brainloop.errors import RecordingError
from brainloop.observers.answers import TRAINING_SHARE, Answer, Answers
from brainloop.presentation.block import Block, Response

__all__ = ["Replay"]


class Replay:
    """Decoded recordings that answer presentations.

    Each epoch answers a presentation of its class. Epochs are drawn without replacement; when a class is spent it is
    drawn again, yet no epoch ever answers the same image twice.

    Parameters
    ----------
    answers : Answers
        What the recordings can answer, from `brainloop.observers.answers.decode`; many replays may share it.
    truth : mapping of str to array of bool, shape (n_images,)
        By what may be looked for, whether each image of the pool is that.
    hardness : mapping of str to array, shape (n_images,), optional
        By what may be looked for, the rank in (0, 1) of each image within its class, near 1 for the hardest; needed
        for a difficulty above 0.
    difficulty : float
        Correlation, 0 to 1, between how hard an image is and how weak the epoch that answers it.
    seed : int
        Of the draws.

    Attributes
    ----------
    soa : float
        The recordings' own, s: their responses were evoked at that rate.
    facts : dict
        Recordings, trials, and the decoder's AUC on the epochs that answer.

    Raises
    ------
    RecordingError
        If no epoch of a class is left to answer.
    """

    def __init__(
        self,
        answers: Answers,
        truth: Mapping[str, BoolArray],
        *,
        hardness: Mapping[str, FloatArray] | None = None,
        difficulty: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._truth = truth
        self._difficulty = difficulty if hardness is not None else 0.0
        self._ease = {target: ndtri(1 - rank) for target, rank in (hardness or {}).items()}
        self._rng = np.random.default_rng([seed, 1])
        self._decks = {kind: _Deck([one for one in answers.epochs if one.is_target == kind]) for kind in (True, False)}
        for kind, deck in self._decks.items():
            if not deck.cards:
                what = "target" if kind else "non-target"
                raise RecordingError(
                    f"no {what} epoch is left after the first {TRAINING_SHARE:.0%} of the recordings; add more"
                )
        self._erps = answers.erps
        self.soa = answers.soa
        self.facts: dict[str, Any] = {
            "observer": "replay",
            "difficulty": self._difficulty,
            "recordings": answers.facts,
        }

    def respond(self, block: Block, start: int = 0) -> Iterator[Response]:
        """Answer a block; see `Observer.respond`."""
        drawn = self._draw(block)
        for card, onset in list(zip(drawn, block.onsets, strict=True))[start:]:
            yield replace(card.response, onset=float(onset))

    def recall(self, blocks: Sequence[Block]) -> None:
        """Draw again what earlier blocks drew, so that the decks stand as they stood."""
        for block in blocks:
            self._draw(block)

    def erps(self) -> dict[str, ERP]:
        """Mean responses of each recording, over all its usable epochs."""
        return self._erps

    def _draw(self, block: Block) -> list[Answer]:
        # A Gaussian copula: with difficulty 1 the hardest image draws the weakest epoch that is left, with 0 any.
        shown = list(block.images)
        noise = self._rng.normal(size=len(shown))
        ease = self._ease[block.target][shown] if self._ease else np.zeros(len(shown))
        quantiles = ndtr(self._difficulty * ease + np.sqrt(1 - self._difficulty**2) * noise)
        drawn = zip(shown, self._truth[block.target][shown].tolist(), quantiles.tolist(), strict=True)
        return [self._decks[is_target].draw(image, quantile) for image, is_target, quantile in drawn]


class _Deck:
    """The epochs of one class, weakest first, and which of them answered whom."""

    def __init__(self, cards: list[Answer]) -> None:
        sign = 1 if cards and cards[0].is_target else -1
        self.cards = sorted(cards, key=lambda card: sign * card.response.evidence)
        # Sorted lists of indices rather than masks: a draw then touches the few that answered the image, not all.
        self._left = list(range(len(cards)))
        self._answered: dict[int, list[int]] = {}

    def draw(self, image: int, quantile: float) -> Answer:
        """Draw the epoch at a quantile of the strengths that are left, and that this image has not drawn yet."""
        before = self._answered.setdefault(image, [])
        if len(before) == len(self.cards):
            raise RecordingError(
                f"image {image} was shown more often than there are epochs of its class ({len(before)}); add recordings"
            )
        if not self._left:
            self._left = list(range(len(self.cards)))
        among: Sequence[int] = self._left
        taken = [place for one in before if (place := bisect_left(among, one)) < len(among) and among[place] == one]
        if len(taken) == len(among):  # the few left have all answered this image: one that is spent comes early
            among, taken = range(len(self.cards)), before
        n_free = len(among) - len(taken)
        place = min(int(quantile * n_free), n_free - 1)
        for other in taken:
            place += other <= place
        chosen = among[place]
        if among is self._left:
            del self._left[place]
        insort(before, chosen)
        return self.cards[chosen]
