"""The synthetic wearer, continuously: EEG as it would come off a head, answering what is shown as it is shown."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from brainloop._types import FloatArray
from brainloop.eeg.mood import ALPHA_FALL, BETA_RISE, FRONTAL, SIDE, Mood
from brainloop.eeg.scalp import scalp
from brainloop.eeg.synthetic import (
    BLINKS_A_MINUTE,
    LATENCY_SD,
    STRENGTH_SD,
    UV,
    Attention,
    SyntheticWearer,
    bump,
    shaped_noise,
)

__all__ = ["LiveWearer"]

FADE = 1.0
"""Each segment of the background fades into the next for this long, s; by equal power, so that its variance holds."""

SEGMENT = 4.0
"""From the beginning of one segment to that of the next, s: short enough to be made between two chunks (6 ms for 64
channels at 512 Hz)."""

EYES, VISUAL, PARIETAL = range(3)

HAZARD_DELAY, HAZARD_SD, HAZARD_WIDTH = 0.1, 0.08, 0.1
"""How the P300 to a hazard differs from that to an image that flashes: it peaks this much later, its peak varies with
this standard deviation, and the wave has this one, s (to an image, .04 and .075). A hazard has no instant: somebody
walks, and is then on a collision course; whoever watches must understand it first. Haufe et al. (2011), "EEG potentials
predict upcoming emergency brakings during simulated driving", J. Neural Eng. 8 056001, found sensory registration,
evaluation and motor preparation one upon the other in the second after a sudden braking ahead. The values are ours."""

HAZARD_GAIN = 1.5
"""Its amplitude, of that of the P300 to a target among images at 5 Hz. P300s grow with the time since the last, seconds
here (Gonsalvez and Polich 2002, "P300 amplitude is determined by target-to-target interval", Psychophysiology 39).
By how much is an assumption, and much hangs on it: the five people of `bench drive` have an AUC of .89 in running
detection, and .78 with 1."""


@dataclass(frozen=True)
class _Wave:
    """One deflection of one source: a Gaussian, its centre and standard deviation in s."""

    source: int
    height: float
    centre: float
    width: float


class LiveWearer:
    """A synthetic wearer whose EEG goes on for as long as it is asked for.

    Background, blinks and responses are those of `SyntheticWearer`, with its `p300` and `misses`; a `p300` of 0 is a
    person who does not react to targets, while every image still evokes its P1 and N1. Everything follows from the
    seed and what is shown when.

    Parameters
    ----------
    wearer : SyntheticWearer
        Who it is.
    start : float
        Time of the first sample, s, on any clock.
    mood : Mood, optional
        What its rhythms follow, asked once every `SEGMENT`, for the middle of it. Where one is given there are frontal
        alpha rhythms too, one on each side; left out, the rhythms are those of `SyntheticWearer`, always.
    """

    def __init__(self, wearer: SyntheticWearer, start: float = 0.0, mood: Mood | None = None) -> None:
        self.wearer = wearer
        self._mood = mood
        self._start, self._n = start, 0
        self._head = scalp(wearer.channels)
        self._sources = np.stack([self._head.eyes, self._head.visual, self._head.parietal], axis=1)
        self._mind = np.random.default_rng([4, wearer.seed])
        self._watchful = np.random.default_rng([12, wearer.seed])
        self._attention = Attention()
        self._waves: list[_Wave] = []
        n = len(wearer.channels)
        body = np.random.default_rng([5, wearer.seed])
        self._hum = 3 * UV * np.sqrt(2) * body.uniform(0.5, 1.5, (n, 1))
        self._phase = body.uniform(0, 2 * np.pi)
        self._level = 1000 * UV * body.uniform(-1, 1, (n, 1))  # of each electrode, from where it walks at random
        self._segments = 0
        self._tail: FloatArray = np.zeros((n, round(FADE * wearer.sfreq)))
        self._ready = np.zeros((n, 0))

    @property
    def until(self) -> float:
        """Time of the next sample to be rendered, s."""
        return self._start + self._n / self.wearer.sfreq

    def present(self, onset: float, is_target: bool, hardness: float = 0.0) -> bool:
        """Show an image; what of its response lies before `until` is lost, as that has been rendered.

        Parameters
        ----------
        onset : float
            When its light comes on, s; presentations come in order.
        is_target : bool
            Whether it is a target.
        hardness : float
            How hard it is to tell, 0 to 1.

        Returns
        -------
        bool
            Whether a target was noticed.
        """
        self._waves += [
            _Wave(VISUAL, 3 * UV, onset + 0.1, 0.015),
            _Wave(VISUAL, -4 * UV, onset + 0.17, 0.02),
        ]
        lapse, late, strength = self._mind.random(), self._mind.normal(0, LATENCY_SD), self._mind.normal(1, STRENGTH_SD)
        gain = self._attention.gain(onset, is_target and lapse >= self.wearer.misses, hardness)
        if gain > 0:
            latency = self.wearer.latency + 0.1 * hardness + late
            height = self.wearer.p300 * gain * max(0.0, strength)
            self._waves.append(_Wave(PARIETAL, height, onset + latency, 0.075))
        return gain > 0

    def notice(self, onset: float) -> bool:
        """Meet a hazard in a scene that moves, which flashes nothing: a P300 alone, later and broader than to an image.

        Parameters
        ----------
        onset : float
            When it begins, s; what of the response lies before `until` is lost.

        Returns
        -------
        bool
            Whether it was noticed: `misses` are not.
        """
        mind = self._watchful
        lapse, late, strength = mind.random(), mind.normal(0, HAZARD_SD), mind.normal(1, STRENGTH_SD)
        noticed = bool(lapse >= self.wearer.misses)
        if noticed:
            height = HAZARD_GAIN * self.wearer.p300 * max(0.0, strength)
            centre = onset + self.wearer.latency + HAZARD_DELAY + late
            self._waves.append(_Wave(PARIETAL, height, centre, HAZARD_WIDTH))
        return noticed

    def render(self, n: int) -> FloatArray:
        """Give the next `n` samples, shape (n_channels, n), V."""
        while self._ready.shape[1] < n:
            self._ready = np.concatenate([self._ready, self._next_segment()], axis=1)
        background, self._ready = self._ready[:, :n], self._ready[:, n:]
        times = self._start + (self._n + np.arange(n)) / self.wearer.sfreq
        self._n += n
        courses = np.zeros((self._sources.shape[1], n))
        for wave in self._waves:
            courses[wave.source] += wave.height * bump(times, wave.centre, wave.width)
        self._waves = [wave for wave in self._waves if wave.centre + 6 * wave.width > self.until]
        return np.asarray(background + self._sources @ courses)

    def _next_segment(self) -> FloatArray:
        """Make the background of the next `SEGMENT` seconds, and put its blinks among the waves to come."""
        sfreq = self.wearer.sfreq
        n, n_fade = round(SEGMENT * sfreq), round(FADE * sfreq)
        rhythms = self._rhythms(self._segments)
        made, tail = rhythms[:, :n], rhythms[:, n:]
        turn = (np.arange(n_fade) + 0.5) / n_fade * np.pi / 2
        rising = np.sin(turn) if self._segments else np.ones(n_fade)
        made[:, :n_fade] = made[:, :n_fade] * rising + self._tail * np.cos(turn)
        self._tail = tail

        rng = np.random.default_rng([7, self.wearer.seed, self._segments])
        steps = rng.standard_normal((len(made), n), dtype=np.float32) * (10 * UV / np.sqrt(10 * sfreq))
        walk = self._level + np.cumsum(steps, axis=1)
        self._level = walk[:, -1:]
        sample = self._segments * n + np.arange(n)
        made += walk + 0.5 * UV * rng.standard_normal((len(made), n), dtype=np.float32)
        made += self._hum * np.sin(2 * np.pi * self.wearer.mains * sample / sfreq + self._phase)

        begin = self._start + self._segments * n / sfreq
        for centre in rng.uniform(0.5, SEGMENT + 0.5, rng.poisson(BLINKS_A_MINUTE / 60 * SEGMENT)):
            self._waves.append(_Wave(EYES, 120 * UV * rng.uniform(0.7, 1.3), begin + centre, 0.07))
        self._segments += 1
        return made

    def _rhythms(self, segment: int) -> FloatArray:
        """Make 1/f noise and alpha of one segment and of its fade into the next, (n_channels, SEGMENT + FADE)."""
        n = round(SEGMENT * self.wearer.sfreq) + round(FADE * self.wearer.sfreq)
        rng = np.random.default_rng([6, self.wearer.seed, segment])
        frequencies = fft.rfftfreq(n, 1 / self.wearer.sfreq)
        pink_spectrum = np.maximum(frequencies, 0.5) ** -0.75
        alpha_spectrum = np.exp(-((frequencies - 10.0) ** 2) / (2 * 0.5**2))
        attention, valence = (0.0, 0.0)
        if self._mood is not None:
            attention, valence = self._mood(self._start + (segment + 0.5) * SEGMENT)
            beta = (frequencies >= 13) & (frequencies < 30)
            pink_spectrum *= np.where(beta, np.exp(BETA_RISE * attention / 2), 1.0)
        pink = shaped_noise(rng, len(self.wearer.channels), n, pink_spectrum)
        alpha = np.exp(-ALPHA_FALL * attention / 2) * shaped_noise(rng, 1, n, alpha_spectrum)
        rhythms = 6 * UV * self._head.neighbours @ pink + 4 * UV * self._head.alpha[:, None] * alpha
        if self._mood is not None:
            sides = shaped_noise(np.random.default_rng([9, self.wearer.seed, segment]), 2, n, alpha_spectrum)
            heights = FRONTAL * np.exp(SIDE * valence / 2 * np.array([-1.0, 1.0]))
            rhythms += self._head.frontal @ (heights[:, None] * sides)
        return np.asarray(rhythms)
