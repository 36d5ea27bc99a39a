"""Watchers without EEG at hand: a simulated person, and the responses of a recording."""

from collections import deque

import numpy as np
from scipy.special import ndtri

from brainloop._types import FloatArray
from brainloop.driving.watcher import Heard
from brainloop.errors import SettingsError
from brainloop.observers.answers import Answers

__all__ = ["LATENCY", "ReplayWatcher", "SimulatedWatcher"]

PERIOD = 0.5
"""Between two responses, s: for as long as a hazard lasts it is seen anew with every other fixation or so."""

LATENCY, LATENCY_SD = 0.7, 0.2
"""From the end of what was seen to the evidence of it, s: median, and standard deviation of its logarithm. Responses to
hazards on the road are over after about 0.8 s (Haufe et al. 2011, J. Neural Eng. 8); who listens does not know how long
any one took, and takes the median."""


class SimulatedWatcher:
    """A person who does not exist, known only by the evidence that their responses would hold.

    Twice a second there is a response to what was seen since the last one: a hazard, or none. Its evidence is that of
    two normal distributions of equal variance, and of a person who misses hazards:

    ``L = log(m + (1 - m) exp(d x - d^2 / 2))``, `x` normal around `d` if a hazard was noticed, else around 0,

    with `d` such that the responses' AUC, misses included, is as given. It is known after a human latency.

    Parameters
    ----------
    auc : float
        Of responses to hazards against others, misses included; above .5.
    misses : float
        Share of hazards that are not noticed, 0 to below 1.
    seed : int
        Of the draws.

    Raises
    ------
    SettingsError
        If so many misses allow no such AUC.
    """

    def __init__(self, auc: float = 0.85, misses: float = 0.1, *, seed: int = 0) -> None:
        if not (0 <= misses < 1 and 0.5 < auc < 1 - misses / 2):
            raise SettingsError(
                f"expected misses from 0 to below 1, and an AUC between .5 and {1 - misses / 2:.3g}, which they allow; "
                f"{misses:g} and {auc:g} came"
            )
        self._misses = misses
        self._d = float(np.sqrt(2) * ndtri((auc - misses / 2) / (1 - misses)))
        self._rng = np.random.default_rng([8, seed])
        self.begin()

    def begin(self) -> None:
        """Begin to watch another drive; see `Watcher.begin`."""
        self._looked, self._hazard = 0.0, False
        self._pending: deque[Heard] = deque()
        self._now = 0.0

    def see(self, time: float, hazard: bool) -> None:
        """Be shown the road; see `Watcher.see`."""
        self._now = time
        self._hazard |= bool(hazard)
        if time - self._looked > PERIOD - 1e-6:
            known = time + LATENCY * float(np.exp(self._rng.normal(0, LATENCY_SD)))
            if self._pending:
                known = max(known, self._pending[-1].time)
            began = known - LATENCY - PERIOD
            self._pending.append(Heard(known, began, began + PERIOD, self.answer(self._hazard)))
            self._looked, self._hazard = time, False

    def heard(self) -> list[Heard]:
        """Give what has been said since; see `Watcher.heard`."""
        said = []
        while self._pending and self._pending[0].time <= self._now:
            said.append(self._pending.popleft())
        return said

    def answer(self, hazard: bool) -> float:
        """Draw the evidence, nats, of one response to a hazard, or to none."""
        noticed = hazard and self._rng.random() >= self._misses
        x = self._rng.normal(self._d if noticed else 0.0)
        return float(np.log(self._misses + (1 - self._misses) * np.exp(self._d * x - self._d**2 / 2)))


class ReplayWatcher(SimulatedWatcher):
    """A recorded person: where there is a hazard the evidence of epochs that targets evoked, of the others elsewhere.

    Parameters
    ----------
    answers : Answers
        Decoded recordings, none of whose answering epochs trained the decoder.
    seed : int
        Of the draws.
    """

    def __init__(self, answers: Answers, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        usable = [epoch for epoch in answers.epochs if epoch.response.rejected is None]
        self._of: dict[bool, FloatArray] = {
            kind: np.array([one.response.evidence for one in usable if one.is_target is kind]) for kind in (False, True)
        }
        if not (len(self._of[True]) and len(self._of[False])):
            raise SettingsError(
                "expected recordings with usable epochs of both classes, to answer for hazards and others"
            )

    def answer(self, hazard: bool) -> float:
        """Draw the evidence, nats, of an epoch of that kind."""
        return float(self._rng.choice(self._of[hazard]))
