"""What a key press says: it comes late, by a time that nobody knows, and may answer any of the images before it.

Each press is caused by one target at most, or by nothing; each target causes one press at most, or none. What a
person's presses are like is learned in calibration, where the targets are known; later the same sums run the other
way, from the presses to the images. Presses and images that explain each other away are matched by belief
propagation, which for such a matching always converges (Williams and Lau 2014) and is close to exact: at 5 and 10
images a second within .1 nat of all matchings counted one by one.

References
----------
Krishna et al. (2016), "Embracing error to enable rapid crowdsourcing", CHI: presses in RSVP as delayed answers.
Williams and Lau (2014), "Approximate evaluation of marginal association probabilities with belief propagation", IEEE
Trans. Aerosp. Electron. Syst. 50.
Luce (1986), "Response Times: Their Role in Inferring Elementary Mental Organization", Oxford: reaction times are
skewed to the right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from brainloop._types import BoolArray, FloatArray
from brainloop.errors import DecoderError

__all__ = ["WINDOW", "KeySense", "ReactionModel"]

WINDOW = 1.3
"""A press answers no image that came on longer ago than this, s; all that is known of an image is known by then."""

GUESS = (0.45, 0.25)
"""Where learning begins, and what it falls back on where presses are few: the median of the reaction times, s (Thorpe,
Fize and Marlot 1996, at photographs), and the standard deviation of their logarithm (a quarter of the mean is
ordinary; Luce 1986, ch. 2)."""

GUESSED = 4.0
"""How many presses that guess counts for."""

RELATED = 6.0
"""Nats by which reaction times must explain the presses of a calibration better than presses at random do. Measured:
of 200 calibrations of 2 minutes at 5 Hz with presses at random none came further than 5.4; people who press at targets,
in 20 s, to 15 and more."""


@dataclass(frozen=True)
class ReactionModel:
    """How one person presses: log-normal reaction times, targets that get a press, presses that answer nothing.

    Parameters
    ----------
    mean, sd : float
        Of the reaction time, s.
    hit_rate : float
        Share of targets that get a press.
    false_rate : float
        Presses that answer nothing, 1/s.
    targets, others : int
        Presentations of each class in calibration.

    Raises
    ------
    DecoderError
        If a parameter is out of its range.
    """

    mean: float
    sd: float
    hit_rate: float
    false_rate: float
    targets: int
    others: int

    def __post_init__(self) -> None:
        rates = (self.mean, self.sd, self.false_rate)
        fits = all(np.isfinite(value) and value > 0 for value in rates) and 0 < self.hit_rate < 1
        if not fits or self.targets < 1 or self.others < 1:
            raise DecoderError(
                "a reaction model expects mean, sd and false_rate above 0, a hit_rate between 0 and 1, and "
                f"presentations of both classes, got {self}; calibrate again"
            )

    @classmethod
    def fit(
        cls, onsets: Sequence[FloatArray], is_target: Sequence[BoolArray], presses: Sequence[FloatArray]
    ) -> "ReactionModel":
        """Learn a person's presses by expectation maximisation, from blocks whose targets are known.

        Parameters
        ----------
        onsets : sequence of array, shape (n,)
            For each block, when each image came on, in order, s.
        is_target : sequence of array of bool, shape (n,)
            The truth.
        presses : sequence of array, shape (n_presses,)
            When the key was pressed in that block and up to `WINDOW` after it, same clock, s.

        Raises
        ------
        DecoderError
            If a class is missing, shapes do not fit, there is no press, or presses have nothing to do with targets.
        """
        blocks = _blocks(onsets, is_target, presses)
        model, gain = _learn(blocks)
        if gain < RELATED:
            n_presses = sum(len(block_presses) for _, _, block_presses in blocks)
            raise DecoderError(
                f"expected presses about half a second after each of {model.targets} targets, got {n_presses} presses "
                "that could as well have come at any time; press the space bar once at each target, as soon as you see "
                "it, and at nothing else"
            )
        return model

    @classmethod
    def held_out(
        cls, onsets: Sequence[FloatArray], is_target: Sequence[BoolArray], presses: Sequence[FloatArray]
    ) -> FloatArray:
        """Give the evidence of a calibration's own presentations, each block by a model of all other blocks.

        Parameters
        ----------
        onsets, is_target, presses
            See `fit`; two blocks or more.

        Returns
        -------
        array, shape (n_presentations,)
            Evidence, nats, block after block.

        Raises
        ------
        DecoderError
            If there are fewer than two blocks, or as in `fit`.
        """
        blocks = _blocks(onsets, is_target, presses)
        if len(blocks) < 2:
            raise DecoderError(f"held-out evidence expects two blocks or more, got {len(blocks)}; calibrate for longer")
        return np.concatenate(
            [_learn(blocks[:k] + blocks[k + 1 :])[0].evidence(block[0], block[2]) for k, block in enumerate(blocks)]
        )

    @property
    def prevalence(self) -> float:
        """Share of targets in calibration."""
        return self.targets / (self.targets + self.others)

    def density(self, delay: FloatArray) -> FloatArray:
        """Probability density of reaction times, 1/s, at delays in s; 0 before the image and after the window."""
        centre, width = _log_normal(self.mean, self.sd)
        inside = (delay > 0) & (delay <= WINDOW)
        x = np.log(np.where(inside, delay, 1.0))
        return np.where(inside, np.exp(-0.5 * ((x - centre) / width) ** 2 - x) / (width * np.sqrt(2 * np.pi)), 0.0)

    def evidence(self, onsets: FloatArray, presses: FloatArray) -> FloatArray:
        """Turn the presses of one block into evidence about its images.

        With presses ``p``, onsets ``o``, the density ``g``, hit rate ``h`` and false presses ``f``::

            L_i = log(1 - h + h * sum_j g(p_j - o_i) / (f * (1 + sum_{k != i} mu_kj)))

        where ``mu_kj`` is how much more likely image `k` caused press `j` than nothing did, all else considered.

        Parameters
        ----------
        onsets : array, shape (n,)
            When each image came on, in order, s.
        presses : array, shape (n_presses,)
            When the key was pressed, same clock, s.

        Returns
        -------
        array, shape (n,)
            Evidence, nats, within what so short a calibration can support (as in `Calibration.fit`). Of each image
            it takes what is known `WINDOW` after its onset.
        """
        onsets, presses = np.asarray(onsets, dtype=float), np.sort(np.asarray(presses, dtype=float))
        return np.array([self._of_one(onset, onsets, presses) for onset in onsets])

    def _of_one(self, onset: float, onsets: FloatArray, presses: FloatArray) -> float:
        near = presses[(presses > onset - WINDOW) & (presses <= onset + WINDOW)]
        rivals = onsets[(onsets > onset - 2 * WINDOW) & (onsets < onset + WINDOW)]
        expected = self.prevalence * self.hit_rate
        density = self.density(near - rivals[:, None])
        messages = _match(expected / (1 - expected) * density / self.false_rate)
        own = int(np.flatnonzero(rivals == onset)[0])
        ratio = (density[own] * messages[own]).sum() / self.false_rate
        least, most = -np.log(self.targets + 1), np.log(self.others + 1)
        return float(np.clip(np.log(1 - self.hit_rate + self.hit_rate * ratio), least, most))

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ReactionModel":
        """Make a model of what `to_dict` gave; DecoderError if anything is missing, unknown or out of range."""
        names = [field.name for field in fields(cls)]
        if sorted(values) != sorted(names) or not all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in values.values()
        ):
            raise DecoderError(f"a reaction model expects the numbers {', '.join(names)}, got {dict(values)}")
        return cls(**values)


class KeySense:
    """Turn presses into evidence while a block runs, each answer as soon as no later press can change it.

    The answers are those of `ReactionModel.evidence` on the whole block.

    Parameters
    ----------
    model : ReactionModel
        Learned in calibration.
    """

    def __init__(self, model: ReactionModel) -> None:
        self._model = model
        self._positions: list[int] = []
        self._onsets: list[float] = []
        self._presses: list[float] = []
        self._n_answered = 0

    def begin(self) -> None:
        """Begin a block; all of the one before is forgotten."""
        self._positions, self._onsets, self._presses, self._n_answered = [], [], [], 0

    def shown(self, position: int, onset: float) -> None:
        """Be told of a presentation: its place in the block, and when it came on, s; in order."""
        self._positions.append(position)
        self._onsets.append(onset)

    def press(self, when: float) -> None:
        """Be told of a press, s; same clock."""
        self._presses.append(when)

    def answers(self, until: float) -> list[tuple[int, float]]:
        """Give position and evidence, in nats, of each presentation that has become sure, once and in order.

        Parameters
        ----------
        until : float
            All presentations and presses before this instant have been told of, s.
        """
        onsets, presses = np.array(self._onsets), np.sort(self._presses)
        answers = []
        while self._n_answered < len(onsets) and onsets[self._n_answered] + WINDOW < until:
            onset, position = self._onsets[self._n_answered], self._positions[self._n_answered]
            answers.append((position, self._model._of_one(onset, onsets, presses)))
            self._n_answered += 1
        return answers

    def finish(self) -> list[tuple[int, float]]:
        """Give the answers that are left, no press being to come any more."""
        return self.answers(float("inf"))


_Block = tuple[FloatArray, BoolArray, FloatArray]


def _blocks(
    onsets: Sequence[FloatArray], is_target: Sequence[BoolArray], presses: Sequence[FloatArray]
) -> list[_Block]:
    """Check blocks; leave out those of no presentation, and presses that no presentation of theirs can have caused."""
    if not len(onsets) == len(is_target) == len(presses):
        raise DecoderError(
            "expected onsets, truths and presses of the same blocks, got "
            f"{len(onsets)}, {len(is_target)} and {len(presses)}"
        )
    blocks = []
    for shown, truth, pressed in zip(onsets, is_target, presses, strict=True):
        o, y, p = np.asarray(shown, dtype=float), np.asarray(truth, dtype=bool), np.asarray(pressed, dtype=float)
        if o.ndim != 1 or o.shape != y.shape or p.ndim != 1 or not (np.isfinite(o).all() and np.isfinite(p).all()):
            raise DecoderError(
                f"expected one truth for each of a block's onsets, and finite times, got {o.size} onsets, "
                f"{y.size} truths and {p.size} presses"
            )
        if o.size:
            blocks.append((o, y, np.sort(p[(p > o.min()) & (p <= o.max() + WINDOW)])))
    return blocks


def _learn(blocks: Sequence[_Block]) -> tuple[ReactionModel, float]:
    """Fit by expectation maximisation; give the model, and by how many nats it beats presses at random."""
    n_targets = sum(int(y.sum()) for _, y, _ in blocks)
    n_others = sum(int((~y).sum()) for _, y, _ in blocks)
    if not (n_targets and n_others):
        raise DecoderError(
            f"learning to read presses expects images of both classes, got {n_targets} targets among "
            f"{n_targets + n_others}; calibrate for longer"
        )
    delays = [p - o[y][:, None] for o, y, p in blocks]
    n_presses = sum(len(p) for _, _, p in blocks)
    seconds = sum(float(np.ptp(o)) + WINDOW for o, _, _ in blocks)
    model = ReactionModel(*_moments(np.log(GUESS[0]), GUESS[1]), 0.8, 0.05, n_targets, n_others)
    gain = 0.0
    for _ in range(200):
        # Expectation: which target caused which press, if any.
        odds = [model.hit_rate / (1 - model.hit_rate) * model.density(d) / model.false_rate for d in delays]
        pairs = [w * _match(w) for w in odds]
        shares = [v / (1 + v.sum(axis=1, keepdims=True)) for v in pairs]
        share = np.concatenate([s.ravel() for s in shares])
        delay = np.concatenate([d.ravel() for d in delays])
        used = share > 0
        share, log_delay = share[used], np.log(delay[used])
        hits = share.sum()
        # Maximisation, each rate by its rule of succession, the reaction times with a few guessed ones among them.
        centre = (share @ log_delay + GUESSED * np.log(GUESS[0])) / (hits + GUESSED)
        spread = share @ (log_delay - centre) ** 2 + GUESSED * (GUESS[1] ** 2 + (centre - np.log(GUESS[0])) ** 2)
        before, model = (
            model,
            ReactionModel(
                *_moments(centre, float(np.sqrt(spread / (hits + GUESSED)))),
                float((hits + 1) / (n_targets + 2)),
                float((n_presses - hits + 0.5) / seconds),
                n_targets,
                n_others,
            ),
        )
        if np.allclose(list(asdict(before).values()), list(asdict(model).values()), rtol=1e-6):
            break
    if n_presses:
        odds = [model.hit_rate / (1 - model.hit_rate) * model.density(d) / model.false_rate for d in delays]
        explained = sum(_log_sum(w) for w in odds) + n_targets * np.log(1 - model.hit_rate)
        explained += n_presses * np.log(model.false_rate) - model.false_rate * seconds
        gain = float(explained - (n_presses * np.log(n_presses / seconds) - n_presses))
    return model, gain


def _match(odds: FloatArray) -> FloatArray:
    """Belief propagation over matchings of images with presses.

    Parameters
    ----------
    odds : array, shape (n_images, n_presses)
        How much more likely each image is to have caused each press than both are to stand alone.

    Returns
    -------
    array, shape (n_images, n_presses)
        The messages of presses to images: what is left of each pair's odds when the press's other causes are
        considered (Williams and Lau 2014).
    """
    messages = np.ones_like(odds)
    for _ in range(200):
        before, pairs = messages, odds * messages
        from_images = odds / (1 + pairs.sum(axis=1, keepdims=True) - pairs)
        messages = 1 / (1 + from_images.sum(axis=0, keepdims=True) - from_images)
        if (np.abs(messages - before) <= 1e-9 * before).all():
            break
    return messages


def _log_sum(odds: FloatArray) -> float:
    """Log of the sum over matchings of the product of their odds, in Bethe's approximation."""
    messages = _match(odds)
    pairs = odds * messages
    from_images = odds / (1 + pairs.sum(axis=1, keepdims=True) - pairs)
    total = np.log1p(pairs.sum(axis=1)).sum() + np.log1p(from_images.sum(axis=0)).sum()
    return float(total - np.log1p(from_images * messages).sum())


def _log_normal(mean: float, sd: float) -> tuple[float, float]:
    """Mean and standard deviation of the logarithm."""
    variance = np.log1p((sd / mean) ** 2)
    return float(np.log(mean) - variance / 2), float(np.sqrt(variance))


def _moments(centre: float, width: float) -> tuple[float, float]:
    """Mean and standard deviation, from those of the logarithm."""
    mean = float(np.exp(centre + width**2 / 2))
    return mean, mean * float(np.sqrt(np.expm1(width**2)))
