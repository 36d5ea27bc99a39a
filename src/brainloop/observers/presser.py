"""A person with a key who does not exist: presses late, sometimes not at all, sometimes for nothing."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from brainloop._types import BoolArray, FloatArray
from brainloop.errors import SettingsError

__all__ = ["Presser"]

BLINK_LAGS = (0.09, 0.18, 0.27, 0.36, 0.45, 0.54, 0.63)
BLINK_SEEN = (1.00, 0.68, 0.58, 0.60, 0.68, 0.90, 1.00)
"""What is left of the chance to see a target, by its lag after one that was seen, s: all of it right after, little from
180 ms on for 270 ms, all of it later (Raymond, Shapiro and Arnell 1992); slopes, and a depth of two fifths, are drawn
by eye after their curve."""

FASTEST = 0.2
"""No press comes sooner after its cause, s: those that tell pictures apart begin at about .25 s (Fabre-Thorpe et al.
2001)."""

REFRACTORY = 0.15
"""A finger goes down again this long after the last time at the earliest, s: tapping does not go beyond 6 to 7 Hz
(Keele and Hawkins 1982). A press that would come sooner is put off."""


@dataclass(frozen=True)
class Presser:
    """One simulated person who presses a key at each target they see.

    Everything follows from the seed and the number of the block.

    - Reaction times are ex-Gaussian: a normal part, and an exponential part of mean `rt_tail` (Hohle 1965; Luce 1986,
      ch. 3). The mean of .45 s is that of people who press at photographs with an animal (Thorpe, Fize and Marlot
      1996: median .445 s). Krishna et al. (2016) model presses in RSVP by the normal part alone.
    - A target may be missed by itself, and because of the attentional blink after one that was seen.
    - Some presses answer nothing; they come at any time.

    Parameters
    ----------
    seed : int
        Who it is.
    rt_mean, rt_sd : float
        Mean and standard deviation of the reaction time, s.
    rt_tail : float
        Mean of its exponential part, s; less than `rt_sd`.
    misses : float
        Share of targets missed where no blink is.
    false_per_minute : float
        Presses that answer nothing.
    blink : bool
        Whether the attention blinks.

    Raises
    ------
    SettingsError
        If a parameter is out of its range.

    References
    ----------
    Hohle (1965), "Inferred components of reaction times as functions of foreperiod duration", J. Exp. Psychol. 69.
    Luce (1986), "Response Times: Their Role in Inferring Elementary Mental Organization", Oxford.
    Raymond, Shapiro and Arnell (1992), "Temporary suppression of visual processing in an RSVP task: an attentional
    blink?", J. Exp. Psychol. Hum. Percept. Perform. 18.
    Fabre-Thorpe et al. (2001), "A limit to the speed of processing in ultra-rapid visual categorization of novel
    natural scenes", J. Cogn. Neurosci. 13.
    Thorpe, Fize and Marlot (1996), "Speed of processing in the human visual system", Nature 381.
    Krishna et al. (2016), "Embracing error to enable rapid crowdsourcing", CHI.
    Keele and Hawkins (1982), "Explorations of individual differences relevant to high level skill", J. Motor Behav. 14.
    """

    seed: int = 0
    rt_mean: float = 0.45
    rt_sd: float = 0.1
    rt_tail: float = 0.07
    misses: float = 0.1
    false_per_minute: float = 2.0
    blink: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.rt_tail < self.rt_sd < self.rt_mean:
            raise SettingsError(
                "reaction times expect 0 < rt_tail < rt_sd < rt_mean, "
                f"got {self.rt_tail}, {self.rt_sd} and {self.rt_mean} s"
            )
        if not (0 <= self.misses <= 1 and self.false_per_minute >= 0):
            raise SettingsError(
                "expected misses from 0 to 1 and false presses of 0 or more a minute, "
                f"got {self.misses} and {self.false_per_minute}"
            )

    def press(self, onsets: FloatArray, is_target: BoolArray, block: int = 0) -> FloatArray:
        """Look at a block and press.

        Parameters
        ----------
        onsets : array, shape (n,)
            When each image came on, in order, s.
        is_target : array of bool, shape (n,)
            The truth.
        block : int
            Its number: the same block is pressed in the same way.

        Returns
        -------
        array, shape (n_presses,)
            When the key went down, in order, on the clock of `onsets`, s.
        """
        rng = np.random.default_rng([self.seed, block])
        if len(onsets) == 0:
            return np.empty(0)
        body = np.sqrt(self.rt_sd**2 - self.rt_tail**2)
        seen, wanted = -np.inf, []
        for onset in np.asarray(onsets, dtype=float)[np.asarray(is_target, dtype=bool)]:
            open_eyes = np.interp(onset - seen, BLINK_LAGS, BLINK_SEEN) if self.blink else 1.0
            reaction = rng.normal(self.rt_mean - self.rt_tail, body) + rng.exponential(self.rt_tail)
            if rng.random() < (1 - self.misses) * open_eyes:
                seen = onset
                wanted.append(onset + max(reaction, FASTEST))
        # Until the last reaction: a person stops soon after the images do.
        span = float(onsets[-1] - onsets[0]) + self.rt_mean
        n_false = rng.poisson(self.false_per_minute / 60 * span)
        wanted.extend(onsets[0] + rng.uniform(0, span, n_false))
        presses: list[float] = []
        for when in sorted(wanted):
            presses.append(max(when, presses[-1] + REFRACTORY) if presses else when)
        return np.array(presses)

    @property
    def parameters(self) -> dict[str, Any]:
        """All that makes this person, ready for JSON."""
        blink = {"lag_s": list(BLINK_LAGS), "seen": list(BLINK_SEEN)} if self.blink else None
        return asdict(self) | {"blink": blink, "fastest_s": FASTEST, "refractory_s": REFRACTORY}
